"""Bilinear interpolation with exact weights.

torch computes where a pixel lies between two others in the precision of the pixels: in float32, the
weights of the last of 448 pixels are wrong by 1e-5, a hundred times the rounding of the pixels, and
a network in training makes a hundred times more of it. Here the weights follow from whole numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def between(few: int, many: int, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return between which two of ``few`` pixels in a line each of ``many`` lies.

    Args:
        few: Pixels of the line that is read.
        many: Pixels of the line that is made; may be fewer.
        places: Which of these, ``[n]`` int64.

    Returns:
        The first and the second pixel, ``[n]`` int64 each, and the share of the second from 0 to
        1, ``[n]`` float64, or float32 on a device that has no other.
    """
    doubled = ((2 * places + 1) * few - many).clamp_min(0)  # the position, times 2 * many
    first = doubled // (2 * many)
    rest = doubled % (2 * many)
    exact = torch.float32 if places.device.type == "mps" else torch.float64
    return first, (first + 1).clamp_max(few - 1), rest.to(exact) / (2 * many)


def resized(pictures: Tensor, size: Sequence[int]) -> Tensor:
    """Bring pictures to a size, as ``torch.nn.functional.interpolate`` does in exact arithmetic.

    Args:
        pictures: ``[f, c, h, w]``.
        size: Rows and columns of the result.
    """
    if tuple(pictures.shape[2:]) == tuple(size):
        return pictures
    return _stretched(_stretched(pictures, size[0], 2), size[1], 3)


def _stretched(pictures: Tensor, pixels: int, axis: int) -> Tensor:
    """Bring one axis of pictures to so many pixels."""
    places = torch.arange(pixels, device=pictures.device)
    first, second, share = between(pictures.shape[axis], pixels, places)
    share = share.to(pictures.dtype).view(-1, *(1,) * (pictures.dim() - axis - 1))
    return pictures.index_select(axis, first).lerp_(pictures.index_select(axis, second), share)
