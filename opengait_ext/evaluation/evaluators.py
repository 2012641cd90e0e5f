"""Protocols of retrieval: who queries whom, and what is left out.

No data set is named here: tasks, identities, cameras and the protocol stand in the
partition of the prepared data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from .directions import Settings, score_direction
from .faults import EvaluationError
from .inputs import Table, halves_of, read_partition, table_of, tasks_of
from .intervals import LEVEL
from .protocols import CAMERA_RULES, Protocol, checked
from .result import DirectionResult, RetrievalResult

__all__ = ["CAMERA_RULES", "EvaluationError", "evaluate_cross_modality"]


def evaluate_cross_modality(
    data: Mapping[str, Any],
    dataset: str,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    partition: Any = "",
    split: str = "test",
    ranks: tuple[int, ...] = (1, 5, 10, 20),
    block_size: int = 512,
    confidence: int = 0,
    tar_at_far: tuple[float, ...] = (),
    rerank: dict[str, Any] | None = None,
) -> RetrievalResult:
    """Scores every direction of a split, each query against the whole gallery.

    The rules are those of the partition's protocol, see ``protocols``. The camera rule
    ``same_pid_camid`` leaves out gallery tracklets with both the identity and the camera number
    of the query, even if the numbers mean different sensors in the two modalities (HITSZ-VCM);
    ``none`` leaves out nothing (BUPTCampus).

    Args:
        data: ``embeddings`` ``[N, d, p]``, tensor or array, and for each of the N tracklets
            its folder names ``labels`` (identity), ``types`` (modality), ``views``. For a
            temporal re-ranking also ``halves``: the same embeddings of the first and of the
            second half of each tracklet's frames.
        dataset: Name of the data set, for the result.
        metric: Distance between two parts; the mean over the parts counts.
        partition: The path of a ``partition.json``, or what stands in one, as a mapping or
            a dataclass with the same fields.
        split: Which tasks of the partition.
        ranks: Where the CMC curve is read.
        block_size: Queries whose distances are held at a time.
        confidence: Resamples of the query identities for 95 % intervals; 0 for none.
        tar_at_far: False accept rates at which the true accept rate is given, with d prime.
        rerank: Settings of a re-ranking, see ``rerank.checked``; None for none.

    Returns:
        The scores by direction, in the partition's order.

    Raises:
        EvaluationError: If the partition cannot be read or lacks something, if protocol or split
            are unknown, if data lack a key, if an embedding is missing, there twice, of an
            unknown tracklet, of another size or not finite, or if a number is out of range.
        ValueError: If the metric is unknown or ``block_size`` is below 1.
    """
    content = read_partition(partition)
    protocol = checked(content["protocol"])
    settings = _settings(metric, ranks, block_size, confidence, tar_at_far, rerank)
    table = table_of(data, content["tracklets"])
    if settings.rerank and settings.rerank["type"] == "temporal":
        settings = replace(settings, halves=halves_of(data, table.embeddings))
    tasks = tasks_of(content, split)
    _check_swapped(protocol, tasks, split)
    directions = {
        name: _scored(table, task, f"{split}, {name}", protocol, name in protocol.swapped, settings)
        for name, task in tasks.items()
    }
    return RetrievalResult(
        dataset, split, metric, table.embeddings.shape[2], dict(content["protocol"]), directions,
        rerank=settings.rerank, confidence=_drawn(confidence),
    )  # fmt: skip


def _drawn(resamples: int) -> dict[str, Any] | None:
    """Says how intervals came about, if they were asked for."""
    how = {"level": LEVEL, "resamples": resamples, "seed": 0, "over": "query identities"}
    return how if resamples else None


def _scored(
    table: Table,
    task: Mapping[str, Any],
    place: str,
    protocol: Protocol,
    swapped: bool,
    settings: Settings,
) -> DirectionResult:
    query = table.side(task["query"], f"{place}, query")
    gallery = table.side(task["gallery"], f"{place}, gallery")
    return score_direction(query, gallery, protocol, swapped, settings, place)


def _settings(
    metric: str,
    ranks: Sequence[int],
    block_size: int,
    confidence: int,
    tar_at_far: Sequence[float],
    rerank: dict[str, Any] | None,
) -> Settings:
    """Gives what is measured, checked."""
    if not ranks or min(ranks) < 1:
        raise EvaluationError(f"ranks is {list(ranks)}; expected numbers from 1, as in [1, 5, 10]")
    if confidence < 0:
        raise EvaluationError(f"confidence is {confidence}; expected a number of resamples, or 0")
    if not all(0 <= far <= 1 for far in tar_at_far):
        raise EvaluationError(f"tar_at_far is {list(tar_at_far)}; expected rates such as [0.01]")
    if rerank is not None:
        from .rerank import checked as checked_rerank

        rerank = checked_rerank(rerank)
    return Settings(metric, ranks, block_size, confidence, tar_at_far, rerank)


def _check_swapped(protocol: Protocol, tasks: Mapping[str, Any], split: str) -> None:
    wrong = sorted(protocol.swapped - set(tasks))
    if wrong:
        raise EvaluationError(
            f"the partition's protocol says swapped: {wrong}; the split {split!r} has the "
            f"directions {', '.join(tasks)}"
        )
