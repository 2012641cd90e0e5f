"""Verification scores of pairs of tracklets: true accept rate, false accept rate, d prime.

Every pair of query and gallery tracklet that the protocol keeps counts: as genuine if both have
the same identity, as impostor otherwise. A pair is accepted if its distance is below a threshold.
Distances are added block by block; all genuine distances are kept, but of the impostors only the
smallest, as many as the largest false accept rate needs.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from .metrics import Array, as_array, finite_distances


class Acceptance(NamedTuple):
    """The effect of a threshold.

    Attributes:
        true_accept_rate: Fraction of the genuine pairs below the threshold; NaN if there are
            no genuine pairs.
        false_accept_rate: Fraction of the impostor pairs below the threshold: the requested rate,
            or the next lower one that the pairs allow.
        threshold: Distance below which a pair is accepted; infinite if all may be accepted.
    """

    true_accept_rate: float
    false_accept_rate: float
    threshold: float


class Verification(NamedTuple):
    """The verification scores of all pairs.

    Attributes:
        genuine: Number of pairs of one identity.
        impostor: Number of pairs of two identities.
        d_prime: Difference of the mean distances of impostor and genuine pairs, divided by the
            root of the mean of their variances; NaN if a kind has no pairs, or both variances
            are 0.
        at: Acceptance at each requested false accept rate.
    """

    genuine: int
    impostor: int
    d_prime: float
    at: dict[float, Acceptance]


class PairDistances:
    """Collector of the distances of pairs, block by block.

    Args:
        pairs: Upper bound on the number of impostor pairs: queries times gallery tracklets.
        fars: False accept rates, each in [0, 1].

    Raises:
        ValueError: If a rate is outside [0, 1].
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
        """Add the pairs of a block.

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
        """Return the scores of all added pairs."""
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
    """Return the scores of all pairs at once.

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
    """Return the number of impostors that a rate allows, from its decimal, not its binary form."""
    return math.floor(Fraction(str(float(far))) * impostors)


def _acceptance(genuine: np.ndarray, nearest: np.ndarray, impostors: int, far: float) -> Acceptance:
    allowed = _accepted(far, impostors)
    # The distance of the first impostor too many: equal distances are rejected together.
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
    """Return number, mean and sum of squared deviations after adding values."""
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
