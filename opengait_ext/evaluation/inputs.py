"""What an evaluation is given: embeddings, and the partition they belong to, both checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..escaping import some
from .embeddings import Chosen, as_tensor
from .faults import EvaluationError

_KEYS = ("embeddings", "labels", "types", "views")


class Side(NamedTuple):
    """Holds the queries or the gallery of a direction: one entry per tracklet."""

    embeddings: Tensor  # [N, d, p], of all tracklets
    rows: np.ndarray  # [n], which of them
    paths: list[str]
    pids: np.ndarray
    camids: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def chosen(self) -> Chosen:
        """Gives the embeddings ``[n, d, p]``, copied a slice at a time."""
        return self.chosen_of(self.embeddings)

    def chosen_of(self, embeddings: Tensor) -> Chosen:
        """Gives the same of other embeddings ``[N, d, p]`` of all tracklets."""
        return Chosen(embeddings, torch.from_numpy(self.rows).to(embeddings.device))

    def only(self, places: np.ndarray) -> "Side":
        """Gives some of the tracklets, by positions or truth values."""
        paths = np.array(self.paths, dtype=object)[places].tolist()
        rows, pids, camids = (each[places] for each in (self.rows, self.pids, self.camids))
        return Side(self.embeddings, rows, paths, pids, camids)


class Table(NamedTuple):
    """Holds the embeddings, which row belongs to which path, and the partition's tracklets."""

    embeddings: Tensor  # [N, d, p]
    rows: Mapping[str, int]
    tracklets: Sequence[Mapping[str, Any]]

    def side(self, positions: Sequence[int], place: str) -> Side:
        """Gathers the queries or the gallery of a direction."""
        count = len(self.tracklets)
        if not positions or min(positions) < 0 or max(positions) >= count:
            raise EvaluationError(
                f"the partition's task ({place}): expected positions from 0 to {count - 1} in "
                f"its list of tracklets, found {some(positions) or 'none'}"
            )
        chosen = [self.tracklets[position] for position in positions]
        paths = [tracklet["path"] for tracklet in chosen]
        missing = [path for path in paths if path not in self.rows]
        if missing:
            raise EvaluationError(
                f"{len(missing)} of {len(paths)} tracklets have no embedding ({place}): "
                f"{some(missing)}. The loader must read the whole split"
            )
        unknown = [
            each["path"] for each in chosen if each.get("pid") in (None, "") or "camid" not in each
        ]
        if unknown:
            raise EvaluationError(
                f"{len(unknown)} tracklets have no identity (pid) or camera (camid) ({place}): "
                f"{some(unknown)}. Prepare the data again"
            )
        rows = np.array([self.rows[path] for path in paths], dtype=np.int64)
        pids = np.array([tracklet["pid"] for tracklet in chosen])
        camids = np.array([tracklet["camid"] for tracklet in chosen])
        return Side(self.embeddings, rows, paths, pids, camids)


