"""Ranks the gallery for each query of a tested run, to show what was found and what was not.

Distances, protocols and scores are those of ``evaluation``; this module only keeps, for each
query, what a reader wants to see. Letters: q queries, g gallery tracklets, k places shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..data.layout import Partition, Task, Tracklet
from ..errors import UserError
from ..evaluation.distance import distance_blocks
from ..evaluation.metrics import QueryScores, score_identities
from ..evaluation.protocols import Protocol, checked, draw
from .tallies import CameraPairs, Distances, nearest_of

BLOCK = 256  # queries at a time


class ReportError(UserError):
    """A run cannot be shown: something is missing or does not belong together."""


@dataclass(frozen=True)
class Direction:
    """Holds the rankings of one direction.

    Attributes:
        query: ``[q]`` positions in the partition's list of tracklets.
        gallery: ``[g]`` positions.
        scores: Of each query, NaN where the gallery holds no match.
        matches: ``[q]``, matches that the protocol leaves in.
        nearest: For each query, positions in the partition of the nearest, at most k.
        distances: The distances of these.
        cameras: The matches by camera.
        intra: Distances of the pairs of one identity that the protocol leaves in.
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


class _Side(NamedTuple):
    """Holds queries or gallery: positions in the partition and what is compared."""

    positions: np.ndarray
    embeddings: np.ndarray  # [n, d, p]
    pids: np.ndarray
    camids: np.ndarray
    places: np.ndarray  # where the cameras stand


def rank_split(
    embeddings: np.ndarray,
    paths: Sequence[str],
    partition: Partition,
    split: str,
    metric: str,
    places: int = 10,
    rerank: Mapping[str, Any] | None = None,
) -> dict[str, Direction]:
    """Ranks the gallery for every query of a split.

    Where the protocol draws galleries, the first one is ranked.

    Args:
        embeddings: ``[N, d, p]``.
        paths: Those N tracklets, as in the partition.
        partition: Of the data that were tested.
        split: Which of its tasks.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.
        places: Nearest tracklets that are kept for each query.
        rerank: Settings of the re-ranking of the test; None without.

    Returns:
        The rankings by direction, in the partition's order.

    Raises:
        ReportError: If embeddings and partition do not belong together.
        UserError: If the protocol or the re-ranking is unknown.
    """
    rows = {path: row for row, path in enumerate(paths)}
    tasks = partition.tasks.get(split)
    if not tasks:
        raise ReportError(
            f"the partition says nothing about who queries whom in the split {split!r}: there is "
            "no rank list to show"
        )
    _check_embedded(rows, partition, tasks)
    protocol = checked(partition.protocol)
    found = {}
    for name, task in tasks.items():
        chosen = _members(task, partition.tracklets, protocol, name)
        query, gallery = (
            _side(positions, partition.tracklets, rows, embeddings, protocol)
            for positions in chosen
        )
        blocks = _blocks(query.embeddings, gallery.embeddings, metric, rerank)
        upper = 1.0 if rerank else 2.0
        if metric != "cosine" and not rerank:
            upper = _upper(query.embeddings) + _upper(gallery.embeddings)
        found[name] = _direction(query, gallery, protocol, blocks, places, upper)
    return found


def _check_embedded(
    rows: Mapping[str, int], partition: Partition, tasks: Mapping[str, Task]
) -> None:
    wanted = {place for task in tasks.values() for place in (*task.query, *task.gallery)}
    paths = [partition.tracklets[place].path for place in sorted(wanted)]
    lacking = [path for path in paths if path not in rows]
    if lacking:
        raise ReportError(
            f"{len(lacking)} tracklets have no embedding ({', '.join(lacking[:5])}): the "
            "partition is not the one that was tested"
        )


