"""Matrix products in float32 that use the whole processor.

On a processor torch multiplies float32 by MKL, which leaves AVX-512 alone unless Intel made it:
half of what an AMD EPYC can do. oneDNN, which torch brings as well and takes for convolutions and
for half precision, has no such reserve. For float32 torch calls it under a private name alone, from
what ``torch.compile`` makes; where that name is missing, torch's own product is taken.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Does what ``torch.nn.functional.linear`` does, faster where it can.

    Args:
        x: ``[..., c]``.
        weight: ``[d, c]``.
        bias: ``[d]``.

    Returns:
        ``[..., d]``.
    """
    if not _is_for_onednn(x, weight):
        return functional.linear(x, weight, bias)
    if torch.is_grad_enabled() and any(
        value is not None and value.requires_grad for value in (x, weight, bias)
    ):
        result: Tensor = _Linear.apply(x, weight, bias)
        return result
    return _product(x, weight, bias)


class Linear(nn.Linear):
    """A linear layer by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``[..., c]`` to ``[..., d]``."""
        return linear(x, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _product(gradient, weight.t(), None)
        rows = gradient.flatten(0, -2).contiguous()
        if ctx.needs_input_grad[1]:
            of_weight = _product(rows.t(), x.flatten(0, -2).contiguous().t(), None)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_x, of_weight, of_bias


def _is_for_onednn(x: Tensor, weight: Tensor) -> bool:
    """Tells whether oneDNN does a product; autocast does it in half precision anyway."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.dim() > 1
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _onednn() is not None
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not weight.t().is_contiguous():
        weight = weight.contiguous()  # oneDNN takes rows that lie apart one number at a time
    operator = _onednn()
    assert operator is not None
    result: Tensor = operator(x, weight, bias, "none", [], "")
    return result


@cache
def _onednn() -> Callable[..., Tensor] | None:
    """Gives oneDNN's operator, if this torch has it and it does what is expected of it."""
    try:
        operator: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        with torch.no_grad():
            x, weight, bias = torch.arange(6.0).view(3, 2), torch.ones(4, 2), torch.arange(4.0)
            found = operator(x, weight, bias, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):
        return None
    return operator if torch.equal(found, functional.linear(x, weight, bias)) else None