def read_partition(partition: Any, keys: Sequence[str] = ("tracklets", "tasks", "protocol")) -> Any:
    """Gives the partition as a mapping, wherever it comes from.

    Args:
        partition: A path, a mapping, or a dataclass.
        keys: What must stand in it.

    Raises:
        EvaluationError: If it cannot be read or lacks a key.
    """
    place = "the partition"
    if isinstance(partition, (str, Path)):
        place = str(partition) or "evaluator_cfg.partition, which is empty"
        try:
            partition = json.loads(Path(partition).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as fault:
            raise EvaluationError(
                f"{place}: cannot be read as a partition ({fault}). Prepare the data again, or "
                "give the path of its partition.json"
            ) from None
    elif is_dataclass(partition) and not isinstance(partition, type):
        partition = asdict(partition)
    for key in keys:
        if not isinstance(partition, Mapping) or key not in partition:
            raise EvaluationError(
                f"{place}: there is no {key!r} in it; expected a partition.json as a script of "
                "datasets/prep writes it"
            )
    return partition


def tasks_of(content: Mapping[str, Any], split: str) -> Mapping[str, Any]:
    """Gives the tasks of a split, by direction.

    Raises:
        EvaluationError: If there is none.
    """
    tasks = content["tasks"].get(split)
    if not tasks:
        known = ", ".join(name for name, task in content["tasks"].items() if task) or "none"
        raise EvaluationError(
            f"the partition has no task for the split {split!r} (it has: {known})"
        )
    return tasks


def named_embeddings(data: Mapping[str, Any]) -> tuple[Tensor, list[str]]:
    """Gives the embeddings ``[N, d, p]`` and the path of each, ``identity/type/view``.

    Args:
        data: ``embeddings`` and the names of each tracklet's folders.

    Raises:
        EvaluationError: If a key is missing, sizes differ or an embedding is not finite.
    """
    for key in _KEYS:
        if key not in data:
            raise EvaluationError(
                f"the evaluated data have no {key!r} (there are: {', '.join(data) or 'none'}); a "
                "model gives 'embeddings' in inference_feat, the host gives the names"
            )
    given = data["embeddings"]
    counts = [len(data[key]) for key in _KEYS[1:]]
    same = counts == [len(given)] * 3
    names = zip(*(data[key] for key in _KEYS[1:]), strict=True) if same else ()
    paths = ["/".join(map(str, each)) for each in names]
    if isinstance(given, (list, tuple)):
        given = _stacked(given, paths)
    embeddings = as_tensor(given)
    if embeddings.ndim != 3 or 0 in embeddings.shape or not same:
        raise EvaluationError(
            f"embeddings {list(embeddings.shape)} with {counts} labels, types and views; "
            "expected [tracklets, embedding, parts], none of them 0, and one of each per tracklet"
        )
    low, high = torch.aminmax(embeddings.flatten(1), dim=1)  # both NaN if there is a NaN
    wrong = ~(torch.isfinite(low) & torch.isfinite(high))
    if wrong.any():
        found = [paths[row] for row in wrong.nonzero().flatten()]
        raise EvaluationError(
            f"{len(found)} embeddings are not finite: {some(found)}. Look at the losses of the "
            "training, or test with evaluator_cfg.precision: float32"
        )
    return embeddings, paths


def table_of(data: Mapping[str, Any], tracklets: Sequence[Mapping[str, Any]]) -> Table:
    """Gives embeddings and tracklets, checked to belong together.

    Args:
        data: As in ``named_embeddings``.
        tracklets: Those of the partition.

    Raises:
        EvaluationError: As in ``named_embeddings``; or if a tracklet is unknown or there twice.
    """
    embeddings, paths = named_embeddings(data)
    known = {tracklet["path"] for tracklet in tracklets}
    unknown = [path for path in paths if path not in known]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} embeddings are of tracklets that the partition does not list: "
            f"{some(unknown)}. Data and partition.json must come from one preparation"
        )
    return Table(embeddings, rows_by_path(paths), tracklets)


def halves_of(data: Mapping[str, Any], embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Gives the embeddings of the first and of the second half of each tracklet's frames.

    Args:
        data: What is evaluated; ``halves`` holds both.
        embeddings: ``[N, d, p]``, those of all frames.

    Raises:
        EvaluationError: If they are not there, or do not fit.
    """
    if "halves" not in data:
        raise EvaluationError(
            "a temporal re-ranking needs embeddings of both halves of each tracklet as "
            "data['halves']; the test of our engine makes them, other hosts take k_reciprocal"
        )
    first, second = (as_tensor(each) for each in data["halves"])
    for name, half in (("first", first), ("second", second)):
        if half.shape != embeddings.shape:
            raise EvaluationError(
                f"the embeddings of the {name} half {list(half.shape)} do not fit those of all "
                f"frames {list(embeddings.shape)}"
            )
    return first, second


def rows_by_path(paths: Sequence[str]) -> dict[str, int]:
    """Gives the row of the embedding of each tracklet.

    Raises:
        EvaluationError: If one has two.
    """
    rows = {path: row for row, path in enumerate(paths)}
    twice = [path for row, path in enumerate(paths) if rows[path] != row]
    if twice:
        raise EvaluationError(
            f"{len(twice)} tracklets have more than one embedding: {some(twice)}. The loader "
            "must give each tracklet once"
        )
    return rows


def _stacked(embeddings: Sequence[Any], paths: Sequence[str]) -> Any:
    """Gives one array of a list of embeddings ``[d, p]``."""
    found = [as_tensor(each) for each in embeddings]
    wrong = [
        f"{path} {list(each.shape)}"
        for path, each in zip(paths, found, strict=False)
        if each.shape != found[0].shape
    ]
    if wrong:
        raise EvaluationError(
            f"{len(wrong)} embeddings have another size than the first, {paths[0]} "
            f"{list(found[0].shape)}: {some(wrong)}. All must come from one model"
        )
    return torch.stack(found) if found else torch.empty(0)
