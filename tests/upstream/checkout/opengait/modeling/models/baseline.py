import imageio.plugins  # one of the packages that only some models use
import torch

from ..base_model import BaseModel

assert imageio.plugins


class Baseline(BaseModel):
    """Feeds itself: any config of the stand-in's own form runs with it."""

    def build_network(self, model_cfg):
        self.layer = torch.nn.Linear(2, model_cfg["width"])

    def get_loader(self, data_cfg, train=True):
        return [torch.ones(4, 2)] * 50

    def inputs_pretreament(self, inputs):
        return inputs

    def forward(self, inputs):
        return {
            "training_feat": {"triplet": {"embeddings": self.layer(inputs)}},
            "visual_summary": {},
            "inference_feat": {},
        }
