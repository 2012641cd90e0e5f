"""Dropout of one of two maps in whole tracklets. Letter: ``f`` frames."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from .synchronized import Processes


def black_out(
    first: Tensor,
    second: Tensor,
    lengths: Sequence[int],
    share: float,
    processes: Processes | None = None,
) -> tuple[Tensor, Tensor]:
    """Set one of two maps to zero in some tracklets, so that a model does not rely on one alone.

    Python's random generator draws ``round(share * n)`` of the n tracklets, then for each of them
    which map is set to zero in all of its frames.

    Args:
        first: ``[f, c, h, w]``.
        second: ``[f, c, h, w]``.
        lengths: Number of frames of each tracklet.
        share: Fraction of the tracklets.
        processes: Processes that share the batch, if there are several; n then counts the
            tracklets of all of them.

    Returns:
        Both maps; the gradient flows where they are kept.
    """
    before, n = 0, len(lengths)
    if processes is not None:
        before, n = processes.place(n, first.device)
    tracklets = random.sample(range(n), round(share * n))
    kept = torch.ones(2, n)
    for tracklet in tracklets:
        kept[random.sample((0, 1), 1)[0], tracklet] = 0
    kept = kept[:, before : before + len(lengths)]
    frames = kept.repeat_interleave(torch.tensor(lengths), dim=1).to(first)  # [2, f]
    return first * frames[0].view(-1, 1, 1, 1), second * frames[1].view(-1, 1, 1, 1)
