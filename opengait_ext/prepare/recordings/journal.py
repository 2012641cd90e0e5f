"""What a preparation of a user's recordings has finished: a line a tracklet, written at once.

A process that is killed leaves at most half a last line, which is passed over; what is not in the
journal is done again.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import PACKED, LayoutError, count_frames

FOLDER = ".own"
FORMAT = b"opengait_ext/own/2"


class Journal:
    """The finished work of one process.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def read(self) -> dict[str, dict[str, Any]]:
        """Gives the last record of each key; damaged lines are passed over."""
        records = {}
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return {}
        for line in text.splitlines():
            try:
                key, record = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                continue
            if isinstance(key, str) and isinstance(record, dict):
                records[key] = record
        return records

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Appends a record; it begins a new line after half a line of an earlier process."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(("" if self._is_clean() else "\n") + json.dumps([key, record]) + "\n")

    def _is_clean(self) -> bool:
        with self._path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def stamp_of(paths: Sequence[str]) -> str:
    """Gives the sha256 of names, sizes and times of files: it changes if a file does.

    The form of the records is part of it, so that one of another form is not taken for known.
    """
    digest = hashlib.sha256(FORMAT)
    for path in paths:
        about = os.stat(path)
        name = os.path.basename(path)
        digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()


def is_there(folder: str, frames: int, min_frames: int) -> bool:
    """Whether a tracklet of so many frames is packed, or rightly is not."""
    if frames < min_frames:
        return not Path(folder, PACKED).exists()
    try:
        return count_frames(folder) == frames
    except LayoutError:
        return False


def remove_prepared(folder: str) -> None:
    """Removes a tracklet's file and what a stopped process left beside it."""
    Path(folder, PACKED).unlink(missing_ok=True)
    remove_leftovers(folder)


def remove_leftovers(folder: str) -> None:
    """Removes what a stopped process left under a temporary name."""
    for path in Path(folder).glob(f".{PACKED}.*.tmp"):
        path.unlink(missing_ok=True)
