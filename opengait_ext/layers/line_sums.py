"""Sums of the positive and of the negative part of a straight line over the entries of a stripe.

LGE (:mod:`~opengait_ext.layers.enhancement`) needs these sums of the affinities of a global
vector's entries ``q`` with a stripe's entries ``k``: ``f = slope * k + offset``, where slope and
offset are straight lines over ``q``. ``relu(f)`` keeps the entries on one side of
``-offset / slope``. With the stripe sorted once, the sums over the kept entries are differences of
running sums: exact, in ``c log c`` steps, and no ``[c, c]`` array is allocated. Letters: n
tracklets, s sets of weights, c entries of a vector.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_SQUARES, _ENTRIES = 0, 1  # indices of the running sums; the number of entries comes after them


def line_factors(line: Tensor, mixing: Tensor) -> Tensor:
    """Return the factors for :func:`line_sums`, computed once for all stripes.

    Args:
        line: ``[s, 2, 2]``: ``slope = line[:, 0, 0] * q + line[:, 0, 1]``, and ``offset`` from
            ``line[:, 1]`` in the same way.
        mixing: ``[s, 2, 2]``, for ``relu(f)`` and for ``relu(-f)``: the weights of the sums of
            ``relu(f) * k`` and of ``relu(f)``.

    Returns:
        ``[s, 2, 3, 2]``: for both sides, the weights of the sums of ``k * k``, ``k`` and 1, each a
        straight line over q.
    """
    products = mixing[..., None, None] * line[:, None, None]  # [s, 2, 2, 2, 2]
    with_entries, alone = products.unbind(2)  # by slope and offset: [s, 2, 2, 2]
    terms = [with_entries[:, :, 0], with_entries[:, :, 1] + alone[:, :, 0], alone[:, :, 1]]
    return torch.stack(terms, dim=2)


def line_sums(vector: Tensor, strip: Tensor, line: Tensor, factors: Tensor) -> Tensor:
    """Return weighted sums of ``relu(f) * k`` and ``relu(f)``, and of ``relu(-f)`` likewise.

    The first derivatives are exact: moving the limit between kept and dropped entries changes
    nothing, because the line is zero there.

    Args:
        vector: The numbers q, ``[n, s, c]``.
        strip: The numbers k in any order, ``[n, s, c]``.
        line: ``[s, 2, 2]``; it selects the entries to keep, and has no gradient here.
        factors: The result of :func:`line_factors`.

    Returns:
        ``[n, s, 2, c]``, for each q.
    """
    result: Tensor = _LineSums.apply(vector, strip, line.detach(), factors)
    return result


class _LineSums(torch.autograd.Function):
    """Both passes written by hand, because the number of small operations limits their speed."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor, strip: Tensor, line: Tensor, factors: Tensor) -> Tensor:
        order = _argsort(strip)
        entries = strip.gather(2, order)
        channels = strip.shape[2]
        running = strip.new_zeros(*strip.shape[:2], 2, channels + 1)
        torch.cumsum(entries.square(), 2, out=running[:, :, _SQUARES, 1:])
        torch.cumsum(entries, 2, out=running[:, :, _ENTRIES, 1:])

        slope = line[:, 0, :1] * vector + line[:, 0, 1:]  # [n, s, c]
        offset = line[:, 1, :1] * vector + line[:, 1, 1:]
        # Number of entries below the limit; the limit of a flat line is plus or minus infinity.
        limit = torch.searchsorted(entries, -offset / slope)
        rising = ~torch.signbit(slope)[:, :, None]
        below = running.gather(3, _twice(limit))
        below = torch.cat([below, limit[:, :, None].to(below.dtype)], dim=2)  # [n, s, 3, c]
        total = torch.cat(
            [running[..., -1:], running.new_full((*strip.shape[:2], 1, 1), channels)], dim=2
        )
        kept = torch.where(rising, total - below, below)
        sides = torch.stack([kept, kept - total], dim=2)  # [n, s, 2, 3, c]
        ctx.save_for_backward(vector, factors, order, entries, limit, rising, sides)
        return (_weights(factors, vector) * sides).sum(3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, Tensor]:
        vector, factors, order, entries, limit, rising, sides = ctx.saved_tensors
        gradient = gradient[:, :, :, None]  # [n, s, 2, 1, c]
        by_weight = gradient * sides
        of_vector = (by_weight * factors[..., :1]).sum((2, 3))
        of_factors = torch.stack(
            [(by_weight * vector[:, :, None, None]).sum((0, 4)), by_weight.sum((0, 4))], dim=-1
        )
        if not ctx.needs_input_grad[1]:
            return of_vector, None, None, of_factors
        by_side = gradient * _weights(factors[:, :, :2], vector)  # [n, s, 2, 2, c]
        by_kept = by_side.sum(2)
        running = entries.new_zeros(*by_kept.shape[:3], entries.shape[2] + 1)
        running.scatter_add_(3, _twice(limit), torch.where(rising, -by_kept, by_kept))
        running[..., -1] += torch.where(rising, by_kept, 0).sum(3) - by_side[:, :, 1].sum(3)
        by_term = running[..., 1:].flip(3).cumsum(3).flip(3)  # a term is part of all later sums
        by_entry = 2 * entries * by_term[:, :, _SQUARES] + by_term[:, :, _ENTRIES]
        of_strip = torch.empty_like(entries).scatter_(2, order, by_entry)
        return of_vector, of_strip, None, of_factors


def _argsort(values: Tensor) -> Tensor:
    """Return the order that sorts the last dimension; on the CPU by numpy, four times as fast."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.argsort(values.detach().numpy(), axis=-1))
    return values.argsort(-1)


def _twice(limit: Tensor) -> Tensor:
    """Return the limits ``[n, s, c]`` for both running sums, ``[n, s, 2, c]``."""
    return limit[:, :, None].expand(-1, -1, 2, -1)


def _weights(factors: Tensor, vector: Tensor) -> Tensor:
    """Return the weight of each sum for each q, ``[n, s, 2, m, c]``, from ``[s, 2, m, 2]``."""
    return factors[..., :1] * vector[:, :, None, None] + factors[..., 1:]
