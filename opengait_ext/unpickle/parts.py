"""Base parts of the pickle reader: a bounded stream, stand-ins and two errors."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

LARGE = 2**20  # bytes; values of at least this size may be skipped
_SMALL = 64  # bytes; smaller values are kept as Python's ``bytes``
_NAME = 500  # characters
_FORMS = {form: struct.Struct(form) for form in ("<i", "<I", "<H", "<q", "<Q", ">d")}
_AHEAD = 4096  # bytes to read at a time: instructions are a few bytes each


class BrokenPickleError(ValueError):
    """A pickle is cut off, contradicts itself, or is not a pickle."""


class ForeignObjectError(ValueError):
    """A pickle names a class or function that is not in the table.

    Attributes:
        name: The full name, such as ``os.system``, shortened and printable.
    """

    def __init__(self, name: str) -> None:
        self.name = ascii(name[:120])[1:-1] + ("..." if len(name) > 120 else "")
        super().__init__(f"it asks for {self.name}")


class Inert(ABC):
    """Stand-in for an object whose state the pickle has yet to give."""

    @abstractmethod
    def build(self, state: Any) -> None:
        """Set the state from the pickle."""

    @abstractmethod
    def value(self) -> Any:
        """Return the plain value."""


class Named(Inert):
    """Stand-in for a class or function: its name and the caller's maker."""

    def __init__(self, name: str, make: Callable[..., Any] | None = None) -> None:
        self.name, self.make = name, make

    def build(self, state: Any) -> None:
        """Raise `ForeignObjectError`: a name has no attributes."""
        raise ForeignObjectError(self.name)

    def value(self) -> Any:
        """Raise `ForeignObjectError`: a class is not a value."""
        raise ForeignObjectError(self.name)


class Blob:
    """Stand-in for a large run of bytes.

    Attributes:
        size: Number of bytes.
        content: The bytes, uint8 ``[size]``; None if they were skipped.
    """

    def __init__(self, size: int, content: np.ndarray | None) -> None:
        self.size, self.content = size, content

    def __len__(self) -> int:
        return self.size

    def to_bytes(self) -> bytes:
        """Return the bytes; empty if they were skipped."""
        return b"" if self.content is None else self.content.tobytes()


class Source:
    """Bounded stream: it never returns or allocates more bytes than are left.

    Args:
        stream: The file to read.
        size: Bytes from here to its end.
        skip: Skip large values instead of reading them.
    """

    def __init__(self, stream: BinaryIO, size: int, skip: bool = False) -> None:
        self._stream, self.left, self._skip = stream, size, skip
        self._ahead, self._at = b"", 0  # bytes read ahead, and how many of them were taken

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self._at + count
        if not 0 <= count <= self.left or end > len(self._ahead) and not self._read(count):
            raise BrokenPickleError("it ends early")
        start = self._at
        self._at, self.left = start + count, self.left - count
        return self._ahead[start : self._at]

    def line(self) -> bytes:
        """Return the bytes up to the next line feed, without it."""
        end = self._ahead.find(b"\n", self._at)
        if end < 0:
            self._ahead = self._ahead[self._at :] + self._stream.readline()
            self._at, end = 0, len(self._ahead) - 1
        content = self.take(end + 1 - self._at)
        if not content.endswith(b"\n"):
            raise BrokenPickleError("it ends early")
        return content[:-1]

    def short_line(self) -> str:
        """Return the next line, which holds a name or a number."""
        text = self.line()
        if len(text) > _NAME:
            raise BrokenPickleError(f"a line of {len(text):,} characters, expected a short one")
        return text.decode("utf-8")

    def number(self, form: str) -> Any:
        """Return the next number, in a format of ``struct``."""
        if form == "<B":
            return self.take(1)[0]
        known = _FORMS[form]
        return known.unpack(self.take(known.size))[0]

    def many(self, count: int) -> bytes | Blob:
        """Return the next ``count`` bytes: plain if they are few, else a blob."""
        if count < _SMALL:
            return self.take(count)
        if self._skip and count >= LARGE:
            self._claim(count)
            given = min(count, len(self._ahead) - self._at)
            self._at += given
            self._stream.seek(count - given, 1)
            return Blob(count, None)
        return Blob(count, self.fill(count))

    def whole(self) -> np.ndarray:
        """Return the remaining bytes, uint8 ``[n]``."""
        return self.fill(self.left)

    def fill(self, count: int, room: np.ndarray | None = None) -> np.ndarray:
        """Return the next ``count`` bytes, uint8 ``[n]``, in ``room`` or in a new array."""
        self._claim(count)
        room = np.empty(count, np.uint8) if room is None else room
        given = min(count, len(self._ahead) - self._at)
        room[:given] = np.frombuffer(self._ahead, np.uint8, given, self._at) if given else 0
        self._at += given
        rest = room[given:]
        if len(rest) and self._stream.readinto(rest.data) != len(rest):  # type: ignore[attr-defined]
            raise BrokenPickleError("it ends early")
        return room

    def _claim(self, count: int) -> None:
        if not 0 <= count <= self.left:
            raise BrokenPickleError("it ends early")
        self.left -= count

    def _read(self, count: int) -> bool:
        """Read ahead and return whether ``count`` bytes are available."""
        rest = self._ahead[self._at :]
        self._ahead = rest + self._stream.read(min(max(count - len(rest), _AHEAD), self.left))
        self._at = 0
        return len(self._ahead) >= count
