"""The file of one tracklet: encoded images in a stored zip, or OpenGait's pickled array.

``0-frames.zip`` holds the published images unchanged, members ``000000.jpg``, ``000001.jpg`` ...
in the order of the frames; ``0-frames.pkl`` holds one uint8 array ``[s, 3, h, w]``, RGB. A second
stream of the same frames lies beside it, ``1-fake_ir.zip`` for instance. Every file is written under
a temporary name and renamed, and nothing that is read can run code.
"""

import os
import pickle
import struct
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from opengait_ext.errors import UserError

FRAMES, FAKE_IR = "0-frames", "1-fake_ir"  # streams: files of one tracklet, frame by frame alike
PACKED, PICKLED = f"{FRAMES}.zip", f"{FRAMES}.pkl"
_BROKEN_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,  # encrypted member; NotImplementedError: unknown compression
    ValueError,
    struct.error,
)


class LayoutError(UserError):
    """Prepared data are missing, damaged or not in the expected form; names the file."""


def atomic_write(path: str | Path, content: bytes, durable: bool = True) -> None:
    """Writes a file whole or not at all; an older file of that name stays until then.

    Args:
        path: The file's name; its folder is made.
        content: All bytes of the file.
        durable: Wait until the disk has it. Without that, a kill at any moment still leaves a
            whole file, but a power failure may not: for many small files, of which the caller
            has the disk take all at once before it says that they are there.

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
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_tracklet(
    folder: str | Path,
    images: Sequence[bytes],
    suffix: str = ".jpg",
    durable: bool = True,
    stream: str = FRAMES,
) -> None:
    """Packs the encoded images of one tracklet, bytes unchanged, into ``0-frames.zip``.

    Args:
        folder: The tracklet's folder, ``<root>/<pid>/<rgb|ir>/<view>``; it is made.
        images: Encoded images in the order of the frames.
        suffix: Of the members' names.
        durable: See `atomic_write`.
        stream: Name of the file.

    Raises:
        LayoutError: If there is no image, or an empty one.
    """
    if not images or not all(images):
        raise LayoutError(f"{folder}: a tracklet needs at least one image, and none may be empty")
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for number, image in enumerate(images):
            member = zipfile.ZipInfo(f"{number:06d}{suffix}")  # 1980-01-01: equal bytes every time
            member.create_system = 3
            archive.writestr(member, image)
    atomic_write(Path(folder, f"{stream}.zip"), packed.getvalue(), durable)


def write_tracklet_array(
    folder: str | Path, frames: np.ndarray, durable: bool = True, stream: str = FRAMES
) -> None:
    """Pickles the decoded frames of one tracklet into ``0-frames.pkl``, the form of OpenGait.

    Args:
        folder: The tracklet's folder, ``<root>/<pid>/<rgb|ir>/<view>``; it is made.
        frames: uint8 ``[s, 3, h, w]``, RGB.
        durable: See `atomic_write`.
        stream: Name of the file.

    Raises:
        LayoutError: If ``frames`` are of another type or shape.
    """
    _check_frames(frames, str(folder))
    content = pickle.dumps(np.ascontiguousarray(frames), protocol=4)
    atomic_write(Path(folder, f"{stream}.pkl"), content, durable)


def read_frames(
    folder: str | Path, indices: Sequence[int], stream: str = FRAMES
) -> list[bytes | np.ndarray]:
    """Gives chosen frames of a tracklet, in the order asked for; a frame may be asked for twice.

    Args:
        folder: The tracklet's folder.
        indices: Frame numbers from 0.
        stream: Which of its files.

    Returns:
        Encoded images as ``bytes`` (packed form), or uint8 arrays ``[3, h, w]``, RGB.

    Raises:
        LayoutError: If the file is missing, damaged, empty, carries code, or is too short.
    """
    try:
        return _read_packed(Path(folder, f"{stream}.zip"), indices)
    except FileNotFoundError:
        pass
    frames = read_array(_pickled_of(folder, stream))
    _check_indices(indices, len(frames), Path(folder, f"{stream}.pkl"))
    return [frames[index] for index in indices]


def count_frames(folder: str | Path) -> int:
    """Gives the number of frames of a tracklet; of the packed form only the directory is read.

    Raises:
        LayoutError: As `read_frames`.
    """
    path = Path(folder, PACKED)
    if not path.exists():
        return len(read_array(_pickled_of(folder, FRAMES)))
    try:
        with zipfile.ZipFile(path) as archive:
            return len(_members(archive, path))
    except _BROKEN_ZIP as error:
        raise _damaged(path, error) from error


def read_array(path: str | Path) -> np.ndarray:
    """Gives the array of a tracklet's pickle without running anything that it carries.

    Args:
        path: A ``.pkl`` file of one uint8 array ``[s, 3, h, w]``.

    Raises:
        LayoutError: If the file is missing, damaged, holds something else, or carries code.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            frames = _ArrayUnpickler(file).load()
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle raises almost anything; all of it means this
        raise _damaged(path, error) from error
    _check_frames(frames, str(path))
    return frames


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays from plain values and refuses every other class or function."""

    def find_class(self, module: str, name: str) -> Any:
        known = _UNPICKLED.get((module.replace("numpy.core", "numpy._core"), name))
        if known is None:
            raise LayoutError(
                f"refused, nothing was run: it asks for {module}.{name}, and a tracklet file "
                "holds one numpy array only; do not use this file, prepare the data again"
            )
        return known


def _latin1(text: str, encoding: str) -> bytes:
    """Stands for ``_codecs.encode``, with which old pickles store bytes."""
    if encoding != "latin1":
        raise ValueError(f"unexpected encoding {encoding!r}")
    return text.encode("latin1")


def _from_buffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Stands for numpy's private function of the same task (pickle protocol 5)."""
    flat = np.frombuffer(buffer, dtype).copy()  # writable
    return flat.reshape(shape, order="F" if order == "F" else "C")


