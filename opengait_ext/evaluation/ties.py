"""Exact ties: equal distances must come out equal, because the order among ties decides ranks.

Codes are embeddings of small whole numbers times one unit, such as +1 and -1. Many of their
distances are equal, but rounded sums need not be: relative to the mean of a gallery the numbers are
no longer whole, and a sum of roots depends on the order of the parts. So codes are not centered,
products of whole numbers are exact in floating point, and roots are added in fixed point. The root
of ``a * a * s`` is stored as ``a`` times the root of ``s``, so that even ``1 + 2`` equals
``3 + 0``.

Twins are equal embeddings in one gallery. A matrix product may round the last row of a block
differently, so all twins get the distances of the first.

Letters as in ``distance``: q queries, g gallery tracklets, d embedding, p parts.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..products import linear

TABLE = 2**20  # largest squared distance whose root is looked up
_TILE = 512  # tracklets examined or compared at a time
_FINEST = 8  # most binary digits after the point of a code's number
# Bounds of a squared length in whole numbers: four times as much is still exact.
_SINGLE, _DOUBLE = 2.0**22, 2.0**50
_SUMS = 50  # binary digits of a sum of roots
_COSINES = 2.0**31  # sums of cosines are rounded to multiples of 1 over this
_SAMPLE = 8  # numbers of an embedding compared before all of them

# From products [b, t] and squared lengths [b, 1] and [t] to the terms of one part.
_Compare = Callable[[Tensor, Tensor, Tensor], Tensor]


class Rows(Protocol):
    """Embeddings ``[n, d, p]`` that can be read in slices."""

    shape: torch.Size

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice) -> Tensor: ...


class Codes(NamedTuple):
    """The facts shared by all codes of a comparison.

    Attributes:
        unit: The unit; every number is a multiple of it.
        largest: Bound of the squared length of one part, in units.
        parts: Number of parts of an embedding.
        metric: ``"euclidean"`` or ``"cosine"``.
    """

    unit: float
    largest: float
    parts: int
    metric: str

    def steps(self, gallery: Rows) -> Callable[[Tensor], Tensor]:
        """Return a function from ``[b, d, p]`` to float64 distances ``[b, g]`` to a gallery."""
        tiles = [self._whole(tile) for tile in _tiles(gallery, _TILE)]
        compare = self._compare()

        def distances(query: Tensor) -> Tensor:
            x = self._whole(query)
            return torch.cat([self._joined(x, y, compare) for y in tiles], 1)

        return distances

    def pairs(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances ``[m]`` of single pairs, ``[m, d, p]`` each."""
        x, y = self._whole(x), self._whole(y)
        product, of_x, of_y = ((a * b).sum(2).double() for a, b in ((x, y), (x, x), (y, y)))
        return self._finished(self._compare()(product, of_x, of_y).sum(0))

    def _whole(self, embeddings: Tensor) -> Tensor:
        """Return ``[n, d, p]`` in units, as whole numbers ``[p, n, d]``."""
        numbers = (embeddings.double() / self.unit).round_().permute(2, 0, 1).contiguous()
        return numbers.float() if self.largest <= _SINGLE else numbers

    def _joined(self, x: Tensor, y: Tensor, compare: _Compare) -> Tensor:
        """Return the distances ``[b, t]`` from ``[p, b, d]`` to ``[p, t, d]``."""
        terms = []
        for a, b in zip(x, y, strict=True):
            of_a, of_b = a.square().sum(1).double(), b.square().sum(1).double()
            with torch.autocast(a.device.type, enabled=False):  # it would take 16 bits
                product = linear(a, b).double()
            terms.append(compare(product, of_a[:, None], of_b))
            terms = [terms[0].add_(terms[1])] if len(terms) > 1 else terms
        return self._finished(terms[0])

    def _finished(self, total: Tensor) -> Tensor:
        """Return the distances from sums over the parts."""
        if self.metric == "cosine":
            return 1 - (total * _COSINES).round_().div_(_COSINES * self.parts)
        return total.double().div_(self._scale * self.parts).mul_(self.unit)

    @property
    def _scale(self) -> float:
        """Return the fixed-point scale of roots, at which no sum of them has too many digits."""
        digits = np.ceil(np.log2(self.parts * np.sqrt(4 * self.largest) + 1))
        return float(2.0 ** (_SUMS - digits))

    def _compare(self) -> _Compare:
        if self.metric == "cosine":
            return _cosines
        most, scale = int(4 * self.largest), self._scale
        table = torch.from_numpy(_table(most, scale)) if most <= TABLE else None

        def roots(product: Tensor, of_x: Tensor, of_y: Tensor) -> Tensor:
            squared = of_x + of_y - 2 * product
            if table is None:
                return squared.sqrt_().mul_(scale).round_().long()
            return table.to(squared.device)[squared.long()]

        return roots


