"""Safe reading of weight files: torch's two formats, and safetensors.

torch's own readers are not used: `unpickle` reads the pickle in a file, and a tensor is built only
if its sizes, strides and bytes agree. Compressed archives are refused, because torch writes none
and a small one can claim any size. A safetensors file is a length, a table in JSON and the bytes,
so forty lines with their checks replace one more dependency.
"""

import json
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from .unpickle import BrokenPickleError, ForeignObjectError, Machine, Source
from .unpickle.tensors import TORCH, Storage, storage_of, typed

_MAGIC = 0x1950A86A20F9469CFC6C  # the first value of torch's older format
_LOCAL_HEADER = struct.Struct("<4s2xH18xHH")
_LARGEST_TABLE = 2**26  # maximum bytes of the table of a safetensors file
_TORCHS = (RuntimeError, OverflowError)  # torch's errors for impossible shapes
_SAFE_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_weight_file(path: Path) -> Any:
    """Return the content of a file: tensors on the CPU, arrays, numbers, texts and containers.

    Args:
        path: A file of ``torch.save`` in either format, or of safetensors.

    Raises:
        BrokenPickleError: If the file is none of these, or damaged.
        ForeignObjectError: If the file needs another class or function.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(9)
        stream.seek(0)
        if start.startswith(b"PK\3\4"):
            return _Archive(stream, size).load()
        if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
            return _read_safetensors(Source(stream, size))
        if start.startswith(b"\x80"):
            return _OldFile(Source(stream, size)).load()
    raise BrokenPickleError("it begins as none of these does")


def _load(source: Source, storage: Callable[[Any], Storage] | None = None) -> Any:
    return Machine(source, TORCH, storage).load()


class _Archive:
    """A zip file of ``torch.save``: a pickle, and a member for each storage."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        try:
            members = zipfile.ZipFile(stream).infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as fault:
            raise BrokenPickleError("its directory is damaged") from fault
        self._members = {member.filename: member for member in members}
        pickles = [name for name in self._members if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise BrokenPickleError("an archive without data.pkl, the file of tensors")
        self._folder = pickles[0].removesuffix("data.pkl")
        if self._folder + "constants.pkl" in self._members:
            raise ForeignObjectError("a TorchScript program")
        if any(member.compress_type or member.flag_bits & 1 for member in members):
            raise BrokenPickleError("its members are compressed or encrypted, as torch writes none")
        if sum(member.file_size for member in members) > size:
            raise BrokenPickleError("its members claim more bytes than the file has")
        self._read: dict[str, np.ndarray] = {}

    def load(self) -> Any:
        """Return the content of the file."""
        if self._folder + "byteorder" in self._members:
            _check_order(self._content("byteorder").tobytes() == b"little")
        described = self._content("data.pkl").tobytes()
        return _load(Source(BytesIO(described), len(described)), self._storage)

    def _storage(self, key: Any) -> Storage:
        kind, name, count, _ = storage_of(key)
        if name not in self._read:
            self._read[name] = self._content(f"data/{name}")
        content, wanted = self._read[name], count * kind.itemsize
        if len(content) != wanted:
            raise BrokenPickleError(f"a storage of {wanted:,} bytes, with {len(content):,} for it")
        return Storage(content, kind)

    def _content(self, name: str) -> np.ndarray:
        member = self._members.get(self._folder + name)
        if member is None:
            raise BrokenPickleError(f"an archive without {ascii(name)[:40]}")
        self._stream.seek(member.header_offset)
        header = self._stream.read(_LOCAL_HEADER.size).ljust(_LOCAL_HEADER.size)
        signature, _, named, extra = _LOCAL_HEADER.unpack(header)
        start = member.header_offset + _LOCAL_HEADER.size + named + extra
        if signature != b"PK\3\4" or start + member.file_size > self._size:
            raise BrokenPickleError("a member that is not where it should be")
        self._stream.seek(start)
        return Source(self._stream, member.file_size).whole()


class _OldFile:
    """A file of torch before version 1.6: five pickles, then the bytes of the storages."""

    def __init__(self, source: Source) -> None:
        self._source, self._left = source, source.left
        self._room: dict[str, np.ndarray] = {}
        self._kinds: dict[str, torch.dtype] = {}

    def load(self) -> Any:
        """Return the content of the file."""
        magic = _load(self._source)
        if type(magic) is not int or magic != _MAGIC:  # arrays compare elementwise
            raise BrokenPickleError("a pickle, but none of torch.save")
        _load(self._source)  # the version of the format
        facts = _load(self._source)
        _check_order(not isinstance(facts, dict) or facts.get("little_endian") is not False)
        content = _load(self._source, self._storage)
        names = _load(self._source)
        for name in names if isinstance(names, list) else ():
            self._fill(name)
        if self._room:
            raise BrokenPickleError("it ends early")
        return content

    def _storage(self, key: Any) -> Storage:
        kind, name, count, part = storage_of(key)
        if name not in self._room:
            self._left -= count * kind.itemsize
            if self._left < 0:
                raise BrokenPickleError("it ends early")
            self._room[name] = np.empty(count * kind.itemsize, np.uint8)
            self._kinds[name] = kind
        content = self._room[name]
        if part is not None:
            _, offset, length = part
            if min(offset, length) < 0 or (offset + length) * kind.itemsize > len(content):
                raise BrokenPickleError("a part of a storage that it has not")
            content = content[offset * kind.itemsize : (offset + length) * kind.itemsize]
        return Storage(content, kind)

    def _fill(self, name: Any) -> None:
        count = self._source.number("<q")
        room = self._room.pop(name, None) if isinstance(name, str) else None
        if room is None or count * self._kinds[name].itemsize != len(room):
            raise BrokenPickleError("a storage of another size than its tensors")
        self._source.fill(len(room), room)


def _check_order(is_little: bool) -> None:
    if not is_little:
        raise BrokenPickleError("its numbers are in the order of another kind of machine")


def _read_safetensors(source: Source) -> dict[str, Tensor]:
    length = source.number("<Q")
    if length > _LARGEST_TABLE:
        raise BrokenPickleError(f"a table of {length:,} bytes")
    try:
        table = json.loads(source.take(length))
    except (ValueError, RecursionError) as fault:
        raise BrokenPickleError("a table that is no JSON") from fault
    if not isinstance(table, dict):
        raise BrokenPickleError("a table that is no JSON object")
    table.pop("__metadata__", None)
    found: dict[str, Tensor] = {}
    end = 0
    try:
        for name, entry in sorted(table.items(), key=lambda item: item[1]["data_offsets"]):
            start, stop = entry["data_offsets"]
            if start != end:
                raise BrokenPickleError("tensors that overlap, or are not side by side")
            found[name], end = _safe_tensor(source, entry, stop - start), stop
    except BrokenPickleError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, *_TORCHS) as fault:
        text = ascii(str(fault))[:60]
        raise BrokenPickleError(f"a table that is not understood ({text})") from fault
    return found


def _safe_tensor(source: Source, entry: Any, size: int) -> Tensor:
    kind, count, reach = _SAFE_TYPES[entry["dtype"]], 1, 1
    for side in entry["shape"]:
        if type(side) is not int or not 0 <= side < 2**62:
            raise BrokenPickleError("a tensor of an impossible shape")
        count, reach = count * side, reach * max(side, 1)
    if reach >= 2**62:  # torch refuses this even if a side is 0
        raise BrokenPickleError("a tensor of an impossible shape")
    if size != count * kind.itemsize:
        raise BrokenPickleError("a tensor whose bytes and shape do not agree")
    return typed(source.fill(size), kind).reshape(entry["shape"])
