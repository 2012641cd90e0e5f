"""The file of one tracklet: encoded images in an uncompressed zip, or OpenGait's pickled array.

``0-frames.zip`` holds the published images unchanged, as ``000000.jpg``, ``000001.jpg`` ... (or
``.png``, ``.bmp``) in the order of the frames. ``0-frames.pkl`` holds one uint8 array: RGB frames
as ``[s, 3, h, w]`` or, as OpenGait's data sets are published, ``[s, h, w, 3]``; silhouettes as
``[s, 1, h, w]`` or ``[s, h, w]``. A second stream of the same frames lies alongside it, such as
``1-fake_ir.zip``.
Files are written atomically, and reading never runs code.
"""

import os
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from opengait_ext.data.pickled import LayoutError, damaged, load_pickle, measure_pickle
from opengait_ext.edge import placed

FRAMES, FAKE_IR = "0-frames", "1-fake_ir"  # streams: files of one tracklet with the same frames
PACKED, PICKLED = f"{FRAMES}.zip", f"{FRAMES}.pkl"
_SUFFIXES = (".zip", ".pkl")
_LOCAL_HEADER = struct.Struct("<4s2xH18xHH")  # signature, flags, lengths of name and extra field
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,  # encrypted member; NotImplementedError: unknown compression
    ValueError,
    struct.error,
)


def atomic_write(path: str | Path, content: bytes, durable: bool = True) -> None:
    """Write a file atomically: under a temporary name, then renamed over an older file.

    Args:
        path: The file; its folder is created.
        content: All bytes of the file.
        durable: Wait until the disk has the file. False is for many small files that the caller
            syncs all at once before it reports them as done: after a kill each file is still
            whole or absent, after a power failure it may not be.

    Raises:
        OSError: If the disk is full or the folder cannot be written; no temporary file is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as fault:
        temporary.unlink(missing_ok=True)
        if isinstance(fault, OSError):
            raise placed(fault, path) from fault
        raise


def write_tracklet(
    folder: str | Path,
    images: Sequence[bytes],
    suffix: str = ".jpg",
    durable: bool = True,
    stream: str = FRAMES,
) -> None:
    """Pack the encoded images of one tracklet, bytes unchanged, into ``0-frames.zip``.

    Args:
        folder: The tracklet's folder, ``<root>/<pid>/<rgb|ir>/<view>``; it is created.
        images: Encoded images in the order of the frames.
        suffix: Suffix of the members' names.
        durable: See `atomic_write`.
        stream: Name of the file, without its suffix.

    Raises:
        LayoutError: If there is no image, or one is empty.
    """
    if not images or not all(images):
        raise LayoutError(f"{folder}: a tracklet needs at least one image, and none may be empty")
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(images):
            member = zipfile.ZipInfo(f"{number:06d}{suffix}")  # dated 1980: reproducible bytes
            member.create_system = 3
            archive.writestr(member, image)
    atomic_write(Path(folder, f"{stream}.zip"), packed.getvalue(), durable)


def write_tracklet_array(
    folder: str | Path, frames: np.ndarray, durable: bool = True, stream: str = FRAMES
) -> None:
    """Pickle the decoded frames of one tracklet into ``0-frames.pkl``, OpenGait's format.

    Args:
        folder: The tracklet's folder, ``<root>/<pid>/<rgb|ir>/<view>``; it is created.
        frames: uint8 ``[s, 3, h, w]``, RGB, or another of the shapes above.
        durable: See `atomic_write`.
        stream: Name of the file, without its suffix.

    Raises:
        LayoutError: If ``frames`` have another type or shape.
    """
    _check_frames(frames, str(folder))
    content = pickle.dumps(np.ascontiguousarray(frames), protocol=4)
    atomic_write(Path(folder, f"{stream}.pkl"), content, durable)


def read_frames(
    folder: str | Path, indices: Sequence[int], stream: str = FRAMES
) -> list[bytes | np.ndarray]:
    """Return chosen frames of a tracklet, in the order of ``indices``; repeats are allowed.

    Args:
        folder: The tracklet's folder.
        indices: Frame numbers from 0.
        stream: Which of its files to read, see `named_stream`.

    Returns:
        Encoded images as ``bytes`` (from a zip), or uint8 arrays ``[3, h, w]``, RGB, or
        ``[1, h, w]``.

    Raises:
        LayoutError: If the file is missing, damaged, empty, carries code, or is too short.
    """
    stream = named_stream(folder, stream)
    try:
        return _read_packed(Path(folder, f"{stream}.zip"), indices)
    except FileNotFoundError:
        pass
    frames = read_array(_pickled_of(folder, stream))
    _check_indices(indices, len(frames), Path(folder, f"{stream}.pkl"))
    return [frames[index] for index in indices]


def count_frames(folder: str | Path, stream: str = FRAMES) -> int:
    """Return the number of frames of a tracklet; of a zip only the directory is read.

    Raises:
        LayoutError: As `read_frames`.
    """
    stream = named_stream(folder, stream)
    path = Path(folder, f"{stream}.zip")
    if not path.exists():
        return len(read_array(_pickled_of(folder, stream)))
    try:
        with zipfile.ZipFile(path) as archive:
            return len(_members(archive, path))
    except _BROKEN_ZIP as error:
        raise damaged(path, error) from error


def named_stream(folder: str | Path, stream: str) -> str:
    """Return the name, without its suffix, of the file that holds a stream in one folder.

    Some data sets name a file after its folder, ``01_x/01_x-aligned-rgbs.pkl``: ``{view}`` stands
    for the folder's name, and ``*`` for any text, if exactly one file matches.

    Args:
        folder: The tracklet's folder.
        stream: ``0-frames``, ``{view}-aligned-rgbs`` or ``05-*``.

    Raises:
        LayoutError: If there is a ``*`` and no file or several files match.
    """
    folder = Path(folder)
    name = stream.replace("{view}", folder.name)
    if "*" not in name:
        return name
    fits = re.compile(".*".join(map(re.escape, name.split("*"))), re.DOTALL)
    there = sorted(os.listdir(folder)) if folder.is_dir() else []
    stems = {path.stem for path in map(Path, there) if path.suffix in _SUFFIXES}
    found = sorted(stem for stem in stems if not stem.startswith(".") and fits.fullmatch(stem))
    if len(found) != 1:
        raise LayoutError(
            f"{folder}: expected one file {name}.pkl or .zip, found {', '.join(found) or 'none'} "
            f"(there are: {', '.join(there) or 'no files'}); correct the stream, or the data"
        )
    return found[0]


def read_array(path: str | Path, own: bool = False) -> np.ndarray:
    """Return the array of a tracklet's pickle without running code from it.

    Args:
        path: A ``.pkl`` file of one uint8 array in one of the shapes of this module's docstring.
        own: Reject shapes other than ``[s, 3, h, w]``, the shape in which frames are written.

    Shape:
        - Output: ``[s, 3, h, w]`` or ``[s, 1, h, w]``.

    Raises:
        LayoutError: If the file is missing, damaged, holds something else, or carries code.
    """
    return _check_frames(load_pickle(path), str(path), own)


def measure_array(path: str | Path) -> tuple[int, ...]:
    """Return the shape of `read_array`'s result without reading the frames.

    Raises:
        LayoutError: As `read_array`.
    """
    return _check_frames(measure_pickle(path), str(path)).shape


def _read_packed(path: Path, indices: Sequence[int]) -> list[bytes | np.ndarray]:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _members(archive, path)
            _check_indices(indices, len(members), path)
            return [_read_member(file, members[index]) for index in indices]
    except FileNotFoundError:
        raise
    except LayoutError:
        raise
    except _BROKEN_ZIP as error:
        raise damaged(path, error) from error


def _read_member(file: BinaryIO, member: zipfile.ZipInfo) -> bytes:
    """Return an uncompressed member; ``zipfile`` would add a tenth of an image's decoding time."""
    file.seek(member.header_offset)
    signature, encrypted, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b"PK\3\4" or encrypted & 1:
        raise zipfile.BadZipFile(f"{member.filename} is encrypted, or not where it should be")
    file.seek(name + extra, os.SEEK_CUR)
    if member.file_size > os.fstat(file.fileno()).st_size:
        raise zipfile.BadZipFile(f"{member.filename} claims more bytes than the file has")
    content = file.read(member.file_size)
    if zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile(f"bad CRC-32 of {member.filename}")
    return content


