"""All files below a folder, whatever somebody may have put there."""

import os
from collections.abc import Iterator
from pathlib import Path

from opengait_ext.prepare.check.findings import Findings, printable


def files_below(root: Path, findings: Findings) -> Iterator[tuple[str, list[str]]]:
    """Gives every folder below the root, the root as ``""``, with the names of its files.

    A link to a folder is followed, but no two that lead to the same one: links may form a circle.

    Args:
        root: The folder.
        findings: Gets the folders that cannot be read.
    """
    folders = [""]
    seen = {_identity(root.stat())}
    while folders:
        folder = folders.pop()
        inner: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if not entry.is_dir():
                        files.append(entry.name)
                    elif not entry.is_symlink() or _is_new(entry, seen):
                        inner.append(f"{folder}/{entry.name}".lstrip("/"))
        except OSError as error:
            findings.fault("files", printable(folder), f"cannot be read ({error.strerror})")
        yield folder, files
        folders += sorted(inner, reverse=True)


def _is_new(entry: "os.DirEntry[str]", seen: set[tuple[int, int]]) -> bool:
    identity = _identity(entry.stat())
    is_new = identity not in seen
    seen.add(identity)
    return is_new


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
