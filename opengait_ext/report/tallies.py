"""What is counted while rankings pass by, a block of queries after the other."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

_FINE = 4096  # bins in which distances are counted before the range is known


@dataclass
class Distances:
    """Counts distances of one kind of pairs in fine bins.

    Attributes:
        upper: End of the last bin; the first begins at 0.
        counts: ``[4096]`` pairs per bin.
        total: Sum of the distances.
        pairs: How many there are.
    """

    upper: float
    counts: np.ndarray = field(default_factory=lambda: np.zeros(_FINE, np.int64))
    total: float = 0.0
    pairs: int = 0

    def add(self, distances: np.ndarray) -> None:
        """Counts distances, ``[m]``."""
        places = (distances * (_FINE / self.upper)).astype(np.int64).clip(0, _FINE - 1)
        self.counts += np.bincount(places, minlength=_FINE)
        self.total += float(distances.sum(dtype=np.float64))
        self.pairs += len(distances)

    @property
    def mean(self) -> float:
        """Gives the mean distance; NaN if there is no pair."""
        return self.total / self.pairs if self.pairs else float("nan")


class CameraPairs(NamedTuple):
    """Holds how many matches stand among the nearest, by camera of query and of gallery.

    Attributes:
        rows: Cameras of the queries.
        columns: Cameras of the gallery.
        found: ``[rows, columns]``, matches among the nearest.
        matches: ``[rows, columns]``, matches that the protocol leaves in.
    """

    rows: np.ndarray
    columns: np.ndarray
    found: np.ndarray
    matches: np.ndarray


def nearest_of(distances: np.ndarray, count: int) -> np.ndarray:
    """Gives the places of the nearest, ties in the order of the gallery.

    Args:
        distances: ``[g]``; infinite where a tracklet is left out.
        count: At most so many.
    """
    if count < len(distances):
        kept = np.flatnonzero(distances <= np.partition(distances, count - 1)[count - 1])
    else:
        kept = np.arange(len(distances))
    order = kept[np.argsort(distances[kept], kind="stable")][:count]
    return order[np.isfinite(distances[order])]
