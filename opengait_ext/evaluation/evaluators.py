"""The evaluator of cross-modality retrieval.

No data set is named here: tasks, identities, cameras and the protocol come from the
partition of the prepared data.
"""

from collections.abc import Sequence
from typing import Any, Literal

from .directions import Settings, score_direction
from .faults import EvaluationError
from .inputs import Embedded
from .intervals import LEVEL
from .protocols import CAMERA_RULES
from .result import RetrievalResult
from .retrieval import Retrieval

__all__ = ["CAMERA_RULES", "EvaluationError", "evaluate_cross_modality"]


def evaluate_cross_modality(
    embedded: Embedded,
    dataset: str,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    split: str = "test",
    ranks: tuple[int, ...] = (1, 5, 10, 20),
    block_size: int = 512,
    confidence: int = 0,
    tar_at_far: tuple[float, ...] = (),
    rerank: dict[str, Any] | None = None,
) -> RetrievalResult:
    """Score every direction of a split, each query against the whole gallery.

    The partition's protocol sets the rules, see ``protocols``. The camera rule ``same_pid_camid``
    ignores gallery tracklets with both the identity and the camera number of the query, even if
    the numbers mean different sensors in the two modalities (HITSZ-VCM); ``none`` ignores nothing
    (BUPTCampus).

    Args:
        embedded: Embeddings and their partition; with halves for a temporal re-ranking.
        dataset: Name of the data set, for the result.
        metric: Distance between two parts; the mean over the parts counts.
        split: Split of the partition whose tasks are scored.
        ranks: Ranks of the CMC curve to report.
        block_size: Number of queries whose distances are held at a time.
        confidence: Resamples of the query identities for 95 % intervals; 0 for none.
        tar_at_far: False accept rates at which to report the true accept rate, with d prime.
        rerank: A re-ranking: its ``type``, and values that differ from the defaults; None: none.

    Returns:
        The scores by direction, in the partition's order.

    Raises:
        EvaluationError: If the protocol or the split is unknown, an embedding is missing, or a
            number is out of range.
        ValueError: If the metric is unknown or ``block_size`` is below 1.
    """
    settings = _settings(ranks, block_size, confidence, tar_at_far)
    if rerank is not None:
        from .rerank import checked as checked_rerank

        rerank = checked_rerank(rerank)
    retrieval = Retrieval(embedded, split, metric, rerank)
    skipped = retrieval.protocol.unmatched == "skip"
    directions = {
        name: score_direction(direction, skipped, settings)
        for name, direction in retrieval.directions.items()
    }
    return RetrievalResult(
        dataset, split, metric, embedded.embeddings.shape[2], dict(embedded.partition.protocol),
        directions, rerank=rerank, confidence=_drawn(confidence),
    )  # fmt: skip


def _drawn(resamples: int) -> dict[str, Any] | None:
    """Return the facts of the bootstrap intervals; None if none were requested."""
    how = {"level": LEVEL, "resamples": resamples, "seed": 0, "over": "query identities"}
    return how if resamples else None


def _settings(
    ranks: Sequence[int], block_size: int, confidence: int, tar_at_far: Sequence[float]
) -> Settings:
    """Return the checked settings."""
    if not ranks or min(ranks) < 1:
        raise EvaluationError(f"ranks is {list(ranks)}; expected numbers from 1, as in [1, 5, 10]")
    if confidence < 0:
        raise EvaluationError(f"confidence is {confidence}; expected a number of resamples, or 0")
    if not all(0 <= far <= 1 for far in tar_at_far):
        raise EvaluationError(f"tar_at_far is {list(tar_at_far)}; expected rates such as [0.01]")
    return Settings(ranks, block_size, confidence, tar_at_far)
