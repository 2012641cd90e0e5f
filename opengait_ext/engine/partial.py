"""Embeddings on disk as they are computed, so that a long test can be gone on with."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Part = tuple[np.ndarray, np.ndarray]


class PartialEmbeddings:
    """One file per process, to which each batch is appended; it is removed in the end.

    Args:
        path: The file. What an earlier test left there is taken over if it was made under the
            same conditions, up to the last whole batch.
        conditions: Everything that the embeddings depend on, for JSON.

    Attributes:
        parts: Positions ``[n]`` and embeddings ``[n, d, p]`` of each batch so far.
    """

    def __init__(self, path: Path, conditions: Any) -> None:
        text = json.dumps(conditions, sort_keys=True, default=str)
        key = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
        self._path = path
        self.parts: list[Part] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if path.is_file() else "w+b")
        if not self._takes_over(key):
            self._file.seek(0)
            np.save(self._file, key)
        self._file.truncate()

    def add(self, positions: np.ndarray, embeddings: np.ndarray) -> None:
        """Adds a batch."""
        self.parts.append((positions, embeddings))
        np.save(self._file, positions)
        np.save(self._file, embeddings)
        self._file.flush()

    def close(self) -> None:
        """Closes the file and leaves it for the next test."""
        self._file.close()

    def remove(self) -> None:
        """Removes the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _takes_over(self, key: np.ndarray) -> bool:
        """Reads what is there; leaves the file's position behind the last whole batch."""
        found = self._array()
        if found is None or not np.array_equal(found, key):
            return False
        end = self._file.tell()
        for part in self._whole_parts():
            self.parts.append(part)
            end = self._file.tell()
        self._file.seek(end)
        return True

    def _whole_parts(self) -> Iterator[Part]:
        while (positions := self._array()) is not None:
            embeddings = self._array()
            if embeddings is None or len(embeddings) != len(positions):
                return
            yield positions, embeddings

    def _array(self) -> np.ndarray | None:
        try:
            return np.load(self._file, allow_pickle=False)
        except (ValueError, EOFError, OSError):  # the end, or an array that was cut short
            return None
