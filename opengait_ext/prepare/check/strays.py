"""Stray files: files of a data set that are in no list."""

import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

from opengait_ext.prepare.check.findings import Findings, printable
from opengait_ext.prepare.image_files import IMAGES
from opengait_ext.prepare.sources import Folder, Sources, Tree
from opengait_ext.prepare.vcm.folders import Home


class Used:
    """The listed files, by tree and folder."""

    def __init__(self) -> None:
        self.files: dict[Tree, dict[str, set[str]]] = {}
        self.identities: dict[Tree, set[str]] = {}

    def add(self, home: Home, pid: str, files: Iterable[str]) -> None:
        """Add files of an identity."""
        for file in files:
            place, name = home.elsewhere.get(file, (home.place, file))
            self.identities.setdefault(place.tree, set()).add(place.inner(pid))
            folder, _, last = place.inner(name).rpartition("/")
            self.files.setdefault(place.tree, {}).setdefault(folder, set()).add(last)


def check_strays(root: Path, sources: Sources, used: Used, findings: Findings) -> None:
    """Note unlisted files below identities, and images anywhere else.

    Archives without any listed file are ignored: they may lie next to the folder that was unpacked
    from them.
    """
    trees: list[Tree] = [*sources.folders]
    trees += [tree for tree in used.files if not isinstance(tree, Folder)]
    for tree in trees:
        known, identities = used.files.get(tree, {}), used.identities.get(tree, set())
        for folder, files in _walk(tree, findings):
            is_inside = not identities.isdisjoint(accumulate(folder.split("/"), "{}/{}".format))
            for name in sorted(set(files) - known.get(folder, set())):
                if is_inside or name.lower().endswith(IMAGES):
                    place = tree.place(f"{folder}/{name}".lstrip("/"))
                    text = "is in no list" if name.lower().endswith(IMAGES) else "is no image"
                    findings.warn("stray", printable(place.removeprefix(f"{root}{os.sep}")), text)
    for path, count in sources.ignored():
        findings.warn("stray", path, f"{count} links or names that lead elsewhere are ignored")


def _walk(tree: Tree, findings: Findings) -> Iterator[tuple[str, list[str]]]:
    if isinstance(tree, Folder):  # its listing omits hidden and system files
        yield from files_below(tree.path, findings)
        return
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        folders, files = tree.listing(folder)
        yield folder, files
        waiting += [f"{folder}/{name}".lstrip("/") for name in sorted(folders, reverse=True)]


def files_below(root: Path, findings: Findings) -> Iterator[tuple[str, list[str]]]:
    """Yield every folder below the root (the root as ``""``) with the names of its files.

    Links to folders are followed, but each folder is visited once, because links may form a circle.

    Args:
        root: The folder.
        findings: Collects the folders that cannot be read.
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