_UNPICKLED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _latin1,
}


def _read_packed(path: Path, indices: Sequence[int]) -> list[bytes | np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            _check_indices(indices, len(members), path)
            return [archive.read(members[index]) for index in indices]  # checks the CRC
    except FileNotFoundError:
        raise
    except LayoutError:
        raise
    except _BROKEN_ZIP as error:
        raise _damaged(path, error) from error


def _members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if not members:
        raise LayoutError(f"{path}: holds no frame; remove the file and prepare the data again")
    for number, member in enumerate(members):
        if Path(member.filename).stem != f"{number:06d}" or member.compress_type:
            raise LayoutError(
                f"{path}: member {member.filename!r} stands where the stored frame "
                f"{number:06d} should; remove the file and prepare the data again"
            )
    return members


def _pickled_of(folder: str | Path, stream: str) -> Path:
    path = Path(folder, f"{stream}.pkl")
    if not path.is_file():
        raise LayoutError(
            f"{folder}: neither {stream}.zip nor {stream}.pkl is there; prepare the data again"
        )
    return path


def _check_frames(frames: object, place: str) -> None:
    if not isinstance(frames, np.ndarray):
        raise LayoutError(f"{place}: holds {type(frames).__name__}, not an array [s, 3, h, w]")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1] != 3 or not frames.size:
        raise LayoutError(
            f"{place}: holds {frames.dtype} {list(frames.shape)}, not uint8 [s, 3, h, w]"
        )


def _check_indices(indices: Sequence[int], length: int, path: Path) -> None:
    wrong = [index for index in indices if not 0 <= index < length]
    if wrong:
        raise LayoutError(
            f"{path}: has {length} frames, frame {wrong[0]} (from 0) was asked for; "
            "partition.json belongs to other files, prepare the data again"
        )


def _damaged(path: Path, error: Exception) -> LayoutError:
    reason = f"{type(error).__name__}: {error}"
    return LayoutError(f"{path}: damaged ({reason}); remove the file and prepare the data again")
