"""Pickles of arrays, read without making any object that they name."""

from pathlib import Path
from typing import Any

from opengait_ext.errors import UserError
from opengait_ext.unpickle import NUMPY, BrokenPickleError, ForeignObjectError, Machine, Source

_INSTRUCTIONS = 100_000  # a file of one array has some thirty


class LayoutError(UserError):
    """Prepared data are missing, damaged or not in the expected form; names the file."""


class RefusedError(LayoutError):
    """A file asks for classes or functions that a tracklet's file does not need."""


def load_pickle(path: str | Path, skip: bool = False) -> Any:
    """Return what a pickle holds, if it is arrays and plain values only.

    Args:
        path: The file.
        skip: Jump over large values: arrays have their shape and type, but no values.

    Raises:
        RefusedError: If it asks for anything but arrays of numbers.
        LayoutError: If the file is missing or damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            source = Source(file, path.stat().st_size, skip)
            return Machine(source, NUMPY, most=_INSTRUCTIONS).load()
    except ForeignObjectError as error:
        raise RefusedError(
            f"{path}: refused, nothing was run: {error}, and a tracklet file holds one array of "
            "uint8; take the file from another source, or prepare the data again"
        ) from error
    except (BrokenPickleError, OSError, MemoryError) as error:
        raise damaged(path, error) from error


def measure_pickle(path: str | Path) -> Any:
    """Return what `load_pickle` returns, the large arrays without their values.

    What is not read is jumped over, which on hundreds of gigabytes saves hours; a file that ends
    too early is found all the same. A form of pickle that has to be read for this, is.

    Raises:
        LayoutError: As `load_pickle`.
    """
    return load_pickle(path, skip=True)


def damaged(path: Path, error: Exception) -> LayoutError:
    """Return the error of a file that cannot be read."""
    kind = "" if isinstance(error, BrokenPickleError) else f"{type(error).__name__}: "
    return LayoutError(f"{path}: damaged ({kind}{error}); prepare the data again")
