"""Crash-safe embedding cache: an interrupted test resumes."""

import hashlib
import json
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..edge import explained, placed
from .files import append_whole, put_aside

logger = logging.getLogger(__name__)

Part = tuple[np.ndarray, np.ndarray]

_FORM = b"opengait_ext/partial/2\n"
_HEAD = struct.Struct("<4sIQQQ")  # mark, checksum of the rest, n, d, p
_MARK = b"part"


class PartialEmbeddings:
    """Cache file of one process: each batch is appended, and the file is removed at the end.

    Args:
        path: The file. Batches of an earlier test under the same conditions are reused, up to the
            first incomplete one. A file of another kind is set aside.
        conditions: Everything that the embeddings depend on, as JSON values.

    Attributes:
        parts: Positions ``[n]`` and embeddings ``[n, d, p]`` of each batch so far.
    """

    def __init__(self, path: Path, conditions: Any) -> None:
        text = json.dumps(conditions, sort_keys=True, default=str)
        head = _FORM + hashlib.sha256(text.encode()).digest()
        self._path = path
        self._is_kept = True
        self.parts: list[Part] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        end = self._read(head)
        if end:
            os.truncate(path, end)
        else:
            self._append(head, anew=True)

    def add(self, positions: np.ndarray, embeddings: np.ndarray) -> None:
        """Add a batch; if the disk is full, the file keeps the earlier batches."""
        self.parts.append((positions, embeddings))
        content = positions.astype("<i8").tobytes() + embeddings.astype("<f4").tobytes()
        shape = struct.pack("<QQQ", *embeddings.shape)
        self._append(_HEAD.pack(_MARK, zlib.crc32(shape + content), *embeddings.shape) + content)

    def close(self) -> None:
        """Close the file and leave it for the next test."""

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def _append(self, content: bytes, anew: bool = False) -> None:
        if not self._is_kept:
            return
        try:
            if anew:
                self._path.unlink(missing_ok=True)
            append_whole(self._path, content)
        except OSError as fault:
            self._is_kept = False
            kept = len(self.parts) - 1  # the last one did not fit
            then = "begin anew" if anew else f"be taken up behind {kept} batches"
            logger.warning(
                "%s. The test goes on, but would %s if it were stopped",
                explained(placed(fault, self._path)), then,
            )  # fmt: skip

    def _read(self, head: bytes) -> int:
        """Load the batches in the file; return the offset of their end, or 0 if none is usable."""
        if not os.path.lexists(self._path):
            return 0
        if not self._path.is_file():
            put_aside(self._path, "is no file", "the test begins anew")
            return 0
        content = self._path.read_bytes()
        if content.startswith(head):
            return self._take_over(content, len(head))
        if not content.startswith(_FORM) and not head.startswith(content):
            put_aside(self._path, "holds no embeddings of a test", "the test begins anew")
        return 0

    def _take_over(self, content: bytes, end: int) -> int:
        for part, behind in _whole_parts(content, end):
            self.parts.append(part)
            end = behind
        if content[end : end + len(_MARK)] and not _is_cut(content, end):
            logger.warning(
                "%s is damaged behind %d batches; what comes after them is embedded again",
                self._path, len(self.parts),
            )  # fmt: skip
        return end


def _whole_parts(content: bytes, start: int) -> Iterator[tuple[Part, int]]:
    """Yield each batch and the offset of its end, up to the first incomplete one."""
    while len(content) - start >= _HEAD.size:
        mark, check, n, d, p = _HEAD.unpack_from(content, start)
        begin = start + _HEAD.size
        end = begin + 8 * n + 4 * n * d * p
        whole = zlib.crc32(content[start + 8 : end]) == check
        if mark != _MARK or end > len(content) or not whole:
            return
        positions = np.frombuffer(content, "<i8", n, begin).astype(np.int64)
        embeddings = np.frombuffer(content, "<f4", n * d * p, begin + 8 * n)
        yield (positions, embeddings.reshape(n, d, p).astype(np.float32)), end
        start = end


def _is_cut(content: bytes, start: int) -> bool:
    """Return whether a batch was being written when the test ended."""
    rest = content[start:]
    if len(rest) < _HEAD.size:
        return _MARK.startswith(rest[: len(_MARK)])
    mark, _, n, d, p = _HEAD.unpack_from(rest)
    return mark == _MARK and _HEAD.size + 8 * n + 4 * n * d * p > len(rest)
