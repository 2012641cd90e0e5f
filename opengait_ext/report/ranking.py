"""Ranking of the gallery for each query of a tested run.

Query and gallery sets, distances and scores come from ``evaluation.retrieval``. This module only
keeps what a report shows per query. Letters: q queries, g gallery tracklets, k places shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from ..evaluation.inputs import Embedded
from ..evaluation.metrics import QueryScores
from ..evaluation.retrieval import Retrieval, Trial
from .tallies import CameraPairs, Distances, nearest_of

BLOCK = 256  # queries at a time


class ReportError(UserError):
    """A run cannot be shown: something is missing or does not belong together."""


@dataclass(frozen=True)
class Ranking:
    """The rankings of one direction.

    Attributes:
        query: ``[q]`` positions in the partition's list of tracklets.
        gallery: ``[g]`` positions.
        scores: Scores of each query; NaN where the gallery holds no match.
        matches: ``[q]``, number of matches that the protocol keeps.
        nearest: For each query, positions in the partition of the nearest, at most k.
        distances: Distances of the nearest.
        cameras: Matches by camera.
        intra: Distances of the pairs of one identity that the protocol keeps.
        inter: Distances of the pairs of two identities.
    """

    query: np.ndarray
    gallery: np.ndarray
    scores: QueryScores
    matches: np.ndarray
    nearest: list[np.ndarray]
    distances: list[np.ndarray]
    cameras: CameraPairs
    intra: Distances
    inter: Distances


def ranked(
    embedded: Embedded,
    split: str,
    metric: str,
    places: int = 10,
    rerank: Mapping[str, Any] | None = None,
) -> dict[str, Ranking]:
    """Rank the gallery for every query of a split, as the evaluation does.

    Where the protocol draws galleries, the first one is ranked. Temporal re-ranking needs
    embeddings that no run stores; there the lists are those before re-ranking.

    Args:
        embedded: The embeddings of the test, and the partition.
        split: Split of the partition whose tasks are ranked.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.
        places: Number of nearest tracklets to keep per query.
        rerank: Settings of the test's re-ranking; None: no re-ranking.

    Returns:
        The rankings by direction, in the partition's order.

    Raises:
        UserError: If embeddings and partition do not belong together, or the protocol or the
            re-ranking is unknown.
    """
    applied = None if rerank and rerank["type"] == "temporal" else rerank or None
    retrieval = Retrieval(embedded, split, metric, applied)
    return {
        name: _ranking(direction.trials[0], places, _longest(direction.trials[0], metric, rerank))
        for name, direction in retrieval.directions.items()
    }


def _ranking(trial: Trial, places: int, upper: float) -> Ranking:
    query, gallery = trial.query, trial.gallery
    intra, inter = Distances(upper), Distances(upper)
    (cameras, here), (others, there) = (
        np.unique(side.camids, return_inverse=True) for side in (query, gallery)
    )
    found, matched = (np.zeros((len(cameras), len(others)), np.int64) for _ in range(2))
    nearest, distances, scores, matches = [], [], [], []
    for block in trial.blocks(BLOCK):
        start, distance, match, ignored = block
        kept = match & ~ignored
        scores.append(trial.scored(block))
        matches.append(kept.sum(1))
        intra.add(distance[kept])
        inter.add(distance[~match & ~ignored])
        which, column = np.nonzero(kept)
        np.add.at(matched, (here[start + which], there[column]), 1)
        for row, values in enumerate(distance):
            order = nearest_of(np.where(ignored[row], np.inf, values), places)
            nearest.append(gallery.positions[order])
            distances.append(values[order])
            hits = order[match[row, order]]
            np.add.at(found[here[start + row]], there[hits], 1)
    return Ranking(
        query.positions,
        gallery.positions,
        trial.scores(scores),
        np.concatenate(matches),
        nearest,
        distances,
        CameraPairs(cameras, others, found, matched),
        intra,
        inter,
    )


def _longest(trial: Trial, metric: str, rerank: Mapping[str, Any] | None) -> float:
    """Return a distance that no pair exceeds."""
    if rerank:
        return 1.0
    if metric == "cosine":
        return 2.0
    return sum(_upper(side.chosen[:].numpy()) for side in (trial.query, trial.gallery))


def _upper(embeddings: np.ndarray) -> float:
    """Return the largest mean length of a tracklet's parts; 1 if all are zero."""
    lengths = np.sqrt(np.square(embeddings, dtype=np.float64).sum(1)).mean(1)
    return float(lengths.max()) or 1.0
