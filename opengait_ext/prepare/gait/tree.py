"""The folders of a gait data set in OpenGait's form: ``identity/type/view/*.pkl``.

Tracklets are measured, and one stream can be copied into the prepared form, which is smaller and
faster to read.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import PICKLED, LayoutError, read_array, write_tracklet_array
from opengait_ext.data.pack import measure_array, named_stream
from opengait_ext.data.pickled import RefusedError
from opengait_ext.prepare.faults import Fault, Kind, SourceError, listed
from opengait_ext.prepare.gait.sets import Lists
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.target import flush_disks

_PROBED = 50  # folders searched for the name of their files
_ADVICE = {
    Kind.UNUSABLE: "--skip-damaged leaves out the tracklets whose file cannot be used.",
    Kind.CARRIES_CODE: "A file that asks for classes is always refused: get it again from its "
    "publisher.",
}


@dataclass(frozen=True)
class Row:
    """A tracklet on disk.

    Attributes:
        pid: Its identity.
        kind: Its type.
        view: Its view.
        half: ``train`` or ``test``.
        shape: Frames, channels, height, width; zeros if the file is unusable.
        fault: Why the file is unusable.
    """

    pid: str
    kind: str
    view: str
    half: str
    shape: tuple[int, ...] = (0, 0, 0, 0)
    fault: Fault | None = None

    @property
    def path(self) -> str:
        """Path of the tracklet, ``identity/type/view``."""
        return f"{self.pid}/{self.kind}/{self.view}"


@dataclass
class Tree:
    """The contents of the source folder.

    Attributes:
        rows: The tracklets of listed identities, in order.
        absent: Listed identities without a folder, by half.
        unlisted: Folders of identities that no list names.
        strays: Files where only folders should be, and files other than pickles in a tracklet
            folder; OpenGait itself fails on them.
    """

    rows: list[Row] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=lambda: {"train": [], "test": []})
    unlisted: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)


def walk(source: Path, lists: Lists) -> Tree:
    """List the tracklets of all listed identities, without opening a file.

    Raises:
        SourceError: If the source is no folder, or holds none of the identities.
    """
    if not source.is_dir():
        raise SourceError(f"--source {source}: is no folder; unpack the data set first")
    tree = Tree()
    there = set(_folders(source, tree, top=True))
    for half, pids in (("train", lists.train), ("test", lists.test)):
        for pid in pids:
            if pid not in there:
                tree.absent[half].append(pid)
                continue
            for kind in _folders(source / pid, tree):
                for view in _folders(source / pid / kind, tree):
                    tree.rows.append(Row(pid, kind, view, half))
    tree.unlisted = sorted(there - {*lists.train, *lists.test})
    if not tree.rows:
        shown = ", ".join(sorted(there)[:5]) or "no folder"
        raise SourceError(
            f"--source {source}: holds no identity of {lists.path} ({lists.train[0]}, "
            f"{lists.test[0]}, ...), but {shown}; give the folder of the identities"
        )
    return tree


def stream_of(source: Path, rows: Sequence[Row], candidates: Sequence[str]) -> str:
    """Return the first candidate name found in a sample of the tracklets.

    Raises:
        SourceError: If no candidate is found.
    """
    probed = rows[:: max(1, len(rows) // _PROBED)]
    for stream in candidates:
        for row in probed:
            folder = source / row.path
            try:
                if (folder / f"{named_stream(folder, stream)}.pkl").is_file():
                    return stream
            except LayoutError:
                continue
    folder = source / probed[0].path
    there = ", ".join(sorted(os.listdir(folder))) or "no files"
    names = " or ".join(f"{stream}.pkl" for stream in candidates)
    raise SourceError(
        f"{source}: none of {len(probed)} tracklets asked has a file {names} ({folder} has "
        f"{there}); choose another --kind, or name the file with --stream"
    )


def measure(source: Path, tree: Tree, stream: str, workers: int) -> None:
    """Measure the array of every tracklet and record unusable files; read no frames.

    Args:
        source: Folder of the identities.
        tree: The tracklets; rows are replaced by measured ones.
        stream: File name within a tracklet folder.
        workers: Number of threads; the work waits mostly for disks.
    """
    rows: list[Row] = []
    found = in_threads(lambda row: _measured(source, row, stream), tree.rows, workers)
    with Progress(len(tree.rows), "looking", "tracklets") as progress:
        for row, strays in found:
            rows.append(row)
            tree.strays += strays
            progress.add()
    tree.rows = rows


def in_threads(
    work: Callable[[Row], Any], rows: Sequence[Row], workers: int, ahead: int = 256
) -> Iterator[Any]:
    """Yield results in order; at most ``ahead`` tasks are queued, so an interrupt acts soon."""
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(rows), ahead):
            yield from pool.map(work, rows[first : first + ahead])


def _measured(source: Path, row: Row, stream: str) -> tuple[Row, list[str]]:
    folder = source / row.path
    there = sorted(os.listdir(folder))
    strays = [str(folder / name) for name in there if not name.endswith(".pkl")]
    place, shape = folder, (0, 0, 0, 0)
    kind, reason = Kind.UNUSABLE, ""
    if not there:
        reason = "is empty"
    else:
        try:
            place = folder / f"{named_stream(folder, stream)}.pkl"
            if place.is_file():
                shape = measure_array(place)  # type: ignore[assignment]
            else:
                reason = f"is missing (there are: {', '.join(there)})"
        except LayoutError as error:
            kind = Kind.CARRIES_CODE if isinstance(error, RefusedError) else Kind.UNUSABLE
            reason = str(error).removeprefix(f"{place}: ")
    fault = Fault(kind, str(place), reason, advice=_ADVICE[kind]) if reason else None
    return Row(row.pid, row.kind, row.view, row.half, shape, fault), strays


def _folders(folder: Path, tree: Tree, top: bool = False) -> list[str]:
    """Return the sorted names of the subfolders, and record other entries as strays."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                names.append(entry.name)
            elif not top:  # archives and lists may lie beside the identities
                tree.strays.append(entry.path)
    return sorted(names)


def pack(source: Path, target: Path, rows: Sequence[Row], stream: str, workers: int) -> int:
    """Write ``0-frames.pkl`` for every tracklet; keep existing ones.

    Args:
        source: Folder of the identities.
        target: Folder to write.
        rows: The tracklets, measured.
        stream: File name within a tracklet folder.
        workers: Number of threads.

    Returns:
        The number of tracklets that existed already.

    Raises:
        SourceError: If a file is damaged.
    """

    def work(row: Row) -> tuple[bool, str]:
        try:
            return _packed(source, target, row, stream), ""
        except LayoutError as fault:
            return False, str(fault)

    reused, failures = 0, []
    with Progress(len(rows), "packing", "tracklets") as progress:
        for was_there, failure in in_threads(work, rows, workers):
            reused += was_there
            failures += [failure] if failure else []
            progress.add()
    flush_disks()
    if failures:
        raise SourceError(listed(f"{len(failures)} tracklets could not be packed", failures))
    return reused


def _packed(source: Path, target: Path, row: Row, stream: str) -> bool:
    """Pack one tracklet; return whether it existed already."""
    place = target / row.path
    if (place / PICKLED).is_file() and measure_array(place / PICKLED) == row.shape:
        return True
    folder = source / row.path
    frames = read_array(folder / f"{named_stream(folder, stream)}.pkl")
    write_tracklet_array(place, frames, durable=False)
    return False
