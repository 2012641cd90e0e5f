"""Crash-safe journal of a preparation of own recordings: one line per finished tracklet.

A killed process leaves at most half a line, which is ignored. Tracklets that are not in the journal
are prepared again.
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
        path: The file; it need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return the last record of each key; damaged lines are ignored."""
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
        """Append a record, on a new line even if an earlier process left half a line."""
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
    """Return the sha256 of names, sizes and times of files; it changes when a file changes.

    The format of the records is part of it, so that records of another format are not reused.
    """
    digest = hashlib.sha256(FORMAT)
    for path in paths:
        about = os.stat(path)
        name = os.path.basename(path)
        digest.update(f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()


def is_there(folder: str, frames: int, min_frames: int) -> bool:
    """Return whether a tracklet with this number of frames is packed, or rightly is not."""
    if frames < min_frames:
        return not Path(folder, PACKED).exists()
    try:
        return count_frames(folder) == frames
    except LayoutError:
        return False


def remove_prepared(folder: str) -> None:
    """Remove a tracklet's file, and the temporary files of a stopped process."""
    Path(folder, PACKED).unlink(missing_ok=True)
    remove_leftovers(folder)


def remove_leftovers(folder: str) -> None:
    """Remove the temporary files that a stopped process left."""
    for path in Path(folder).glob(f".{PACKED}.*.tmp"):
        path.unlink(missing_ok=True)
