"""The committed state of a gallery, its log, and appending behind the committed end."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..data.layout import atomic_write
from ..edge import placed
from ..lock import InUseError, lock_files, locked
from .records import GalleryError, ModelMark, Record

FORMAT = "opengait_ext/gallery/1"
STATE = "gallery.json"
LOCK = "lock"


@dataclass(frozen=True)
class State:
    """Committed state of a gallery.

    Attributes:
        mark: Mark of the model.
        checkpoint: Path of the model's checkpoint, as the user gave it.
        generation: Number in the names of the files of rows and records.
        rows: Number of committed rows.
        log_bytes: Number of committed bytes of the log.
    """

    mark: ModelMark
    checkpoint: str
    generation: int = 1
    rows: int = 0
    log_bytes: int = 0

    def write(self, folder: Path) -> None:
        """Commit the state by replacing its file atomically."""
        fields = {
            "generation": self.generation,
            "rows": self.rows,
            "log_bytes": self.log_bytes,
            "checkpoint": self.checkpoint,
        }
        content = {"format": FORMAT, "model": self.mark.to_dict(), **fields}
        atomic_write(folder / STATE, (json.dumps(content, indent=2) + "\n").encode())

    @property
    def row_bytes(self) -> int:
        """Return the size of a row in bytes."""
        return 4 * self.mark.shape[0] * self.mark.shape[1]


def read_state(folder: Path) -> State:
    """Read the committed state.

    Raises:
        GalleryError: If there is no gallery, or its file has another form or is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise GalleryError(
            f"{folder}: there is no gallery here (no {STATE}). Make one: "
            f"opengait-ext embed RUN --target {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise GalleryError(f"{path}: format is {content['format']!r}, expected {FORMAT!r}")
        numbers = [content[name] for name in ("generation", "rows", "log_bytes")]
        if not all(type(number) is int and 0 <= number < 2**48 for number in numbers):
            raise ValueError(f"expected whole numbers from 0, found {ascii(numbers)[:120]}")
        return State(ModelMark.from_dict(content["model"]), str(content["checkpoint"]), *numbers)
    except GalleryError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as fault:
        reason = f"{type(fault).__name__}: {fault}"
        raise GalleryError(f"{path}: not the state of a gallery ({reason})") from fault


def read_log(content: bytes, place: Path) -> tuple[list[Record], list[tuple[str, int]]]:
    """Read records and removals from the lines of a log.

    Returns:
        The record of each row; and for each removal its identity and the number of rows before
        it.

    Raises:
        GalleryError: If a line is neither.
    """
    records: list[Record] = []
    removed: list[tuple[str, int]] = []
    try:
        for line in content.decode().split("\n")[:-1]:
            fields = json.loads(line)
            if "removed" in fields:
                removed.append((fields["removed"], len(records)))
            else:
                fields.pop("added")
                records.append(Record(**fields))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as fault:
        raise GalleryError(
            f"{place}: damaged behind {len(records)} tracklets ({type(fault).__name__}: {fault})"
        ) from fault
    return records, removed


def record_line(record: Record) -> str:
    """Return the log's line for a tracklet that is added now."""
    return _line({**asdict(record), "added": _now()})


def removal_line(pid: str) -> str:
    """Return the log's line that removes an identity."""
    return _line({"removed": pid, "at": _now()})


def append(path: Path, end: int, content: bytes) -> None:
    """Truncate a file to its committed end, then append to it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with open(descriptor, "r+b") as file:
            file.truncate(end)
            file.seek(end)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise placed(fault, path) from fault


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content) + "\n"


def _now() -> str:
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the write lock of a gallery.

    Raises:
        GalleryError: If another process is writing; the message has its process id.
    """
    try:
        with locked(folder / LOCK):
            yield
    except InUseError as fault:
        raise GalleryError(f"{folder}: somebody else is writing this gallery: {fault}") from fault


def is_free(folder: Path) -> bool:
    """Return whether a folder is missing or holds nothing but a lock."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return names <= set(lock_files(folder / LOCK))
