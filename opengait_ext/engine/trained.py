"""A checkpoint's facts about its training, and checks before a run resumes from or tests it."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.layout import Partition
from ..shipped import weight_file
from .checkpoint import CheckpointError
from .files import sha256_of
from .run import Run, provenance
from .shaping import Difference, model_differences, training_differences, weight_files

logger = logging.getLogger(__name__)

_SHOWN = 20


class OtherRunError(CheckpointError):
    """A checkpoint was trained with other values than those of the config."""


@dataclass(frozen=True)
class Training:
    """A checkpoint's facts about its training.

    Attributes:
        config: The config of its training; None if not noted, as in imported weights.
        data: The identity of its data, as returned by ``training_data``; None if not noted.
        started_in: Base folder of the config's relative paths; None if not noted.
    """

    config: Mapping[str, Any] | None
    data: Mapping[str, Any] | None
    started_in: str | None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Training":
        """Return the facts in a checkpoint."""
        return cls(content.get("config"), content.get("data"), content.get("started_in"))

    def told(self, run: Run) -> dict[str, Any]:
        """Return the entries for the record of a test."""
        trainer = (self.config or {}).get("trainer_cfg") or {}
        return {
            "training_config": self.config,
            "training_data": self.data,
            "training_started_in": self.started_in,
            "seed": trainer.get("seed", run.settings.trainer.seed),
        }

    def told_of_data(self, run: Run) -> dict[str, Any]:
        """Return the splits of its training data, for the record."""
        data = (self.config or {}).get("data_cfg") or {}
        return {"trained_on": data.get("train_splits", run.settings.data.train_splits)}


def facts(run: Run, partition: Partition, precision: str) -> dict[str, Any]:
    """Return a checkpoint's entries other than the state of training.

    Args:
        run: The run.
        partition: The partition of its data.
        precision: Resolved precision of the forward pass, never ``auto``.
    """
    return {
        "config": run.settings.config,
        "started_in": str(run.beginning),
        "data": training_data(partition, run.settings.data.train_splits),
        "weights": _digests(run),
        "precision": precision,
        **provenance(run),
    }


def training_data(partition: Partition, splits: Sequence[str]) -> dict[str, Any]:
    """Return the identity of training data.

    Args:
        partition: The partition of all data.
        splits: The splits used for training.

    Returns:
        ``digest`` of the tracklets and pairs of these splits, and ``source``, the partition's own
        digest of its source data and preparation.
    """
    places = [n for n, tracklet in enumerate(partition.tracklets) if tracklet.split in splits]
    tracklets = [partition.tracklets[place] for place in places]
    rows = [[each.path, each.pid, each.camid, each.modality, each.frames] for each in tracklets]
    number = {place: row for row, place in enumerate(places)}
    pairs = [[number[n] for n in pair] for pair in partition.pairs if number.keys() >= {*pair}]
    content = json.dumps([rows, pairs], separators=(",", ":")).encode()
    source = partition.source.get("digest")
    return {"digest": hashlib.sha256(content).hexdigest(), "source": source}


def check_goes_on(run: Run, content: Mapping[str, Any], path: Path, now: Mapping[str, Any]) -> None:
    """Raise an error before resuming from a checkpoint if values that affect training changed.

    Args:
        run: The run.
        content: Content of the checkpoint.
        path: File of the checkpoint.
        now: The facts of this run.

    Raises:
        OtherRunError: With the keys and the remedies.
    """
    iteration, total = content.get("iteration", 0), run.settings.trainer.total_iter
    if iteration > total:
        raise OtherRunError(
            f"{path}: this run stands at iteration {iteration} already, beyond "
            f"trainer_cfg.total_iter: {total}. Raise total_iter, go back with --iter N to a "
            "checkpoint before it, or take another save_name"
        )
    config = content.get("config")
    if not isinstance(config, Mapping):
        logger.warning("%s: holds no config, so nobody can tell if it is the same now", path)
        return
    differences = training_differences(config, run.settings.config, run.settings.catalog)
    found = [str(each) for each in differences if not _is_same(each, content, now)]
    found += _other_weights(content, now, {each.place for each in differences})
    found += _other_data(content, now, path) + _other_choice(content, run)
    _tell_precision(content, now)
    if found:
        raise OtherRunError(_refusal(run, path, iteration, found))


def check_tested(run: Run, content: Mapping[str, Any], path: Path, strict: bool) -> None:
    """Raise an error before testing a checkpoint with another model than it was trained as.

    Args:
        run: The run.
        content: Content of the checkpoint.
        path: File of the checkpoint.
        strict: Whether the checkpoint must fit; otherwise differences are logged.

    Raises:
        OtherRunError: With the keys.
    """
    config = content.get("config")
    if not isinstance(config, Mapping) or not isinstance(config.get("model_cfg"), Mapping):
        return
    catalog = run.settings.catalog
    of_model = model_differences(config, run.settings.config, catalog)
    # A checkpoint that must fit has all weights, whatever its initial weights were.
    free = [each for each in of_model if each.is_of_start and (strict or _is_same_name(each))]
    wrong = [str(each) for each in of_model if each not in free]
    if wrong and strict:
        raise OtherRunError(
            "\n".join(
                [
                    f"{path}: this checkpoint was trained as another model than the config says:",
                    *_listed(wrong),
                    "Take the values that it was trained with, or give another checkpoint as "
                    "evaluator_cfg.restore_hint",
                ]
            )
        )
    if "loss_cfg" in config:  # a complete config, so that everything else can be compared
        wrong += [
            str(each)
            for each in training_differences(config, run.settings.config, catalog)
            if not each.place.startswith("model_cfg.")
        ]
    if wrong:
        logger.warning(
            "%s was trained with other values than the config has; the record keeps both:\n%s",
            path, "\n".join(_listed(wrong)),
        )  # fmt: skip


def _refusal(run: Run, path: Path, iteration: int, found: list[str]) -> str:
    lines = [
        f"{path}: this run was trained with other values (to iteration {iteration}):",
        *_listed(found),
        "Put them back to go on; give the new run another name (save_name in trainer_cfg and "
        "evaluator_cfg); or start anew with --iter 0, which keeps the old run aside",
    ]
    if any(line.startswith("scheduler_cfg.total_steps") for line in found):
        lines.append(
            "OneCycleLR is laid over the whole training, so such a run cannot be prolonged; one "
            "that gives scheduler_cfg.total_steps from its start can go on up to there"
        )
    return "\n".join(lines)


def _listed(lines: list[str]) -> list[str]:
    more = [f"  ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [*(f"  {line}" for line in lines[:_SHOWN]), *more]


def _is_same(each: Difference, content: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two differently written values mean the same."""
    if each.place == "trainer_cfg.precision":
        return content.get("precision") == now["precision"]
    if each.is_of_start:
        before = (content.get("weights") or {}).get(each.place)
        after = now["weights"].get(each.place)
        if before and after:
            return before == after  # the same weights elsewhere
        return _is_same_name(each)
    return False


