"""Protocols of retrieval: who queries whom, and what is left out.

No data set is named here: tasks, identities, cameras and the camera rule stand in the
partition of the prepared data.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .distance import as_tensor, distance_blocks
from .metrics import QueryScores, cmc_curve, score_queries
from .result import DirectionResult, RetrievalResult

SHOWN = 5  # tracklets named in an error message


class EvaluationError(UserError):
    """Embeddings and partition do not belong together, or a protocol is unknown."""


class _Side(NamedTuple):
    """Holds the queries or the gallery of a direction: one entry per tracklet."""

    embeddings: Tensor  # [n, d, p]
    paths: list[str]
    pids: np.ndarray
    camids: np.ndarray


class _Table(NamedTuple):
    """Holds the embeddings, which row belongs to which path, and the partition's tracklets."""

    embeddings: Tensor  # [N, d, p]
    rows: Mapping[str, int]
    tracklets: Sequence[Mapping[str, Any]]

    def side(self, positions: Sequence[int], place: str) -> _Side:
        """Gathers the queries or the gallery of a direction."""
        count = len(self.tracklets)
        if not positions or min(positions) < 0 or max(positions) >= count:
            raise EvaluationError(
                f"the partition's task ({place}): expected positions from 0 to {count - 1} in "
                f"its list of tracklets, found {_some(positions) or 'none'}"
            )
        chosen = [self.tracklets[position] for position in positions]
        paths = [tracklet["path"] for tracklet in chosen]
        missing = [path for path in paths if path not in self.rows]
        if missing:
            raise EvaluationError(
                f"{len(missing)} of {len(paths)} tracklets have no embedding ({place}): "
                f"{_some(missing)}. The loader must read the whole split"
            )
        rows = torch.tensor([self.rows[path] for path in paths], device=self.embeddings.device)
        pids = np.array([tracklet["pid"] for tracklet in chosen])
        camids = np.array([tracklet["camid"] for tracklet in chosen])
        return _Side(self.embeddings[rows], paths, pids, camids)


def _same_pid_camid(match: np.ndarray, same_camera: np.ndarray) -> np.ndarray:
    return match & same_camera


def _nothing(match: np.ndarray, same_camera: np.ndarray) -> np.ndarray:
    return np.zeros_like(match)


# What a query's ranking leaves out, from [b, g] same identity and [b, g] same camera number.
CAMERA_RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "same_pid_camid": _same_pid_camid,
    "none": _nothing,
}


def evaluate_cross_modality(
    data: Mapping[str, Any],
    dataset: str,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    partition: Any = "",
    split: str = "test",
    ranks: tuple[int, ...] = (1, 5, 10, 20),
    block_size: int = 512,
) -> RetrievalResult:
    """Scores every direction of a split, each query against the whole gallery.

    The camera rule is what the partition's protocol says under ``ignore``:
    ``same_pid_camid`` leaves out gallery tracklets with both the identity and the camera
    number of the query, even if the numbers mean different sensors in the two modalities
    (HITSZ-VCM); ``none`` leaves out nothing (BUPTCampus). A query without a match is dropped.

    Args:
        data: ``embeddings`` ``[N, d, p]``, tensor or array, and for each of the N tracklets
            its folder names ``labels`` (identity), ``types`` (modality), ``views``.
        dataset: Name of the data set, for the result.
        metric: Distance between two parts; the mean over the parts counts.
        partition: The path of a ``partition.json``, or what stands in one, as a mapping or
            a dataclass with the same fields.
        split: Which tasks of the partition.
        ranks: Where the CMC curve is read.
        block_size: Queries whose distances are held at a time.

    Returns:
        The scores by direction, in the partition's order.

    Raises:
        EvaluationError: If the partition cannot be read or lacks something, if the camera
            rule or the split is unknown, if data lack a key, if an embedding is missing, there
            twice, of an unknown tracklet or not finite, or if a rank is below 1.
        ValueError: If the metric is unknown or ``block_size`` is below 1.
    """
    content = _read(partition)
    rule = _camera_rule(content["protocol"])
    if not ranks or min(ranks) < 1:
        raise EvaluationError(f"ranks is {list(ranks)}; expected numbers from 1, as in [1, 5, 10]")
    table = _table(data, content["tracklets"])
    directions = {}
    for name, task in _tasks(content, split).items():
        query = table.side(task["query"], f"{split}, {name}, query")
        gallery = table.side(task["gallery"], f"{split}, {name}, gallery")
        directions[name] = _direction(query, gallery, rule, metric, ranks, block_size)
    parts = table.embeddings.shape[2]
    return RetrievalResult(dataset, split, metric, parts, dict(content["protocol"]), directions)


