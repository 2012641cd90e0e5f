"""Shared parts of the partitions of published data: validation split, counts, dropped tracklets."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar
from typing import Protocol as Interface

import numpy as np

from opengait_ext.data.layout import (
    DIRECTIONS,
    INFRARED,
    SPLITS,
    VISIBLE,
    Partition,
    Task,
    atomic_write,
)
from opengait_ext.evaluation.protocols import Protocol, checked
from opengait_ext.prepare.published import Row

MODALITIES = (INFRARED, VISIBLE)


class HasCamera(Interface):
    """An identity in a camera."""

    @property
    def pid(self) -> str:
        """The identity."""

    @property
    def camid(self) -> int:
        """The camera's number."""


Seen = TypeVar("Seen", bound=HasCamera)


@dataclass(frozen=True)
class Dropped:
    """A published tracklet that is not used, and why."""

    tracklet: str
    half: str
    pid: str
    modality: str
    camid: int
    frames: int
    reason: str


def digest_of(rows: Iterable[Sequence[str]]) -> str:
    """Return the sha256 of rows of texts, each row as JSON: no text can imitate a separator."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def write_dropped(path: Path, kind: type, dropped: Sequence[Any]) -> None:
    """Write the dropped tracklets, instances of the dataclass ``kind``, as CSV with reasons."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(tracklet) for tracklet in dropped)
    atomic_write(path, text.getvalue().encode(errors="surrogateescape"))


def validation_identities(pids: set[str], fraction: float) -> set[str]:
    """Return the training identities that are held out for validation, always the same ones.

    The identities are ranked by the sha256 of their pid. So the choice depends on nothing else, and
    changes little if a few identities are added or removed.

    Args:
        pids: Training identities.
        fraction: Share that is held out. 0: none; otherwise at least one, at most all but one.
    """
    ranked = sorted(pids, key=lambda pid: hashlib.sha256(pid.encode()).hexdigest())
    count = round(fraction * len(ranked))
    if fraction > 0.0:
        count = min(max(count, 1), len(ranked) - 1)
    return set(ranked[:count])


def select(
    rows: Sequence[Row], frames: Sequence[int], min_frames: int, modalities: Sequence[str]
) -> tuple[list[int], list[Dropped]]:
    """Select the tracklets that are used.

    Short tracklets are dropped first. Then a training identity that lacks a modality is dropped,
    because every training batch shows an identity in all modalities. In the test half it stays, as
    a distractor or as a query without a match.

    Args:
        rows: All published tracklets, without discarded images.
        frames: Number of undamaged frames of each row.
        min_frames: Number of frames that a tracklet needs.
        modalities: Modalities that a training identity needs.

    Returns:
        Positions of the used rows, and the dropped rows with their reasons, both in row order.
    """
    reasons: dict[int, str] = {}
    seen: dict[str, set[str]] = {}
    robbed: dict[str, set[str]] = {}  # pid to modalities that lost a tracklet to the discard list
    for position, (row, count) in enumerate(zip(rows, frames, strict=True)):
        if count >= min_frames:
            seen.setdefault(row.pid, set()).add(row.modality)
            continue
        reasons[position] = _too_few(row, count, min_frames)
        if count + row.discarded >= min_frames:
            robbed.setdefault(row.pid, set()).add(row.modality)
    for position, row in enumerate(rows):
        if row.half != "test" and position not in reasons and len(seen[row.pid]) < len(modalities):
            note = " by the discard list" if robbed.get(row.pid, set()) - {row.modality} else ""
            reasons[position] = (
                f"training identity {row.pid} is left with {row.modality} only{note}"
            )
    dropped = [
        Dropped(row.path, row.half, row.pid, row.modality, row.camid, count, reasons[position])
        for position, (row, count) in enumerate(zip(rows, frames, strict=True))
        if position in reasons
    ]
    return [position for position in range(len(rows)) if position not in reasons], dropped


