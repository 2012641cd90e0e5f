"""The prepared form of every dataset: one file a tracklet, and ``partition.json``.

    <root>/partition.json                            splits, query and gallery, protocol
    <root>/<pid>/<rgb|ir>/D<camid>-T<row>/0-frames.zip     or 0-frames.pkl, the form of OpenGait
                                          1-fake_ir.zip    a second stream, where there is one

Gait data sets have other types in the place of ``rgb``, ``nm-01`` for instance, and other views.
Where two cameras filmed one walk side by side, ``pairs`` says which tracklets belong together.
Needs numpy and the standard library only. The tracklet files themselves are in `pack`.
"""

import json
from dataclasses import asdict, dataclass, field
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


@dataclass(frozen=True)
class Tracklet:
    """The frames of one person in one camera.

    Args:
        path: Below the root, ``0001/rgb/D3-T17``: identity, type, view.
        pid: The identity, as published: text.
        camid: The camera's number; both modalities share the numbers.
        modality: ``visible`` or ``infrared``.
        frames: How many there are.
        split: ``train``, ``val`` (validation: identities taken out of the training half), ``test``.
    """

    path: str
    pid: str
    camid: int
    modality: str
    frames: int
    split: str

    @property
    def type(self) -> str:
        """The middle part of the path, OpenGait's type: ``rgb``, ``ir``, or a gait data set's."""
        return self.path.split("/")[1]

    @property
    def view(self) -> str:
        """Camera and row, ``D3-T17``: the last part of the path, OpenGait's view."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Task:
    """Who queries whom: positions in ``Partition.tracklets``."""

    query: list[int]
    gallery: list[int]


@dataclass(frozen=True)
class Partition:
    """What ``partition.json`` says about a prepared dataset.

    Args:
        dataset: Its name, printed beside every result.
        tracklets: All of them, of every split.
        tasks: ``tasks[split][direction]``, directions as in ``DIRECTIONS`` or, of gait data,
            ``WITHIN_VISIBLE``; a condition may stand before, ``CL visible_to_visible``.
        protocol: ``{"name": "vcm", "ignore": "same_pid_camid" | "none", "min_frames": 12}``; of
            gait data also what ``evaluation.gait`` reads.
        source: Where the data come from: ``digest``, ``tool``, ``counts``, ``dropped`` ...;
            ``discard_lists`` is None, or tells of ``train`` and ``test`` what their list removed.
        pairs: Positions ``(visible, infrared)`` of tracklets whose frames of one number were taken
            together; empty for data without such, and in files that do not speak of pairs.
    """

    dataset: str
    tracklets: list[Tracklet]
    tasks: dict[str, dict[str, Task]]
    protocol: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[int, int]] = field(default_factory=list)


def read_partition(path: str | Path) -> Partition:
    """Gives the content of a ``partition.json`` after checking it.

    Args:
        path: The file.

    Raises:
        LayoutError: If the file is missing, is no partition, or contradicts itself; all faults
            are named, at most ten of them in full.
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
    """Writes ``partition.json``, whole or not at all.

    ``TRAIN_SET`` (identities of ``train`` and ``val``, as published) and ``TEST_SET`` are what
    OpenGait reads of the file.

    Args:
        path: The file; its folder is made.
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
