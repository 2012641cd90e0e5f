"""A stand-in for a checkout of OpenGait, in our own words: its form, its odd habits, no code of it.

Importing either package of models or backbones raises: nothing may need them whole.
"""

import subprocess
import textwrap

FILES = {
    "modeling/models/__init__.py": "raise RuntimeError('the package of all models was imported')",
    "modeling/backbones/__init__.py": "raise RuntimeError('all backbones were imported')",
    "modeling/backbones/tiny.py": """
        import torch.nn as nn
        from ..modules import layer


        class Tiny(nn.Module):
            def __init__(self, width, in_channels=1):
                super(Tiny, self).__init__()
                self.conv = layer(in_channels, width)

            def forward(self, x):
                return self.conv(x)
    """,
    "modeling/backbones/torn.py": "import a_package_that_nobody_has\n\n\nclass Torn:\n    pass",
    "modeling/modules.py": """
        import torch.nn as nn
        from utils import doubled


        def layer(inner, outer):
            return nn.Conv2d(inner, outer, doubled(1) + 1, padding=1)


        class Necks(nn.Module):
            def __init__(self, width, class_num):
                super(Necks, self).__init__()
                self.norm = nn.BatchNorm1d(width)
                self.fc = nn.Linear(width, class_num)
    """,
    "utils/__init__.py": "from .common import doubled",
    "utils/common.py": """
        from data import offset

        def doubled(number):
            return 2 * number + offset
    """,
    "data/__init__.py": "offset = 0",
    "modeling/models/mini.py": """
        import matplotlib.pyplot as plt
        import torch
        from ..base_model import BaseModel
        from ..modules import Necks
        from utils import doubled


        class MiniGait(BaseModel):
            def __init__(self, *given, **named):
                super().__init__(*given, **named)

            def build_network(self, model_cfg):
                self.Backbone = self.get_backbone(model_cfg['backbone_cfg'])
                self.Necks = Necks(**model_cfg['Necks'])
                self.second = model_cfg['second'] if 'second' in model_cfg else False
                self.factor = doubled(1) / 2

            def forward(self, inputs):
                (sils, *_), labels, *_ = inputs
                if len(sils.size()) == 4:
                    sils = sils.unsqueeze(2)  # [n, s, c, h, w]
                n, s, c, h, w = sils.size()
                maps = self.Backbone(sils.reshape(n * s, c, h, w)).view(n, s, -1, h, w)
                pooled = maps.max(1)[0].chunk(2, 2)  # two parts
                embeddings = torch.stack([part.mean((2, 3)) for part in pooled], -1) * self.factor
                logits = self.Necks.fc(self.Necks.norm(embeddings).transpose(1, 2)).transpose(1, 2)
                return {
                    'training_feat': {
                        'triplet': {'embeddings': embeddings, 'labels': labels},
                        'softmax': {'logits': logits, 'labels': labels},
                    },
                    'visual_summary': {'image/sils': sils.reshape(n * s, c, h, w)},
                    'inference_feat': {'embeddings': embeddings},
                }


        class Another(MiniGait):
            pass
    """,
    "modeling/models/odd++name.py": """
        from .mini import MiniGait


        class OddGait(MiniGait):
            def forward(self, inputs):
                if not self.training and len(inputs[1]) != 1:
                    raise ValueError('one at a time')
                return super().forward(inputs)
    """,
    "modeling/models/zz_ours.py": """
        from ..base_model import BaseModel


        class AGW(BaseModel):
            pass
    """,
    "modeling/models/torn.py": """
        from ..base_model import BaseModel
        import a_package_that_nobody_has


        class TornGait(BaseModel):
            pass
    """,
    "modeling/models/raising.py": """
        from ..base_model import BaseModel

        raise OSError('no disk today')


        class RaisingGait(BaseModel):
            pass
    """,
    "modeling/models/garbled.py": "class Garbled(BaseModel:",
    "modeling/models/own_loop.py": """
        from ..base_model import BaseModel
        from ..multidataset_model import MultiDatasets
        from .near import on_device


        class OwnLoop(BaseModel):
            def get_optimizer(self, cfg):
                return None


        class Heir(OwnLoop):
            pass


        class Several(MultiDatasets):
            pass
    """,
    "modeling/models/near.py": """
        def on_device(x):
            return x.cuda(x.get_device())
    """,
    "modeling/models/hard.py": """
        from ..base_model import BaseModel
        from .near import on_device


        class HardGait(BaseModel):
            pass
    """,
    "modeling/models/guarded.py": """
        from ..base_model import BaseModel


        class GuardedGait(BaseModel):
            def forward(self, x):
                if x.is_cuda:
                    x = x.cuda()
                return x
    """,
    "modeling/models/two.py": """
        from ..base_model import BaseModel


        class TwoStreams(BaseModel):
            def forward(self, inputs):
                ipts = inputs[0]
                return ipts[1]
    """,
}

MODEL_CFG = {
    "model": "MiniGait",
    "backbone_cfg": {"type": "Tiny", "width": 6},
    "Necks": {"width": 6, "class_num": 4},
}


def make_checkout(folder):
    """Writes the stand-in, puts it under git's control, and gives its folder."""
    for name, text in FILES.items():
        path = folder / "opengait" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).strip() + "\n")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "all")):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)
    return folder


def changes_in(folder):
    """Gives what git sees as changed or new in a checkout, ignored files included."""
    command = ["git", "-C", str(folder), "status", "--porcelain", "--ignored"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
