"""Scores one direction by a protocol: every query against the gallery, a block at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..escaping import some
from .distance import distance_blocks
from .faults import EvaluationError
from .inputs import Side
from .intervals import bootstrap_intervals
from .metrics import QueryScores, cmc_curve, score_identities
from .protocols import Protocol, draw
from .result import DirectionResult
from .verification import PairDistances, Verification


@dataclass(frozen=True)
class Settings:
    """Holds what is measured beside the protocol; see ``evaluate_cross_modality``."""

    metric: str
    ranks: Sequence[int]
    block_size: int
    confidence: int = 0
    tar_at_far: Sequence[float] = ()
    rerank: dict[str, Any] | None = None
    halves: tuple[Tensor, Tensor] | None = None  # [N, d, p], for a temporal re-ranking


class _Trial:
    """Collects the scores of one gallery.

    Args:
        rows: ``[Q]`` positions among all queries of the direction.
        columns: ``[G]`` positions in all its gallery.
    """

    def __init__(
        self, query: Side, gallery: Side, rows: np.ndarray, columns: np.ndarray,
        protocol: Protocol, settings: Settings,
    ) -> None:  # fmt: skip
        self.query, self.gallery = query.only(rows), gallery.only(columns)
        self.rows, self.columns = rows, columns
        self.protocol = protocol
        numbers = np.unique(
            np.concatenate((self.query.pids, self.gallery.pids)), return_inverse=True
        )[1].astype(np.int32)  # compared faster than text
        self._wanted, self._offered = np.split(numbers, [len(rows)])
        places = [protocol.places(side.camids) for side in (self.query, self.gallery)]
        self._here, self._there = places
        self._blocks: list[QueryScores] = []
        self.ignored = 0
        fars = settings.tar_at_far
        self._pairs = PairDistances(len(rows) * len(columns), fars) if fars else None

    def add(self, start: int, distance: Tensor) -> None:
        """Adds the distances of the queries of this trial from position ``start`` on."""
        block = slice(start, start + len(distance))
        match = self._wanted[block, None] == self._offered  # [b, g]
        ignore = self.protocol.left_out(match, self._here[block, None] == self._there)  # [b, g]
        count = int(np.count_nonzero(ignore))
        self.ignored += count
        values = distance.numpy() if distance.device.type == "cpu" else distance.cpu().numpy()
        self._blocks.append(
            score_identities(
                values,
                self._wanted[block],
                self._offered,
                ignore if count else None,
                ap=self.protocol.ap,  # type: ignore[arg-type]
                cmc=self.protocol.cmc,  # type: ignore[arg-type]
            )
        )
        if self._pairs is not None:
            self._pairs.add(values, match, ignore)

    def scores(self) -> QueryScores:
        """Gives the scores of all queries; of those without a match as the protocol says."""
        joined = [np.concatenate(parts) for parts in zip(*self._blocks, strict=True)]
        if self.protocol.unmatched == "count_as_zero":
            for values, miss in zip(joined, (0.0, 0.0, np.inf), strict=True):
                values[np.isnan(values)] = miss
        return QueryScores(*joined)

    def verification(self) -> Verification | None:
        """Gives the scores of the pairs, if they were asked for."""
        return self._pairs.scores() if self._pairs is not None else None


def score_direction(
    query: Side, gallery: Side, protocol: Protocol, swapped: bool, settings: Settings, place: str
) -> DirectionResult:
    """Scores one direction.

    Args:
        query: What the partition lists as queries.
        gallery: What it lists as gallery.
        protocol: The rules.
        swapped: Whether the gallery, once drawn, queries the queries.
        settings: What is measured.
        place: Split and direction, for messages.

    Raises:
        EvaluationError: If the protocol leaves no query or no gallery.
    """
    query, gallery = _kept(query, gallery, protocol, place)
    count = protocol.trials.count if protocol.trials else 1
    sizes = (np.arange(len(query)), np.arange(len(gallery)))
    trials = []
    for number in range(count):
        rows, columns = sizes
        if protocol.trials:
            names = gallery.pids.tolist(), gallery.camids.tolist(), gallery.paths
            columns = draw(*names, protocol.trials, number)
        sides = (gallery, query, columns, rows) if swapped else (query, gallery, rows, columns)
        trials.append(_Trial(*sides, protocol, settings))
    first, second = (gallery, query) if swapped else (query, gallery)
    if settings.rerank is not None:
        for trial in trials:  # its neighbors are those of this gallery
            for start, distance in _reranked(trial.query, trial.gallery, settings.rerank, settings):
                trial.add(start, distance)
    else:
        _compare(first, second, trials, settings)
    return _result(trials, settings)


def _kept(query: Side, gallery: Side, protocol: Protocol, place: str) -> tuple[Side, Side]:
    """Gives queries and gallery without junk and without cameras that the protocol leaves out."""
    sides = [query, gallery]
    if protocol.junk:
        sides = [side.only(~np.isin(side.pids.astype(str), list(protocol.junk))) for side in sides]
    if protocol.gallery_cameras is not None:
        sides[1] = sides[1].only(np.isin(sides[1].camids, list(protocol.gallery_cameras)))
    for name, before, side in zip(("query", "gallery"), (query, gallery), sides, strict=True):
        if not len(side):
            raise EvaluationError(
                f"the protocol leaves no {name} ({place}): junk {sorted(protocol.junk)} and "
                f"gallery_cameras {sorted(protocol.gallery_cameras or [])} leave out "
                f"{some(before.paths)}"
            )
    return sides[0], sides[1]


def _compare(query: Side, gallery: Side, trials: Sequence[_Trial], settings: Settings) -> None:
    """Gives every trial its part of the distances, each of which is computed once."""
    everything = len(trials) == 1 and (
        (len(trials[0].rows), len(trials[0].columns)) == (len(query), len(gallery))
    )
    for start, distance in distance_blocks(
        query.chosen, gallery.chosen, settings.metric, settings.block_size
    ):
        for trial in trials:
            if everything:
                trial.add(start, distance)
                continue
            begin, end = np.searchsorted(trial.rows, [start, start + len(distance)])
            if begin < end:
                rows = torch.from_numpy(trial.rows[begin:end] - start).to(distance.device)
                columns = torch.from_numpy(trial.columns).to(distance.device)
                trial.add(int(begin), distance[rows][:, columns])


def _reranked(
    query: Side, gallery: Side, rerank: Mapping[str, Any], settings: Settings
) -> Iterator[tuple[int, Tensor]]:
    from .rerank import rerank_distances, temporal_distances

    if settings.halves is None:
        distance = rerank_distances(query.chosen, gallery.chosen, rerank, settings.metric)
    else:
        whole, first, second = (
            (query.chosen_of(each), gallery.chosen_of(each))
            for each in (query.embeddings, *settings.halves)
        )
        distance = temporal_distances(whole, first, second, rerank, settings.metric)
    for start in range(0, len(distance), settings.block_size):
        yield start, distance[start : start + settings.block_size]


def _result(trials: Sequence[_Trial], settings: Settings) -> DirectionResult:
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
    skipped = trials[0].protocol.unmatched == "skip"
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
    trials: Sequence[_Trial], tables: Sequence[QueryScores], settings: Settings
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
