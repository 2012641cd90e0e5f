"""Distances between embeddings of several parts, a block of queries at a time.

Smaller is nearer. Letters: q queries, g gallery tracklets, d embedding, p parts, b queries
of one block.

Memory: the gallery is copied once, ``[p, g, d]``. On top of that, the ``[b, g]`` block that
is handed out and temporaries of at most ``largest_temporary(...)`` elements each; nothing
grows with ``q * g * p``. A gallery of more than ``HELD`` elements is never copied whole: it
is gone through piece by piece, for as many queries at a time as have ``HELD`` distances.

Precision: float64 if an input is float64, else float32, and never less. A squared distance
is ``|x|^2 + |y|^2 - 2xy``, which in float32 loses all its digits for two embeddings that
are much nearer to each other than to the origin: equal ones come out as 3e-4 times their
length instead of 0. Therefore the origin is moved to the mean of the gallery, part by part
(no distance changes), and what is still smaller than ``CANCELED`` times ``|x|^2 + |y|^2``
is computed again as ``|x - y|^2``.

Equal distances are equal: those of codes are counted, those of equal embeddings are copied, see
``ties``. The distances of codes have float64, where sums of several roots stay apart.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..products import linear
from .embeddings import Chosen, Embeddings, check, precision_of, readable
from .ties import Codes, codes_of, twins_of

TILE = 512  # gallery tracklets of one product, so that it stays in the cache
HELD = 2**28  # elements of a gallery, 1 GiB in float32, up to which its copy is kept
CANCELED = 1e-3  # below, float32 keeps less than three digits of a squared distance
PAIR_ELEMENTS = 2**20  # elements of the differences that are computed again at a time


class Comparison(NamedTuple):
    """What all distances of a comparison depend on beside the two embeddings.

    Attributes:
        metric: ``"euclidean"`` or ``"cosine"``.
        precision: Of the distances.
        codes: If all embeddings are codes.
        center: ``[p, d]``, the origin of Euclidean distances; None otherwise.
    """

    metric: str
    precision: torch.dtype
    codes: Codes | None
    center: Tensor | None

    def steps(self, gallery: Tensor | Chosen) -> Callable[[Tensor], Tensor]:
        """Return what gives the distances ``[b, g]`` of ``[b, d, p]`` to a gallery."""
        if self.codes is not None:
            return self.codes.steps(gallery)
        if self.center is None:
            return _Cosine(gallery, self.precision)
        return _Euclidean(gallery, self.center)


@torch.no_grad()
def comparison_of(query: Tensor | Chosen, gallery: Tensor | Chosen, metric: str) -> Comparison:
    """Return what the distances of checked embeddings depend on."""
    precision = torch.promote_types(precision_of(query), precision_of(gallery))
    codes = codes_of(query, gallery, metric)
    if codes is not None:
        return Comparison(metric, torch.float64, codes, None)
    center = _center(gallery, precision) if metric == "euclidean" else None
    return Comparison(metric, precision, None, center)


def part_distance(
    query: Embeddings, gallery: Embeddings, metric: str = "euclidean", block_size: int = 512
) -> Tensor:
    """Gives all distances at once: the blocks of ``distance_blocks``, joined.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        metric: ``"euclidean"``, the mean over the parts of the Euclidean distances, or
            ``"cosine"``, 1 minus the mean over the parts of the cosines.
        block_size: Queries computed at a time.

    Returns:
        ``[q, g]``, float32 or float64, on the device of the embeddings. Of codes (see ``ties``)
        always float64.

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
    """Gives the distances of ``block_size`` queries after the other.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        metric: ``"euclidean"`` or ``"cosine"``, see ``part_distance``. A zero vector has
            the cosine 0 with everything.
        block_size: Queries of a block; the last one may have less.
        within: What ``comparison_of`` gives for a larger comparison that this one is a part of.

    Yields:
        The position of the first query of the block, and the distances ``[b, g]``.

    Raises:
        ValueError: For an unknown metric, a block of no query, embeddings that are not
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
    del gallery  # the caller may have let go of it
    for start in range(0, len(query), block_size):
        yield start, compare(query[start : start + block_size])


def _by_pieces(
    query: Tensor | Chosen, gallery: Tensor | Chosen, within: Comparison, block_size: int
) -> Iterator[tuple[int, Tensor]]:
    """Gives the blocks of ``distance_blocks`` without a copy of the whole gallery."""
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
    """Bounds the elements of any tensor made for one block, the gallery's copy left out.

    Args:
        queries: Queries of the block.
        gallery: Tracklets of the gallery.
        embedding: Size of an embedding.
        parts: Parts of an embedding.

    Returns:
        Number of elements; it does not depend on how many queries there are in all.
    """
    places = 2 * queries * min(TILE, gallery)  # where something is computed again
    squares = parts * min(TILE, gallery) * embedding
    again = max(PAIR_ELEMENTS, embedding)
    return max(places, squares, again, queries * gallery, queries * embedding * parts)


class _Euclidean:
    """Gives the mean over the parts of the Euclidean distances of queries to a gallery."""

    @torch.no_grad()
    def __init__(self, gallery: Tensor | Chosen, center: Tensor) -> None:
        parts, width = center.shape
        self._center = center
        self._gallery = center.new_empty(parts, len(gallery), width)  # without the center
        _subtract(center, gallery, self._gallery)
        self._lengths = torch.stack([part.square().sum(1) for part in self._gallery])  # [p, g]
        self._query = center.new_empty(parts, 0, width)
        self._twins = twins_of(self._gallery.transpose(0, 1))

    @torch.no_grad()
    def __call__(self, query: Tensor) -> Tensor:
        """Gives the distances ``[b, g]`` of ``[b, d, p]``."""
        if self._query.shape[1] != len(query):  # new memory costs as much as two passes over it
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
    """Return the mean of ``[g, d, p]``, ``[p, d]``.

    By way of the first tracklet, because the mean of equal numbers is not always that number: a
    gallery of equal embeddings has to become exactly zero.
    """
    first = gallery[:1].to(dtype)
    total = torch.zeros_like(first[0], dtype=torch.float64)
    for start in range(0, len(gallery), TILE):
        total += (gallery[start : start + TILE] - first).sum(0)
    return (first[0] + total.div_(len(gallery)).to(dtype)).T.contiguous()


def _alike(distance: Tensor, twins: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return ``[b, g]`` with one distance for all twins."""
    if twins is not None:
        copies, originals = twins
        distance[:, copies] = distance[:, originals]
    return distance


