"""The k-reciprocal encoding of tracklets and its Jaccard distance, in sparse rows.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding",
CVPR 2017, https://arxiv.org/abs/1701.08398.

Letters: q queries, g gallery tracklets, ``n = q + g``. A row has a few hundred entries at most, so
nothing here grows with n * n; temporaries have about ``ELEMENTS`` elements each.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .rerank_neighbors import Neighbors, Space

ELEMENTS = 2**18  # per temporary, so that it stays in the cache


class Encoding(NamedTuple):
    """One sparse row of n weights per tracklet; each row sums to 1.

    Attributes:
        starts: ``[rows + 1]``, index of the first entry of each row, then the end of the last.
        columns: ``[entries]``, column indices, ascending within a row.
        weights: ``[entries]``, positive.
    """

    starts: Tensor
    columns: Tensor
    weights: Tensor

    def rows(self, start: int, stop: int) -> "Encoding":
        """Return a range of rows."""
        first, last = int(self.starts[start]), int(self.starts[stop])
        starts = self.starts[start : stop + 1] - first
        return Encoding(starts, self.columns[first:last], self.weights[first:last])

    def transposed(self, size: int) -> "Encoding":
        """Return the transpose: one row per column (``size`` rows), ``columns`` are row indices."""
        columns, order = self.columns.sort(stable=True)
        rows = torch.arange(len(self.starts) - 1, device=order.device)
        rows = rows.repeat_interleave(self.starts.diff())
        return Encoding(_starts(columns, size), rows[order], self.weights[order])


def reciprocal_members(
    lists: Tensor, k1: int, strict: bool
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Yield the expanded k-reciprocal neighbors of each tracklet, a range of rows at a time.

    R(i, k1) are the tracklets that are among the k1 nearest of i and have i among their own k1
    nearest. For each c in R(i, k1), R(c, k1 / 2) is added if two thirds of it are in R(i, k1).
    A list holds the tracklet itself in addition to the k nearest.

    Args:
        lists: ``[n, k]``, indices of the nearest, the tracklet itself first.
        k1: Length of a list without the tracklet itself. Half of it is rounded to the nearest
            integer, halves to the even one.
        strict: Whether more than two thirds are required, as in all published code; otherwise
            two thirds suffice, as in the paper.

    Yields:
        First row, the row after the last, and the row and index of each member, ``[m]`` each,
        ascending.
    """
    near = _reciprocal(lists[:, : k1 + 1])  # [n, k]
    joining = _reciprocal(lists[:, : round(k1 / 2) + 1])  # [n, h]
    # A bool takes a quarter of the memory of an index.
    width = max(len(near) // 4, near.shape[1] * joining.shape[1])
    span = max(1, ELEMENTS // width)
    is_member = near.new_zeros(min(span, len(near)), len(near) + 1, dtype=torch.bool)
    for start, stop in _spans(len(near), span):
        members = near[start:stop]  # [b, k]
        sets = joining[members.clamp_min(0)]  # [b, k, h]
        marks, marked = is_member[: stop - start], members.long() + 1  # 0: no member
        marks.scatter_(1, marked, True)
        shared = marks.gather(1, sets.flatten(1).long() + 1).view_as(sets) & (sets >= 0)
        marks.scatter_(1, marked, False)
        share, whole = 3 * shared.sum(2), 2 * (sets >= 0).sum(2)
        joins = (members >= 0) & ((share > whole) if strict else (share >= whole))
        sets = torch.where(joins[..., None], sets, -1).flatten(1)  # [b, k * h]
        every = _ascending(torch.cat((members, sets), 1))
        every[:, 1:].masked_fill_(every[:, 1:] == every[:, :-1], -1)
        rows, places = (every >= 0).nonzero(as_tuple=True)
        yield start, stop, rows + start, every[rows, places].long()


def _ascending(rows: Tensor) -> Tensor:
    """Return the rows sorted; NumPy does it on the CPU, where it is ten times as fast."""
    if rows.device.type == "cpu":
        return torch.from_numpy(np.sort(rows.numpy(), axis=1))
    return rows.sort(1).values


def encode(
    space: Space, neighbors: Neighbors, k1: int, k2: int, squared: bool, strict: bool
) -> Encoding:
    """Return the encoding of each tracklet by its expanded k-reciprocal neighbors.

    The weight of a neighbor is exp(-distance), with the distance divided by the tracklet's
    largest. Each row is divided by its sum and then replaced by the mean of the rows of the k2
    nearest, including the tracklet itself.

    Args:
        space: Distances among queries and gallery, for those that ``neighbors`` does not hold.
        neighbors: Nearest tracklets of each, from the same space.
        k1: See ``reciprocal_members``.
        k2: Number of rows in the mean; 1: no averaging.
        squared: Whether to square the distances.
        strict: See ``reciprocal_members``.

    Returns:
        An encoding of ``n`` rows.
    """
    counts, columns, weights = [], [], []
    for start, stop, rows, members in reciprocal_members(neighbors.lists, k1, strict):
        distances = _distances(space, neighbors, start, stop, rows, members)
        relative = distances / positive(neighbors.farthest)[rows]
        weight = torch.exp(-(relative.square() if squared else relative))
        sums = weight.new_zeros(stop - start).index_add_(0, rows - start, weight)
        counts.append(torch.bincount(rows - start, minlength=stop - start))
        columns.append(members)
        weights.append(weight / sums[rows - start])
    ends = torch.cat(counts).cumsum(0)
    starts = torch.cat((ends.new_zeros(1), ends))
    encoding = Encoding(starts, torch.cat(columns), torch.cat(weights))
    return _expanded(encoding, neighbors.lists[:, :k2])


def jaccard_blocks(query: Encoding, gallery: Encoding, size: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the Jaccard distances between rows, a block of queries at a time.

    The distance is 1 minus the sum of the smaller weights divided by the sum of the larger ones.
    As each row sums to 1, the sum of the larger is 2 minus the sum of the smaller.

    Args:
        query: Encoding of ``q`` rows.
        gallery: Encoding of ``g`` rows.
        size: Number of columns of both, n.

    Yields:
        Index of the first query, and the distances ``[b, g]`` in [0, 1].
    """
    wide = len(gallery.starts) - 1
    holders = gallery.transposed(size)
    meetings = holders.starts.diff()[query.columns].cumsum(0)  # pairs up to each entry
    total = torch.cat((meetings.new_zeros(1), meetings))[query.starts]  # [q + 1]
    start = 0
    while start < len(query.starts) - 1:
        most = max(1, ELEMENTS // wide)
        fitting = torch.searchsorted(total, total[start] + ELEMENTS, right=True).item()
        stop = int(min(max(start + 1, int(fitting) - 1), start + most, len(total) - 1))
        yield start, _jaccard(query.rows(start, stop), holders, wide)
        start = stop


def positive(farthest: Tensor) -> Tensor:
    """Return the largest distances as divisors: 0 becomes 1, so equal tracklets stay at 0."""
    return torch.where(farthest > 0, farthest, 1)


def _jaccard(query: Encoding, holders: Encoding, wide: int) -> Tensor:
    """Return the distances ``[b, wide]`` of some rows to the rows that share columns with them."""
    count = len(query.starts) - 1
    rows = torch.arange(count, device=query.columns.device)
    rows = rows.repeat_interleave(query.starts.diff())
    entries, places = _ranges(holders.starts, query.columns)
    smaller = torch.minimum(query.weights[entries], holders.weights[places])
    shared = smaller.new_zeros(count * wide)
    shared.index_add_(0, rows[entries] * wide + holders.columns[places], smaller)
    shared = shared.clamp_max_(1).view(count, wide)  # rounding may exceed 1
    return 1 - shared / (2 - shared)


def _reciprocal(lists: Tensor) -> Tensor:
    """Return the lists with -1 in place of neighbors whose own list lacks the tracklet."""
    size, length = lists.shape
    short = lists.int()  # half the memory traffic
    mutual = torch.empty_like(lists, dtype=torch.bool)
    for start, stop in _spans(size, max(1, ELEMENTS // length**2)):
        own = torch.arange(start, stop, dtype=torch.int32, device=lists.device)[:, None, None]
        mutual[start:stop] = (short[lists[start:stop]] == own).any(2)
    return torch.where(mutual, short, -1)


def _distances(
    space: Space, neighbors: Neighbors, start: int, stop: int, rows: Tensor, members: Tensor
) -> Tensor:
    """Return the distances ``[m]`` of pairs: known ones are looked up, others recomputed."""
    keys = neighbors.known[start:stop] + space.size * torch.arange(
        stop - start, device=rows.device
    ).unsqueeze(1)  # ascending
    keys, wanted = keys.flatten(), members + space.size * (rows - start)
    places = torch.searchsorted(keys, wanted).clamp_max_(len(keys) - 1)
    distances = neighbors.distances[start:stop].flatten()[places]
    missing = (keys[places] != wanted).nonzero()[:, 0]
    if len(missing):
        distances[missing] = space.between(rows[missing], members[missing]).to(distances.dtype)
    return distances


def _expanded(encoding: Encoding, nearest: Tensor) -> Encoding:
    """Return an encoding whose row i is the mean of the rows ``nearest[i]``, ``[n, k2]``."""
    size, k2 = nearest.shape
    if k2 == 1:
        return encoding
    parts = []
    width = max(1, len(encoding.columns) // size)
    for start, stop in _spans(size, max(1, ELEMENTS // (4 * k2 * width))):
        entries, places = _ranges(encoding.starts, nearest[start:stop].flatten())
        keys, order = ((entries // k2) * size + encoding.columns[places]).sort()
        keys, group = keys.unique_consecutive(return_inverse=True)
        sums = encoding.weights.new_zeros(len(keys))
        sums.index_add_(0, group, encoding.weights[places[order]])
        parts.append((keys + start * size, sums / k2))
    keys = torch.cat([keys for keys, _ in parts])
    starts = _starts(keys.div(size, rounding_mode="floor"), size)
    return Encoding(starts, keys.remainder_(size), torch.cat([sums for _, sums in parts]))


def _ranges(starts: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the entries of chosen rows in order: index of the choice, and index of the entry."""
    first = starts[chosen]
    counts = starts[chosen + 1] - first
    choice = torch.arange(len(chosen), device=chosen.device).repeat_interleave(counts)
    shift = first - (counts.cumsum(0) - counts)
    return choice, torch.arange(len(choice), device=chosen.device) + shift[choice]


def _starts(ascending: Tensor, size: int) -> Tensor:
    """Return where each number from 0 to ``size`` - 1 starts in an ascending row, and the end."""
    numbers = torch.arange(size + 1, device=ascending.device)
    return torch.searchsorted(ascending, numbers)


def _spans(size: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, step):
        yield start, min(start + step, size)
