"""Pickles of arrays, read without running anything that they carry."""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from opengait_ext.errors import UserError


class LayoutError(UserError):
    """Prepared data are missing, damaged or not in the expected form; names the file."""


def load_pickle(path: str | Path) -> Any:
    """Gives what a pickle holds, if it is arrays and plain values only.

    Args:
        path: The file.

    Raises:
        LayoutError: If the file is missing, damaged, or asks for anything but numpy arrays.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file).load()
    except LayoutError as error:
        raise LayoutError(f"{path}: {error}") from error
    except Exception as error:  # a damaged pickle raises almost anything; all of it means this
        raise damaged(path, error) from error


def measure_pickle(path: str | Path) -> Any:
    """Gives what `load_pickle` gives, the large arrays without their values.

    What is not read is jumped over, which on hundreds of gigabytes saves hours; a file that ends
    too early is found all the same. A form of pickle that has to be read for this, is.

    Raises:
        LayoutError: As `load_pickle`.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(_Jumping(file, path.stat().st_size)).load()
    except Exception:  # whatever it was, reading the whole file says it better
        return load_pickle(path)


class _Jumping:
    """A file of which large parts are passed over; no frame of a pickle is as large."""

    least = 2**20

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.readline = file.readline

    def read(self, count: int = -1) -> bytes:
        """Reads what is small, and gives zeros for what is large."""
        if count < self.least:
            return self.file.read(count)
        self._jump(count)
        return bytes(count)

    def readinto(self, buffer: memoryview) -> int:
        """Fills what is small, and leaves what is large as it is."""
        if len(buffer) < self.least:
            return self.file.readinto(buffer)  # type: ignore[attr-defined]
        self._jump(len(buffer))
        return len(buffer)

    def _jump(self, count: int) -> None:
        if self.file.tell() + count > self.size:
            raise EOFError("the file ends early")
        self.file.seek(count, 1)


def damaged(path: Path, error: Exception) -> LayoutError:
    """Gives the error of a file that cannot be read."""
    reason = f"{type(error).__name__}: {error}"
    return LayoutError(f"{path}: damaged ({reason}); remove the file and prepare the data again")


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