def _product(x: Tensor, y: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``[b, t]`` of ``[b, d]`` and ``[t, d]``.

    A single row would be multiplied in another way, with another rounding: the distance of a
    pair would depend on where a block ends.
    """
    rows, columns = len(x), len(y)
    x = x if rows > 1 else x.repeat(2, 1)
    if columns == 1:
        y, bias = y.repeat(2, 1), None if bias is None else bias.repeat(2)
    with torch.autocast(y.device.type, enabled=False):  # it would take 16 bits
        return linear(x, y, bias)[:rows, :columns]


def _subtract(center: Tensor, embeddings: Tensor | Chosen, out: Tensor) -> None:
    """Writes ``[n, d, p]`` minus ``[p, d]`` to ``out``, ``[p, n, d]``."""
    for start in range(0, len(embeddings), TILE):
        tile = embeddings[start : start + TILE].permute(2, 0, 1)  # [p, t, d]
        torch.sub(tile, center[:, None], out=out[:, start : start + TILE])


def _squared(doubled: Tensor, of_x: Tensor, y: Tensor, of_y: Tensor) -> Tensor:
    """Gives the squared distances ``[b, t]``.

    Args:
        doubled: The queries x times -2, ``[b, d]``.
        of_x: Their squared lengths, ``[b]``.
        y: Tracklets of the gallery, ``[t, d]``.
        of_y: Their squared lengths, ``[t]``.
    """
    squared = _product(doubled, y, of_y).add_(of_x[:, None])
    if squared.amin() < CANCELED * (of_x.amax() + of_y.amax()):  # there may be some: a closer look
        canceled = (squared < (of_x[:, None] + of_y).mul_(CANCELED)).nonzero()  # [m, 2]
        for row, column in (
            places.unbind(1) for places in canceled.split(max(1, PAIR_ELEMENTS // y.shape[1]))
        ):
            squared[row, column] = (doubled[row] / -2 - y[column]).square_().sum(1)
        squared.clamp_min_(0)
    return squared


class _Cosine:
    """Gives 1 minus the mean over the parts of the cosines of queries and a gallery."""

    @torch.no_grad()
    def __init__(self, gallery: Tensor | Chosen, dtype: torch.dtype) -> None:
        width = gallery.shape[1] * gallery.shape[2]
        self._gallery = gallery[:1].new_empty(len(gallery), width, dtype=dtype)  # parts of length 1
        for start in range(0, len(gallery), TILE):
            tile = gallery[start : start + TILE].to(dtype)
            self._gallery[start : start + TILE] = functional.normalize(tile).flatten(1)
        self._twins = twins_of(self._gallery)

    @torch.no_grad()
    def __call__(self, query: Tensor) -> Tensor:
        """Gives the distances ``[b, g]`` of ``[b, d, p]``."""
        parts = query.shape[2]
        query = functional.normalize(query.to(self._gallery.dtype)).flatten(1)  # [b, d * p]
        return _alike(_product(query, self._gallery).div_(-parts).add_(1), self._twins)
