"""Inputs of an evaluation: embeddings and their tracklets in the partition."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.layout import Partition, Task, Tracklet
from ..escaping import some
from .embeddings import Chosen, as_tensor
from .faults import EvaluationError


class Side(NamedTuple):
    """The queries or the gallery of a direction, one entry per tracklet."""

    embeddings: Tensor  # [N, d, p], of all tracklets
    rows: np.ndarray  # [n], indices of this side's embeddings
    positions: np.ndarray  # [n], indices in ``partition.tracklets``
    paths: list[str]
    pids: np.ndarray
    camids: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def chosen(self) -> Chosen:
        """Return this side's embeddings ``[n, d, p]``, copied a slice at a time."""
        return self.chosen_of(self.embeddings)

    def chosen_of(self, embeddings: Tensor) -> Chosen:
        """Return this side's rows of other embeddings ``[N, d, p]`` of all tracklets."""
        return Chosen(embeddings, torch.from_numpy(self.rows).to(embeddings.device))

    def only(self, places: np.ndarray) -> "Side":
        """Return a selection of the tracklets, by indices or a bool mask."""
        paths = np.array(self.paths, dtype=object)[places].tolist()
        rows, positions, pids, camids = (
            each[places] for each in (self.rows, self.positions, self.pids, self.camids)
        )
        return Side(self.embeddings, rows, positions, paths, pids, camids)


class Embedded:
    """Embeddings with the positions of their tracklets in the partition.

    Args:
        embeddings: ``[N, d, p]``, tensor or array.
        positions: ``[N]``, the index of each tracklet in ``partition.tracklets``.
        partition: The partition of the data.
        halves: Embeddings of the first and of the second half of each tracklet's frames, for a
            temporal re-ranking; empty if not needed.

    Attributes:
        tracklets: The N tracklets.

    Raises:
        EvaluationError: If embeddings and positions differ in number, a tracklet is unknown or
            listed twice, or an embedding is not finite.
    """

    def __init__(
        self,
        embeddings: Tensor | np.ndarray,
        positions: Sequence[int] | np.ndarray,
        partition: Partition,
        halves: Sequence[Tensor | np.ndarray | None] = (),
    ) -> None:
        self.embeddings = as_tensor(embeddings)
        self.positions = np.array(positions, dtype=np.int64)
        self.partition = partition
        self._halves = halves
        known, shape = len(partition.tracklets), self.embeddings.shape
        if len(shape) != 3 or 0 in shape or self.positions.shape != (shape[0],):
            raise EvaluationError(
                f"embeddings {list(shape)} of {self.positions.size} tracklets; expected "
                "[tracklets, embedding, parts], none of them 0, and a position for each tracklet"
            )
        if self.positions.min() < 0 or self.positions.max() >= known:
            raise EvaluationError(
                f"positions of embedded tracklets from {self.positions.min()} to "
                f"{self.positions.max()}; expected 0 to {known - 1}, places in the partition"
            )
        self.tracklets = [partition.tracklets[place] for place in self.positions]
        _check_finite(self.embeddings, self.tracklets)
        self._row_of = np.full(known, -1, dtype=np.int64)
        self._row_of[self.positions] = np.arange(len(self.positions))
        twice = np.flatnonzero(self._row_of[self.positions] != np.arange(len(self.positions)))
        if len(twice):
            raise EvaluationError(
                f"{len(twice)} tracklets have more than one embedding: "
                f"{some([self.tracklets[row].path for row in twice])}. The loader "
                "must give each tracklet once"
            )

    def side(self, positions: Sequence[int], place: str) -> Side:
        """Return the queries or the gallery of a direction.

        Args:
            positions: Indices in ``partition.tracklets``.
            place: Split, direction and side, for messages.

        Raises:
            EvaluationError: If the list is empty, or a tracklet has no embedding, pid or camid.
        """
        tracklets = self.partition.tracklets
        if not positions or min(positions) < 0 or max(positions) >= len(tracklets):
            raise EvaluationError(
                f"the partition's task ({place}): expected positions from 0 to "
                f"{len(tracklets) - 1} in its list of tracklets, found {some(positions) or 'none'}"
            )
        chosen = [tracklets[position] for position in positions]
        wanted = np.array(positions, dtype=np.int64)
        rows = self._row_of[wanted]
        missing = [chosen[number].path for number in np.flatnonzero(rows < 0)]
        if missing:
            raise EvaluationError(
                f"{len(missing)} of {len(chosen)} tracklets have no embedding ({place}): "
                f"{some(missing)}. The loader must read the whole split"
            )
        unknown = [each.path for each in chosen if each.pid in (None, "") or each.camid is None]
        if unknown:
            raise EvaluationError(
                f"{len(unknown)} tracklets have no identity (pid) or camera (camid) ({place}): "
                f"{some(unknown)}. Prepare the data again"
            )
        pids = np.array([tracklet.pid for tracklet in chosen])
        camids = np.array([tracklet.camid for tracklet in chosen])
        return Side(
            self.embeddings, rows, wanted, [tracklet.path for tracklet in chosen], pids, camids
        )

    def halves(self) -> tuple[Tensor, Tensor]:
        """Return the embeddings of both halves of each tracklet's frames, ``[N, d, p]`` each.

        Raises:
            EvaluationError: If they are missing or have another shape.
        """
        if len(self._halves) != 2:
            raise EvaluationError(
                "a temporal re-ranking needs embeddings of both halves of each tracklet; the test "
                "of our engine makes them, other hosts take k_reciprocal"
            )
        first, second = (as_tensor(each) for each in self._halves if each is not None)
        for name, half in (("first", first), ("second", second)):
            if half.shape != self.embeddings.shape:
                raise EvaluationError(
                    f"the embeddings of the {name} half {list(half.shape)} do not fit those of "
                    f"all frames {list(self.embeddings.shape)}"
                )
        return first, second


def tasks_of(partition: Partition, split: str) -> Mapping[str, Task]:
    """Return the tasks of a split, by direction.

    Raises:
        EvaluationError: If the split has no tasks.
    """
    tasks = partition.tasks.get(split)
    if not tasks:
        known = ", ".join(name for name, task in partition.tasks.items() if task) or "none"
        raise EvaluationError(
            f"the partition has no task for the split {split!r} (it has: {known})"
        )
    return tasks


def _check_finite(embeddings: Tensor, tracklets: Sequence[Tracklet]) -> None:
    low, high = torch.aminmax(embeddings.flatten(1), dim=1)  # both NaN if there is a NaN
    wrong = ~(torch.isfinite(low) & torch.isfinite(high))
    if wrong.any():
        found = [tracklets[row].path for row in wrong.nonzero().flatten()]
        raise EvaluationError(
            f"{len(found)} embeddings are not finite: {some(found)}. Look at the losses of the "
            "training, or test with evaluator_cfg.precision: float32"
        )
