"""Nearest neighbors among queries and gallery together, without holding all distances.

Letters: q queries, g gallery tracklets, ``n = q + g``, d embedding, p parts. Positions count the
queries first, then the gallery.

The list of a tracklet starts with itself. The others follow by distance; of equal distances, the
smaller position comes first. So a tracklet is always its own neighbor, even if more tracklets
equal it than the list is long.

Memory: a tile of ``TILE`` x ``TILE`` distances with copies of its embeddings, the distances
``[q, g]`` of the result, and ``KEPT`` numbers per tracklet. Distances are symmetric, so only half
of them are computed.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

from .distance import comparison_of, distance_blocks
from .embeddings import Chosen

TILE = 2048  # tracklets on each side of a tile of distances
# Distances per tracklet kept for the encoding; others are recomputed. In a tile at least 64 times
# as wide, topk is several times faster for this number than for more.
KEPT = 24
FEW = 8  # times the length of a list: up to so many of a row are picked out, else all are ranked
PAIR_ELEMENTS = 2**21  # elements of embeddings compared pair by pair at a time


class Space(Protocol):
    """Source of non-negative distances among queries and gallery together.

    Attributes:
        queries: Number of queries.
        size: Number of positions, n.
    """

    queries: int
    size: int

    def blocks(self) -> Iterator[tuple[int, int, Tensor]]:
        """Yield tiles of the upper triangle: first row, first column, distances ``[b, c]``.

        A tile is either on the diagonal (square, first row = first column) or off it; its rows
        are all queries or all gallery, and so are its columns. The search is fastest if tiles on
        the diagonal come before the others of their rows and columns.
        """

    def between(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the distances ``[m]`` of single pairs, given their positions, ``[m]`` each."""


