"""Bilinear upsampling of tokens, and moments of upsampled maps without computing these maps.

In bilinear interpolation, each pixel of the fine grid is a weighted mean of at most four
neighboring tokens, and each weight is the product of a row weight and a column weight. A sum over
chosen pixels, of values or of their squares, is therefore a weighted sum over the tokens, or over
pairs of neighbors. The fine map, several times as large, is never computed.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bilinear import between

_CHUNK = 1  # frames at a time, so that their tokens stay in the cache
_NEIGHBORS = ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1))  # rows down and columns to the right


def upsampled(tokens: Tensor, grid: Sequence[int], size: Sequence[int]) -> Tensor:
    """Upsample the tokens ``[f, t, c]`` of a grid to the pixels of a finer one, ``[f, m, c]``."""
    coarse = tokens.transpose(1, 2).unflatten(2, tuple(grid))  # [f, c, rows, columns]
    fine = functional.interpolate(coarse, tuple(size), mode="bilinear")
    # For a single frame torch would choose another memory layout, and dropout would differ.
    return fine.flatten(2).transpose(1, 2).contiguous()


class ChosenPixels:
    """Bilinear interpolation of chosen pixels of a finer grid, and of no others.

    Args:
        chosen: ``[f, m]`` bool.
        grid: Rows and columns of the tokens.
        size: Rows and columns of the finer grid.
        dtype: Data type of the tokens; half precision counts as float32.

    Attributes:
        tokens: Indices of the needed tokens among those of all frames in a row, int64 ``[n]``.
    """

    def __init__(
        self,
        chosen: Tensor,
        grid: Sequence[int],
        size: Sequence[int],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        frame, pixel = chosen.nonzero(as_tuple=True)
        dtype = torch.promote_types(dtype, torch.float32)
        rows, columns = (
            between(few, many, dtype, chosen.device) for few, many in zip(grid, size, strict=True)
        )
        upper, lower, down = (values[pixel // size[1]] for values in rows)
        left, right, aside = (values[pixel % size[1]] for values in columns)
        above = (frame * grid[0])[:, None] + torch.stack([upper, upper, lower, lower], dim=1)
        corners = above * grid[1] + torch.stack([left, right, left, right], dim=1)  # [pixels, 4]
        self._shares = torch.stack(
            [(1 - down) * (1 - aside), (1 - down) * aside, down * (1 - aside), down * aside], dim=1
        )
        needed = chosen.new_zeros(len(chosen) * grid[0] * grid[1])
        needed[corners] = True
        self.tokens = needed.nonzero().squeeze(1)
        self._corners = (needed.cumsum(0) - 1)[corners]  # among the needed tokens

    def of(self, rows: Tensor) -> Tensor:
        """Return the pixels ``[pixels, c]``, computed from the needed tokens ``[n, c]``."""
        shares = self._shares.to(rows.dtype)
        return functional.embedding_bag(self._corners, rows, mode="sum", per_sample_weights=shares)


@torch.no_grad()
def upsampled_moments(
    tokens: Tensor, grid: Sequence[int], size: Sequence[int], chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel over chosen pixels of the finer grid.

    Args:
        tokens: ``[f, t, c]``, t tokens in row order.
        grid: Rows and columns of the tokens.
        size: Rows and columns of the finer grid.
        chosen: ``[f, m]`` bool, at least one pixel true.

    Returns:
        ``[c]`` each, in float32 or float64; the variance is divided by the number of pixels.
    """
    dtype = torch.promote_types(tokens.dtype, torch.float32)
    weights = chosen.view(-1, *size).to(dtype)
    rows, columns = (_weights(n, m, weights) for n, m in zip(grid, size, strict=True))
    # Any number near the mean works: it keeps the digits that the square would lose.
    origin = tokens[0].to(dtype).mean(0)
    first, second = torch.zeros_like(origin), torch.zeros_like(origin)
    for some, kept in zip(tokens.split(_CHUNK), weights.split(_CHUNK), strict=True):
        values = (some.to(dtype) - origin).unflatten(1, tuple(grid))  # [f, rows, columns, c]
        first += _weighted(values, rows.t() @ kept @ columns)
        second += _sum_of_squares(values, kept, rows, columns)
    count = weights.sum()
    mean = first / count
    return mean + origin, (second / count - mean.square()).clamp_min_(0)


def _sum_of_squares(values: Tensor, kept: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the sums ``[c]`` of squares of the kept pixels, from pairs of tokens."""
    height, width = values.shape[1:3]
    total = values.new_zeros(values.shape[3])
    for down, right in _NEIGHBORS:
        if down >= height or abs(right) >= width:
            continue
        one_row, other_row = rows[:, : height - down], rows[:, down:]
        left = slice(max(-right, 0), width - max(right, 0))
        shifted = slice(max(right, 0), width + min(right, 0))
        weight = (one_row * other_row).t() @ kept @ (columns[:, left] * columns[:, shifted])
        pairs = values[:, : height - down, left] * values[:, down:, shifted]
        factor = 1 if (down, right) == (0, 0) else 2  # a pair of two tokens counts in both orders
        total += factor * _weighted(pairs, weight)
    return total


def _weighted(values: Tensor, weight: Tensor) -> Tensor:
    """Return the sum of ``[f, y, x, c]``, weighted by ``[f, y, x]``: ``[c]``."""
    return weight.flatten() @ values.flatten(0, 2)


def _weights(tokens: int, pixels: int, like: Tensor) -> Tensor:
    """Return the weight of each token of a line in each pixel, ``[pixels, tokens]``."""
    first, second, share = between(tokens, pixels, like.dtype, like.device)
    one_hot = torch.eye(tokens, dtype=like.dtype, device=like.device)
    return torch.lerp(one_hot[first], one_hot[second], share[:, None])


@torch.no_grad()
def follow_moments(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update the running statistics of a normalization, as a forward pass in training does.

    Args:
        norm: A normalization with running statistics; changed in place.
        mean: ``[c]``, mean of the batch.
        variance: ``[c]``, variance of the batch, divided by the number of samples.
        count: Number of samples, at least 2.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    share = norm.momentum or 0.0
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_((variance * count / (count - 1)).to(norm.running_var.dtype), share)


def filled(pixels: Tensor, chosen: Tensor) -> Tensor:
    """Put ``[pixels, c]`` where ``chosen`` ``[f, m]`` is true, zeros elsewhere: ``[f, m, c]``."""
    filled = pixels.new_zeros(*chosen.shape, pixels.shape[1])
    filled[chosen] = pixels
    return filled
