"""Safe reading of ``.npz`` archives: no code, and no allocation beyond what the file can fill."""

import math
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

_RATIO = 20  # largest compression ratio of embeddings and names
_LEAST = 2**24  # bytes; any archive may unpack to this size


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name; it cannot run code or claim more than it holds.

    Args:
        path: A file of ``numpy.savez``.

    Raises:
        ValueError: If it is not an archive, is damaged, holds objects, or unpacks to far more
            than its bytes.
        OSError: If it cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            claimed, limit = sum(m.file_size for m in members), _RATIO * path.stat().st_size
            if claimed > max(limit, _LEAST):
                raise ValueError(f"its arrays claim {claimed:,} bytes, expected at most {limit:,}")
            return {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
    except (
        zipfile.BadZipFile,
        EOFError,
        RuntimeError,  # encrypted; NotImplementedError: another compression; RecursionError
        MemoryError,
        OverflowError,
        zlib.error,
        TypeError,
        SyntaxError,
        TokenError,  # of the header, which is parsed as a Python literal
    ) as fault:
        raise ValueError(f"{type(fault).__name__}: {ascii(str(fault))[1:-1][:120]}") from fault


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in another way than numpy does")
    if member.header_offset < 0:
        raise ValueError("an array before the beginning of the file")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
        held = member.file_size - stream.tell()
    if dtype.hasobject:
        raise ValueError("it holds objects, expected numbers and texts")
    if math.prod(max(side, 1) for side in shape) >= 2**62:  # even where another side is 0
        raise ValueError("an array of an impossible shape")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or claimed != held:
        raise ValueError(f"an array of {claimed:,} bytes, with {held:,} bytes for it")
    with archive.open(member) as stream:
        return npy.read_array(stream, allow_pickle=False)
