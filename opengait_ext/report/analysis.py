"""Where the errors are: by camera, by length, by identity; and how far apart identities stand.

Arrays in, small tables out; fractions, nothing rounded.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.layout import Tracklet
from .ranking import Ranking
from .tallies import Distances

_BINS = 45  # of a shown histogram
_LENGTHS = 4  # groups of tracklets by length


class Group(NamedTuple):
    """Holds the mean scores of some queries.

    Attributes:
        name: What they have in common.
        queries: How many have something to find.
        rank1: Fraction whose nearest is a match; NaN without queries.
        precision: Mean of their average precision.
        penalty: Mean of their inverse negative penalty.
    """

    name: str
    queries: int
    rank1: float
    precision: float
    penalty: float


class Histogram(NamedTuple):
    """Holds fractions of distances per bin.

    Attributes:
        edges: ``[b + 1]``.
        intra: ``[b]``, of the pairs of one identity.
        inter: ``[b]``, of the pairs of two.
    """

    edges: np.ndarray
    intra: np.ndarray
    inter: np.ndarray


def grouped(direction: Ranking, names: Sequence[str]) -> list[Group]:
    """Gives the mean scores of the queries by name, in the order of the names' coming.

    Args:
        direction: The rankings.
        names: ``q`` names of groups.
    """
    labels = np.array(names)
    return [_group(direction, labels == name, name) for name in dict.fromkeys(names)]


def whole(direction: Ranking, name: str) -> Group:
    """Gives the mean scores of all queries of a direction."""
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
    """Gives the scores by camera of the query, in the order of the cameras' numbers."""
    cameras = [tracklets[place].camid for place in direction.query]
    found = {group.name: group for group in grouped(direction, [f"camera {c}" for c in cameras])}
    return [found[f"camera {camera}"] for camera in sorted(set(cameras))]


def by_length(direction: Ranking, tracklets: Sequence[Tracklet]) -> list[Group]:
    """Gives the scores by frames of the query tracklet: up to four groups of about equal size."""
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
    """Gives the identities with the lowest mAP, the worst first."""
    groups = grouped(direction, [tracklets[place].pid for place in direction.query])
    groups = [group for group in groups if group.queries]
    return sorted(groups, key=lambda group: (group.precision, group.name))[:count]


def wrong_firsts(
    direction: Ranking, tracklets: Sequence[Tracklet], count: int = 10
) -> list[tuple[str, int]]:
    """Gives the gallery tracklets that most often stand first for somebody else."""
    counts: dict[str, int] = {}
    for place, nearest in zip(direction.query, direction.nearest, strict=True):
        first = tracklets[nearest[0]] if len(nearest) else None
        if first is not None and first.pid != tracklets[place].pid:
            counts[first.path] = counts.get(first.path, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:count]


def histogram(intra: Distances, inter: Distances, bins: int = _BINS) -> Histogram:
    """Gives both kinds of distances in the same shown bins, as fractions of their kind.

    Args:
        intra: Of pairs of one identity.
        inter: Of pairs of two identities, with the same end of the range.
        bins: At most so many.
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
