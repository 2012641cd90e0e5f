"""What a pickle is read with and made of: a bounded stream, stand-ins, and two errors."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

LARGE = 2**20  # bytes from which a value may be jumped over
_SMALL = 64  # bytes below which a value is kept as Python's
_NAME = 500  # characters


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

    def take(self, count: int) -> bytes:
        """Return so many bytes."""
        self.claim(count)
        content = self._stream.read(count)
        if len(content) != count:
            raise BrokenPickleError("it ends early")
        return content

    def line(self) -> bytes:
        """Return the bytes before the next line feed."""
        content = self._stream.readline(self.left)
        self.left -= len(content)
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
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def many(self, count: int) -> bytes | Blob:
        """Return so many bytes; as a blob, unless they are few."""
        if count < _SMALL:
            return self.take(count)
        self.claim(count)
        if self._skip and count >= LARGE:
            self._stream.seek(count, 1)
            return Blob(count, None)
        return Blob(count, self.fill(np.empty(count, np.uint8)))

    def whole(self) -> np.ndarray:
        """Return all bytes that are left, uint8 ``[n]``."""
        room = np.empty(self.left, np.uint8)
        self.claim(len(room))
        return self.fill(room)

    def fill(self, room: np.ndarray) -> np.ndarray:
        """Fill uint8 ``[n]``, whose bytes are claimed already."""
        if self._stream.readinto(room.data) != len(room):  # type: ignore[attr-defined]
            raise BrokenPickleError("it ends early")
        return room

    def claim(self, count: int) -> None:
        """Take so many bytes off those that are left."""
        if not 0 <= count <= self.left:
            raise BrokenPickleError("it ends early")
        self.left -= count