def _is_same_name(each: Difference) -> bool:
    """Return whether two paths, seen from two folders, lead to files of the same name."""
    paths = (each.before, each.after)
    return all(isinstance(path, str) for path in paths) and len({Path(p).name for p in paths}) == 1


def _other_weights(
    content: Mapping[str, Any], now: Mapping[str, Any], named: set[str]
) -> list[str]:
    before = content.get("weights") or {}
    return [
        f"{place}: another content of the file (sha256 {before[place][:8]} -> {after[:8]})"
        for place, after in now["weights"].items()
        if place not in named and before.get(place, after) != after
    ]


def _other_data(content: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> list[str]:
    before, after = content.get("data"), now["data"]
    if not isinstance(before, Mapping):
        logger.warning("%s: an older file, which does not say which data it was trained on", path)
        return []
    names = {"digest": "the training data", "source": "the source of the prepared data"}
    return [
        f"data_cfg.dataset_partition: {what} (digest {str(before.get(key))[:12]} -> "
        f"{str(after[key])[:12]})"
        for key, what in names.items()
        if before.get(key) != after[key]
    ]


def _other_choice(content: Mapping[str, Any], run: Run) -> list[str]:
    """Return a fault if the best checkpoint so far was measured on another split, else []."""
    keep, best = run.settings.trainer.keep, content.get("best")
    if keep == "last" or not isinstance(best, Mapping):
        return []
    split = "test" if keep == "best_on_test" else "validation"
    if best.get("measured_on") == split:
        return []
    return [f"trainer_cfg.keep: the best so far on {best.get('measured_on')} -> {keep}"]


def _tell_precision(content: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    before = content.get("precision")
    if before and before != now["precision"]:
        logger.warning(
            "trained in %s so far, from here on in %s (trainer_cfg.precision)",
            before, now["precision"],
        )  # fmt: skip


def _digests(run: Run) -> dict[str, str]:
    """Return the SHA-256 of the model's files of initial weights, by place."""
    found = {}
    for place, name in weight_files(run.settings.config["model_cfg"]):
        file = weight_file(run.beginning / name)
        if file.is_file():
            found[place] = sha256_of(file)
    return found
