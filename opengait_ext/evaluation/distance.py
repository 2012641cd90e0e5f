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
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..products import linear

METRICS = ("euclidean", "cosine")
TILE = 512  # gallery tracklets of one product, so that it stays in the cache
HELD = 2**28  # elements of a gallery, 1 GiB in float32, up to which its copy is kept
CANCELED = 1e-3  # below, float32 keeps less than three digits of a squared distance
PAIR_ELEMENTS = 2**20  # elements of the differences that are computed again at a time


class Chosen:
    """Holds some tracklets of many embeddings, and copies them only a slice at a time.

    Args:
        embeddings: ``[N, d, p]``.
        rows: ``[n]``, which of them, in which order.
    """

    def __init__(self, embeddings: Tensor, rows: Tensor) -> None:
        self._embeddings, self._rows = embeddings, rows
        self.shape = torch.Size((len(rows), *embeddings.shape[1:]))
        self.ndim, self.dtype = embeddings.ndim, embeddings.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        return self._embeddings[self._rows[which]]


Embeddings = Tensor | np.ndarray | Chosen


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
        ``[q, g]``, float32 or float64, on the device of the embeddings.

    Raises:
        ValueError: As in ``distance_blocks``.
    """
    blocks = [block for _, block in distance_blocks(query, gallery, metric, block_size)]
    return torch.cat(blocks)


def distance_blocks(
    query: Embeddings, gallery: Embeddings, metric: str = "euclidean", block_size: int = 512
) -> Iterator[tuple[int, Tensor]]:
    """Gives the distances of ``block_size`` queries after the other.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        metric: ``"euclidean"`` or ``"cosine"``, see ``part_distance``. A zero vector has
            the cosine 0 with everything.
        block_size: Queries of a block; the last one may have less.

    Yields:
        The position of the first query of the block, and the distances ``[b, g]``.

    Raises:
        ValueError: For an unknown metric, a block of no query, embeddings that are not
            ``[n, d, p]``, or sizes that differ between query and gallery.
    """
    query, gallery = _readable(query), _readable(gallery)
    _check(query, gallery, metric, block_size)
    precision = torch.promote_types(_precision(query), _precision(gallery))
    elements = gallery.shape[1] * gallery.shape[2]
    if len(gallery) * elements > HELD:
        yield from _by_pieces(query, gallery, metric, block_size, precision)
        return
    compare = _STEPS[metric](gallery, precision)
    del gallery  # the caller may have let go of it
    for start in range(0, len(query), block_size):
        yield start, compare(query[start : start + block_size])


def _by_pieces(
    query: Tensor | Chosen,
    gallery: Tensor | Chosen,
    metric: str,
    block_size: int,
    precision: torch.dtype,
) -> Iterator[tuple[int, Tensor]]:
    """Gives the blocks of ``distance_blocks`` without a copy of the whole gallery."""
    piece = max(1, HELD // 8 // (gallery.shape[1] * gallery.shape[2]))
    together = max(1, HELD // len(gallery) // block_size) * block_size
    for first in range(0, len(query), together):
        last = min(first + together, len(query))
        found = query[:1].new_empty(last - first, len(gallery), dtype=precision)
        for begin in range(0, len(gallery), piece):
            compare = _STEPS[metric](gallery[begin : begin + piece], precision)
            for start in range(first, last, block_size):
                block = compare(query[start : min(start + block_size, last)])
                rows = slice(start - first, start - first + len(block))
                found[rows, begin : begin + piece] = block
        for start in range(first, last, block_size):
            yield start, found[start - first : start - first + block_size]


def _readable(embeddings: Embeddings) -> Tensor | Chosen:
    return embeddings if isinstance(embeddings, Chosen) else as_tensor(embeddings)


def as_tensor(embeddings: Tensor | np.ndarray) -> Tensor:
    """Gives a tensor without gradient; the memory of a writable array is shared."""
    if isinstance(embeddings, np.ndarray):
        embeddings = np.require(embeddings, requirements=["C", "W"])
    return torch.as_tensor(embeddings).detach()


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


def _precision(embeddings: Tensor | Chosen) -> torch.dtype:
    return torch.float64 if embeddings.dtype == torch.float64 else torch.float32


def _check(query: Tensor | Chosen, gallery: Tensor | Chosen, metric: str, block_size: int) -> None:
    if metric not in METRICS:
        raise ValueError(f"no metric is called {metric!r} (known: {', '.join(METRICS)})")
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; expected at least 1 query")
    for name, embeddings in (("query", query), ("gallery", gallery)):
        if embeddings.ndim != 3 or 0 in embeddings.shape:
            raise ValueError(
                f"the {name} embeddings have the shape {list(embeddings.shape)}; expected "
                "[tracklets, embedding, parts] and none of them 0"
            )
    if query.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            f"query and gallery differ in [embedding, parts]: {list(query.shape[1:])} and "
            f"{list(gallery.shape[1:])}; both must come from the same model"
        )


class _Euclidean:
    """Gives the mean over the parts of the Euclidean distances of queries to a gallery."""

    @torch.no_grad()
    def __init__(self, gallery: Tensor | Chosen, dtype: torch.dtype) -> None:
        first = gallery[:1][0].T.to(dtype)  # [p, d]
        parts, width = first.shape
        self._gallery = first.new_empty(parts, len(gallery), width)  # without its mean
        # By way of the first tracklet, because the mean of equal numbers is not always that
        # number: a gallery of equal embeddings has to become exactly zero.
        _subtract(first, gallery, self._gallery)
        self._center = first + self._gallery.mean(1)
        _subtract(self._center, gallery, self._gallery)
        self._lengths = torch.stack([part.square().sum(1) for part in self._gallery])  # [p, g]
        self._query = first.new_empty(parts, 0, width)

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
        return total.div_(len(self._center))


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
    with torch.autocast(y.device.type, enabled=False):  # it would take 16 bits
        squared = linear(doubled, y, of_y).add_(of_x[:, None])
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

    @torch.no_grad()
    def __call__(self, query: Tensor) -> Tensor:
        """Gives the distances ``[b, g]`` of ``[b, d, p]``."""
        parts = query.shape[2]
        query = functional.normalize(query.to(self._gallery.dtype)).flatten(1)  # [b, d * p]
        with torch.autocast(query.device.type, enabled=False):  # it would take 16 bits
            return linear(query, self._gallery).div_(-parts).add_(1)


_STEPS: dict[str, type[_Euclidean] | type[_Cosine]] = {"euclidean": _Euclidean, "cosine": _Cosine}
