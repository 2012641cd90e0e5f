"""The prepared form of every data set: one file per tracklet, and ``partition.json``.

    <root>/partition.json                            splits, query and gallery, protocol
    <root>/<pid>/<rgb|ir>/D<camid>-T<row>/0-frames.zip     or 0-frames.pkl, the form of OpenGait
                                          1-fake_ir.zip    a second stream, where there is one

Gait data sets have other types in place of ``rgb``, such as ``nm-01``, and other views. Where two
cameras filmed the same walk together, ``pairs`` says which tracklets belong together.
Needs numpy and the standard library only. The tracklet files themselves are in `pack`.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opengait_ext.data.pack import (
    FAKE_IR,
    FRAMES,
    PACKED,
    PICKLED,
    LayoutError,
    atomic_write,
    count_frames,
    read_array,
    read_frames,
    write_tracklet,
    write_tracklet_array,
)
from opengait_ext.data.partition import Partition, Task, Tracklet
from opengait_ext.data.partition_faults import (
    DIRECTIONS,
    FOLDERS,
    INFRARED,
    SPLITS,
    VISIBLE,
    WITHIN_VISIBLE,
    faults_of_partition,
)

__all__ = [
    "DIRECTIONS",
    "FAKE_IR",
    "FOLDERS",
    "FRAMES",
    "INFRARED",
    "PACKED",
    "PICKLED",
    "SPLITS",
    "VISIBLE",
    "WITHIN_VISIBLE",
    "LayoutError",
    "Partition",
    "Task",
    "Tracklet",
    "atomic_write",
    "count_frames",
    "read_array",
    "read_frames",
    "read_partition",
    "write_partition",
    "write_tracklet",
    "write_tracklet_array",
]

FORMAT = "opengait_ext/partition/1"


def read_partition(path: str | Path) -> Partition:
    """Return the checked content of a ``partition.json``.

    Args:
        path: The file.

    Raises:
        LayoutError: If the file is missing, is not a partition, or contradicts itself. All faults
            are counted, at most ten are named.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(f"{path}: cannot be read ({error}); prepare the data first") from error
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise LayoutError(f"{path}: format is {content['format']!r}, expected {FORMAT!r}")
        partition = Partition(
            str(content["dataset"]),
            [Tracklet(**fields) for fields in content["tracklets"]],
            {
                split: {direction: Task(**lists) for direction, lists in tasks.items()}
                for split, tasks in content["tasks"].items()
            },
            dict(content["protocol"]),
            dict(content["source"]),
            [tuple(pair) for pair in content.get("pairs", [])],
        )
        _check(partition, str(path))
    except LayoutError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        raise LayoutError(f"{path}: not a partition file ({reason}); prepare again") from error
    return partition


def write_partition(path: str | Path, partition: Partition) -> None:
    """Write ``partition.json`` atomically.

    OpenGait reads ``TRAIN_SET`` (identities of ``train`` and ``val``, as published) and
    ``TEST_SET`` from this file.

    Args:
        path: The file; its folder is created.
        partition: Its content.

    Raises:
        LayoutError: If the partition contradicts itself.
    """
    _check(partition, str(path))
    tracklets = partition.tracklets
    rest: dict[str, Any] = {
        "tasks": {
            split: {direction: asdict(task) for direction, task in tasks.items()}
            for split, tasks in partition.tasks.items()
        },
        "protocol": partition.protocol,
        "source": partition.source,
        "TRAIN_SET": sorted({t.pid for t in tracklets if t.split != "test"}),
        "TEST_SET": sorted({t.pid for t in tracklets if t.split == "test"}),
    }
    if partition.pairs:
        rest["pairs"] = partition.pairs
    rows = ",\n".join("  " + json.dumps(asdict(tracklet)) for tracklet in tracklets)
    parts = [f'"format": {json.dumps(FORMAT)}', f'"dataset": {json.dumps(partition.dataset)}']
    parts += [f'"tracklets": [\n{rows}\n]']
    parts += [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in rest.items()]
    atomic_write(path, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _check(partition: Partition, place: str) -> None:
    faults = faults_of_partition(partition)
    if faults:
        shown = "\n  ".join(faults[:10])
        rest = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise LayoutError(f"{place}: contradicts itself\n  {shown}{rest}")
