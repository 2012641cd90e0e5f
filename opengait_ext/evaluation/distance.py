"""Distances between embeddings of several parts, computed in blocks of queries.

Smaller is nearer. Letters: q queries, g gallery tracklets, d embedding, p parts, b queries
of one block.

Memory: one copy of the gallery, ``[p, g, d]``, one ``[b, g]`` block of results, and temporaries of
at most ``largest_temporary(...)`` elements each; nothing grows with ``q * g * p``. A gallery of
more than ``HELD`` elements is never copied whole: its tiles are visited once for every group of
queries that has ``HELD`` distances.

Precision: float64 if an input is float64, else float32, never less. A squared distance is computed
as ``|x|^2 + |y|^2 - 2xy``. In float32 this loses all digits for two embeddings that are much
nearer to each other than to the origin: equal ones come out as 3e-4 times their length instead of
0. Therefore the origin is moved to the mean of the gallery, part by part (distances do not
change), and results below ``CANCELED`` times ``|x|^2 + |y|^2`` are recomputed as ``|x - y|^2``.

Distances that are equal in theory come out equal: those of codes are computed in whole numbers,
those of equal embeddings are copied, see ``ties``. Distances of codes are float64, in which
different sums of several roots stay different.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..products import linear
from .embeddings import Chosen, Embeddings, check, precision_of, readable
from .ties import Codes, codes_of, twins_of

TILE = 512  # gallery tracklets per product, so that it stays in the cache
HELD = 2**28  # elements (1 GiB in float32); up to this size a copy of the gallery is kept
CANCELED = 1e-3  # below this ratio, float32 keeps fewer than three digits of a squared distance
PAIR_ELEMENTS = 2**20  # elements of the differences recomputed at a time


class Comparison(NamedTuple):
    """The facts that all distances of a comparison share.

    Attributes:
        metric: ``"euclidean"`` or ``"cosine"``.
        precision: Type of the distances.
        codes: The shared facts of codes; None if the embeddings are not codes.
        center: ``[p, d]``, the origin of Euclidean distances; None otherwise.
    """

    metric: str
    precision: torch.dtype
    codes: Codes | None
    center: Tensor | None

    def steps(self, gallery: Tensor | Chosen) -> Callable[[Tensor], Tensor]:
        """Return a function from queries ``[b, d, p]`` to distances ``[b, g]`` to a gallery."""
        if self.codes is not None:
            return self.codes.steps(gallery)
        if self.center is None:
            return _Cosine(gallery, self.precision)
        return _Euclidean(gallery, self.center)


@torch.no_grad()
def comparison_of(query: Tensor | Chosen, gallery: Tensor | Chosen, metric: str) -> Comparison:
    """Return the comparison of two sets of checked embeddings."""
    precision = torch.promote_types(precision_of(query), precision_of(gallery))
    codes = codes_of(query, gallery, metric)
    if codes is not None:
        return Comparison(metric, torch.float64, codes, None)
    center = _center(gallery, precision) if metric == "euclidean" else None
    return Comparison(metric, precision, None, center)


def part_distance(
    query: Embeddings, gallery: Embeddings, metric: str = "euclidean", block_size: int = 512
) -> Tensor:
    """Return all distances at once: the joined blocks of ``distance_blocks``.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        metric: ``"euclidean"``, the mean over the parts of the Euclidean distances, or
            ``"cosine"``, 1 minus the mean over the parts of the cosines.
        block_size: Number of queries per block.

    Returns:
        ``[q, g]``, float32 or float64, on the device of the embeddings; always float64 for codes
        (see ``ties``).

    Raises:
        ValueError: As in ``distance_blocks``.
    """
    blocks = [block for _, block in distance_blocks(query, gallery, metric, block_size)]
    return torch.cat(blocks)


def distance_blocks(
    query: Embeddings,
    gallery: Embeddings,
    metric: str = "euclidean",
    block_size: int = 512,
    within: Comparison | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Yield the distances of ``block_size`` queries at a time.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        metric: ``"euclidean"`` or ``"cosine"``, see ``part_distance``. A zero vector has cosine 0
            with everything.
        block_size: Number of queries per block; the last block may have fewer.
        within: Result of ``comparison_of`` for a larger comparison that includes this one; None:
            this comparison stands alone.

    Yields:
        The index of the first query of the block, and the distances ``[b, g]``.

    Raises:
        ValueError: For an unknown metric, a block size below 1, embeddings that are not
            ``[n, d, p]``, or sizes that differ between query and gallery.
    """
    query, gallery = readable(query), readable(gallery)
    check(query, gallery, metric, block_size)
    if within is None:
        within = comparison_of(query, gallery, metric)
    elements = gallery.shape[1] * gallery.shape[2]
    if len(gallery) * elements > HELD:
        yield from _by_pieces(query, gallery, within, block_size)
        return
    compare = within.steps(gallery)
    del gallery  # so that its memory is freed if the caller dropped it
    for start in range(0, len(query), block_size):
        yield start, compare(query[start : start + block_size])


