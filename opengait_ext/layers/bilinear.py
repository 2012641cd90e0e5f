"""Bilinear interpolation with exact weights.

torch computes where a pixel lies between two others in the precision of the pixels: in float32, the
weights of the last of 448 pixels are wrong by 1e-5, a hundred times the rounding of the pixels, and
a network in training makes a hundred times more of it. Here the weights follow from whole numbers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def between(
    few: int, many: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return between which two of ``few`` pixels of a line each of ``many`` lies.

    Args:
        few: Pixels of the line that is read.
        many: Pixels of the line that is made; may be fewer.
        dtype: Of the shares.
        device: Of all three.

    Returns:
        The first and the second pixel, ``[many]`` int64 each, and the share of the second from 0
        to 1, ``[many]``.
    """
    # Lists, because torch.compile fails at the same steps on tensors.
    positions = [max((2 * pixel + 1) * few - many, 0) for pixel in range(many)]  # times 2 * many
    first = [position // (2 * many) for position in positions]
    second = [min(pixel + 1, few - 1) for pixel in first]
    share = [position % (2 * many) / (2 * many) for position in positions]
    return (
        torch.tensor(first, device=device),
        torch.tensor(second, device=device),
        torch.tensor(share, dtype=dtype, device=device),
    )


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
    line = pictures.shape[axis], pixels, pictures.dtype, pictures.device
    first, second, share = between(*line)
    share = share.view(-1, *(1,) * (pictures.dim() - axis - 1))
    return pictures.index_select(axis, first).lerp_(pictures.index_select(axis, second), share)
