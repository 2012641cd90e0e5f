"""Checkpoints of a run: atomic saving, look-up, and comparison with the model."""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..weights import shares
from .best_note import checked_note, noted_in
from .checkpoint_file import CheckpointError, read_checkpoint, stored_in
from .files import put_aside, write_json, write_whole

__all__ = ["CheckpointError", "CheckpointStore", "load_weights", "read_checkpoint"]

logger = logging.getLogger(__name__)

_FOREIGN = "loss_aggregator."
_PROBE = 2**20  # bytes written to test whether the disk is full


@dataclass(frozen=True)
class CheckpointStore:
    """The folder of a run's checkpoints, ``<save_name>-<iteration, 5 digits>.pt``.

    Attributes:
        folder: ``output/<dataset>/<model>/<save_name>/checkpoints``.
        save_name: Prefix of the file names.
        keep: Number of newest checkpoints to keep, in addition to the best; 0: all.
    """

    folder: Path
    save_name: str
    keep: int = 2

    def path(self, iteration: int) -> Path:
        """Return the path of an iteration's checkpoint."""
        return self.folder / f"{self.save_name}-{iteration:05d}.pt"

    def iterations(self) -> list[int]:
        """Return the iterations with a checkpoint, oldest first."""
        form = re.compile(re.escape(self.save_name) + r"-(\d{5,})\.pt")
        matches = [form.fullmatch(path.name) for path in self.folder.glob("*.pt")]
        return sorted(int(match[1]) for match in matches if match)

    def best(self) -> dict[str, Any] | None:
        """Return the note of the best checkpoint: its iteration, score and split.

        If the note is damaged, it is taken from the newest whole checkpoint, which has a copy.
        """
        if not os.path.lexists(self._note):
            return None
        return noted_in(self._note) or self._best_of_checkpoints()

    def mend(self) -> None:
        """Set a damaged note of the best checkpoint aside and write it again."""
        if not os.path.lexists(self._note) or noted_in(self._note):
            return
        best = self._best_of_checkpoints()
        known = f"the best is iteration {best['iteration']}" if best else "no best one is known"
        put_aside(self._note, "cannot be read", f"by the checkpoints, {known}")
        if best:
            write_json(self._note, best)

    def read(self, path: Path) -> dict[str, Any]:
        """Return a checkpoint as `read_checkpoint` does.

        Raises:
            CheckpointError: If it is damaged; names the newest whole checkpoint of this run.
        """
        try:
            return read_checkpoint(path)
        except CheckpointError as fault:
            if path.absolute().parent != self.folder.absolute():
                raise  # from elsewhere, so this run's checkpoints cannot replace it
            for iteration, _ in self._whole(but=path):
                raise CheckpointError(
                    f"{fault}. The newest whole checkpoint of this run is {self.path(iteration)}; "
                    f"take it by --iter {iteration}"
                ) from fault
            raise CheckpointError(
                f"{fault}. No other checkpoint in {self.folder} is whole"
            ) from fault

    @property
    def _note(self) -> Path:
        return self.folder / "best.json"

    def _whole(self, but: Path | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the readable checkpoints, newest first."""
        for iteration in reversed(self.iterations()):
            if self.path(iteration) != but:
                with suppress(CheckpointError):
                    yield iteration, read_checkpoint(self.path(iteration))

    def _best_of_checkpoints(self) -> dict[str, Any] | None:
        for _, content in self._whole():
            return checked_note(content.get("best"))
        return None

    def save(self, content: Mapping[str, Any]) -> Path:
        """Write the checkpoint of ``content["iteration"]``, then remove superseded ones.

        Raises:
            CheckpointError: If it cannot be written; all earlier checkpoints are kept.
        """
        path = self.path(content["iteration"])
        self.write(path, content)
        self._prune()
        return path

    def amend(self, iteration: int, facts: Mapping[str, Any]) -> None:
        """Add facts to a checkpoint of another engine; raises as ``write`` does."""
        path = self.path(iteration)
        self.write(path, {**stored_in(path), **facts})

    def write(self, path: Path, content: Mapping[str, Any]) -> None:
        """Write a checkpoint, and the note of the best one.

        Raises:
            CheckpointError: If it cannot be written; all files stay unchanged.
        """
        earlier = self.iterations()
        try:
            write_whole(path, lambda temporary: _save(dict(content), temporary))
            if content.get("best"):
                write_json(self._note, content["best"])
        except (OSError, RuntimeError) as fault:  # torch reports a full disk as RuntimeError
            last = f"{self.path(earlier[-1])} is whole" if earlier else "there is no earlier one"
            raise CheckpointError(
                f"{path}: the checkpoint could not be written ({_cause(fault)}). The last good "
                f"checkpoint: {last}. Free some space, then start the same command again with "
                "restore_hint: auto to go on from there."
            ) from fault

    def clean(self) -> None:
        """Remove temporary files of a run that was killed while saving."""
        for path in self.folder.glob(f".{self.save_name}-*.tmp"):
            path.unlink()

    def set_aside(self, above: int) -> None:
        """Move later checkpoints aside: a run resumed from an earlier one would mix with them."""
        later = [iteration for iteration in self.iterations() if iteration > above]
        if not later:
            return
        number = 1
        while (folder := self.folder.with_name(f"checkpoints-before-{number}")).exists():
            number += 1
        folder.mkdir(parents=True)
        for iteration in later:
            self.path(iteration).rename(folder / self.path(iteration).name)
        best = self.best()
        if best and best["iteration"] > above:
            self._note.rename(folder / self._note.name)
        curves = self.folder.with_name("metrics.jsonl")
        if curves.is_file():  # the run cuts it back to where it resumes
            shutil.copy2(curves, folder / curves.name)
        logger.warning(
            "%d checkpoints of an earlier run (up to iteration %d) were moved to %s",
            len(later), later[-1], folder,
        )  # fmt: skip

    def find(self, hint: int | str, keep: str = "last") -> Path | None:
        """Return the checkpoint that a ``restore_hint`` refers to.

        Args:
            hint: ``auto``, an iteration, or a path.
            keep: Meaning of ``auto``: ``last``, or a criterion for the best.

        Returns:
            The path; None for ``auto`` if there is no checkpoint yet.

        Raises:
            CheckpointError: If the hint names a checkpoint that does not exist.
        """
        if hint == "auto":
            wanted = (self.best() or {}).get("iteration") if keep != "last" else None
            iterations = [wanted] if wanted is not None else self.iterations()[-1:]
            if not iterations:
                return None
            path = self.path(iterations[0])
        else:
            path = self.path(hint) if isinstance(hint, int) else Path(hint)
        if not path.is_file():
            known = ", ".join(map(str, self.iterations())) or "none"
            raise CheckpointError(
                f"{path}: there is no such checkpoint (iterations in {self.folder}: {known})"
            )
        return path

    def _prune(self) -> None:
        if not self.keep:
            return
        best = (self.best() or {}).get("iteration")
        for iteration in self.iterations()[: -self.keep]:
            if iteration != best:
                self.path(iteration).unlink()


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], strict: bool, path: Path) -> None:
    """Load weights into a model after comparing keys and shapes.

    Keys that only training uses (the model's ``training_only``) may always be missing.

    Args:
        model: The model to load into.
        weights: The weights by key.
        strict: True: any difference is an error. False: matching weights are loaded, the
            differences are logged.
        path: Origin of the weights, for the message.

    Raises:
        CheckpointError: If ``strict`` and there are differences, or if nothing matches.
    """
    weights = {key: value for key, value in weights.items() if not key.startswith(_FOREIGN)}
    own = model.state_dict()
    fitting = {
        key: value for key, value in weights.items() if key in own and own[key].shape == value.shape
    }
    spared = [
        key
        for key in own
        if key not in weights and key.startswith(tuple(getattr(model, "training_only", ())))
    ]
    if spared:
        logger.info(
            "%s: %d keys that only training uses are not in it and stay as they are: %s",
            path, len(spared), ", ".join(spared),
        )  # fmt: skip
    needed = {key: value for key, value in own.items() if key not in spared}
    differences = differences_of(needed, weights)
    if differences and (strict or not fitting):
        raise CheckpointError(
            "\n".join(
                [
                    f"{path}: this checkpoint is not of this model "
                    f"({len(fitting)} of {len(needed)} keys fit):",
                    *differences,
                    "Take the config file that the checkpoint was made with, or set "
                    "restore_strict: false to load what fits.",
                ]
            )
        )
    if differences:
        logger.warning(
            "%s: %d of %d keys fit and are loaded\n%s",
            path, len(fitting), len(needed), "\n".join(differences),
        )  # fmt: skip
    model.load_state_dict(fitting, strict=False)


def differences_of(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> list[str]:
    """Return up to twenty differences in keys and shapes between a model (``own``) and weights."""
    shapes = [
        f"{key}: the model has {list(own[key].shape)}, the file {list(weights[key].shape)}"
        for key in own
        if key in weights and own[key].shape != weights[key].shape
    ]
    missing = [f"{key} {list(own[key].shape)}" for key in own if key not in weights]
    unknown = [f"{key} {list(weights[key].shape)}" for key in weights if key not in own]
    lists = {"of another shape": shapes, "not in the file": missing, "not in the model": unknown}
    counts = shares([len(lines) for lines in lists.values()])
    listed = zip(lists.items(), counts, strict=True)
    return [line for (title, lines), count in listed for line in _listed(title, lines, count)]


def _listed(title: str, lines: list[str], count: int) -> list[str]:
    if not lines:
        return []
    more = [f"    ... and {len(lines) - count} more"] if len(lines) > count else []
    return [f"  {title} ({len(lines)}):", *(f"    {line}" for line in lines[:count]), *more]


def _save(content: dict[str, Any], temporary: Path) -> None:
    """Save with torch; its error on a full disk is unclear, so probe the disk then."""
    try:
        torch.save(content, temporary)
    except RuntimeError:
        with temporary.open("ab", buffering=0) as file:
            file.write(bytes(_PROBE))
            file.write(bytes(_PROBE))  # the first may fill the remaining space
        raise


def _cause(fault: BaseException) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    text = str(fault).strip().split("\n")[0]
    return f"{type(fault).__name__}: {text[:200]}"
