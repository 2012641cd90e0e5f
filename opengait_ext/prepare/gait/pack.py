"""Copies one stream of a gait data set into the prepared form: smaller, quicker to read."""

from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.layout import PICKLED, LayoutError, read_array, write_tracklet_array
from opengait_ext.data.pack import measure_array, named_stream
from opengait_ext.prepare.faults import SourceError, listed
from opengait_ext.prepare.gait.tree import Row, in_threads
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.target import flush_disks


def pack(source: Path, target: Path, rows: Sequence[Row], stream: str, workers: int) -> int:
    """Writes ``0-frames.pkl`` of every tracklet; one that is there already stays.

    Args:
        source: Folder of the identities.
        target: Where to.
        rows: The tracklets, measured.
        stream: Name of each one's file.
        workers: Threads.

    Returns:
        How many were there already.

    Raises:
        SourceError: If a file turned out to be damaged.
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
    """Tells whether the tracklet was there already."""
    place = target / row.path
    if (place / PICKLED).is_file() and measure_array(place / PICKLED) == row.shape:
        return True
    folder = source / row.path
    frames = read_array(folder / f"{named_stream(folder, stream)}.pkl")
    write_tracklet_array(place, frames, durable=False)
    return False
