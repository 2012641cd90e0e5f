"""Files of published data that no list knows."""

import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

from opengait_ext.prepare.check.findings import Findings, printable
from opengait_ext.prepare.check.walk import files_below
from opengait_ext.prepare.sources import Folder, Sources, Tree
from opengait_ext.prepare.vcm.folders import Home

IMAGES = (".jpg", ".jpeg", ".png", ".bmp")


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
    for text in sources.ignored():
        findings.warn("stray", *text.split(": ", 1))


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