def _members(
    task: Task, tracklets: Sequence[Tracklet], protocol: Protocol, name: str
) -> tuple[list[int], list[int]]:
    """Gives the positions of queries and gallery that the protocol leaves in."""
    query, gallery = (
        [place for place in side if tracklets[place].pid not in protocol.junk]
        for side in (task.query, task.gallery)
    )
    cameras = protocol.gallery_cameras
    if cameras is not None:
        gallery = [place for place in gallery if tracklets[place].camid in cameras]
    if protocol.trials:
        members = [tracklets[place] for place in gallery]
        drawn = draw(
            [tracklet.pid for tracklet in members],
            [tracklet.camid for tracklet in members],
            [tracklet.path for tracklet in members],
            protocol.trials,
            0,
        )
        gallery = [gallery[place] for place in drawn]
    if not query or not gallery:
        raise ReportError(f"the protocol leaves no query or no gallery ({name})")
    return (gallery, query) if name in protocol.swapped else (query, gallery)


def _side(
    positions: Sequence[int],
    tracklets: Sequence[Tracklet],
    rows: Mapping[str, int],
    embeddings: np.ndarray,
    protocol: Protocol,
) -> _Side:
    members = [tracklets[place] for place in positions]
    camids = np.array([tracklet.camid for tracklet in members])
    return _Side(
        np.array(positions),
        embeddings[[rows[tracklet.path] for tracklet in members]],
        np.array([tracklet.pid for tracklet in members]),
        camids,
        protocol.places(camids),
    )


def _blocks(
    query: np.ndarray, gallery: np.ndarray, metric: str, rerank: Mapping[str, Any] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Gives the distances of a block of queries after the other, re-ranked if the test was.

    A temporal re-ranking needs embeddings that no run keeps: there the lists are those before it.
    """
    if rerank and rerank["type"] != "temporal":
        from ..evaluation.rerank import rerank_distances

        distance = rerank_distances(query, gallery, rerank, metric).cpu().numpy()
        for start in range(0, len(distance), BLOCK):
            yield start, distance[start : start + BLOCK]
        return
    for start, block in distance_blocks(query, gallery, metric, BLOCK):
        yield start, block.cpu().numpy()


def _direction(
    query: _Side,
    gallery: _Side,
    protocol: Protocol,
    blocks: Iterator[tuple[int, np.ndarray]],
    places: int,
    upper: float,
) -> Direction:
    intra, inter = Distances(upper), Distances(upper)
    (cameras, here), (others, there) = (
        np.unique(side.camids, return_inverse=True) for side in (query, gallery)
    )
    found, matched = (np.zeros((len(cameras), len(others)), np.int64) for _ in range(2))
    nearest, distances, scores, matches = [], [], [], []
    for start, distance in blocks:
        rows = slice(start, start + len(distance))
        match = query.pids[rows, None] == gallery.pids
        ignored = protocol.left_out(match, query.places[rows, None] == gallery.places)
        kept = match & ~ignored
        scores.append(_scores(distance, query.pids[rows], gallery.pids, ignored, protocol))
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
    return Direction(
        query.positions,
        gallery.positions,
        QueryScores(*(np.concatenate(parts) for parts in zip(*scores, strict=True))),
        np.concatenate(matches),
        nearest,
        distances,
        CameraPairs(cameras, others, found, matched),
        intra,
        inter,
    )


def _scores(
    distance: np.ndarray,
    wanted: np.ndarray,
    offered: np.ndarray,
    ignored: np.ndarray,
    protocol: Protocol,
) -> QueryScores:
    scores = score_identities(
        distance,
        wanted,
        offered,
        ignored if ignored.any() else None,
        ap=protocol.ap,  # type: ignore[arg-type]
        cmc=protocol.cmc,  # type: ignore[arg-type]
    )
    if protocol.unmatched == "count_as_zero":
        for values, miss in zip(scores, (0.0, 0.0, np.inf), strict=True):
            values[np.isnan(values)] = miss
    return scores


def _upper(embeddings: np.ndarray) -> float:
    """Gives a length that the mean over the parts of no tracklet exceeds."""
    lengths = np.sqrt(np.square(embeddings, dtype=np.float64).sum(1)).mean(1)
    return float(lengths.max()) or 1.0
