"""Stand-ins for NumPy's arrays, scalars and types, and for the functions that pickles name."""

import re
from typing import Any

import numpy as np

from .machine import Makers
from .parts import Blob, BrokenPickleError, ForeignObjectError, Inert

# Plain numbers and strings of a fixed length; no type that holds pointers or has fields.
_TYPES = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)|[US][1-9]\d{0,5}")
_ORDERS = {"<": "<", "|": "|", "=": "=", ">": ">"}
_AXES = 32


class _Type(Inert):
    """Stand-in for a ``numpy.dtype``: its code and its byte order."""

    def __init__(self, text: Any, *flags: Any) -> None:
        if not isinstance(text, str) or not _TYPES.fullmatch(text):
            raise ForeignObjectError(f"numpy.dtype({text if isinstance(text, str) else '?'})")
        self._text, self._order = text, "="

    def build(self, state: Any) -> None:
        if type(state) is not tuple or len(state) < 5 or state[1] not in _ORDERS:
            raise BrokenPickleError("a type of numbers without the order of its bytes")
        if any(part is not None for part in state[2:5]):
            raise ForeignObjectError("numpy.dtype with fields")
        self._order = _ORDERS[state[1]]

    def value(self) -> np.dtype:
        return np.dtype(self._order + self._text)


class _Array(Inert):
    """Stand-in for a ``numpy.ndarray`` whose shape, type and bytes come later."""

    def __init__(self, kind: Any = None, *start: Any) -> None:
        self._made: np.ndarray | None = None

    def build(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise BrokenPickleError("an array that is described in another way")
        _, shape, kind, by_columns, content = state
        self._made = _array(content, kind, shape, bool(by_columns))

    def value(self) -> np.ndarray:
        if self._made is None:
            raise BrokenPickleError("an array without values")
        return self._made


class _Finished(_Array):
    """Stand-in for an array that is complete from the start."""

    def __init__(self, made: np.ndarray) -> None:
        self._made = made

    def build(self, state: Any) -> None:
        raise BrokenPickleError("an array that is described twice")


def _array(content: Any, kind: Any, shape: Any, by_columns: bool) -> np.ndarray:
    """Return a writable array after checking that shape, type and number of bytes agree."""
    if not isinstance(kind, _Type):
        raise BrokenPickleError("an array without a type")
    if type(shape) is not tuple or len(shape) > _AXES:
        raise BrokenPickleError("an array without a shape")
    dtype, size = kind.value(), 1
    for side in shape:
        if type(side) is not int or not 0 <= side < 2**62:
            raise BrokenPickleError("an array with an impossible shape")
        size *= side
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(content, (bytes, Blob)):
        raise ForeignObjectError("an array of objects")
    if len(content) != size * dtype.itemsize:
        raise BrokenPickleError(
            f"an array of {size * dtype.itemsize:,} bytes, with {len(content):,} bytes for it"
        )
    if isinstance(content, Blob) and content.content is None:
        return np.broadcast_to(np.zeros((), dtype), shape)  # the values were skipped
    flat = content.content if isinstance(content, Blob) else bytearray(content)
    values = np.frombuffer(flat, dtype)  # type: ignore[arg-type]
    values = values.astype(dtype.newbyteorder("="), copy=False)
    return values.reshape(shape, order="F" if by_columns else "C")


def _scalar(kind: Any, content: Any) -> Any:
    """Return the plain number or string that a NumPy scalar holds."""
    return _array(content, kind, (1,), False).item()


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    return _Finished(_array(content, kind, shape, order == "F"))


def _latin1(text: Any, encoding: Any = "utf-8") -> Blob:
    """Return the bytes that protocols below 3 store as latin-1 text."""
    if encoding != "latin1" or not isinstance(text, str):
        raise BrokenPickleError(f"unexpected encoding {ascii(encoding)[:40]}")
    content = np.frombuffer(bytearray(text.encode("latin1")), np.uint8)
    return Blob(len(content), content)


def _no_bytes() -> bytes:
    return b""


NUMPY: Makers = {
    "numpy.ndarray": None,
    "numpy.dtype": _Type,
    "numpy._core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _from_buffer,
    "_codecs.encode": _latin1,
    "__builtin__.bytes": _no_bytes,
    "builtins.bytes": _no_bytes,
}
