"""Ranking measures of retrieval: CMC, average precision, inverse negative penalty.

Arrays in, arrays out: no dataset is named here, nothing is read, logged or rounded. Scores
are fractions in [0, 1]. Distances: smaller is nearer. Letters: q queries, g gallery
tracklets.

The rank of a match is one more than the number of gallery tracklets before it, so nothing
is sorted: the smaller distances are counted. Of equal distances, the one that comes first
in the gallery is before the other, as after a stable sort.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray | Tensor


class QueryScores(NamedTuple):
    """Holds the scores of each query, ``[q]`` float64; NaN where there is nothing to find.

    Attributes:
        average_precision: Mean of the precision at each match.
        inverse_negative_penalty: Number of matches over the rank of the last one.
        first_hit: Rank of the first match, from 1.
    """

    average_precision: np.ndarray
    inverse_negative_penalty: np.ndarray
    first_hit: np.ndarray


def score_queries(distance: Array, match: Array, ignore: Array | None = None) -> QueryScores:
    """Scores the ranking of each query.

    Source: the inverse negative penalty is from Ye et al., "Deep Learning for Person
    Re-identification: A Survey and Outlook", TPAMI 2022, https://arxiv.org/abs/2001.04193.

    Args:
        distance: ``[q, g]``, query to gallery tracklet; whatever block of the queries.
        match: ``[q, g]`` bool, true where both show the same identity.
        ignore: ``[q, g]`` bool, true where the protocol leaves a gallery tracklet out of
            this query's ranking. None: everything counts.

    Returns:
        Three scores of each query.

    Raises:
        ValueError: If the shapes differ or a distance is not finite.
    """
    distance, match = _as_array(distance), _as_array(match).astype(bool, copy=False)
    ignore = np.zeros_like(match) if ignore is None else _as_array(ignore).astype(bool, copy=False)
    if distance.ndim != 2 or not distance.shape == match.shape == ignore.shape:
        raise ValueError(
            f"distance {list(distance.shape)}, match {list(match.shape)} and ignore "
            f"{list(ignore.shape)} must have one shape, [queries, gallery]"
        )
    if not np.isfinite(distance).all():
        row, column = np.argwhere(~np.isfinite(distance))[0]
        raise ValueError(
            f"the distance of query {row} to gallery tracklet {column} is "
            f"{distance[row, column]}; there is no ranking of such distances"
        )
    scores = np.full((3, len(distance)), np.nan)
    for query in range(len(distance)):
        ranks = ranks_of_matches(distance[query], match[query], ignore[query])
        if len(ranks):
            found = np.arange(1, len(ranks) + 1)
            scores[:, query] = (found / ranks).mean(), len(ranks) / ranks[-1], ranks[0]
    return QueryScores(*scores)


def ranks_of_matches(distance: np.ndarray, match: np.ndarray, ignore: np.ndarray) -> np.ndarray:
    """Gives the ranks of what one query is to find.

    Args:
        distance: ``[g]``, finite.
        match: ``[g]`` bool, true where the gallery tracklet shows the query's identity.
        ignore: ``[g]`` bool, true where it is left out; it then moves nobody down.

    Returns:
        Ranks from 1, ascending, one for each match that is not left out.
    """
    matches = np.flatnonzero(match & ~ignore)
    if ignore.any():
        distance = np.where(ignore, np.inf, distance)
    before = [
        np.count_nonzero(distance < distance[place])
        + np.count_nonzero(distance[:place] == distance[place])
        for place in matches
    ]
    return np.sort(np.array(before, dtype=np.int64)) + 1


def cmc_curve(first_hit: Array, max_rank: int = 20) -> np.ndarray:
    """Gives the cumulative matching characteristic.

    Args:
        first_hit: ``[q]``, rank of the first match, NaN for a query with nothing to find.
        max_rank: Length of the curve; the gallery may be smaller.

    Returns:
        ``[max_rank]``: at position r - 1 the fraction of the queries with something to find
        whose first match is among the r nearest. NaN if no query has anything to find.
    """
    first_hit = _as_array(first_hit)
    ranks = first_hit[~np.isnan(first_hit)]
    if not len(ranks):
        return np.full(max_rank, np.nan)
    return (ranks <= np.arange(1, max_rank + 1)[:, None]).mean(1)  # [max_rank]


def _as_array(values: Array) -> np.ndarray:
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # numpy has none
