"""Ranking measures of retrieval: CMC, average precision, inverse negative penalty.

Arrays in, arrays out: no data set is named here, nothing is read, logged or rounded. Scores
are fractions in [0, 1]. Distances: smaller is nearer. Letters: q queries, g gallery
tracklets, m matches of a query.

The rank of a match is one more than the number of gallery tracklets before it, so smaller
distances are counted instead of sorted. Of equal distances, the one that comes first in the
gallery ranks first, as in a stable sort.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray | Tensor
AveragePrecision = Literal["hits", "trapezoid"]
Curve = Literal["first_hit", "distinct_identities"]

_WORD = 8  # bools added at once
_LANE = 255  # additions until a byte could overflow
_LAST = np.iinfo(np.int64).max


class QueryScores(NamedTuple):
    """The scores of each query, float64 ``[q]``; NaN for a query without a match.

    Attributes:
        average_precision: Mean of the precision at each match, or its trapezoidal form.
        inverse_negative_penalty: Number of matches divided by the rank of the last one.
        first_hit: Rank of the first match, from 1, among tracklets or among identities.
    """

    average_precision: np.ndarray
    inverse_negative_penalty: np.ndarray
    first_hit: np.ndarray


def score_queries(
    distance: Array, match: Array, ignore: Array | None = None, ap: AveragePrecision = "hits"
) -> QueryScores:
    """Score the ranking of each query.

    Source: the inverse negative penalty is from Ye et al., "Deep Learning for Person
    Re-Identification: A Survey and Outlook", TPAMI 2022, https://arxiv.org/abs/2001.04193.

    Args:
        distance: ``[q, g]``, of all queries or a block of them.
        match: ``[q, g]`` bool, true where both have the same identity.
        ignore: ``[q, g]`` bool, true where the protocol leaves a gallery tracklet out of the
            query's ranking. None: everything counts.
        ap: ``"hits"``, the mean of the precision at the matches; ``"trapezoid"``, the mean of
            the precision before and at each match, 1 before the first place (MARS).

    Returns:
        Three scores of each query.

    Raises:
        ValueError: If the shapes differ or a distance is not finite.
    """
    distance, match = finite_distances(distance), as_array(match).astype(bool, copy=False)
    ignore = np.zeros_like(match) if ignore is None else as_array(ignore).astype(bool, copy=False)
    if not distance.shape == match.shape == ignore.shape:
        raise ValueError(
            f"distance {list(distance.shape)}, match {list(match.shape)} and ignore "
            f"{list(ignore.shape)} must have one shape, [queries, gallery]"
        )
    scores = np.full((3, len(distance)), np.nan)
    for query in range(len(distance)):
        ranks = ranks_of_matches(distance[query], match[query], ignore[query])
        scores[:, query] = _scores(ranks[None], np.ones((1, len(ranks)), dtype=bool), ap)[:, 0]
    return QueryScores(*scores)


def score_identities(
    distance: Array,
    query_ids: Array | Sequence[int],
    gallery_ids: Array | Sequence[int],
    ignore: Array | None = None,
    ap: AveragePrecision = "hits",
    cmc: Curve = "first_hit",
) -> QueryScores:
    """Score queries from identities: as ``score_queries``, but faster and with both CMC curves.

    Adjacent queries of one identity are ranked together.

    Args:
        distance: ``[q, g]``, of all queries or a block of them.
        query_ids: ``[q]``, identities of the queries.
        gallery_ids: ``[g]``, identities of the gallery.
        ignore: As in ``score_queries``.
        ap: As in ``score_queries``.
        cmc: ``"first_hit"``, the rank of the first match among the gallery tracklets;
            ``"distinct_identities"``, its rank among identities, each at the place of its nearest
            tracklet. The other scores use all tracklets in both cases.

    Returns:
        Three scores of each query.

    Raises:
        ValueError: As in ``score_queries``.
    """
    distance = finite_distances(distance)
    wanted, offered = as_array(query_ids), as_array(gallery_ids)
    left_out = None if ignore is None else as_array(ignore).astype(bool, copy=False)
    shape = (len(wanted), len(offered))
    if distance.shape != shape or (left_out is not None and left_out.shape != shape):
        masked = "none" if left_out is None else str(list(left_out.shape))
        raise ValueError(
            f"distance {list(distance.shape)} and ignore {masked} do not fit {shape[0]} queries "
            f"and {shape[1]} gallery tracklets"
        )
    identities = _Identities(offered) if cmc == "distinct_identities" else None
    scores = np.full((3, len(wanted)), np.nan)
    for pid in np.unique(wanted):
        places = np.flatnonzero(offered == pid)
        if not len(places):
            continue
        rows = np.flatnonzero(wanted == pid)
        chosen = distance[rows]  # a copy
        found = np.ones((len(rows), len(places)), dtype=bool)
        if left_out is not None:
            chosen[left_out[rows]] = np.inf
            found = np.isfinite(chosen[:, places])
        scores[:, rows] = _scores(_ranks(chosen, places), found, ap)
        if identities is not None:
            scores[2, rows] = identities.ranks(chosen, pid)
    return QueryScores(*scores)


def ranks_of_matches(distance: np.ndarray, match: np.ndarray, ignore: np.ndarray) -> np.ndarray:
    """Return the ranks of one query's matches.

    Args:
        distance: ``[g]``, finite.
        match: ``[g]`` bool, true where the gallery tracklet has the query's identity.
        ignore: ``[g]`` bool, true where it is left out and takes no rank.

    Returns:
        Ranks from 1, ascending, one per match that is not left out.
    """
    matches = np.flatnonzero(match & ~ignore)
    return np.sort(_ranks(np.where(ignore, np.inf, distance)[None], matches)[0])


def cmc_curve(first_hit: Array, max_rank: int = 20) -> np.ndarray:
    """Return the cumulative matching characteristic (CMC) curve.

    Args:
        first_hit: ``[q]``, rank of the first match; NaN for a query without a match, which does
            not count; infinity counts as a miss.
        max_rank: Length of the curve; it may exceed the gallery.

    Returns:
        ``[max_rank]``: at index r - 1 the fraction of the counted queries whose first match is
        among the r nearest. NaN if no query counts.
    """
    first_hit = as_array(first_hit)
    ranks = first_hit[~np.isnan(first_hit)]
    if not len(ranks):
        return np.full(max_rank, np.nan)
    return (ranks <= np.arange(1, max_rank + 1)[:, None]).mean(1)  # [max_rank]


def _ranks(distance: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the ranks ``[b, m]`` of chosen gallery tracklets for each query.

    Gallery tracklets that are left out have an infinite distance.
    """
    queries, gallery = distance.shape
    words = -(-gallery // _WORD)
    lane = max(1, min(words, _LANE))
    before = np.zeros((queries, -(-words // lane) * lane * _WORD), dtype=bool)
    sums = before.view(np.uint64).reshape(queries, -1, lane)
    ranks = np.empty((queries, len(places)), dtype=np.int64)
    for column, place in enumerate(places):
        own = distance[:, place : place + 1]
        # Of equal distances, only those earlier in the gallery rank before.
        np.less_equal(distance[:, :place], own, out=before[:, :place])
        np.less(distance[:, place:], own, out=before[:, place:gallery])
        # Eight bools are added as one 64-bit number; each byte counts up to 255.
        bytewise = sums.sum(2).view(np.uint8).reshape(queries, -1)
        ranks[:, column] = bytewise.sum(1, dtype=np.int64)
    return ranks + 1


def _scores(ranks: np.ndarray, found: np.ndarray, ap: str) -> np.ndarray:
    """Return the scores ``[3, b]`` of ranks ``[b, m]``; only ranks marked as found count."""
    ranks = np.sort(np.where(found, ranks, _LAST), axis=1)
    counts = found.sum(1)
    scores = np.full((3, len(ranks)), np.nan)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        hits = ranks[rows, :count]
        number = np.arange(1, count + 1)
        precision = number / hits
        if ap == "trapezoid":
            # The precision just before the match; before the first rank it is 1.
            earlier = np.where(hits > 1, (number - 1) / np.maximum(hits - 1, 1), 1)
            precision = (precision + earlier) / 2
        scores[:, rows] = precision.mean(1), count / hits[:, -1], hits[:, 0]
    return scores


class _Identities:
    """Ranking of identities, each by its nearest gallery tracklet.

    Args:
        offered: ``[g]``, identities of the gallery.
    """

    def __init__(self, offered: np.ndarray) -> None:
        self._offered = offered
        self._order = np.argsort(offered, kind="stable")
        self._names, self._starts = np.unique(offered[self._order], return_index=True)

    def ranks(self, distance: np.ndarray, pid: np.generic) -> np.ndarray:
        """Return the ranks ``[b]`` of an identity of the gallery; NaN if it is left out."""
        best = np.minimum.reduceat(distance[:, self._order], self._starts, axis=1)  # [b, names]
        own = best[:, [np.searchsorted(self._names, pid)]]  # [b, 1]
        ranks = np.where(np.isfinite(own[:, 0]), (best < own).sum(1) + 1.0, np.nan)
        tied = ((best == own).sum(1) > 1) & ~np.isnan(ranks)
        for row in np.flatnonzero(tied):
            names = self._offered[distance[row] == own[row]]  # in the gallery's order
            firsts = names[: np.flatnonzero(names == pid)[0]]
            nearer = self._names[best[row] < own[row]]
            ranks[row] += len(np.setdiff1d(firsts, nearer))
        return ranks


def finite_distances(distance: Array) -> np.ndarray:
    """Return distances ``[q, g]`` as floating-point numbers after checking that all are finite."""
    distance = as_array(distance)
    if distance.dtype.kind != "f":
        distance = distance.astype(np.float64)
    if distance.ndim != 2:
        raise ValueError(f"distance {list(distance.shape)} must be [queries, gallery]")
    if distance.size and not np.isfinite([distance.min(), distance.max()]).all():
        row, column = np.argwhere(~np.isfinite(distance))[0]
        raise ValueError(
            f"the distance of query {row} to gallery tracklet {column} is "
            f"{distance[row, column]}; there is no ranking of such distances"
        )
    return distance


def as_array(values: Array | Sequence[int]) -> np.ndarray:
    """Return an array; it shares the memory of a tensor on the CPU."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # NumPy lacks it
