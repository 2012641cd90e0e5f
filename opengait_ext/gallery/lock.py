"""One writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..lock import InUseError, locked
from .records import GalleryError

LOCK = "lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keeps other writers out of a folder.

    Raises:
        GalleryError: If another process is writing, with its number.
    """
    try:
        with locked(folder / LOCK):
            yield
    except InUseError as fault:
        raise GalleryError(f"{folder}: somebody else is writing this gallery: {fault}") from fault
