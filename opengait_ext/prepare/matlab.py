"""Numeric tables in MATLAB level 5 files, read as plain data.

    128 bytes of header, then elements: type, length, content; a compressed element holds another

Source: MathWorks, "MAT-File Format". Cells, structures, texts and sparse arrays are skipped.
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from opengait_ext.prepare.faults import SourceError

_MOST = 1 << 28  # largest table that is read, in bytes
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC = range(6, 16)  # array classes: double, single, integers
_Element = tuple[int, bytes]


def read_table(content: bytes, key: str, place: str) -> np.ndarray:
    """Return a table of whole numbers.

    Args:
        content: All bytes of the file.
        key: Name of the table in the file.
        place: Name of the file in messages.

    Returns:
        int64 ``[rows, columns]``.

    Raises:
        SourceError: If this is no MATLAB level 5 file, is damaged, or has no such table.
    """
    if content.startswith(b"\x89HDF") or content[:20].startswith(b"MATLAB 7.3"):
        raise SourceError(f"{place}: is of MATLAB 7.3; save it again with save(..., '-v7')")
    mark = content[126:128]
    if mark not in (b"IM", b"MI"):
        raise SourceError(f"{place}: is no MATLAB file of level 5; get it again")
    order = "<" if mark == b"IM" else ">"
    names = []
    try:
        for kind, body in _elements(content[128:], order):
            if kind == _COMPRESSED:
                kind, body = next(_elements(_inflated(body), order))
            if kind == _MATRIX:
                name, table = _matrix(body, order)
                if name == key and table is not None:
                    return _whole(table, f"{place}: {key}")
                names.append(name)
    except (struct.error, zlib.error, StopIteration, ValueError, KeyError, IndexError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{place}: is damaged ({error}); get it again") from error
    raise SourceError(f"{place}: has no table {key!r} (there are: {', '.join(names) or 'none'})")


def _elements(content: bytes, order: str) -> Iterator[_Element]:
    """Yield type and content; a short element has its length in the upper half of its type."""
    position = 0
    while position < len(content):
        kind, length = struct.unpack_from(f"{order}II", content, position)
        if kind >> 16:
            kind, length = kind & 0xFFFF, kind >> 16
            yield kind, content[position + 4 : position + 4 + length]
            position += 8
            continue
        body = content[position + 8 : position + 8 + length]
        if len(body) < length:
            raise ValueError(f"cut off after {len(content)} bytes")
        yield kind, body
        position += 8 + length + (0 if kind == _COMPRESSED else -length % 8)


def _inflated(body: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(body, _MOST)
    if unpacker.unconsumed_tail:
        raise ValueError(f"a table of more than {_MOST:,} bytes")
    return content


def _matrix(body: bytes, order: str) -> tuple[str, np.ndarray | None]:
    """Return the name and content of an array; the content is None if it is no plain table."""
    elements = _elements(body, order)
    flags = struct.unpack(f"{order}I", next(elements)[1][:4])[0]
    shape = np.frombuffer(next(elements)[1], np.dtype(f"{order}i4"))
    name = next(elements)[1].decode("latin-1")
    if flags & 0xFF not in _NUMERIC or flags & 0x800 or len(shape) != 2:  # 0x800: complex
        return name, None
    if min(shape) < 0:
        raise ValueError(f"a table of {tuple(shape)}")
    kind, content = next(elements)
    values = np.frombuffer(content, np.dtype(order + _TYPES[kind]))
    return name, values.reshape(tuple(shape), order="F")


def _whole(table: np.ndarray, place: str) -> np.ndarray:
    wide = table.astype(np.float64)
    if not np.isfinite(wide).all() or (wide != np.floor(wide)).any() or (abs(wide) > 2**53).any():
        raise SourceError(f"{place} holds numbers that are not whole; get it again")
    return table.astype(np.int64)
