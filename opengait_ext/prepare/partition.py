"""What the partitions of all published data sets have in common: validation, counts, what left."""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import INFRARED, SPLITS, VISIBLE, Partition, Task, atomic_write

MODALITIES = (INFRARED, VISIBLE)


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


def write_dropped(path: Path, kind: type, dropped: Sequence[Any]) -> None:
    """Writes the dropped tracklets, dataclasses of one kind, with their reasons as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(tracklet) for tracklet in dropped)
    atomic_write(path, text.getvalue().encode(errors="surrogateescape"))


def validation_identities(pids: set[str], fraction: float) -> set[str]:
    """Takes a fixed part of the training identities for validation.

    The identities are ranked by the sha256 of their number, so the choice depends on nothing else
    and changes little if a few identities come or go.

    Args:
        pids: Training identities.
        fraction: 0 for none, else at least one and at most all but one are taken.
    """
    ranked = sorted(pids, key=lambda pid: hashlib.sha256(pid.encode()).hexdigest())
    count = round(fraction * len(ranked))
    if fraction > 0.0:
        count = min(max(count, 1), len(ranked) - 1)
    return set(ranked[:count])


def count_all(partition: Partition) -> dict[str, Any]:
    """Counts identities, tracklets and frames, one-sided identities, queries without a match."""
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
    """Counts the queries of every task for which the camera rule leaves no match in the gallery."""
    return {
        f"{split} {direction}": _unmatched(partition, task)
        for split, tasks in partition.tasks.items()
        for direction, task in tasks.items()
    }


def _unmatched(partition: Partition, task: Task) -> int:
    ignores = partition.protocol["ignore"] == "same_pid_camid"
    cameras: dict[str, set[int]] = {}
    for position in task.gallery:
        tracklet = partition.tracklets[position]
        cameras.setdefault(tracklet.pid, set()).add(tracklet.camid)
    queries = [partition.tracklets[position] for position in task.query]
    return sum(
        not cameras.get(query.pid, set()) - ({query.camid} if ignores else set())
        for query in queries
    )


def table(counts: dict[str, Any]) -> Iterator[str]:
    """Gives the lines of the table of identities, tracklets and frames."""
    columns = ("identities", "tracklets", "frames")
    yield f"{'split':<8}{'modality':<10}" + "".join(f"{column:>12}" for column in columns)
    for split in SPLITS:
        for modality in MODALITIES:
            numbers = counts[split][modality]
            cells = "".join(f"{numbers[column]:>12,}" for column in columns)
            yield f"{split:<8}{modality:<10}{cells}"
