"""Curves and pictures of a run: TensorBoard, and the curves as JSON lines."""

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.layout import atomic_write
from ..errors import UserError
from ..vision import torchvision

logger = logging.getLogger(__name__)

_SHOWN = 8  # pictures of one kind
_SCALAR, _IMAGE = "scalar/", "image/"


class Summary:
    """Writes ``summary/`` (TensorBoard) and ``metrics.jsonl`` in a run's folder.

    Args:
        folder: Of the run.
        start: Iteration that the run goes on from; what was written of later ones is dropped.

    Raises:
        UserError: If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        self._lines = folder / "metrics.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        _drop_later(self._lines, start)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as fault:
            raise UserError(
                f"TensorBoard is not installed ({fault}): pip install tensorboard"
            ) from None
        self._writer = SummaryWriter(str(folder / "summary"), purge_step=start + 1)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Adds a point to each curve.

        Args:
            values: By tag; a leading ``scalar/`` is left away, as OpenGait does.
            iteration: Where on the curves.
        """
        values = {tag.removeprefix(_SCALAR): value for tag, value in values.items()}
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, iteration)
        known = {tag: value if math.isfinite(value) else None for tag, value in values.items()}
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **known}) + "\n")

    def images(self, visual_summary: Mapping[str, Tensor], iteration: int) -> None:
        """Adds a picture of each ``image/<name>``: at most 8 of its rows, side by side.

        Args:
            visual_summary: What the model returned; images ``[m, c, h, w]`` in 0..1.
            iteration: When.
        """
        for tag, images in visual_summary.items():
            if tag.startswith(_IMAGE):
                self._writer.add_image(tag.removeprefix(_IMAGE), grid(images), iteration)
        self._writer.flush()

    def close(self) -> None:
        """Writes what is still in memory."""
        self._writer.close()


def grid(images: Tensor) -> Tensor:
    """Gives one picture of several.

    Shape:
        - Input: ``[m, c, h, w]`` in 0..1; channels that are not three are shown one by one.
        - Output: ``[3, H, W]``, float32 on the CPU.
    """
    images = images[:_SHOWN].detach().float().clamp(0, 1).cpu()
    if images.shape[1] != 3:
        images = images.flatten(0, 1).unsqueeze(1)  # [m * c, 1, h, w]
    return torchvision.utils.make_grid(images, nrow=_SHOWN, padding=1)


def numbers_of(visual_summary: Mapping[str, Any]) -> dict[str, Tensor]:
    """Gives the ``scalar/<name>`` of what a model returned, each as its mean."""
    return {
        tag.removeprefix(_SCALAR): torch.as_tensor(value).detach().float().mean()
        for tag, value in visual_summary.items()
        if tag.startswith(_SCALAR)
    }


def _drop_later(path: Path, start: int) -> None:
    """Removes lines of iterations after ``start``, and one that was cut short."""
    if not path.is_file():
        return
    kept = [
        line for line in path.read_text(encoding="utf-8").splitlines() if _is_until(line, start)
    ]
    text = "".join(f"{line}\n" for line in kept)
    atomic_write(path, text.encode())


def _is_until(line: str, start: int) -> bool:
    try:
        return json.loads(line)["iteration"] <= start
    except (ValueError, KeyError, TypeError):
        return False
