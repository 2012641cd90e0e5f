"""Counts over rankings that are processed in blocks of queries."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

_FINE = 4096  # bins of the counts, before the displayed range is known


@dataclass
class Distances:
    """Histogram of the distances of one kind of pairs, in fine bins.

    Attributes:
        upper: End of the last bin; the first starts at 0.
        counts: ``[4096]`` pairs per bin.
        total: Sum of the distances.
        pairs: Number of pairs.
    """

    upper: float
    counts: np.ndarray = field(default_factory=lambda: np.zeros(_FINE, np.int64))
    total: float = 0.0
    pairs: int = 0

    def add(self, distances: np.ndarray) -> None:
        """Count distances, ``[m]``."""
        places = (distances * (_FINE / self.upper)).astype(np.int64).clip(0, _FINE - 1)
        self.counts += np.bincount(places, minlength=_FINE)
        self.total += float(distances.sum(dtype=np.float64))
        self.pairs += len(distances)

    @property
    def mean(self) -> float:
        """Return the mean distance; NaN if there is no pair."""
        return self.total / self.pairs if self.pairs else float("nan")


class CameraPairs(NamedTuple):
    """Number of matches among the nearest, by camera of query and of gallery.

    Attributes:
        rows: Cameras of the queries.
        columns: Cameras of the gallery.
        found: ``[rows, columns]``, matches among the nearest.
        matches: ``[rows, columns]``, matches that the protocol keeps.
    """

    rows: np.ndarray
    columns: np.ndarray
    found: np.ndarray
    matches: np.ndarray


def nearest_of(distances: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of the nearest, ties in the order of the gallery.

    Args:
        distances: ``[g]``; infinite where the protocol excludes a tracklet.
        count: Maximum number of positions.
    """
    if count < len(distances):
        kept = np.flatnonzero(distances <= np.partition(distances, count - 1)[count - 1])
    else:
        kept = np.arange(len(distances))
    order = kept[np.argsort(distances[kept], kind="stable")][:count]
    return order[np.isfinite(distances[order])]