def codes_of(query: Rows, gallery: Rows, metric: str) -> Codes | None:
    """Return the shared facts of codes; None if the embeddings are not codes.

    For other embeddings, hardly more than the first one is examined.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        metric: ``"euclidean"`` or ``"cosine"``.
    """
    unit, finest, most = 0.0, 0, 0.0
    for side in (gallery, query):
        for tile in _tiles(side, 1):
            numbers = tile.double()
            unit = unit or _unit(numbers)
            digits = _digits(numbers, unit)
            if digits is None:
                return None
            finest, most = max(finest, digits), max(most, float(numbers.abs().max()))
    unit = (unit or 1.0) / 2**finest
    largest = max(1.0, gallery.shape[1] * (most / unit) ** 2)
    return Codes(unit, largest, gallery.shape[2], metric) if largest <= _DOUBLE else None


def twins_of(gallery: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the positions of equal embeddings.

    Args:
        gallery: ``[g, n]``, or ``[g, p, d]``.

    Returns:
        Positions of embeddings that equal an earlier one, and positions of these first ones;
        None if all differ.
    """
    sample = gallery[..., :_SAMPLE] if gallery.ndim == 2 else gallery[:, 0, :_SAMPLE]
    _, group, counts = np.unique(
        sample.cpu().numpy(), axis=0, return_inverse=True, return_counts=True
    )
    alike = np.flatnonzero(counts[group.reshape(-1)] > 1)
    first: dict[bytes, int] = {}
    copies, originals = [], []
    for place in alike.tolist():
        whole = np.ascontiguousarray((gallery[place] + 0.0).cpu().numpy())  # turns -0 into 0
        original = first.setdefault(hashlib.blake2b(whole.tobytes()).digest(), place)
        if original != place:
            copies.append(place)
            originals.append(original)
    if not copies:
        return None
    found = torch.tensor([copies, originals], device=gallery.device)
    return found[0], found[1]


def _tiles(rows: Rows, first: int) -> Iterator[Tensor]:
    """Yield slices of ``[n, d, p]``, the first of ``first`` tracklets."""
    yield rows[:first]
    for start in range(first, len(rows), _TILE):
        yield rows[start : start + _TILE]


def _unit(numbers: Tensor) -> float:
    """Return 1 for (nearly) whole numbers, else the smallest nonzero size; 0 if all are 0."""
    sizes = numbers.abs()
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return 0.0
    return float(sizes.min()) if _digits(sizes, 1.0) is None else 1.0


def _digits(numbers: Tensor, unit: float) -> int | None:
    """Return the number of binary digits after the point, in units; None if there are too many."""

    def whole(digits: int) -> bool:
        step = unit / 2**digits or 1.0
        return torch.equal((numbers / step).round_().mul_(step), numbers)

    return next(filter(whole, range(_FINEST + 1))) if whole(_FINEST) else None


def _cosines(product: Tensor, of_x: Tensor, of_y: Tensor) -> Tensor:
    """Return cosines; ties stay exact, because each square is one fraction, rounded once."""
    lengths = of_x * of_y
    squared = product.square().div_(torch.where(lengths > 0, lengths, 1))
    return squared.sqrt_().mul_(product.sign())


@lru_cache(maxsize=2)
def _table(most: int, scale: float) -> np.ndarray:
    """Return the roots of 0 to ``most`` in fixed point, int64 ``[most + 1]``."""
    table = np.rint(np.sqrt(np.arange(most + 1.0)) * scale).astype(np.int64)
    for factor in range(2, int(np.sqrt(most)) + 1):
        inner = np.arange(most // factor**2 + 1)
        table[factor**2 * inner] = factor * table[inner]  # the largest factor comes last
    return table
