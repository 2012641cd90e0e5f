"""One writer at a time."""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from .records import GalleryError

LOCK = "lock"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Keeps other writers out of a folder.

    The system lets go of the lock when its process ends, however it ends: a file ``lock`` that
    a killed writer left behind hinders nobody. Its text is for messages only.

    Raises:
        GalleryError: If another process is writing, with its number.
    """
    path = folder / LOCK
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            file.seek(0)
            holder = file.read().strip() or "a process that did not say which"
            raise GalleryError(
                f"{folder}: somebody else is writing this gallery: {holder}. Wait until it has "
                f"finished, or end it; {path} need not be removed, the lock ends with its process"
            ) from fault
        file.truncate(0)
        since = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} on {platform.node()} since {since}\n")
        file.flush()
        yield
