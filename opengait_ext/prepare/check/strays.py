"""Files of a data set that no list knows; all files below a folder, whoever put them there."""

import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

from opengait_ext.prepare.check.findings import Findings, printable
from opengait_ext.prepare.image_files import IMAGES
from opengait_ext.prepare.sources import Folder, Sources, Tree
from opengait_ext.prepare.vcm.folders import Home


class Used:
    """The files that the lists know, by tree and folder."""

    def __init__(self) -> None:
        self.files: dict[Tree, dict[str, set[str]]] = {}
        self.identities: dict[Tree, set[str]] = {}

    def add(self, home: Home, pid: str, files: Iterable[str]) -> None:
        """Adds files of an identity."""
        for file in files:
            place, name = home.elsewhere.get(file, (home.place, file))
            self.identities.setdefault(place.tree, set()).add(place.inner(pid))
            folder, _, last = place.inner(name).rpartition("/")
            self.files.setdefault(place.tree, {}).setdefault(folder, set()).add(last)


def check_strays(root: Path, sources: Sources, used: Used, findings: Findings) -> None:
    """Names files below identities that no list has, and images anywhere else.

    Archives that nothing was found in are left alone: they may be there beside the folder that
    was made of them.
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
    if isinstance(tree, Folder):  # its listing leaves out what systems leave behind
        yield from files_below(tree.path, findings)
        return
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        folders, files = tree.listing(folder)
        yield folder, files
        waiting += [f"{folder}/{name}".lstrip("/") for name in sorted(folders, reverse=True)]


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
