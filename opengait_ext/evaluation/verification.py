"""Verification: are two tracklets the same person? True accept rate, false accept rate, d'.

Every pair of query and gallery tracklet that the protocol leaves in is one trial: genuine if
both show the same identity, impostor otherwise. A pair is accepted if its distance is below a
threshold. Blocks of distances go in one after the other; kept are the genuine distances, and
of the impostors' only the smallest, as many as the largest false accept rate needs.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from .metrics import Array, as_array, finite_distances


class Acceptance(NamedTuple):
    """Holds what a threshold does.

    Attributes:
        true_accept_rate: Fraction of the genuine pairs nearer than the threshold; NaN
            without a genuine pair.
        false_accept_rate: Fraction of the impostor pairs nearer than the threshold: the rate
            asked for or the next one below that the pairs allow.
        threshold: A pair is accepted if its distance is below; infinite if all may be.
    """

    true_accept_rate: float
    false_accept_rate: float
    threshold: float


class Verification(NamedTuple):
    """Holds the scores of all pairs.

    Attributes:
        genuine: Number of pairs of one identity.
        impostor: Number of pairs of two.
        d_prime: Difference of the mean distances of both over the root of the mean of their
            variances; NaN if one has no pair, or none has any spread.
        at: What is accepted at each false accept rate asked for.
    """

    genuine: int
    impostor: int
    d_prime: float
    at: dict[float, Acceptance]


class PairDistances:
    """Collects the distances of pairs, block by block.

    Args:
        pairs: Upper bound of the number of impostor pairs there will be: queries times
            gallery tracklets.
        fars: False accept rates, each in [0, 1].

    Raises:
        ValueError: If a rate is outside.
    """

    def __init__(self, pairs: int, fars: Sequence[float]) -> None:
        wrong = [far for far in fars if not 0 <= far <= 1]
        if wrong:
            raise ValueError(f"false accept rates are in [0, 1], found {wrong}")
        self._fars = tuple(fars)
        self._kept = max((_accepted(far, pairs) + 1 for far in fars), default=0)
        self._genuine: list[np.ndarray] = []
        self._nearest: list[np.ndarray] = []
        self._waiting = 0
        self._moments = np.zeros((2, 3))  # genuine, impostor: number, mean, sum of squares

    def add(self, distance: Array, match: Array, ignore: Array | None = None) -> None:
        """Adds a block.

        Args:
            distance: ``[b, g]``.
            match: ``[b, g]`` bool, true where both show the same identity.
            ignore: ``[b, g]`` bool, pairs that the protocol leaves out.

        Raises:
            ValueError: If a distance is not finite.
        """
        distance, same = finite_distances(distance), as_array(match).astype(bool, copy=False)
        counts = np.ones_like(same) if ignore is None else ~as_array(ignore).astype(bool)
        genuine, impostor = distance[same & counts], distance[counts & ~same]
        self._genuine.append(genuine)
        for row, values in enumerate((genuine, impostor)):
            self._moments[row] = _joined(self._moments[row], values)
        if self._kept:
            self._nearest.append(_smallest(impostor, self._kept))
            self._waiting += len(self._nearest[-1])
            if self._waiting > 2 * self._kept:
                self._nearest = [_smallest(np.concatenate(self._nearest), self._kept)]
                self._waiting = len(self._nearest[0])

    def scores(self) -> Verification:
        """Gives the scores of everything that was added."""
        (genuine, near, spread), (impostor, far, wide) = self._moments
        d_prime = math.nan
        if genuine and impostor and spread + wide > 0:
            d_prime = (far - near) / math.sqrt((spread / genuine + wide / impostor) / 2)
        own = np.concatenate([*self._genuine, np.empty(0)])
        nearest = np.sort(np.concatenate([*self._nearest, np.empty(0)]))
        at = {each: _acceptance(own, nearest, int(impostor), each) for each in self._fars}
        return Verification(int(genuine), int(impostor), float(d_prime), at)


def verification_scores(
    distance: Array, match: Array, ignore: Array | None = None, fars: Sequence[float] = (0.01,)
) -> Verification:
    """Gives the scores of all pairs at once.

    Args:
        distance: ``[q, g]``.
        match: ``[q, g]`` bool, true where both show the same identity.
        ignore: ``[q, g]`` bool, pairs that the protocol leaves out.
        fars: False accept rates.

    Raises:
        ValueError: If a rate is outside [0, 1] or a distance is not finite.
    """
    pairs = PairDistances(int(np.prod(as_array(match).shape)), fars)
    pairs.add(distance, match, ignore)
    return pairs.scores()


def _accepted(far: float, impostors: int) -> int:
    """Gives how many impostors a rate allows; by the decimal written, not its binary form."""
    return math.floor(Fraction(str(float(far))) * impostors)


def _acceptance(genuine: np.ndarray, nearest: np.ndarray, impostors: int, far: float) -> Acceptance:
    allowed = _accepted(far, impostors)
    # Below the first impostor that is one too many: equal distances are rejected together.
    threshold = float(nearest[allowed]) if allowed < impostors else math.inf
    accepted = int((nearest < threshold).sum()) if allowed < impostors else impostors
    return Acceptance(
        float((genuine < threshold).mean()) if len(genuine) else math.nan,
        accepted / impostors if impostors else math.nan,
        threshold if impostors else math.nan,
    )


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    return np.partition(values, count - 1)[:count] if count < len(values) else values


def _joined(moments: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Gives number, mean and sum of squared deviations after some values more."""
    if not len(values):
        return moments
    mean = values.mean(dtype=np.float64)
    squares = np.square(values - mean, dtype=np.float64).sum()
    count, old, total = moments
    number, apart = count + len(values), mean - old
    return np.array(
        [
            number,
            old + apart * len(values) / number,
            total + squares + apart**2 * count * len(values) / number,
        ]
    )
