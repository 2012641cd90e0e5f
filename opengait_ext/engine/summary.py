"""Curves and images of a run: TensorBoard, and the curves as JSON lines."""

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.layout import atomic_write
from ..vision import torchvision
from .events import Events, GrowingFile
from .files import put_aside

logger = logging.getLogger(__name__)

_SHOWN = 8  # images of one name
_SCALAR, _IMAGE = "scalar/", "image/"


class Summary:
    """Writer of ``summary/`` (TensorBoard) and ``metrics.jsonl`` in a run's folder.

    Args:
        folder: Folder of the run.
        start: Iteration from which the run resumes; records of later iterations are dropped.

    Raises:
        UserError: If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lines, events = folder / "metrics.jsonl", folder / "summary"
        _drop_later(lines, start)
        if os.path.lexists(events) and not events.is_dir():
            put_aside(events, "is no folder", "new curves of TensorBoard are begun")
        self._lines = GrowingFile(lines)
        self._events = Events(events, purge_step=start + 1)

    def scalars(self, values: Mapping[str, float], iteration: int) -> None:
        """Add a point to each curve.

        Args:
            values: Values by tag; a leading ``scalar/`` is removed, as in OpenGait.
            iteration: Iteration of the point.
        """
        values = {tag.removeprefix(_SCALAR): value for tag, value in values.items()}
        self._events.scalars(values.items(), iteration)
        known = {tag: value if math.isfinite(value) else None for tag, value in values.items()}
        self._lines.add((json.dumps({"iteration": iteration, **known}) + "\n").encode())

    def images(self, visual_summary: Mapping[str, Tensor], iteration: int) -> None:
        """Add an image of each ``image/<name>``: at most 8 of its rows, side by side.

        Args:
            visual_summary: The model's output; images ``[m, c, h, w]`` in 0..1.
            iteration: Iteration of the images.
        """
        for tag, images in visual_summary.items():
            if tag.startswith(_IMAGE):
                self._events.image(tag.removeprefix(_IMAGE), grid(images), iteration)


def grid(images: Tensor) -> Tensor:
    """Return several images as one.

    Shape:
        - Input: ``[m, c, h, w]`` in 0..1; channels are shown one by one unless there are three.
        - Output: ``[3, H, W]``, float32 on the CPU.
    """
    images = images[:_SHOWN].detach().float().clamp(0, 1).cpu()
    if images.shape[1] != 3:
        images = images.flatten(0, 1).unsqueeze(1)  # [m * c, 1, h, w]
    return torchvision.utils.make_grid(images, nrow=_SHOWN, padding=1)


def numbers_of(visual_summary: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the mean of each ``scalar/<name>`` in a model's output."""
    return {
        tag.removeprefix(_SCALAR): torch.as_tensor(value).detach().float().mean()
        for tag, value in visual_summary.items()
        if tag.startswith(_SCALAR)
    }


def _drop_later(path: Path, start: int) -> None:
    """Remove lines of iterations after ``start``, and an incomplete line."""
    if not os.path.lexists(path):
        return
    if not path.is_file():
        put_aside(path, "is no file", "new curves are begun")
        return
    *lines, cut = path.read_bytes().split(b"\n")
    steps = [_iteration(line) for line in lines]
    kept = [
        line + b"\n"
        for line, step in zip(lines, steps, strict=True)
        if step is not None and step <= start
    ]
    damaged = steps.count(None) + (
        _iteration(cut) is None and not cut.startswith(b"{") and cut != b""
    )
    if damaged:
        put_aside(path, f"holds {damaged} lines that are no point of a curve", "the others stay")
    atomic_write(path, b"".join(kept))


def _iteration(line: bytes) -> float | None:
    """Return the iteration of a line; None if the line is invalid."""
    try:
        step = json.loads(line)["iteration"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return step if isinstance(step, (int, float)) and math.isfinite(step) else None
