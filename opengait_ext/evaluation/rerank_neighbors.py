"""Nearest neighbors among queries and gallery together, without all their distances at once.

Letters: q queries, g gallery tracklets, ``n = q + g`` both, d embedding, p parts. A position
counts the queries first, then the gallery.

The list of a tracklet begins with itself. The others follow by distance; of equal distances,
the smaller position comes first. So a tracklet is always its own neighbor, even among more
equal ones than the list is long.

Memory: a tile of ``TILE`` x ``TILE`` distances and its two copies of embeddings, the distances
``[q, g]`` that are the result's, and ``KEPT`` numbers per tracklet. Distances are symmetric,
so only half of them are computed.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

from .distance import comparison_of, distance_blocks
from .embeddings import Chosen

TILE = 2048  # tracklets on each side of the distances that are held at a time
# Distances per tracklet that are kept for the encoding; others are computed again. Of a tile at
# least 64 times as wide, topk finds so many several times faster than more.
KEPT = 24
FEW = 8  # times a list, so many of a row are picked out of a tile; of more, all are ranked
PAIR_ELEMENTS = 2**21  # elements of the embeddings that are compared pair by pair at a time


class Space(Protocol):
    """Gives distances among queries and gallery together; all are at least 0.

    Attributes:
        queries: How many positions are queries.
        size: How many positions there are, n.
    """

    queries: int
    size: int

    def blocks(self) -> Iterator[tuple[int, int, Tensor]]:
        """Gives tiles of the upper triangle: first row, first column, distances ``[b, c]``.

        A tile is either on the diagonal (square, first row = first column) or off it; its
        rows are all queries or all gallery, and so are its columns. Fastest is the order in
        which those on the diagonal come before the others of their rows and columns.
        """

    def between(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Gives the distances of single pairs, ``[m]``, from their positions, ``[m]`` each."""


class Embedded:
    """Is the ``Space`` of embeddings, with the distance of ``part_distance``.

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
        """Gives tiles of the upper triangle; see ``Space``."""
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
        """Gives the distances of single pairs; see ``Space``."""
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
            # A cosine may exceed 1 by rounding.
            yield begin + row, column, block.clamp_min_(0)

    def _take(self, positions: Tensor) -> Tensor:
        """Gives the embeddings at some positions, ``[m, d, p]``."""
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
    """Gives the rows or columns of a tile on a side of so many tracklets: equal, below ``TILE``."""
    return math.ceil(size / math.ceil(size / TILE))


def _first(side: Tensor | Chosen, count: int) -> Tensor | Chosen:
    """Gives the first tracklets of a side, without copying them."""
    if isinstance(side, Chosen):
        return Chosen(cast(Tensor, side), torch.arange(count))  # a choice of a choice
    return side[:count]


class Neighbors(NamedTuple):
    """Holds what one pass over all distances leaves.

    Attributes:
        lists: ``[n, k]``, positions of the nearest, in order, from the tracklet itself.
        known: ``[n, m]`` with m at least k, positions whose distances are kept, ascending.
        distances: ``[n, m]``, their distances.
        farthest: ``[n]``, the largest distance of each tracklet.
        across: ``[q, g]``, the distances from queries to gallery.
    """

    lists: Tensor
    known: Tensor
    distances: Tensor
    farthest: Tensor
    across: Tensor


def find_neighbors(space: Space, count: int) -> Neighbors:
    """Finds the nearest tracklets of each, in one pass over the distances.

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
            block = block.clone().fill_diagonal_(-1)  # before whatever is equal to it
        else:
            nearest.take(column, row, block.t())
        nearest.take(row, column, block)
    assert nearest is not None
    assert nearest.farthest.isfinite().all()
    return nearest.sorted()


class _Nearest:
    """Collects the nearest of each row from one block of columns after the other."""

    def __init__(self, space: Space, count: int, like: Tensor) -> None:
        self.count = min(count, space.size)
        kept = min(max(count + 4, KEPT), space.size)  # more than a list; see add
        self.distances = like.new_full((space.size, kept), torch.inf)
        self.known = torch.full_like(self.distances, space.size, dtype=torch.int64)
        self.farthest = like.new_zeros(space.size)
        self.across = like.new_empty(space.queries, space.size - space.queries)

    def take(self, row: int, column: int, block: Tensor) -> None:
        """Takes in the distances ``[b, c]`` of rows from ``row`` to columns from ``column``.

        Where a row has its list already, few of a block are nearer than the last of it: these
        are picked out, ten times as fast as all are ranked.
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
        """Gives the places ``[m]`` of what is not beyond ``last``, by rows, ascending in each."""
        if block.stride(1) <= block.stride(0):
            owners, places = (block <= last[:, None]).nonzero(as_tuple=True)
            return owners, places
        places, owners = (block.t() <= last).nonzero(as_tuple=True)  # as it lies in the memory
        owners, order = owners.sort(stable=True)
        return owners, places[order]

    def _merge(self, rows: slice, block: Tensor, ids: Tensor) -> None:
        """Keeps the nearest of what is known and of the distances ``[b, c]`` to ``ids``."""
        known, kept = self.known[rows], self.known.shape[1]
        # Those of before in front: topk is faster where it finds the nearest first.
        offered = torch.cat((self.distances[rows], block), 1)  # [b, kept + c]
        distances, places = offered.topk(kept, largest=False)
        new = ids.gather(1, (places - kept).clamp_min_(0))
        found = torch.where(places < kept, known.gather(1, places.clamp_max(kept - 1)), new)
        # Which of equal distances topk takes is anyone's guess. That matters only where they
        # reach from within a list to the end of what is kept.
        last = distances[:, -1]
        unclear = (distances[:, self.count - 1] == last) & last.isfinite()
        for place in unclear.nonzero()[:, 0].tolist():
            every, order = torch.cat((known[place], ids[place])).sort()
            chosen = offered[place, order].sort(stable=True)
            distances[place], found[place] = chosen[0][:kept], every[chosen[1][:kept]]
        self.distances[rows], self.known[rows] = distances, found

    def sorted(self) -> Neighbors:
        """Gives what was collected, in order."""
        known, order = self.known.sort(1)
        distances = self.distances.gather(1, order)
        nearest = distances.sort(dim=1, stable=True).indices[:, : self.count]
        lists = known.gather(1, nearest)
        return Neighbors(lists, known, distances.clamp_min_(0), self.farthest, self.across)
