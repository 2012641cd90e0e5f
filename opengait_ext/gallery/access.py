"""One writer of a gallery at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..lock import InUseError, lock_files, locked
from .records import GalleryError

LOCK = "lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keep other writers out of a gallery.

    Raises:
        GalleryError: If another process is writing, with its number.
    """
    try:
        with locked(folder / LOCK):
            yield
    except InUseError as fault:
        raise GalleryError(f"{folder}: somebody else is writing this gallery: {fault}") from fault


def is_free(folder: Path) -> bool:
    """Return whether a folder is not there, or holds nothing but a lock."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return names <= set(lock_files(folder / LOCK))
