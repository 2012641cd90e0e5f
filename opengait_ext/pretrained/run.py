"""Import of published weights, and a report on any weight file.

    python datasets/prep/weights.py import-dinogrl --model best_model.pth \
        --attention best_model2.pth --shape best_shape.pth --target data/weights/dinogrl_vcm.pt
    python datasets/prep/weights.py import-biggait --source BigGait-40000.pt --target F.pt
    python datasets/prep/weights.py import-dinov2 --source dinov2_vits14_pretrain.pth --target F
    python datasets/prep/weights.py import-mask --source MaskBranch_vits14.pt --target F
    python datasets/prep/weights.py check FILE

``import-dinogrl`` writes a checkpoint from the three that DinoGRL's authors published,
``import-biggait`` one from a BigGait checkpoint of OpenGait. ``import-dinov2`` and ``import-mask``
write files for ``model_cfg.dinov2_weights`` and ``model_cfg.mask_weights``. All names and shapes
are compared with the network. A file that does not fit is refused with the names that differ, and
nothing is written. Code in a file is never run. Formats: torch.save and safetensors. A DINOv2 may
have the names of Meta, timm or Hugging Face.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from opengait_ext.edge import status_of
from opengait_ext.pretrained.files import read_source
from opengait_ext.pretrained.importing import (
    import_biggait,
    import_dinogrl,
    import_dinov2,
    import_mask,
)
from opengait_ext.pretrained.survey import tell


def check(arguments: argparse.Namespace) -> None:
    """Print the kind and content of a weight file.

    Args:
        arguments: As returned by `arguments_of`.

    Raises:
        UserError: If the file cannot be read without running code.
    """
    tell(read_source(arguments.file, "FILE"), arguments.names)


def _checkpoint(text: str) -> Path:
    if not text.endswith((".pt", ".pth")):  # evaluator_cfg.restore_hint accepts no other suffix
        raise argparse.ArgumentTypeError(f"{text!r}, expected the name of a .pt file")
    return Path(text)


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Import published weights, or check a file.")
    tasks = parser.add_subparsers(dest="task", required=True)

    def task(name: str, run: Callable[[argparse.Namespace], None], purpose: str) -> Callable:
        added = tasks.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(run=run)
        return added.add_argument

    add = task("import-dinogrl", import_dinogrl, "Make a checkpoint of DinoGRL's published ones.")
    add("--model", type=Path, required=True, help="best_model.pth, the appearance stream")
    add("--attention", type=Path, required=True, help="best_model2.pth, PBMGE")
    add("--shape", type=Path, required=True, help="best_shape.pth, the gait stream with DINOv2")
    add("--target", type=_checkpoint, required=True, help="file for the checkpoint, .pt")
    add("--keep-classifier", action="store_true", help="keep what only training uses, too")
    add = task("import-biggait", import_biggait, "Make a checkpoint of one that OpenGait wrote.")
    add("--source", type=Path, required=True, help="checkpoint of BigGait__Dinov2_Gaitbase")
    add("--target", type=_checkpoint, required=True, help="file for the checkpoint, .pt")
    for name, run, published in (
        ("import-dinov2", import_dinov2, "dinov2_vits14_pretrain.pth or a larger one"),
        ("import-mask", import_mask, "MaskBranch_vits14.pt of BigGait"),
    ):
        add = task(name, run, f"Check and rename {published}.")
        add("--source", type=Path, required=True, help=published)
        add("--target", type=Path, required=True, help="file for the weights")
    add = task("check", check, "Tell what a file of weights is and holds.")
    add("file", type=Path, metavar="FILE", help="of torch.save or safetensors; nothing is run")
    add("--names", action="store_true", help="list all tensors with shape and type")
    return parser.parse_args(command)


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 done, 1 refused, 2 misuse, 130 interrupted."""
    arguments = arguments_of(command)
    return status_of(lambda: arguments.run(arguments), "stopped; nothing was written")
