"""One process at a time in a folder."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from .errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


class InUseError(UserError):
    """Another process holds the lock; the message names the file and the process."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock on a file, which is made for it and goes with it.

    The system lets go of the lock when its process ends, however it ends: a file that a killed
    process left behind hinders nobody. Its text is for messages only. Where the system has no
    such locks (Windows), nobody is kept out.

    Args:
        path: The file; its folder must be there.

    Raises:
        InUseError: If another process holds it, with its number.
    """
    file = _taken(path)
    try:
        yield
    finally:
        if fcntl is not None:
            path.unlink(missing_ok=True)  # while it is held: nobody else's is taken away
        file.close()


def _taken(path: Path) -> IO[str]:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            with file:
                file.seek(0)
                holder = file.read().strip() or "a process that did not say which"
            raise InUseError(
                f"in use by {holder}. Wait until it has finished, or end it; {path} need not be "
                "removed, the lock ends with its process"
            ) from fault
        if fcntl is None or _is_still(path, file):
            break
        file.close()  # its holder was just ending: the name belongs to no file, or to a new one
    file.truncate(0)
    since = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    file.write(f"process {os.getpid()} on {platform.node()} since {since}\n")
    file.flush()
    return file


def _is_still(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
