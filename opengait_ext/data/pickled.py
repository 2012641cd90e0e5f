"""Safe reading of pickled arrays: no class is instantiated, no code runs."""

from pathlib import Path
from typing import Any

from opengait_ext.errors import UserError
from opengait_ext.unpickle import NUMPY, BrokenPickleError, ForeignObjectError, Machine, Source

_INSTRUCTIONS = 100_000  # a file of one array has about thirty


class LayoutError(UserError):
    """Prepared data are missing, damaged or of another form; the message names the file."""


class RefusedError(LayoutError):
    """A file names classes or functions that a tracklet's file does not need."""


def load_pickle(path: str | Path, skip: bool = False) -> Any:
    """Return the content of a pickle of arrays and plain values.

    Args:
        path: The file.
        skip: Skip large values: the arrays then have shape and type, but no values.

    Raises:
        RefusedError: If it names classes or functions other than those of arrays of numbers.
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
    """Return the content of `load_pickle`, with large arrays lacking their values.

    Values are skipped instead of read, which saves hours on hundreds of gigabytes; a file that is
    cut off is still found. A kind of pickle that cannot be skipped is read.

    Raises:
        LayoutError: As `load_pickle`.
    """
    return load_pickle(path, skip=True)


def damaged(path: Path, error: Exception) -> LayoutError:
    """Return the error for a file that cannot be read."""
    kind = "" if isinstance(error, BrokenPickleError) else f"{type(error).__name__}: "
    return LayoutError(f"{path}: damaged ({kind}{error}); prepare the data again")
