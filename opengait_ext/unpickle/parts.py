"""What a pickle is read with and made of: a bounded stream, stand-ins, and two errors."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

LARGE = 2**20  # bytes from which a value may be jumped over
_SMALL = 64  # bytes below which a value is kept as Python's
_NAME = 500  # characters
_FORMS = {form: struct.Struct(form) for form in ("<i", "<I", "<H", "<q", "<Q", ">d")}
_AHEAD = 4096  # bytes that are read at a time: instructions are a few bytes each


class BrokenPickleError(ValueError):
    """A pickle ends early, contradicts itself, or is none."""


class ForeignObjectError(ValueError):
    """A pickle asks for a class or function that is not in the table.

    Attributes:
        name: What it asks for, ``os.system``, printable and short.
    """

    def __init__(self, name: str) -> None:
        self.name = ascii(name[:120])[1:-1] + ("..." if len(name) > 120 else "")
        super().__init__(f"it asks for {self.name}")


class Inert(ABC):
    """Stands for an object while it is described."""

    @abstractmethod
    def build(self, state: Any) -> None:
        """Take the description of what it holds."""

    @abstractmethod
    def value(self) -> Any:
        """Return what was described."""


class Named(Inert):
    """Stands for a class or function: its name, and what the caller makes of it."""

    def __init__(self, name: str, make: Callable[..., Any] | None = None) -> None:
        self.name, self.make = name, make

    def build(self, state: Any) -> None:
        """Refuse it."""
        raise ForeignObjectError(self.name)

    def value(self) -> Any:
        """Refuse it: a class is no value."""
        raise ForeignObjectError(self.name)


class Blob:
    """Stands for many bytes.

    Attributes:
        size: How many.
        content: They, uint8 ``[size]``; None if they were jumped over.
    """

    def __init__(self, size: int, content: np.ndarray | None) -> None:
        self.size, self.content = size, content

    def __len__(self) -> int:
        return self.size

    def to_bytes(self) -> bytes:
        """Return the bytes; none of those that were jumped over."""
        return b"" if self.content is None else self.content.tobytes()


class Source:
    """A stream that never gives, or makes room for, more bytes than it has.

    Args:
        stream: Where to read.
        size: Bytes from here to its end.
        skip: Jump over large values.
    """

    def __init__(self, stream: BinaryIO, size: int, skip: bool = False) -> None:
        self._stream, self.left, self._skip = stream, size, skip
        self._ahead, self._at = b"", 0  # what was read already, and how much of it was given

    def take(self, count: int) -> bytes:
        """Return so many bytes."""
        end = self._at + count
        if not 0 <= count <= self.left or end > len(self._ahead) and not self._read(count):
            raise BrokenPickleError("it ends early")
        start = self._at
        self._at, self.left = start + count, self.left - count
        return self._ahead[start : self._at]

    def line(self) -> bytes:
        """Return the bytes before the next line feed."""
        end = self._ahead.find(b"\n", self._at)
        if end < 0:
            self._ahead = self._ahead[self._at :] + self._stream.readline()
            self._at, end = 0, len(self._ahead) - 1
        content = self.take(end + 1 - self._at)
        if not content.endswith(b"\n"):
            raise BrokenPickleError("it ends early")
        return content[:-1]

    def short_line(self) -> str:
        """Return a line of a name or a number."""
        text = self.line()
        if len(text) > _NAME:
            raise BrokenPickleError(f"a line of {len(text):,} characters, expected a short one")
        return text.decode("utf-8")

    def number(self, form: str) -> Any:
        """Return a number in a form of ``struct``."""
        if form == "<B":
            return self.take(1)[0]
        known = _FORMS[form]
        return known.unpack(self.take(known.size))[0]

    def many(self, count: int) -> bytes | Blob:
        """Return so many bytes; as a blob, unless they are few."""
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
        """Return all bytes that are left, uint8 ``[n]``."""
        return self.fill(self.left)

    def fill(self, count: int, room: np.ndarray | None = None) -> np.ndarray:
        """Return so many bytes as uint8 ``[n]``, in an array that is there or in a new one."""
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
        """Read ahead, so that so many bytes are there; whether they are."""
        rest = self._ahead[self._at :]
        self._ahead = rest + self._stream.read(min(max(count - len(rest), _AHEAD), self.left))
        self._at = 0
        return len(self._ahead) >= count
