"""Bootstrap confidence intervals of scores, resampling the query identities.

Tracklets of one person are alike, so resampling single queries would make the interval too narrow:
whole identities are drawn with replacement, each with all its queries.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentiles).
"""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.95
_AT_ONCE = 256  # resamples per matrix product


def bootstrap_intervals(
    scores: np.ndarray,
    identities: np.ndarray | Sequence[str],
    resamples: int,
    seed: int = 0,
    level: float = LEVEL,
    trials: np.ndarray | None = None,
) -> np.ndarray:
    """Return the percentile interval of each mean score.

    Args:
        scores: ``[s, n]``, s scores of n queries, NaN where a query does not count.
        identities: ``[n]``, the pid of each query.
        resamples: Number of times the identities are drawn.
        seed: Seed of the draws; the same seed gives the same interval.
        level: Fraction of the resamples inside, half of the rest on each side.
        trials: ``[n]``, the trial of each query; the mean over the trials of their means counts.
            None: one trial.

    Returns:
        ``[s, 2]``, lower and upper bound; NaN if no query counts.

    Raises:
        ValueError: If ``resamples`` is below 1, or ``level`` is not between 0 and 1.
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(
            f"expected at least 1 resample and a level between 0 and 1, found {resamples} and "
            f"{level}"
        )
    names, person = np.unique(np.asarray(identities), return_inverse=True)
    trial = np.zeros(len(person), dtype=np.int64) if trials is None else np.asarray(trials)
    ends = np.full((len(scores), 2), np.nan)
    if not len(names):
        return ends
    cells = (int(trial.max()) + 1, len(names))
    for number, values in enumerate(np.asarray(scores, dtype=np.float64)):
        counts = ~np.isnan(values)
        place = trial[counts] * cells[1] + person[counts]
        sums = np.bincount(place, values[counts], cells[0] * cells[1]).reshape(cells)
        sizes = np.bincount(place, minlength=cells[0] * cells[1]).reshape(cells)
        if counts.any():
            means = _resampled(sums, sizes, resamples, np.random.default_rng(seed))
            tails = [50 * (1 - level), 50 * (1 + level)]
            if len(means):
                ends[number] = np.percentile(means, tails)
    return ends


def _resampled(
    sums: np.ndarray, sizes: np.ndarray, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Return the mean score of each resample that has queries that count in every trial."""
    people = sums.shape[1]
    found = []
    for start in range(0, resamples, _AT_ONCE):
        count = min(_AT_ONCE, resamples - start)
        drawn = generator.multinomial(people, np.full(people, 1 / people), count).astype(float)
        total = drawn @ sizes.T  # [r, t]
        means = np.divide(drawn @ sums.T, total, out=np.full_like(total, np.nan), where=total > 0)
        found.append(means.mean(1))
    every = np.concatenate(found)
    return every[~np.isnan(every)]