def _direction(
    query: _Side,
    gallery: _Side,
    rule: Callable[[np.ndarray, np.ndarray], np.ndarray],
    metric: str,
    ranks: Sequence[int],
    block_size: int,
) -> DirectionResult:
    """Scores one direction, a block of queries at a time."""
    blocks, ignored = [], 0
    pids = np.concatenate((query.pids, gallery.pids))
    numbers = np.unique(pids, return_inverse=True)[1]  # compared faster than text
    wanted, offered = np.split(numbers, [len(query.pids)])
    for start, distance in distance_blocks(
        query.embeddings, gallery.embeddings, metric, block_size
    ):
        block = slice(start, start + len(distance))
        match = wanted[block, None] == offered  # [b, g]
        ignore = rule(match, query.camids[block, None] == gallery.camids)  # [b, g]
        ignored += int(ignore.sum())
        blocks.append(score_queries(distance, match, ignore))
    scores = QueryScores(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))
    valid = ~np.isnan(scores.first_hit)
    curve = cmc_curve(scores.first_hit, max(ranks))
    return DirectionResult(
        queries=len(query.paths),
        gallery=len(gallery.paths),
        identities=len(np.unique(wanted)),
        dropped=[query.paths[place] for place in np.flatnonzero(~valid)],
        ignored_pairs=ignored,
        cmc={rank: float(curve[rank - 1]) for rank in ranks},
        mean_average_precision=_mean(scores.average_precision[valid]),
        mean_inverse_negative_penalty=_mean(scores.inverse_negative_penalty[valid]),
    )


def _mean(scores: np.ndarray) -> float:
    return float(scores.mean()) if len(scores) else float("nan")


def _read(partition: Any) -> Mapping[str, Any]:
    """Gives the partition as a mapping, wherever it comes from."""
    place = "the partition"
    if isinstance(partition, (str, Path)):
        place = str(partition) or "evaluator_cfg.partition, which is empty"
        try:
            partition = json.loads(Path(partition).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as fault:
            raise EvaluationError(
                f"{place}: cannot be read as a partition ({fault}). Prepare the data again, or "
                "give the path of its partition.json"
            ) from None
    elif is_dataclass(partition) and not isinstance(partition, type):
        partition = asdict(partition)
    for key in ("tracklets", "tasks", "protocol"):
        if not isinstance(partition, Mapping) or key not in partition:
            raise EvaluationError(
                f"{place}: there is no {key!r} in it; expected a partition.json as a script of "
                "datasets/prep writes it"
            )
    return partition


def _camera_rule(protocol: Mapping[str, Any]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    name = protocol.get("ignore")
    if name not in CAMERA_RULES:
        raise EvaluationError(
            f"the partition's protocol says ignore: {name!r}; no camera rule is called so "
            f"(known: {', '.join(CAMERA_RULES)})"
        )
    return CAMERA_RULES[name]


def _tasks(content: Mapping[str, Any], split: str) -> Mapping[str, Any]:
    tasks = content["tasks"].get(split)
    if not tasks:
        known = ", ".join(name for name, task in content["tasks"].items() if task) or "none"
        raise EvaluationError(
            f"the partition has no task for the split {split!r} (it has: {known})"
        )
    return tasks


def _table(data: Mapping[str, Any], tracklets: Sequence[Mapping[str, Any]]) -> _Table:
    """Gives embeddings and tracklets, checked to belong together."""
    for key in ("embeddings", "labels", "types", "views"):
        if key not in data:
            raise EvaluationError(
                f"the evaluated data have no {key!r} (there are: {', '.join(data) or 'none'}); a "
                "model gives 'embeddings' in inference_feat, the host gives the names"
            )
    embeddings = as_tensor(data["embeddings"])
    counts = [len(data[key]) for key in ("labels", "types", "views")]
    if embeddings.ndim != 3 or 0 in embeddings.shape or counts != [len(embeddings)] * 3:
        raise EvaluationError(
            f"embeddings {list(embeddings.shape)} with {counts} labels, types and views; "
            "expected [tracklets, embedding, parts], none of them 0, and one of each per tracklet"
        )
    paths = [
        "/".join(names) for names in zip(data["labels"], data["types"], data["views"], strict=True)
    ]
    low, high = torch.aminmax(embeddings.flatten(1), dim=1)  # both NaN if there is a NaN
    wrong = ~(torch.isfinite(low) & torch.isfinite(high))
    if wrong.any():
        names = [paths[row] for row in wrong.nonzero().flatten()]
        raise EvaluationError(
            f"{len(names)} embeddings are not finite: {_some(names)}. Look at the losses of the "
            "training, or test with evaluator_cfg.precision: float32"
        )
    return _Table(embeddings, _rows(paths, tracklets), tracklets)


def _rows(paths: Sequence[str], tracklets: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Gives the row of the embedding of each tracklet, by path."""
    known = {tracklet["path"] for tracklet in tracklets}
    unknown = [path for path in paths if path not in known]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} embeddings are of tracklets that the partition does not list: "
            f"{_some(unknown)}. Data and partition.json must come from one preparation"
        )
    rows = {path: row for row, path in enumerate(paths)}
    twice = [path for row, path in enumerate(paths) if rows[path] != row]
    if twice:
        raise EvaluationError(
            f"{len(twice)} tracklets have more than one embedding: {_some(twice)}. The loader "
            "must give each tracklet once"
        )
    return rows


def _some(names: Sequence[Any]) -> str:
    """Gives the first few names, and how many there are beside."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more
