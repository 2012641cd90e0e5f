"""The target folder of a preparation: its lock, its settings, and resuming in it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import PACKED, PICKLED, atomic_write
from opengait_ext.errors import UserError
from opengait_ext.lock import InUseError, lock_files, locked
from opengait_ext.prepare.sources import UNPACKED

NOTE, LOCK = ".prepare.json", ".prepare.lock"
LOCK_FILES = lock_files(Path(LOCK))  # the lock, which stays after a run, and the note of its holder
PARTITION, DROPPED, DAMAGED = "partition.json", "dropped.csv", "damaged.txt"


class TargetError(UserError):
    """The target holds something other than this preparation."""


@contextmanager
def sole_run(target: Path) -> Iterator[None]:
    """Lock the folder against a second preparation while this one runs.

    Raises:
        TargetError: If another process prepares there, or the folder holds foreign files.
    """
    check_target(target)
    try:
        with locked(target / LOCK):
            yield
    except InUseError as fault:
        raise TargetError(f"--target {target}: another preparation is at work: {fault}") from fault


def flush_disks() -> None:
    """Flush all files to disk, so that no partition names a file that a power cut loses."""
    if hasattr(os, "sync"):
        os.sync()


def open_target(target: Path, settings: dict[str, Any], anew: bool) -> None:
    """Start a preparation in a folder, or resume the one that was started there.

    Args:
        target: The folder; created if missing.
        settings: Everything that decides what is written: digest of the lists, options.
        anew: Remove what an earlier preparation wrote there, and start again.

    Raises:
        TargetError: If the folder holds foreign files, or was started with other settings.
    """
    check_target(target)
    note = target / NOTE
    if note.is_file():
        if anew:
            _remove_prepared(target)
        else:
            _check_settings(note, settings)
    for leftover in target.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    atomic_write(note, (json.dumps(settings, indent=2) + "\n").encode())


def check_target(target: Path) -> None:
    """Refuse a folder that holds files that no preparation wrote; change nothing.

    Raises:
        TargetError: If there are such files, or the target is no folder.
    """
    if not target.exists() or (target / NOTE).is_file():
        return
    if not target.is_dir() or any(not _is_ours(path.name) for path in target.iterdir()):
        raise TargetError(
            f"--target {target}: is not empty and was not made by this script ({NOTE} is "
            "missing); choose an empty or a new folder"
        )


def _is_ours(name: str) -> bool:
    """Return whether a run that was killed before its first note can have left this file."""
    return name in (UNPACKED, *LOCK_FILES) or name.startswith(f".{NOTE}.") and name.endswith(".tmp")


def _check_settings(note: Path, settings: dict[str, Any]) -> None:
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
        names = [*settings, *(name for name in before if name not in settings)]
        changes = [
            f"{name}: {before.get(name)!r} there, {settings.get(name)!r} now"
            for name in names
            if before.get(name) != settings.get(name)
        ]
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        changes = [f"the note cannot be read ({error})"]
    if changes:
        shown = "\n  ".join(changes)
        raise TargetError(
            f"{note}: the preparation there was begun with other data or options\n  {shown}\n"
            "Choose another --target, or add --anew to remove what is prepared there."
        )


def _remove_prepared(target: Path) -> None:
    """Remove exactly what a preparation writes, and the folders that are then empty."""
    folders = {*target.glob("*/rgb"), *target.glob("*/ir")}
    folders.update(path.parents[1] for path in target.glob(f"*/*/*/{PICKLED}"))  # gait data
    for folder in folders:
        for name in (PACKED, PICKLED, ".0-frames.*.tmp"):
            for path in folder.glob(f"*/{name}"):
                path.unlink()
        views = [view for view in folder.iterdir() if view.is_dir()]
        for path in (*views, folder, folder.parent):
            if not any(path.iterdir()):
                path.rmdir()
    for name in (PARTITION, DROPPED, DAMAGED, NOTE):
        (target / name).unlink(missing_ok=True)
