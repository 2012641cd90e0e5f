"""Lock of a run's folder: one run at a time."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from ..errors import UserError
from ..lock import InUseError, lock_files, locked
from .distributed import Group

logger = logging.getLogger(__name__)

LOCK = ".run.lock"
_FOLDERS = ("checkpoints", "summary", "test", "logs")  # subfolders of a run
_Result = TypeVar("_Result")


class FolderInUseError(UserError):
    """Another run writes to the folder."""


@contextmanager
def held(folder: Path, group: Group) -> Iterator[None]:
    """Lock a run's folder against other runs.

    Args:
        folder: ``output/<dataset>/<model>/<save_name>``; created if it is missing, and removed
            again if nothing was written to it.
        group: The processes; the first one locks the folder, and all fail if it cannot.

    Raises:
        FolderInUseError: If another run holds the lock; names its process and machine.
        UserError: If the folder cannot be written, or a file is in the place of a folder.
    """
    with ExitStack() as stack:

        def hold() -> None:
            if group.leads:
                stack.enter_context(_held_alone(folder))

        agreed(group, hold)
        yield


def agreed(group: Group, action: Callable[[], _Result]) -> _Result:
    """Return the result of an action run in every process; if one fails, all fail.

    Raises:
        UserError: The error of this process, else that of the first process that failed.
    """
    fault: UserError | None = None
    try:
        result = action()
    except UserError as refusal:
        fault = refusal
    refusals = [text for text in group.gather(str(fault) if fault else None) if text]
    if fault:
        raise fault
    if refusals:
        raise UserError(refusals[0])
    return result


def is_of_lock(path: Path) -> bool:
    """Return whether a file in a run's folder belongs to its lock."""
    return path.name in lock_files(Path(LOCK))


@contextmanager
def _held_alone(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / LOCK))
        except InUseError as fault:
            raise FolderInUseError(
                f"{folder}: another run trains or tests in this folder, {fault}. Or give this run "
                "a name of its own (save_name in trainer_cfg and evaluator_cfg)"
            ) from fault
        for path in (folder / name for name in _FOLDERS):
            if path.exists() and not path.is_dir():  # found early, not at a save
                raise UserError(f"{path}: a file stands where a folder is needed; rename it")
        yield


def set_run_aside(folder: Path) -> None:
    """Move the files of an earlier run to ``<folder>.old-<number>``, alongside the folder.

    Logs stay, because this run's log is among them; each has its time in its name.
    """
    left = [
        path for path in sorted(folder.iterdir()) if path.name != "logs" and not is_of_lock(path)
    ]
    if not any(file.is_file() for path in left for file in (path, *path.rglob("*"))):
        return
    number = 1
    while (target := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    target.mkdir()
    for path in left:
        path.rename(target / path.name)
    logger.warning("an earlier run of this name is kept in %s", target)
