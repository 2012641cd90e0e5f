"""The retrieval of a split: who queries whom, as its protocol leaves it, and how far apart.

This is the one place that applies a protocol. A test scores what is here (``directions``), the
report ranks and counts it (``report.ranking``).

Letters: q queries, g gallery tracklets, b queries of one block.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..escaping import some
from .distance import distance_blocks
from .faults import EvaluationError
from .inputs import Embedded, Side, tasks_of
from .metrics import QueryScores, score_identities
from .protocols import Protocol, checked, draw


class Block(NamedTuple):
    """Some queries of a trial against its gallery.

    Attributes:
        start: Place of the first query.
        distance: ``[b, g]``.
        match: ``[b, g]`` bool, true where both show the same identity.
        ignore: ``[b, g]`` bool, true where the protocol leaves a gallery tracklet out.
    """

    start: int
    distance: np.ndarray
    match: np.ndarray
    ignore: np.ndarray


@dataclass(frozen=True)
class Measure:
    """How far apart two tracklets are.

    Attributes:
        metric: ``"euclidean"`` or ``"cosine"``.
        rerank: Settings of a re-ranking; None for none.
        halves: ``[N, d, p]`` each, for a temporal re-ranking.
    """

    metric: str
    rerank: Mapping[str, Any] | None = None
    halves: tuple[Tensor, Tensor] | None = None


class Trial:
    """One gallery, and who queries it.

    Args:
        query: All queries of the direction.
        gallery: All its gallery.
        rows: ``[q]``, which of the queries.
        columns: ``[g]``, which of the gallery.
        protocol: The rules.
        measure: How distances are made.
    """

    def __init__(
        self, query: Side, gallery: Side, rows: np.ndarray, columns: np.ndarray,
        protocol: Protocol, measure: Measure,
    ) -> None:  # fmt: skip
        self.query, self.gallery = query.only(rows), gallery.only(columns)
        self.rows, self.columns = rows, columns
        self._protocol, self._measure = protocol, measure
        numbers = np.unique(
            np.concatenate((self.query.pids, self.gallery.pids)), return_inverse=True
        )[1].astype(np.int32)  # compared faster than text
        self._wanted, self._offered = np.split(numbers, [len(rows)])
        self._here = protocol.places(self.query.camids)
        self._there = protocol.places(self.gallery.camids)

    def block(self, start: int, distance: Tensor) -> Block:
        """Return a block of this trial's distances ``[b, g]``, from a query on."""
        rows = slice(start, start + len(distance))
        match = self._wanted[rows, None] == self._offered  # [b, g]
        ignore = self._protocol.left_out(match, self._here[rows, None] == self._there)  # [b, g]
        values = distance.numpy() if distance.device.type == "cpu" else distance.cpu().numpy()
        return Block(start, values, match, ignore)

    def blocks(self, block_size: int) -> Iterator[Block]:
        """Yield all blocks of this trial, of so many queries, re-ranked if that is asked for."""
        measure = self._measure
        query, gallery = self.query.chosen, self.gallery.chosen
        if measure.rerank is None:
            for start, distance in distance_blocks(query, gallery, measure.metric, block_size):
                yield self.block(start, distance)
            return
        from .rerank import rerank_distances, temporal_distances

        if measure.halves is None:
            distance = rerank_distances(query, gallery, measure.rerank, measure.metric)
        else:
            whole, first, second = (
                (self.query.chosen_of(each), self.gallery.chosen_of(each))
                for each in (self.query.embeddings, *measure.halves)
            )
            distance = temporal_distances(whole, first, second, measure.rerank, measure.metric)
        for start in range(0, len(distance), block_size):
            yield self.block(start, distance[start : start + block_size])

    def scored(self, block: Block) -> QueryScores:
        """Return the scores of the queries of a block, NaN for one without a match."""
        rows = slice(block.start, block.start + len(block.distance))
        return score_identities(
            block.distance,
            self._wanted[rows],
            self._offered,
            block.ignore if block.ignore.any() else None,
            ap=self._protocol.ap,  # type: ignore[arg-type]
            cmc=self._protocol.cmc,  # type: ignore[arg-type]
        )

    def scores(self, blocks: Sequence[QueryScores]) -> QueryScores:
        """Join the scores of all blocks; queries without a match count as the protocol says."""
        joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        if self._protocol.unmatched == "count_as_zero":
            for values, miss in zip(joined, (0.0, 0.0, np.inf), strict=True):
                values[np.isnan(values)] = miss
        return QueryScores(*joined)