def _by_pieces(
    query: Tensor | Chosen, gallery: Tensor | Chosen, within: Comparison, block_size: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield the blocks of ``distance_blocks`` without a copy of the whole gallery."""
    piece = max(1, HELD // 8 // (gallery.shape[1] * gallery.shape[2]))
    together = max(1, HELD // len(gallery) // block_size) * block_size
    for first in range(0, len(query), together):
        last = min(first + together, len(query))
        found = query[:1].new_empty(last - first, len(gallery), dtype=within.precision)
        for begin in range(0, len(gallery), piece):
            compare = within.steps(gallery[begin : begin + piece])
            for start in range(first, last, block_size):
                block = compare(query[start : min(start + block_size, last)])
                rows = slice(start - first, start - first + len(block))
                found[rows, begin : begin + piece] = block
        for start in range(first, last, block_size):
            yield start, found[start - first : start - first + block_size]


def largest_temporary(queries: int, gallery: int, embedding: int, parts: int) -> int:
    """Return a bound on the elements of any temporary of one block, without the gallery's copy.

    Args:
        queries: Number of queries of the block.
        gallery: Number of gallery tracklets.
        embedding: Length of one part of an embedding.
        parts: Number of parts of an embedding.

    Returns:
        Number of elements; it does not depend on the total number of queries.
    """
    places = 2 * queries * min(TILE, gallery)  # indices of the distances to recompute
    squares = parts * min(TILE, gallery) * embedding
    again = max(PAIR_ELEMENTS, embedding)
    return max(places, squares, again, queries * gallery, queries * embedding * parts)


class _Euclidean:
    """Mean over the parts of the Euclidean distances from queries to a gallery."""

    @torch.no_grad()
    def __init__(self, gallery: Tensor | Chosen, center: Tensor) -> None:
        parts, width = center.shape
        self._center = center
        self._gallery = center.new_empty(parts, len(gallery), width)  # relative to the center
        _subtract(center, gallery, self._gallery)
        self._lengths = torch.stack([part.square().sum(1) for part in self._gallery])  # [p, g]
        self._query = center.new_empty(parts, 0, width)
        self._twins = twins_of(self._gallery.transpose(0, 1))

    @torch.no_grad()
    def __call__(self, query: Tensor) -> Tensor:
        """Return the distances ``[b, g]`` of ``[b, d, p]``."""
        if self._query.shape[1] != len(query):  # new memory costs two passes
            self._query = self._query.new_empty(len(self._center), *query.shape[:2])
        _subtract(self._center, query, self._query)
        total = self._query.new_zeros(len(query), self._gallery.shape[1])
        for x, y, of_y in zip(self._query, self._gallery, self._lengths, strict=True):
            of_x, doubled = x.square().sum(1), x * -2
            for start in range(0, total.shape[1], TILE):
                tile = slice(start, start + TILE)
                squared = _squared(doubled, of_x, y[tile], of_y[tile])
                total[:, tile] += squared.sqrt_()
        return _alike(total.div_(len(self._center)), self._twins)


def _center(gallery: Tensor | Chosen, dtype: torch.dtype) -> Tensor:
    """Return the mean ``[p, d]`` of ``[g, d, p]``.

    Computed relative to the first tracklet, because the rounded mean of equal numbers is not always
    that number: a gallery of equal embeddings has to become exactly zero.
    """
    first = gallery[:1].to(dtype)
    total = torch.zeros_like(first[0], dtype=torch.float64)
    for start in range(0, len(gallery), TILE):
        total += (gallery[start : start + TILE] - first).sum(0)
    return (first[0] + total.div_(len(gallery)).to(dtype)).T.contiguous()


def _alike(distance: Tensor, twins: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return distances ``[b, g]`` in which all twins have one distance."""
    if twins is not None:
        copies, originals = twins
        distance[:, copies] = distance[:, originals]
    return distance


def _product(x: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the products ``[b, t]`` of ``[b, d]`` and ``[t, d]``.

    A single row would be multiplied by another algorithm with another rounding, and the distance
    of a pair would depend on where a block ends.
    """
    rows, columns = len(x), len(y)
    x = x if rows > 1 else x.repeat(2, 1)
    if columns == 1:
        y, bias = y.repeat(2, 1), None if bias is None else bias.repeat(2)
    with torch.autocast(y.device.type, enabled=False):  # it would use 16 bits
        return linear(x, y, bias)[:rows, :columns]


def _subtract(center: Tensor, embeddings: Tensor | Chosen, out: Tensor) -> None:
    """Write ``[n, d, p]`` minus ``[p, d]`` to ``out``, ``[p, n, d]``."""
    for start in range(0, len(embeddings), TILE):
        tile = embeddings[start : start + TILE].permute(2, 0, 1)  # [p, t, d]
        torch.sub(tile, center[:, None], out=out[:, start : start + TILE])


def _squared(doubled: Tensor, of_x: Tensor, y: Tensor, of_y: Tensor) -> Tensor:
    """Return squared distances ``[b, t]``.

    Args:
        doubled: The queries x times -2, ``[b, d]``.
        of_x: Their squared lengths, ``[b]``.
        y: Tracklets of the gallery, ``[t, d]``.
        of_y: Their squared lengths, ``[t]``.
    """
    squared = _product(doubled, y, of_y).add_(of_x[:, None])
    if squared.amin() < CANCELED * (of_x.amax() + of_y.amax()):  # a cheap test first
        canceled = (squared < (of_x[:, None] + of_y).mul_(CANCELED)).nonzero()  # [m, 2]
        for row, column in (
            places.unbind(1) for places in canceled.split(max(1, PAIR_ELEMENTS // y.shape[1]))
        ):
            squared[row, column] = (doubled[row] / -2 - y[column]).square_().sum(1)
        squared.clamp_min_(0)
    return squared


class _Cosine:
    """1 minus the mean over the parts of the cosines between queries and a gallery."""

    @torch.no_grad()
    def __init__(self, gallery: Tensor | Chosen, dtype: torch.dtype) -> None:
        width = gallery.shape[1] * gallery.shape[2]
        self._gallery = gallery[:1].new_empty(len(gallery), width, dtype=dtype)  # unit parts
        for start in range(0, len(gallery), TILE):
            tile = gallery[start : start + TILE].to(dtype)
            self._gallery[start : start + TILE] = functional.normalize(tile).flatten(1)
        self._twins = twins_of(self._gallery)

    @torch.no_grad()
    def __call__(self, query: Tensor) -> Tensor:
        """Return the distances ``[b, g]`` of ``[b, d, p]``."""
        parts = query.shape[2]
        query = functional.normalize(query.to(self._gallery.dtype)).flatten(1)  # [b, d * p]
        return _alike(_product(query, self._gallery).div_(-parts).add_(1), self._twins)
