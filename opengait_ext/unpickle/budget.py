"""What a pickle may make: a few instructions that repeat themselves could fill the memory."""

from typing import Any

from .parts import LARGE, Blob, BrokenPickleError

_COPIES = 4  # of the file's bytes that may be made while it is read
_SPARE = 10_000  # members that are copied beside as many as the file has bytes
_OBJECTS = 300_000  # lists, sets, tensors ...: a byte of the file makes 200 in memory, and more
_PLAIN = (int, float, complex, str, bytes)


class Budget:
    """Counts what is copied and made, and refuses what no file of use needs.

    Args:
        size: Bytes of the file.
        most: Instructions that it has at most.
    """

    def __init__(self, size: int, most: int) -> None:
        self._room = _COPIES * size + LARGE
        self._members = min(size, most) + _SPARE
        self._objects = _OBJECTS

    def copy(self, values: Any) -> None:
        """Count bytes and members of arguments, which are copied: one may be used often."""
        parts = values if type(values) is tuple else ()
        for part in parts:
            if isinstance(part, (str, bytes, Blob)):
                self._room -= len(part)
            elif isinstance(part, (list, tuple, dict, set, frozenset)):
                self._members -= len(part)
        if self._room < 0 or self._members < 0:
            raise BrokenPickleError("it uses its own bytes too often")

    def make(self, value: Any) -> None:
        """Count what takes far more memory than its instruction has bytes."""
        self._objects -= not isinstance(value, _PLAIN)
        if self._objects < 0:
            raise BrokenPickleError(f"more than {_OBJECTS:,} lists, dictionaries and objects")
