"""Training without one of two maps, so that neither is relied on alone. Letter: ``f`` frames."""

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
    """Sets one of two maps to zero in some tracklets, so that neither is relied on alone.

    ``round(share * n)`` of the n tracklets are drawn, then for each of them the map that is
    set to zero in all of its frames, by Python's generator, in this order.

    Args:
        first: ``[f, c, h, w]``.
        second: ``[f, c, h, w]``.
        lengths: Frames of each tracklet.
        share: Of the tracklets.
        processes: Those that share the batch, if there are several; n then counts all of theirs.

    Returns:
        Both maps; where they are kept, their gradient is kept as well.
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
