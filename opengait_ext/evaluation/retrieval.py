"""The retrieval of a split: queries, galleries and distances under its protocol.

This is the only place that applies a protocol. A test scores its blocks (``directions``), the
report ranks and counts them (``report.ranking``).

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
    """A block of a trial's queries against its gallery.

    Attributes:
        start: Index of the first query.
        distance: ``[b, g]``.
        match: ``[b, g]`` bool, true where both have the same identity.
        ignore: ``[b, g]`` bool, true where the protocol leaves the gallery tracklet out.
    """

    start: int
    distance: np.ndarray
    match: np.ndarray
    ignore: np.ndarray


@dataclass(frozen=True)
class Measure:
    """The distance between two tracklets.

    Attributes:
        metric: ``"euclidean"`` or ``"cosine"``.
        rerank: Settings of a re-ranking; None: no re-ranking.
        halves: Embeddings of both halves, ``[N, d, p]`` each, for a temporal re-ranking.
    """

    metric: str
    rerank: Mapping[str, Any] | None = None
    halves: tuple[Tensor, Tensor] | None = None


class Trial:
    """One gallery and its queries.

    Args:
        query: All queries of the direction.
        gallery: All gallery tracklets of the direction.
        rows: ``[q]``, indices of this trial's queries.
        columns: ``[g]``, indices of this trial's gallery.
        protocol: The checked protocol.
        measure: The distance.
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
        )[1].astype(np.int32)  # faster to compare than text
        self._wanted, self._offered = np.split(numbers, [len(rows)])
        self._here = protocol.places(self.query.camids)
        self._there = protocol.places(self.gallery.camids)

    def block(self, start: int, distance: Tensor) -> Block:
        """Return a block from its distances ``[b, g]`` and the index of its first query."""
        rows = slice(start, start + len(distance))
        match = self._wanted[rows, None] == self._offered  # [b, g]
        ignore = self._protocol.left_out(match, self._here[rows, None] == self._there)  # [b, g]
        values = distance.numpy() if distance.device.type == "cpu" else distance.cpu().numpy()
        return Block(start, values, match, ignore)

    def blocks(self, block_size: int) -> Iterator[Block]:
        """Yield all blocks of this trial, of ``block_size`` queries, re-ranked if requested."""
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
        """Return the scores of a block's queries; NaN for a query without a match."""
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
        """Return the joined scores of all blocks; unmatched queries count as the protocol says."""
        joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        if self._protocol.unmatched == "count_as_zero":
            for values, miss in zip(joined, (0.0, 0.0, np.inf), strict=True):
                values[np.isnan(values)] = miss
        return QueryScores(*joined)


@dataclass(frozen=True, eq=False)
class Direction:
    """Queries and gallery of a direction under the protocol, and the trials drawn from them.

    Attributes:
        query: The queries of all trials.
        gallery: The gallery tracklets of all trials.
        trials: The drawn galleries; a single trial if the protocol draws none.
        measure: The distance.
    """

    query: Side
    gallery: Side
    trials: list[Trial]
    measure: Measure

    def blocks(self, block_size: int) -> Iterator[tuple[int, Block]]:
        """Yield the blocks of all trials, each with the index of its trial.

        Each distance is computed once for all trials, unless re-ranking is on: it depends on the
        neighbors in one gallery.
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
        split: Split whose tasks are evaluated.
        metric: Distance between two parts; the mean over the parts counts.
        rerank: Checked settings of a re-ranking; None: no re-ranking.

    Attributes:
        protocol: The checked protocol of the partition.
        directions: The directions by name, in the partition's order.

    Raises:
        EvaluationError: If the protocol is unknown or leaves no query or no gallery, the split
            has no tasks, or a tracklet has no embedding.
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
    """Return a direction with its galleries drawn; if swapped, the galleries are the queries."""
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
    """Return queries and gallery without junk and without cameras that the protocol excludes."""
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