def _members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if not members:
        raise LayoutError(f"{path}: holds no frame; prepare the data again")
    for number, member in enumerate(members):
        if member.filename.split(".")[0] != f"{number:06d}" or member.compress_type:
            raise LayoutError(
                f"{path}: member {member.filename!r} stands where the stored frame "
                f"{number:06d} should; prepare the data again"
            )
    return members


def _pickled_of(folder: str | Path, stream: str) -> Path:
    path = Path(folder, f"{stream}.pkl")
    if not path.is_file():
        there = sorted(os.listdir(folder)) if Path(folder).is_dir() else []
        others = ", ".join(name for name in there if Path(name).suffix in _SUFFIXES)
        advice = (
            f"but {others}: name one as data_cfg.stream" if others else "prepare the data again"
        )
        raise LayoutError(f"{folder}: neither {stream}.zip nor {stream}.pkl is there; {advice}")
    return path


def _check_frames(frames: object, place: str, own: bool = False) -> np.ndarray:
    """Return the checked frames as a view ``[s, 3, h, w]`` or ``[s, 1, h, w]``."""
    if not isinstance(frames, np.ndarray):
        raise LayoutError(f"{place}: holds {type(frames).__name__}, not an array [s, 3, h, w]")
    if frames.dtype == np.uint8 and frames.size:
        if frames.ndim == 4 and frames.shape[1] == 3:
            return frames
        if frames.ndim == 4 and frames.shape[1] == 1 and not own:
            return frames
        if frames.ndim == 4 and frames.shape[3] == 3 and not own:
            return frames.transpose(0, 3, 1, 2)
        if frames.ndim == 3 and not own:
            return frames[:, None]
    raise LayoutError(
        f"{place}: holds {frames.dtype} {list(frames.shape)}, not uint8 [s, 3, h, w]"
        + ("" if own else ", [s, h, w, 3], [s, 1, h, w] or [s, h, w]")
    )


def _check_indices(indices: Sequence[int], length: int, path: Path) -> None:
    wrong = [index for index in indices if not 0 <= index < length]
    if wrong:
        raise LayoutError(
            f"{path}: has {length} frames, frame {wrong[0]} (from 0) was asked for; "
            "partition.json belongs to other files, prepare the data again"
        )