@dataclass(frozen=True, eq=False)
class Direction:
    """Queries and gallery that the protocol leaves in, and the galleries drawn from it.

    Attributes:
        query: All queries, of whatever trial.
        gallery: All the gallery.
        trials: As many as are drawn; one, if none is.
        measure: How distances are made.
    """

    query: Side
    gallery: Side
    trials: list[Trial]
    measure: Measure

    def blocks(self, block_size: int) -> Iterator[tuple[int, Block]]:
        """Yield the blocks of all trials, each with the number of its trial.

        Each distance is computed once, unless it is re-ranked: neighbors are those of one gallery.
        """
        if self.measure.rerank is not None:
            for number, trial in enumerate(self.trials):
                for block in trial.blocks(block_size):
                    yield number, block
            return
        first = self.trials[0]
        everything = len(self.trials) == 1 and (
            (len(first.rows), len(first.columns)) == (len(self.query), len(self.gallery))
        )
        for start, distance in distance_blocks(
            self.query.chosen, self.gallery.chosen, self.measure.metric, block_size
        ):
            for number, trial in enumerate(self.trials):
                if everything:
                    yield number, trial.block(start, distance)
                    continue
                begin, end = np.searchsorted(trial.rows, [start, start + len(distance)])
                if begin < end:
                    rows = torch.from_numpy(trial.rows[begin:end] - start).to(distance.device)
                    columns = torch.from_numpy(trial.columns).to(distance.device)
                    yield number, trial.block(int(begin), distance[rows][:, columns])


class Retrieval:
    """The retrieval of one split.

    Args:
        embedded: Embeddings and partition.
        split: Whose tasks.
        metric: Distance between two parts; the mean over the parts counts.
        rerank: Settings of a re-ranking, checked; None for none.

    Attributes:
        protocol: The partition's, checked.
        directions: By name, in the partition's order.

    Raises:
        EvaluationError: If the protocol is unknown or leaves no query or no gallery, if the split
            has no tasks, or if a tracklet has no embedding.
    """

    def __init__(
        self,
        embedded: Embedded,
        split: str = "test",
        metric: str = "euclidean",
        rerank: Mapping[str, Any] | None = None,
    ) -> None:
        partition = embedded.partition
        self.protocol = checked(partition.protocol)
        temporal = rerank is not None and rerank["type"] == "temporal"
        measure = Measure(metric, rerank, embedded.halves() if temporal else None)
        tasks = tasks_of(partition, split)
        _check_swapped(self.protocol, list(tasks), split)
        self.directions: dict[str, Direction] = {}
        for name, task in tasks.items():
            place = f"{split}, {name}"
            query = embedded.side(task.query, f"{place}, query")
            gallery = embedded.side(task.gallery, f"{place}, gallery")
            swapped = name in self.protocol.swapped
            sides = _kept(query, gallery, self.protocol, place)
            self.directions[name] = _direction(*sides, self.protocol, swapped, measure)


def _direction(
    query: Side, gallery: Side, protocol: Protocol, swapped: bool, measure: Measure
) -> Direction:
    """Draw the galleries; if swapped, a gallery queries the queries."""
    rows, columns = np.arange(len(query)), np.arange(len(gallery))
    trials = []
    for number in range(protocol.trials.count if protocol.trials else 1):
        if protocol.trials:
            names = gallery.pids.tolist(), gallery.camids.tolist(), gallery.paths
            columns = draw(*names, protocol.trials, number)
        sides = (gallery, query, columns, rows) if swapped else (query, gallery, rows, columns)
        trials.append(Trial(*sides, protocol, measure))
    first, second = (gallery, query) if swapped else (query, gallery)
    return Direction(first, second, trials, measure)


def _kept(query: Side, gallery: Side, protocol: Protocol, place: str) -> tuple[Side, Side]:
    """Return both without junk and without cameras that the protocol leaves out."""
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


def _check_swapped(protocol: Protocol, directions: Sequence[str], split: str) -> None:
    wrong = sorted(protocol.swapped - set(directions))
    if wrong:
        raise EvaluationError(
            f"the partition's protocol says swapped: {wrong}; the split {split!r} has the "
            f"directions {', '.join(directions)}"
        )
