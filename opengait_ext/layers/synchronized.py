"""Layers that treat the batches of several processes as one batch.

Training on a batch that several processes share must equal training in one process. Two kinds of
layers depend on the rows of other processes: batch normalizations, whose moments are those of all
rows, and layers that draw random numbers, which draw for all rows in the same order and keep their
own. All processes must therefore call such a layer equally often, even with no rows at all.

torch's ``SyncBatchNorm`` runs on CUDA only; the one here computes the same on any device.
"""

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from .frozen import is_frozen

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Processes(Protocol):
    """Interface to the processes that share a batch."""

    def gathered(self, values: Tensor) -> Tensor:
        """Return the tensors of all processes, equal in shape, stacked, without gradient."""

    def place(self, rows: int, device: torch.device) -> tuple[int, int]:
        """Return the number of rows before those of this process, and the number of all rows."""


class SharesBatch:
    """Mixin of modules that depend on the other processes; None unless a host sets them."""

    processes: Processes | None = None


class SynchronizedBatchNorm(_BatchNorm):
    """Batch normalization with the moments of the rows of all processes.

    The processes exchange their moments once in the forward pass, and sums of gradients once in
    the backward pass. A process may have any number of rows, even none. In eval mode the layer
    equals the normalization that it replaces.

    Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015,
    https://arxiv.org/abs/1502.03167.

    Args:
        norm: The normalization to replace; its parameters and running statistics are taken over.
        processes: The processes that share a batch.

    Shape:
        - ``[n, c, ...]``, in and out.

    Raises:
        ValueError: In ``forward``, in training, if all processes together have one value per
            channel.
    """

    def __init__(self, norm: _BatchNorm, processes: Processes) -> None:
        super().__init__(
            norm.num_features, norm.eps, norm.momentum, affine=False, track_running_stats=False
        )
        self.affine, self.track_running_stats = norm.affine, norm.track_running_stats
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.processes = processes
        self.training = norm.training

    def forward(self, values: Tensor) -> Tensor:
        """Normalize ``[n, c, ...]``."""
        if not self.training:
            own = self.running_mean is None
            return functional.batch_norm(
                values,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                own,
                0,
                self.eps,
            )
        mean, variance, count = _moments(values, self.processes)
        if count < 2:
            raise ValueError(
                f"a batch of {count} values a channel in all processes: batch normalization needs "
                "at least 2 in training"
            )
        self._follow(mean, variance * (count / (count - 1)))
        result: Tensor = _Normalized.apply(
            values, self.weight, self.bias, mean, (variance + self.eps).rsqrt(), count,
            self.processes,
        )  # fmt: skip
        return result

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = self.momentum
        if share is None:  # the mean of all batches
            share = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class SharedDropout(nn.Module):
    """Dropout that drops what one process would drop in the joint batch; rows come first.

    Args:
        dropout: One of torch's dropout layers that multiply by a random mask.
        processes: The processes that share a batch; their generators are in the same state.

    Shape:
        - ``[n, ...]``, in and out.
    """

    def __init__(self, dropout: Any, processes: Processes) -> None:
        super().__init__()
        self.dropout = dropout
        self.processes = processes
        self.training = dropout.training

    def forward(self, values: Tensor) -> Tensor:
        """Drop entries of ``[n, ...]``."""
        if not self.training or not self.dropout.p:
            return values
        before, of_all = self.processes.place(len(values), values.device)
        mask = self.dropout(_ones(values, of_all))
        return values * mask[before : before + len(values)]


def share_batches(module: nn.Module, processes: Processes, norms: bool) -> nn.Module:
    """Let the layers of a model treat the batches of several processes as one batch.

    Args:
        module: Changed in place; its state dict keeps its keys. Frozen parts do not change.
        processes: The processes that share a batch.
        norms: Whether batch normalizations also use the moments of all rows.

    Returns:
        The module, or its replacement.
    """
    if is_frozen(module):
        return module
    if isinstance(module, _DROPOUTS):
        return SharedDropout(module, processes)
    if norms and isinstance(module, _BatchNorm) and not is_synchronized(module):
        return SynchronizedBatchNorm(module, processes)
    if isinstance(module, SharesBatch):
        module.processes = processes
    for name, child in module.named_children():
        setattr(module, name, share_batches(child, processes, norms))
    return module


