"""Calibration of the distance threshold that separates persons."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..engine.files import write_json
from .records import GalleryError

FORMAT = "opengait_ext/calibration/1"
FILE = "calibration.json"
INTERVAL = 0.95
_SLACK = 1e-9  # of sums of whole numbers in float64


class Pairs(NamedTuple):
    """Pairs of tracklets of different modality, sorted by distance.

    Attributes:
        distance: ``[m]``, ascending.
        same: bool ``[m]``, whether both tracklets have one identity.
        first: int64 ``[m]``, identity number of the infrared tracklet.
        second: int64 ``[m]``, identity number of the visible tracklet.
    """

    distance: np.ndarray
    same: np.ndarray
    first: np.ndarray
    second: np.ndarray


class Operating(NamedTuple):
    """A threshold and its accept rates.

    Attributes:
        threshold: Two tracklets nearer than this count as one person.
        far: Fraction of the pairs of two persons that are nearer (false accept rate).
        tar: Fraction of the pairs of one person that are nearer (true accept rate).
    """

    threshold: float
    far: float
    tar: float


def pairs_of(distance: np.ndarray, infrared: np.ndarray, visible: np.ndarray,
             ignore: np.ndarray) -> Pairs:  # fmt: skip
    """Return all pairs that count, each once.

    Args:
        distance: ``[q, g]``, infrared to visible tracklets.
        infrared: Identities ``[q]``.
        visible: Identities ``[g]``.
        ignore: bool ``[q, g]``, true for the pairs that the camera rule excludes.
    """
    numbers = np.unique(np.concatenate([infrared, visible]), return_inverse=True)[1]
    first, second = np.split(numbers.reshape(-1), [len(infrared)])
    rows, columns = np.nonzero(~ignore)
    order = np.argsort(distance[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    one, other = first[rows], second[columns]
    return Pairs(distance[rows, columns], one == other, one, other)


def operating_point(pairs: Pairs, far: float, weights: np.ndarray | None = None) -> Operating:
    """Return the largest threshold whose false accept rate is at most ``far``.

    The threshold is the distance of the first pair of two persons that would exceed the rate. A
    distance equal to the threshold is not accepted, so pairs of equal distance are treated alike.

    Args:
        pairs: Pairs in ascending order of distance.
        far: Target false accept rate, between 0 and 1.
        weights: ``[m]``, number of times that each pair counts; None: once.

    Raises:
        GalleryError: If pairs of one kind are missing, or ``far`` is not between 0 and 1.
    """
    if not 0 < far < 1:
        raise GalleryError(f"the false accept rate is {far}; expected above 0 and below 1: 0.01")
    weights = np.ones(len(pairs.distance)) if weights is None else weights
    others, same = weights * ~pairs.same, weights * pairs.same
    if not others.any() or not same.any():
        raise GalleryError(
            f"the validation split gives {int(same.sum())} pairs of one person and "
            f"{int(others.sum())} of two, visible and infrared; a threshold needs both"
        )
    passed = np.cumsum(others)
    place = int(np.searchsorted(passed, far * passed[-1] * (1 + _SLACK), side="right"))
    threshold = pairs.distance[place]
    nearer = int(np.searchsorted(pairs.distance, threshold))  # equal distances do not count
    return Operating(
        float(threshold),
        float(others[:nearer].sum() / others.sum()),
        float(same[:nearer].sum() / same.sum()),
    )


def calibrated(pairs: Pairs, far: float, samples: int = 500, seed: int = 0) -> dict[str, Any]:
    """Return the operating point with confidence intervals over identities.

    Each bootstrap sample draws as many identities as there are, with replacement. A pair counts
    as often as both of its identities were drawn.

    Args:
        pairs: Pairs of the validation split.
        far: Target false accept rate.
        samples: Number of bootstrap samples.
        seed: Seed of the bootstrap's draws.

    Returns:
        ``threshold``, ``far``, ``tar``, ``wanted_far``; the ends of the intervals of threshold and
        tar; the numbers of identities, pairs and samples.

    Raises:
        GalleryError: If there are too few pairs of two persons to measure such a rate, or no
            sample has pairs of both kinds.
    """
    point = operating_point(pairs, far)
    impostors = int((~pairs.same).sum())
    if far * impostors < 1:
        raise GalleryError(
            f"a false accept rate of {far} cannot be told from {impostors} pairs of two persons; "
            f"expected {1 / impostors:.2g} or more (--far), or a larger validation split"
        )
    drawn = list(_bootstrap(pairs, far, samples, seed))
    if not drawn:
        raise GalleryError(
            f"none of {samples} samples of the {len(np.union1d(pairs.first, pairs.second))} "
            "identities has pairs of one person and of two: take more (--samples), or a larger "
            "validation split"
        )
    ends = [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]
    columns = np.array([[each.threshold, each.tar] for each in drawn])
    low, high = np.quantile(columns, ends, axis=0)
    return {
        "wanted_far": far,
        **point._asdict(),
        "interval": INTERVAL,
        "threshold_interval": [float(low[0]), float(high[0])],
        "tar_interval": [float(low[1]), float(high[1])],
        "identities": len(np.union1d(pairs.first, pairs.second)),
        "pairs_of_one": int(pairs.same.sum()),
        "pairs_of_two": impostors,
        "samples": len(drawn),
        "seed": seed,
    }  # fmt: skip


def _bootstrap(pairs: Pairs, far: float, samples: int, seed: int) -> Iterator[Operating]:
    rng = np.random.default_rng(seed)
    count = int(max(pairs.first.max(), pairs.second.max())) + 1
    for _ in range(samples):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        # A pair of one identity that was drawn twice counts twice, not four times.
        weights = np.where(pairs.same, times[pairs.first], times[pairs.first] * times[pairs.second])
        if weights[pairs.same].any() and weights[~pairs.same].any():
            yield operating_point(pairs, far, weights)


def write_calibration(path: Path, content: Mapping[str, Any]) -> None:
    """Write a calibration atomically."""
    write_json(path, {"format": FORMAT, **content})


def read_calibration(checkpoint: str | Path, sha256: str) -> dict[str, Any] | None:
    """Return the calibration stored beside a checkpoint.

    None if there is none, or if it belongs to another checkpoint.

    Raises:
        GalleryError: If the file is damaged.
    """
    path = Path(checkpoint).parent / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fits = content["format"] == FORMAT and content["sha256"] == sha256
        content["threshold"], content["wanted_far"] = (
            float(content[name]) for name in ("threshold", "wanted_far")
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise GalleryError(
            f"{path}: not a calibration ({type(fault).__name__}: {fault}); make it again with "
            "opengait-ext calibrate"
        ) from fault
    return content if fits else None
