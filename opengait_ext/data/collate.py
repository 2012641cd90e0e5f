"""Batches of samples."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from .dataset import Sample


class Batch(NamedTuple):
    """Tracklets of one batch.

    Attributes:
        frames: uint8 ``[n, s, 3, h, w]``; or ``[1, f, 3, h, w]``, the tracklets in a row, where
            their numbers of frames differ. Silhouettes have 1 channel instead of 3.
        labels: int64 ``[n]``.
        types: ``"rgb"`` or ``"ir"`` of each tracklet, or a gait data set's own types.
        views: The tracklets' names below identity and type.
        lengths: int32 ``[1, n]``, the numbers of frames, if they differ; else None.
        positions: int64 ``[n]``, positions in the dataset.
    """

    frames: Tensor
    labels: Tensor
    types: list[str]
    views: list[str]
    lengths: Tensor | None
    positions: Tensor


def collate(samples: Sequence[Sample]) -> Batch:
    """Return a batch of samples, in their order.

    Raises:
        UserError: If the samples' frames differ in height, width or channels.
    """
    clips = [sample.frames for sample in samples]
    sizes = sorted({tuple(clip.shape[-2:]) for clip in clips})
    if len(sizes) > 1:
        found = ", ".join(f"{height} x {width}" for height, width in sizes)
        raise UserError(
            f"a batch with frames of different sizes ({found}): put Resize first in transform"
        )
    channels = sorted({clip.shape[1] for clip in clips})
    if len(channels) > 1:
        raise UserError(
            "a batch with frames of 1 and of 3 channels: data_cfg.stream must name frames, or "
            "silhouettes, in every tracklet"
        )
    lengths = None
    if len({len(clip) for clip in clips}) == 1:
        frames = torch.stack(clips).contiguous()  # [n, s, 3, h, w]
    else:
        frames = torch.cat(clips).contiguous()[None]  # [1, f, 3, h, w]
        lengths = torch.tensor([[len(clip) for clip in clips]], dtype=torch.int32)
    return Batch(
        frames=frames,
        labels=torch.tensor([sample.label for sample in samples]),
        types=[sample.type for sample in samples],
        views=[sample.view for sample in samples],
        lengths=lengths,
        positions=torch.tensor([sample.position for sample in samples]),
    )
