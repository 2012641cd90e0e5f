"""Bilinear interpolation with exact weights.

torch computes the position of a pixel between two others in the precision of the pixels. In
float32, the weights of the last of 448 pixels are off by 1e-5, a hundred times the rounding error
of the pixels, and a network in training amplifies that a hundred times. Here the weights are
computed from integers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def between(
    few: int, many: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each of ``many`` pixels of a line, its two neighbors among ``few`` pixels.

    Args:
        few: Number of pixels of the input line.
        many: Number of pixels of the output line; may be smaller than ``few``.
        dtype: Data type of the weights.
        device: Device of all three results.

    Returns:
        The first and the second neighbor, int64 ``[many]`` each, and the weight of the second from
        0 to 1, ``[many]``.
    """
    # Lists, because torch.compile fails on the same steps with tensors.
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
    """Resize pictures, as ``torch.nn.functional.interpolate`` would in exact arithmetic.

    Args:
        pictures: ``[f, c, h, w]``.
        size: Rows and columns of the result.
    """
    if tuple(pictures.shape[2:]) == tuple(size):
        return pictures
    return _stretched(_stretched(pictures, size[0], 2), size[1], 3)


def _stretched(pictures: Tensor, pixels: int, axis: int) -> Tensor:
    """Resize one axis of pictures."""
    line = pictures.shape[axis], pixels, pictures.dtype, pictures.device
    first, second, share = between(*line)
    share = share.view(-1, *(1,) * (pictures.dim() - axis - 1))
    return pictures.index_select(axis, first).lerp_(pictures.index_select(axis, second), share)
