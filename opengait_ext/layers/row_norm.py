"""Batch normalization of many rows with accurate statistics in float32.

For ``[n, c]`` torch's kernel on the CPU adds the rows one by one in float32. Over the pixels of a
batch, 50,000 or 400,000, the sums lose up to three digits, and a network in training amplifies
that a hundred times. Here they are added in groups.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .upsampling import follow_moments

_GROUP = 512  # rows whose squares stay in the cache


class RowNorm(nn.BatchNorm1d):
    """Batch normalization of ``[n, c]`` without weights, like ``nn.BatchNorm1d``."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the normalized rows ``[n, c]``."""
        coarse = rows.device.type == "cpu" and rows.dtype is torch.float32
        if not (self.training and coarse and len(rows) > 1):
            return super().forward(rows)
        mean, variance = moments(rows.detach())
        follow_moments(self, mean, variance, len(rows))
        result: Tensor = _Normalized.apply(rows, mean, variance, self.eps)
        return result


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance (divided by n) of the columns of ``[n, c]``, ``[c]`` each."""
    mean = rows.mean(0)
    squares = [(group - mean).square_().sum(0) for group in rows.split(_GROUP)]
    return mean, torch.stack(squares).sum(0) / len(rows)


class _Normalized(torch.autograd.Function):
    """Batch normalization in training with given statistics."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
        ctx.eps = eps
        ctx.save_for_backward(rows, mean, (variance + eps).rsqrt())
        return nn.functional.batch_norm(rows, mean, variance, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, *saved = ctx.saved_tensors
        of_rows = torch.ops.aten.native_batch_norm_backward(
            gradient, rows, None, None, None, *saved, True, ctx.eps, [True, False, False]
        )[0]
        return of_rows, None, None, None