def _too_few(row: Row, count: int, min_frames: int) -> str:
    """Return why a tracklet has fewer frames than it needs."""
    damaged = len(row.images) - count
    if row.discarded:
        note = (
            f" left of {len(row.images) + row.discarded}, {row.discarded} are in the discard list"
        )
        note += f", {damaged} more are damaged" if damaged else ""
    else:
        note = f" ({damaged} more are damaged)" if damaged else ""
    return f"{count} frames{note}, at least {min_frames} needed"


def cross_modality(rows: Sequence[Row], members: Sequence[int]) -> dict[str, Task]:
    """Return the tasks of both directions: all tracklets of one modality query all of the other.

    Args:
        rows: All used tracklets.
        members: Positions in ``rows`` of the tracklets of one split.
    """
    places = {
        modality: [place for place in members if rows[place].modality == modality]
        for modality in MODALITIES
    }
    pairs = {direction: direction.split("_to_") for direction in DIRECTIONS}
    return {name: Task(places[query], places[gallery]) for name, (query, gallery) in pairs.items()}


def count_all(partition: Partition) -> dict[str, Any]:
    """Count identities, tracklets, frames, one-sided identities, and queries without a match."""
    counts: dict[str, Any] = {}
    for split in SPLITS:
        for modality in MODALITIES:
            chosen = [t for t in partition.tracklets if (t.split, t.modality) == (split, modality)]
            counts.setdefault(split, {})[modality] = {
                "identities": len({t.pid for t in chosen}),
                "tracklets": len(chosen),
                "frames": sum(t.frames for t in chosen),
            }
    test = [t for t in partition.tracklets if t.split == "test"]
    sides = [{t.pid for t in test if t.modality == modality} for modality in MODALITIES]
    counts["test_identities_in_one_modality"] = len(sides[0] ^ sides[1])
    counts["queries_without_match"] = queries_without_match(partition)
    return counts


def queries_without_match(partition: Partition) -> dict[str, int]:
    """Count the queries of every task for which the camera rule leaves no match in the gallery."""
    return {
        f"{split} {direction}": _unmatched(partition, task)
        for split, tasks in partition.tasks.items()
        for direction, task in tasks.items()
    }


def _unmatched(partition: Partition, task: Task) -> int:
    sides = ([partition.tracklets[place] for place in side] for side in (task.query, task.gallery))
    return len(unmatched(checked(partition.protocol), *sides))


def unmatched(protocol: Protocol, query: Sequence[Seen], gallery: Sequence[Seen]) -> list[Seen]:
    """Return the queries without a match in the gallery under the protocol; junk is no match."""
    cameras: dict[str, set[int]] = {}
    for tracklet in gallery:
        if protocol.gallery_cameras is None or tracklet.camid in protocol.gallery_cameras:
            cameras.setdefault(tracklet.pid, set()).add(tracklet.camid)
    seen = {pid: _places(protocol, cameras[pid]) for pid in cameras}
    return [
        each
        for each in query
        if each.pid not in protocol.junk
        and not seen.get(each.pid, set())
        - (_places(protocol, {each.camid}) if protocol.ignore != "none" else set())
    ]


def _places(protocol: Protocol, camids: set[int]) -> set[int]:
    return {int(place) for place in protocol.places(np.array(sorted(camids)))}


def table(counts: dict[str, Any], modalities: Sequence[str] = MODALITIES) -> Iterator[str]:
    """Yield the lines of the table of identities, tracklets and frames."""
    columns = ("identities", "tracklets", "frames")
    yield f"{'split':<8}{'modality':<10}" + "".join(f"{column:>12}" for column in columns)
    for split in SPLITS:
        for modality in modalities:
            numbers = counts[split][modality]
            cells = "".join(f"{numbers[column]:>12,}" for column in columns)
            yield f"{split:<8}{modality:<10}{cells}"
