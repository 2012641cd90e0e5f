"""Fast linear layers on CPUs, through oneDNN.

On a CPU, torch multiplies float32 matrices with MKL, which uses AVX-512 only on Intel's
processors: half the speed that an AMD EPYC could reach. oneDNN, which torch also ships and uses for
convolutions and for bfloat16, has no such restriction. For float32, torch calls it only through a
private operator, in code that ``torch.compile`` generates. Where that operator is missing, torch's
own product is used. In bfloat16 the same operator saves two passes over the result: the bias and
the GELU.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_PLAIN: tuple[Any, ...] = ("none", [], "")  # what follows the product
_GELU: tuple[Any, ...] = ("gelu", [], "none")  # the exact form, by the error function


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, gelu: bool = False) -> Tensor:
    """Compute ``torch.nn.functional.linear``, faster where possible.

    Args:
        x: ``[..., c]``.
        weight: ``[d, c]``.
        bias: ``[d]``.
        gelu: Whether to apply ``torch.nn.functional.gelu`` to the result.

    Returns:
        ``[..., d]``.
    """
    dtype = _for_onednn(x, weight)
    wanted = torch.is_grad_enabled() and any(
        value is not None and value.requires_grad for value in (x, weight, bias)
    )
    if dtype and not wanted:
        bias = None if bias is None else bias.to(dtype)
        return _product(x.to(dtype), weight.to(dtype), bias, gelu)
    if dtype is torch.float32:
        result: Tensor = _Linear.apply(x, weight, bias)
    else:
        result = functional.linear(x, weight, bias)
    return functional.gelu(result) if gelu else result


class Linear(nn.Linear):
    """Linear layer that uses :func:`linear`."""

    def forward(self, x: Tensor, gelu: bool = False) -> Tensor:
        """Map ``[..., c]`` to ``[..., d]``."""
        return linear(x, self.weight, self.bias, gelu)


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


def _for_onednn(x: Tensor, weight: Tensor) -> torch.dtype | None:
    """Return the precision in which oneDNN computes a product; None: torch computes it."""
    if x.device.type != "cpu" or x.dim() < 2 or not x.numel() or torch.compiler.is_compiling():
        return None
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        fits = dtype is torch.bfloat16 and x.dtype in (dtype, torch.float32)
    else:
        dtype = torch.float32
        fits = x.dtype is dtype
    return dtype if fits and weight.dtype is torch.float32 and _onednn(dtype) else None


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, gelu: bool = False) -> Tensor:
    if not weight.t().is_contiguous():
        weight = weight.contiguous()  # oneDNN is slow on rows that are not contiguous
    operator = _onednn(x.dtype)
    assert operator is not None
    result: Tensor = operator(x, weight, bias, *(_GELU if gelu else _PLAIN))
    return result


@cache
def _onednn(dtype: torch.dtype) -> Callable[..., Tensor] | None:
    """Return oneDNN's operator, or None if this torch lacks it or it computes something else."""
    given = [
        value.to(dtype) for value in (torch.arange(6.0).view(3, 2), torch.ones(4, 2), torch.ones(4))
    ]
    expected = functional.linear(*given)
    try:
        if dtype is torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return None
        operator: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        with torch.no_grad():
            plain, gelu = (operator(*given, *last) for last in (_PLAIN, _GELU))
    except (AttributeError, RuntimeError, TypeError):
        return None
    right = torch.equal(plain, expected) and torch.allclose(
        gelu, functional.gelu(expected), rtol=1e-2
    )
    return operator if right else None
