"""Limits on what a pickle may allocate: a few repeated instructions could fill the memory."""

from typing import Any

from .parts import LARGE, Blob, BrokenPickleError

_COPIES = 4  # bytes that may be copied while reading, in multiples of the file's size
_SPARE = 10_000  # members that may be copied beyond one per byte of the file
_OBJECTS = 300_000  # lists, sets, tensors ...: one byte of the file can cost 200 in memory, or more
_PLAIN = (int, float, complex, str, bytes)


class Budget:
    """Counter of copies and objects that rejects what no useful file needs.

    Args:
        size: Bytes of the file.
        most: Limit on the number of its instructions.
    """

    def __init__(self, size: int, most: int) -> None:
        self._room = _COPIES * size + LARGE
        self._members = min(size, most) + _SPARE
        self._objects = _OBJECTS

    def copy(self, values: Any) -> None:
        """Count the bytes and members of arguments: they are copied, and one may be used often."""
        parts = values if type(values) is tuple else ()
        for part in parts:
            if isinstance(part, (str, bytes, Blob)):
                self._room -= len(part)
            elif isinstance(part, (list, tuple, dict, set, frozenset)):
                self._members -= len(part)
        if self._room < 0 or self._members < 0:
            raise BrokenPickleError("it uses its own bytes too often")

    def make(self, value: Any) -> None:
        """Count a value that takes far more memory than its instruction has bytes."""
        self._objects -= not isinstance(value, _PLAIN)
        if self._objects < 0:
            raise BrokenPickleError(f"more than {_OBJECTS:,} lists, dictionaries and objects")
