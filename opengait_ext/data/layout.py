"""The prepared form of every dataset: one file a tracklet, and ``partition.json``.

    <root>/partition.json                            splits, query and gallery, protocol
    <root>/<pid>/<rgb|ir>/D<camid>-T<row>/0-frames.zip     or 0-frames.pkl, the form of OpenGait
                                          1-fake_ir.zip    a second stream, where there is one

Where two cameras filmed one walk side by side, ``pairs`` says which tracklets belong together.
Needs numpy and the standard library only. The tracklet files themselves are in `pack`.
"""

import json
from collections.abc import Iterator
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
VISIBLE, INFRARED = "visible", "infrared"
FOLDERS = {VISIBLE: "rgb", INFRARED: "ir"}
DIRECTIONS = ("infrared_to_visible", "visible_to_infrared")  # query _to_ gallery
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Tracklet:
    """The frames of one person in one camera.

    Args:
        path: Below the root, ``0001/rgb/D3-T17``.
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
        tasks: ``tasks[split][direction]``, directions as in ``DIRECTIONS``.
        protocol: ``{"name": "vcm", "ignore": "same_pid_camid" | "none", "min_frames": 12}``.
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
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        reason = f"{type(error).__name__}: {error}"
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
    faults = [*_tracklet_faults(partition.tracklets)]
    if not faults:
        faults = [*_split_faults(partition.tracklets), *_task_faults(partition)]
        faults += _pair_faults(partition)
    if faults:
        shown = "\n  ".join(faults[:10])
        rest = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise LayoutError(f"{place}: contradicts itself\n  {shown}{rest}")


def _tracklet_faults(tracklets: list[Tracklet]) -> Iterator[str]:
    seen = set()
    for number, tracklet in enumerate(tracklets):
        start = f"tracklets[{number}] {tracklet.path!r}:"
        if not isinstance(tracklet.pid, str):
            yield f"{start} pid {tracklet.pid!r}, expected text"
        if tracklet.modality not in FOLDERS:
            yield f"{start} modality {tracklet.modality!r}, expected one of {sorted(FOLDERS)}"
            continue
        home = f"{tracklet.pid}/{FOLDERS[tracklet.modality]}/{tracklet.view}"
        if tracklet.path != home or not _is_plain(tracklet.path):
            yield f"{start} the path should be '<pid>/<rgb|ir>/<view>', here {home!r}"
        if tracklet.split not in SPLITS:
            yield f"{start} split {tracklet.split!r}, expected one of {list(SPLITS)}"
        if type(tracklet.frames) is not int or tracklet.frames < 1:
            yield f"{start} frames {tracklet.frames!r}, expected at least 1"
        if type(tracklet.camid) is not int:
            yield f"{start} camid {tracklet.camid!r}, expected a whole number"
        if tracklet.path in seen:
            yield f"{start} is listed twice"
        seen.add(tracklet.path)


def _is_plain(path: str) -> bool:
    """Whether a path stays below the root on every system."""
    parts = path.split("/")
    return len(parts) == 3 and not any(
        part in ("", ".", "..") or "\\" in part or ":" in part for part in parts
    )


def _split_faults(tracklets: list[Tracklet]) -> Iterator[str]:
    home: dict[str, str] = {}
    for tracklet in tracklets:
        split = home.setdefault(tracklet.pid, tracklet.split)
        if split != tracklet.split:
            yield f"identity {tracklet.pid!r} is both in {split!r} and in {tracklet.split!r}"


def _task_faults(partition: Partition) -> Iterator[str]:
    for split, tasks in partition.tasks.items():
        for direction, task in tasks.items():
            start = f"tasks.{split}.{direction}"
            if split not in SPLITS or direction not in DIRECTIONS:
                yield f"{start}: expected a split of {list(SPLITS)} and one of {list(DIRECTIONS)}"
                continue
            for name, modality in zip(("query", "gallery"), direction.split("_to_"), strict=True):
                yield from _list_faults(
                    getattr(task, name), f"{start}.{name}", partition.tracklets, split, modality
                )


def _list_faults(
    positions: list[int], start: str, tracklets: list[Tracklet], split: str, modality: str
) -> Iterator[str]:
    for position in positions:
        if type(position) is not int or not 0 <= position < len(tracklets):
            yield f"{start}: position {position!r}, there are {len(tracklets)} tracklets"
        elif (tracklets[position].split, tracklets[position].modality) != (split, modality):
            yield f"{start}: tracklet {position} is not {modality} or not of split {split!r}"
    if len(set(map(repr, positions))) != len(positions):
        yield f"{start}: lists a tracklet twice"


def _pair_faults(partition: Partition) -> Iterator[str]:
    tracklets = partition.tracklets
    seen: set[int] = set()
    for number, pair in enumerate(partition.pairs):
        start = f"pairs[{number}] {list(pair)}:"
        there = [type(p) is int and 0 <= p < len(tracklets) for p in pair]
        if there != [True, True]:
            yield f"{start} expected a visible and an infrared position below {len(tracklets)}"
            continue
        visible, infrared = (tracklets[position] for position in pair)
        if (visible.modality, infrared.modality) != (VISIBLE, INFRARED):
            found = f"{visible.modality} and {infrared.modality}"
            yield f"{start} is {found}, expected visible and infrared"
        if (visible.pid, visible.camid) != (infrared.pid, infrared.camid):
            yield f"{start} {visible.path} and {infrared.path}: expected one identity and camera"
        if visible.frames != infrared.frames:
            yield (
                f"{start} {visible.path} has {visible.frames} frames and {infrared.path} "
                f"{infrared.frames}: expected equally many"
            )
        if not seen.isdisjoint(pair):
            yield f"{start} a tracklet of it is in another pair already"
        seen.update(pair)