class Embedded:
    """The ``Space`` of embeddings under the distance of ``part_distance``.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``; neither is copied as a whole.
        metric: ``"euclidean"`` or ``"cosine"``.
    """

    def __init__(self, query: Tensor | Chosen, gallery: Tensor | Chosen, metric: str) -> None:
        self.query, self.gallery = query, gallery
        self.metric = metric
        self.queries, self.size = len(query), len(query) + len(gallery)
        self._within = comparison_of(query, gallery, metric)
        self.dtype = self._within.precision

    def blocks(self) -> Iterator[tuple[int, int, Tensor]]:
        """Yield tiles of the upper triangle; see ``Space``."""
        for side, begin in ((self.query, 0), (self.gallery, self.queries)):
            step = tile_size(len(side))
            for start in range(0, len(side), step):
                columns = side[start : start + step]
                yield from self._tiles(columns, begin + start, columns, begin + start)
                if begin:
                    yield from self._tiles(self.query, 0, columns, begin + start)
                if start:
                    yield from self._tiles(_first(side, start), begin, columns, begin + start)

    def between(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the distances of single pairs; see ``Space``."""
        count = max(1, PAIR_ELEMENTS // self.query[:1].numel())
        found = [
            self._compare(self._take(some), self._take(others))
            for some, others in zip(rows.split(count), columns.split(count), strict=True)
        ]
        return torch.cat(found)

    def _tiles(
        self, side: Tensor | Chosen, begin: int, columns: Tensor, column: int
    ) -> Iterator[tuple[int, int, Tensor]]:
        step = tile_size(self.size - self.queries if begin else self.queries)
        for row, block in distance_blocks(side, columns, self.metric, step, self._within):
            # Rounding may push a cosine above 1.
            yield begin + row, column, block.clamp_min_(0)

    def _take(self, positions: Tensor) -> Tensor:
        """Return the embeddings at some positions, ``[m, d, p]``."""
        of_query = positions < self.queries
        query = self.query[positions[of_query]].to(self.dtype)
        taken = query.new_empty(len(positions), *self.query.shape[1:])
        taken[of_query] = query
        taken[~of_query] = self.gallery[positions[~of_query] - self.queries].to(self.dtype)
        return taken

    def _compare(self, x: Tensor, y: Tensor) -> Tensor:
        if self._within.codes is not None:
            return self._within.codes.pairs(x, y).clamp_min_(0)
        if self.metric == "cosine":
            cosines = (functional.normalize(x) * functional.normalize(y)).sum(1)  # [m, p]
            return (1 - cosines.mean(1)).clamp_min_(0)
        return (x - y).square_().sum(1).sqrt_().mean(1)


def tile_size(size: int) -> int:
    """Return the tile length for ``size`` tracklets: tiles of about equal length up to ``TILE``."""
    return math.ceil(size / math.ceil(size / TILE))


def _first(side: Tensor | Chosen, count: int) -> Tensor | Chosen:
    """Return the first ``count`` tracklets of a side without copying them."""
    if isinstance(side, Chosen):
        return Chosen(cast(Tensor, side), torch.arange(count))  # nested ``Chosen``
    return side[:count]


class Neighbors(NamedTuple):
    """The results of one pass over all distances.

    Attributes:
        lists: ``[n, k]``, positions of the nearest, in order, starting with the tracklet itself.
        known: ``[n, m]`` with m at least k, positions whose distances are kept, ascending.
        distances: ``[n, m]``, the distances of ``known``.
        farthest: ``[n]``, the largest distance of each tracklet.
        across: ``[q, g]``, the distances from queries to gallery.
    """

    lists: Tensor
    known: Tensor
    distances: Tensor
    farthest: Tensor
    across: Tensor


def find_neighbors(space: Space, count: int) -> Neighbors:
    """Return the nearest tracklets of each tracklet, found in one pass over the distances.

    Args:
        space: Distances among queries and gallery.
        count: Length of a list, the tracklet itself included; shorter if there are fewer.

    Returns:
        Lists and distances, on the device of the distances.
    """
    nearest: _Nearest | None = None
    for row, column, block in space.blocks():
        if nearest is None:
            nearest = _Nearest(space, count, block)
        if row < space.queries <= column:
            first = column - space.queries
            nearest.across[row : row + len(block), first : first + block.shape[1]] = block
        if row == column:
            block = block.clone().fill_diagonal_(-1)  # itself comes before equal tracklets
        else:
            nearest.take(column, row, block.t())
        nearest.take(row, column, block)
    assert nearest is not None
    assert nearest.farthest.isfinite().all()
    return nearest.sorted()


class _Nearest:
    """Collector of the nearest of each row from successive blocks of columns."""

    def __init__(self, space: Space, count: int, like: Tensor) -> None:
        self.count = min(count, space.size)
        kept = min(max(count + 4, KEPT), space.size)  # more than a list, see ``_merge``
        self.distances = like.new_full((space.size, kept), torch.inf)
        self.known = torch.full_like(self.distances, space.size, dtype=torch.int64)
        self.farthest = like.new_zeros(space.size)
        self.across = like.new_empty(space.queries, space.size - space.queries)

    def take(self, row: int, column: int, block: Tensor) -> None:
        """Add the distances ``[b, c]`` from rows at ``row`` to columns at ``column``.

        Once a row has a full list, few distances of a block are below the last of the list.
        Picking these out is ten times as fast as ranking all.
        """
        rows = slice(row, row + len(block))
        self.farthest[rows] = torch.maximum(self.farthest[rows], block.amax(1))
        last = self.distances[rows, -1]
        if last.isfinite().all():
            owners, places = self._within(block, last)
            if not len(owners):
                return
            counts = torch.bincount(owners, minlength=len(block))
            width = int(counts.max())
            if width <= FEW * self.count:
                slots = torch.arange(len(owners), device=block.device)
                slots -= (counts.cumsum(0) - counts)[owners]
                picked = block.new_full((len(block), width), torch.inf)
                ids = torch.full_like(picked, len(self.distances), dtype=torch.int64)
                picked[owners, slots] = block[owners, places]
                ids[owners, slots] = places + column
                self._merge(rows, picked, ids)
                return
        ids = torch.arange(column, column + block.shape[1], device=block.device)
        self._merge(rows, block.contiguous(), ids.expand_as(block))

    def _within(self, block: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Return row and column ``[m]`` of each distance up to ``last``, by rows."""
        if block.stride(1) <= block.stride(0):
            owners, places = (block <= last[:, None]).nonzero(as_tuple=True)
            return owners, places
        places, owners = (block.t() <= last).nonzero(as_tuple=True)  # in memory order
        owners, order = owners.sort(stable=True)
        return owners, places[order]

    def _merge(self, rows: slice, block: Tensor, ids: Tensor) -> None:
        """Merge the distances ``[b, c]`` to ``ids`` into the kept nearest ones."""
        known, kept = self.known[rows], self.known.shape[1]
        # Earlier ones in front: topk is faster if it meets the nearest first.
        offered = torch.cat((self.distances[rows], block), 1)  # [b, kept + c]
        distances, places = offered.topk(kept, largest=False)
        new = ids.gather(1, (places - kept).clamp_min_(0))
        found = torch.where(places < kept, known.gather(1, places.clamp_max(kept - 1)), new)
        # Which of equal distances topk takes is undefined. That matters only where equal ones
        # reach from inside a list to the end of the kept ones.
        last = distances[:, -1]
        unclear = (distances[:, self.count - 1] == last) & last.isfinite()
        for place in unclear.nonzero()[:, 0].tolist():
            every, order = torch.cat((known[place], ids[place])).sort()
            chosen = offered[place, order].sort(stable=True)
            distances[place], found[place] = chosen[0][:kept], every[chosen[1][:kept]]
        self.distances[rows], self.known[rows] = distances, found

    def sorted(self) -> Neighbors:
        """Return the collected neighbors, in order."""
        known, order = self.known.sort(1)
        distances = self.distances.gather(1, order)
        nearest = distances.sort(dim=1, stable=True).indices[:, : self.count]
        lists = known.gather(1, nearest)
        return Neighbors(lists, known, distances.clamp_min_(0), self.farthest, self.across)
