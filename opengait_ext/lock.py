"""Locks that admit one process at a time to a folder."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError
from .escaping import escaped

_LONGEST = 200  # characters of a holder's description that a message repeats


class InUseError(UserError):
    """Another process holds the lock; the message names the process and the folder."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on a file; the file and its folder are created if missing.

    The system releases the lock when its process ends, however it ends: files that a killed
    process left behind block nobody. A second file names the holder, because Windows lets nobody
    read a locked file. A folder that was created only for the lock is removed again.

    Args:
        path: The file to lock.

    Raises:
        InUseError: If another process holds the lock; the message has its id and machine.
        UserError: If the folder cannot be created or written to.
    """
    folder, holder = path.parent, path.with_name(f"{path.name}.holder")
    is_new = not folder.exists()
    lock = FileLock(str(path), timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        holder.write_text(_own_account(), encoding="utf-8")
    except Timeout as fault:
        raise InUseError(
            f"in use by {_account_in(holder)}. Wait until it has finished, or end it; {path} need "
            "not be removed, the lock ends with its process"
        ) from fault
    except (OSError, NotImplementedError) as fault:
        _let_go(lock, path, holder, is_new)
        for place in (folder, *folder.parents):
            if place.is_file():
                raise UserError(
                    f"{place}: a file stands where a folder is needed; rename it"
                ) from fault
        raise UserError(
            f"{folder}: cannot be written ({getattr(fault, 'strerror', None) or fault}). Make it "
            "writable, or work in another folder"
        ) from fault
    try:
        yield
    finally:
        _let_go(lock, path, holder, is_new)


def lock_files(path: Path) -> tuple[str, str]:
    """Return the names of the files that a lock needs."""
    return path.name, f"{path.name}.holder"


def _own_account() -> str:
    since = datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
    return f"process {os.getpid()} on {platform.node()} since {since}\n"


def _account_in(holder: Path) -> str:
    try:
        account = holder.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        account = ""
    return escaped(account)[:_LONGEST] or "a process that did not say which"


def _let_go(lock: FileLock, path: Path, holder: Path, is_new: bool) -> None:
    """Release a lock, and remove a folder that was created for it and holds nothing else.

    The files are removed while the lock is held, so that another process's files are safe.
    """
    folder = path.parent
    if lock.is_locked:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        if is_new and folder.is_dir() and {entry.name for entry in folder.iterdir()} == {path.name}:
            with suppress(OSError):  # Windows does not remove an open file
                path.unlink()
    lock.release()
    if is_new:
        with suppress(OSError):  # the folder is not empty, or was never created
            folder.rmdir()
