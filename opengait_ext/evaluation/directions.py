"""Scores of one direction: means over queries and trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .intervals import bootstrap_intervals
from .metrics import QueryScores, cmc_curve
from .result import DirectionResult
from .retrieval import Block, Direction, Trial
from .verification import PairDistances, Verification


@dataclass(frozen=True)
class Settings:
    """The measures to compute; see ``evaluate_cross_modality``."""

    ranks: Sequence[int]
    block_size: int
    confidence: int = 0
    tar_at_far: Sequence[float] = ()


class _Tally:
    """Collector of the scores of one trial, block by block."""

    def __init__(self, trial: Trial, settings: Settings) -> None:
        self.query, self.gallery = trial.query, trial.gallery
        self._trial = trial
        self._blocks: list[QueryScores] = []
        self.ignored = 0
        fars, pairs = settings.tar_at_far, len(trial.query) * len(trial.gallery)
        self._pairs = PairDistances(pairs, fars) if fars else None

    def add(self, block: Block) -> None:
        """Add the scores of a block."""
        self.ignored += int(np.count_nonzero(block.ignore))
        self._blocks.append(self._trial.scored(block))
        if self._pairs is not None:
            self._pairs.add(block.distance, block.match, block.ignore)

    def scores(self) -> QueryScores:
        """Return the scores of all queries."""
        return self._trial.scores(self._blocks)

    def verification(self) -> Verification | None:
        """Return the verification scores of the pairs; None if they were not requested."""
        return self._pairs.scores() if self._pairs is not None else None


def score_direction(direction: Direction, skipped: bool, settings: Settings) -> DirectionResult:
    """Score one direction.

    Args:
        direction: Queries, galleries and distances.
        skipped: Whether scores leave out queries without a match.
        settings: The measures to compute.
    """
    tallies = [_Tally(trial, settings) for trial in direction.trials]
    for number, block in direction.blocks(settings.block_size):
        tallies[number].add(block)
    return _result(tallies, skipped, settings)


def _result(trials: Sequence[_Tally], skipped: bool, settings: Settings) -> DirectionResult:
    tables = [trial.scores() for trial in trials]
    every = [
        _means(scores, trial.verification(), settings.ranks)
        for scores, trial in zip(tables, trials, strict=True)
    ]
    missed = [
        trial.query.paths[place]
        for scores, trial in zip(tables, trials, strict=True)
        for place in np.flatnonzero(~np.isfinite(scores.first_hit))
    ]
    unmatched = list(dict.fromkeys(missed))
    means = _joined(every, np.mean)
    ranking = _ranking(settings.ranks)
    verified = trials[0].verification() if len(trials) == 1 else None
    return DirectionResult(
        queries=round(np.mean([len(trial.query) for trial in trials])),
        gallery=round(np.mean([len(trial.gallery) for trial in trials])),
        identities=len({pid for trial in trials for pid in trial.query.pids.tolist()}),
        dropped=unmatched if skipped else [],
        ignored_pairs=sum(trial.ignored for trial in trials),
        cmc={rank: means[f"R{rank}"] for rank in settings.ranks},
        mean_average_precision=means["mAP"],
        mean_inverse_negative_penalty=means["mINP"],
        unmatched=[] if skipped else unmatched,
        further={name: value for name, value in means.items() if name not in ranking},
        trials=len(trials),
        spread=_joined(every, np.std) if len(trials) > 1 else {},
        intervals=_intervals(trials, tables, settings) if settings.confidence else {},
        pairs=_pairs(verified) if verified else {},
    )


def _means(
    scores: QueryScores, verified: Verification | None, ranks: Sequence[int]
) -> dict[str, float]:
    valid = ~np.isnan(scores.first_hit)
    curve = cmc_curve(scores.first_hit, max(ranks))
    means = {f"R{rank}": float(curve[rank - 1]) for rank in ranks}
    means["mAP"] = _mean(scores.average_precision[valid])
    means["mINP"] = _mean(scores.inverse_negative_penalty[valid])
    if verified is not None:
        for far, accepted in verified.at.items():
            means[f"TAR@{far:g}"] = accepted.true_accept_rate
        means["d_prime"] = verified.d_prime
    return means


def _pairs(verified: Verification) -> dict[str, Any]:
    at = {f"{far:g}": accepted._asdict() for far, accepted in verified.at.items()}
    return {"genuine": verified.genuine, "impostor": verified.impostor, "at": at}


def _ranking(ranks: Sequence[int]) -> list[str]:
    return [*(f"R{rank}" for rank in ranks), "mAP", "mINP"]


def _joined(means: Sequence[Mapping[str, float]], how: Any) -> dict[str, float]:
    if len(means) == 1:
        return dict(means[0])
    return {name: float(how([each[name] for each in means])) for name in means[0]}


def _intervals(
    trials: Sequence[_Tally], tables: Sequence[QueryScores], settings: Settings
) -> dict[str, tuple[float, float]]:
    rows = []
    for scores in tables:
        first = scores.first_hit
        hits = [np.where(np.isnan(first), np.nan, first <= rank) for rank in settings.ranks]
        rows.append(np.stack([*hits, scores.average_precision, scores.inverse_negative_penalty]))
    numbers = [np.full(row.shape[1], number) for number, row in enumerate(rows)]
    ends = bootstrap_intervals(
        np.concatenate(rows, axis=1),
        np.concatenate([trial.query.pids for trial in trials]),
        settings.confidence,
        trials=np.concatenate(numbers),
    )
    names = _ranking(settings.ranks)
    return {name: (float(low), float(high)) for name, (low, high) in zip(names, ends, strict=True)}


def _mean(scores: np.ndarray) -> float:
    return float(scores.mean()) if len(scores) else float("nan")