def is_synchronized(norm: nn.Module) -> bool:
    """Return whether a normalization uses the moments of all processes."""
    return isinstance(norm, (SynchronizedBatchNorm, nn.SyncBatchNorm))


def pooled_moments(
    mean: Tensor, variance: Tensor, count: int, processes: Processes
) -> tuple[Tensor, Tensor, int]:
    """Return mean, variance and number of the samples of all processes.

    Args:
        mean: ``[c]``, mean of this process's samples; any value if it has none.
        variance: ``[c]``, their variance, divided by the number of samples.
        count: Number of this process's samples.
        processes: The processes that share a batch; at least one has a sample.
    """
    own = torch.stack([torch.full_like(mean, count), mean, variance]).double()
    counts, means, variances = processes.gathered(own if count else torch.zeros_like(own)).unbind(1)
    shares = counts / counts.sum(0)  # [processes, c]
    pooled = (shares * means).sum(0)
    # Around the common mean, so that no digits are lost where it is large.
    spread = (shares * (variances + (means - pooled).square())).sum(0)
    return pooled.to(mean.dtype), spread.to(variance.dtype), int(counts[:, 0].sum())


def _moments(values: Tensor, processes: Processes) -> tuple[Tensor, Tensor, int]:
    """Return mean, variance ``[c]`` and number of values of ``[n, c, ...]`` in all processes."""
    values = values.detach()
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    dims = _all_but_channels(values)
    mean = values.mean(dims)
    variance = (values - _over_channels(mean, values)).square().mean(dims)
    return pooled_moments(mean, variance, values.numel() // values.shape[1], processes)


class _Normalized(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        factor: Tensor,
        count: int,
        processes: Processes,
    ) -> Tensor:
        ctx.save_for_backward(values, weight, mean, factor)
        ctx.count, ctx.processes = count, processes
        result = _standardized(values, mean, factor)
        if weight is not None:
            result = result * _over_channels(weight, values)
        if bias is not None:
            result = result + _over_channels(bias, values)
        return result.to(values.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, factor = ctx.saved_tensors
        standard = _standardized(values, mean, factor)
        gradient = gradient.to(standard.dtype)
        dims = _all_but_channels(values)
        along = torch.stack([gradient.sum(dims), (gradient * standard).sum(dims)])  # [2, c]
        sums = ctx.processes.gathered(along.double()).sum(0)
        shift, slope = (sums / ctx.count).to(standard.dtype)
        scale = factor if weight is None else factor * weight
        of_values = gradient - _over_channels(shift, values)
        of_values = of_values - standard * _over_channels(slope, values)
        of_values = of_values * _over_channels(scale, values)
        of_bias, of_weight = along
        return (
            of_values.to(values.dtype),
            None if weight is None else of_weight.to(weight.dtype),
            of_bias if ctx.needs_input_grad[2] else None,
            None, None, None, None,
        )  # fmt: skip


def _standardized(values: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """Return ``[n, c, ...]`` minus the mean, times the factor, per channel."""
    return (values.to(mean.dtype) - _over_channels(mean, values)) * _over_channels(factor, values)


def _over_channels(numbers: Tensor, like: Tensor) -> Tensor:
    """Reshape ``[c]`` so that it broadcasts over the channels of ``like``."""
    return numbers.view(1, -1, *[1] * (like.dim() - 2))


def _all_but_channels(values: Tensor) -> list[int]:
    return [dim for dim in range(values.dim()) if dim != 1]


def _ones(values: Tensor, rows: int) -> Tensor:
    """Return ones with the given number of rows, in the memory layout of ``values``."""
    shape = [rows, *values.shape[1:]]
    # The stride of a single row is arbitrary; assume that rows follow each other.
    strides = [math.inf if len(values) == 1 else values.stride(0), *values.stride()[1:]]
    order = sorted(range(values.dim()), key=lambda dim: -strides[dim])
    ones = values.new_ones([shape[dim] for dim in order])
    return ones.permute([order.index(dim) for dim in range(values.dim())])
