"""Error analysis: scores by camera, length and identity, and the distances between identities.

Arrays in, small tables out. Scores are fractions; nothing is rounded.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.layout import Tracklet
from .ranking import Ranking
from .tallies import Distances

_BINS = 45  # bins of a displayed histogram
_LENGTHS = 4  # groups of tracklets by length


class Group(NamedTuple):
    """Mean scores of a group of queries.

    Attributes:
        name: What they have in common.
        queries: Number of queries that have a match in the gallery.
        rank1: Fraction of queries whose nearest is a match; NaN without queries.
        precision: Mean of their average precision.
        penalty: Mean of their inverse negative penalty.
    """

    name: str
    queries: int
    rank1: float
    precision: float
    penalty: float


class Histogram(NamedTuple):
    """Fractions of distances per bin.

    Attributes:
        edges: ``[b + 1]``.
        intra: ``[b]``, fractions of the pairs of one identity.
        inter: ``[b]``, fractions of the pairs of two identities.
    """

    edges: np.ndarray
    intra: np.ndarray
    inter: np.ndarray


def grouped(direction: Ranking, names: Sequence[str]) -> list[Group]:
    """Return the mean scores of the queries by group, in the order of first appearance.

    Args:
        direction: The rankings of one direction.
        names: The group's name of each of the q queries.
    """
    labels = np.array(names)
    return [_group(direction, labels == name, name) for name in dict.fromkeys(names)]


def whole(direction: Ranking, name: str) -> Group:
    """Return the mean scores of all queries of a direction."""
    return _group(direction, np.ones(len(direction.query), bool), name)


def _group(direction: Ranking, chosen: np.ndarray, name: str) -> Group:
    scores = direction.scores
    chosen = chosen & ~np.isnan(scores.first_hit)
    count = int(chosen.sum())
    if not count:
        return Group(name, 0, *(float("nan"),) * 3)
    return Group(
        name,
        count,
        float((scores.first_hit[chosen] == 1).mean()),
        float(scores.average_precision[chosen].mean()),
        float(scores.inverse_negative_penalty[chosen].mean()),
    )


def by_camera(direction: Ranking, tracklets: Sequence[Tracklet]) -> list[Group]:
    """Return the scores by camera of the query, in the order of the cameras' numbers."""
    cameras = [tracklets[place].camid for place in direction.query]
    found = {group.name: group for group in grouped(direction, [f"camera {c}" for c in cameras])}
    return [found[f"camera {camera}"] for camera in sorted(set(cameras))]


def by_length(direction: Ranking, tracklets: Sequence[Tracklet]) -> list[Group]:
    """Return the scores by length of the query tracklet: up to four groups of about equal size."""
    lengths = np.array([tracklets[place].frames for place in direction.query])
    steps = np.linspace(0, 1, _LENGTHS + 1)[1:-1]
    cuts = np.unique(np.quantile(lengths, steps, method="lower"))
    members = np.searchsorted(cuts, lengths)
    names = {}
    for member in np.unique(members):
        low, high = lengths[members == member].min(), lengths[members == member].max()
        names[member] = f"{low} frames" if low == high else f"{low} to {high} frames"
    found = {
        group.name: group for group in grouped(direction, [names[member] for member in members])
    }
    return [found[names[member]] for member in np.unique(members)]


def hardest_identities(
    direction: Ranking, tracklets: Sequence[Tracklet], count: int = 10
) -> list[Group]:
    """Return the identities with the lowest mAP, the worst first."""
    groups = grouped(direction, [tracklets[place].pid for place in direction.query])
    groups = [group for group in groups if group.queries]
    return sorted(groups, key=lambda group: (group.precision, group.name))[:count]


def wrong_firsts(
    direction: Ranking, tracklets: Sequence[Tracklet], count: int = 10
) -> list[tuple[str, int]]:
    """Return the gallery tracklets most often first for another identity, with their counts."""
    counts: dict[str, int] = {}
    for place, nearest in zip(direction.query, direction.nearest, strict=True):
        first = tracklets[nearest[0]] if len(nearest) else None
        if first is not None and first.pid != tracklets[place].pid:
            counts[first.path] = counts.get(first.path, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count]


def histogram(intra: Distances, inter: Distances, bins: int = _BINS) -> Histogram:
    """Return both kinds of distances in the same bins, as fractions of their kind.

    Args:
        intra: Distances of pairs of one identity.
        inter: Distances of pairs of two identities, with the same ``upper``.
        bins: Maximum number of bins.
    """
    both = np.flatnonzero(intra.counts + inter.counts)
    low, high = (int(both[0]), int(both[-1]) + 1) if len(both) else (0, 1)
    step = -(-(high - low) // bins)
    starts = np.arange(low, high, step)
    fine = intra.upper / len(intra.counts)
    edges = np.append(starts, starts[-1] + step) * fine
    shown = [np.add.reduceat(kind.counts[:high], starts) / max(1, kind.pairs)
             for kind in (intra, inter)]  # fmt: skip
    return Histogram(edges, *shown)
