"""Folders of published data: how they are found in the sources, and their content."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opengait_ext.ordering import natural_key
from opengait_ext.prepare.faults import Faults, Kind, SourceError
from opengait_ext.prepare.sources import Image, Sources, Tree, is_archive, read_image

IMAGES = (".jpg", ".jpeg", ".png", ".bmp")
DEPTH = 3  # levels of folders that are searched: VCM-HITSZ/Train/Train
MARKS = ("partition.json", ".prepare.json")  # marks of prepared data, which resemble published data
_LONGEST = 1 << 28  # largest list that is read, in bytes


@dataclass(frozen=True)
class Place:
    """One folder in a tree."""

    tree: Tree
    folder: str

    def inner(self, name: str) -> str:
        """Return the full name in the tree of an item of this folder."""
        return "/".join(part for part in (self.folder, name) if part)

    def below(self, name: str) -> "Place":
        """Return a sub-folder, whether it exists or not."""
        return Place(self.tree, self.inner(name))

    def image(self, name: str) -> Image:
        """Return the reference that `read_image` takes."""
        return self.tree.image(self.inner(name))

    def folders(self) -> list[str]:
        """Return the names of the sub-folders in natural order."""
        return sorted(self.tree.listing(self.folder)[0], key=natural_key)

    def images(self) -> list[str]:
        """Return the names of the images in this folder in natural order."""
        files = self.tree.listing(self.folder)[1]
        return sorted((f for f in files if f.lower().endswith(IMAGES)), key=natural_key)

    def files(self) -> list[str]:
        """Return the names of all files in this folder."""
        return self.tree.listing(self.folder)[1]

    def read(self, name: str) -> bytes:
        """Return the content of a list.

        Raises:
            SourceError: If the list is missing or far too large.
        """
        if name not in self.files():
            raise SourceError(f"{self.named(name)}: is not there; get this list, too")
        content = read_image(self.image(name))
        if len(content) > _LONGEST:
            raise SourceError(f"{self.named(name)}: has {len(content):,} bytes, and is no list")
        return content

    def named(self, name: str) -> str:
        """Return the name of an item of the folder for messages, whether it exists or not."""
        return self.tree.place(self.inner(name))

    def lines(self, name: str) -> list[tuple[int, str]]:
        """Return number and text of each line of a list that is not blank.

        Raises:
            SourceError: If the list is missing or is no text.
        """
        try:
            text = self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceError(f"{self.named(name)}: is no text ({error}); get it again") from error
        numbered = enumerate(re.split(r"\r\n|\r|\n", text), 1)
        return [(number, line.strip()) for number, line in numbered if line.strip()]

    def __str__(self) -> str:
        return self.tree.place(self.folder).rstrip(":/")


class Files:
    """The images below a folder, found by their names in lists.

    Names are compared exactly first, then ignoring case, because systems and archives change it.

    Args:
        home: The folder that listed names are relative to.
    """

    def __init__(self, home: Place) -> None:
        self.home = home
        self._there: dict[str, tuple[dict[str, str], dict[str, str]]] = {}

    def find(self, name: str) -> Image | None:
        """Return the reference that `read_image` takes; None if there is no such image."""
        folder, _, file = name.replace("\\", "/").removeprefix("./").rpartition("/")
        there = self._there.get(folder)
        if there is None:
            place = self.home.below(folder)
            files = {each: place.inner(each) for each in place.files()}
            if ".." in folder.split("/"):
                files = {}
            there = self._there[folder] = files, {each.lower(): each for each in files}
        spelled = there[0].get(file) or there[0].get(there[1].get(file.lower(), ""))
        return self.home.tree.image(spelled) if spelled else None


def find_place(
    sources: Sources, folders: Sequence[str], files: Sequence[str], expected: str
) -> Place:
    """Return the folder that holds the given folders and files, in the first tree with one.

    Raises:
        SourceError: If there is none, or more than one in one tree.
    """
    seen: list[str] = []
    for tree in sources:
        found = []
        for folder, inner, there in folders_of(tree):
            seen += [*inner, *there] if not folder else []
            if set(folders) <= set(inner) and set(files) <= set(there):
                found.append(Place(tree, folder))
        if len(found) > 1:
            places = ", ".join(map(str, found))
            raise SourceError(f"--source {sources}: several data sets ({places}); give one of them")
        if found:
            return found[0]
    nested = [name for name in seen if is_archive(name)] if not sources.folders else []
    hint = f"; {nested[0]} is an archive in an archive: unpack the outer one" if nested else ""
    wanted = ", ".join([*(f"{name}/" for name in folders), *files])
    raise SourceError(
        f"--source {sources}: no folder with {wanted} (found: {seen[:6]}){hint}\n{expected}"
    )


def folders_of(tree: Tree) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield folders with their content, parents first, down to ``DEPTH`` levels.

    Prepared data are skipped, and folders whose name is a number: identities.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop(0)
        folders, files = tree.listing(folder)
        if folder and any(mark in files for mark in MARKS):
            continue
        yield folder, folders, files
        if folder.count("/") + bool(folder) < DEPTH:
            waiting += [Place(tree, folder).inner(name) for name in folders if not name.isdecimal()]


def numbers_in(place: Place, name: str, faults: Faults) -> list[int]:
    """Return the whole numbers of a list, with any separator: ``1,2,3``.

    Args:
        place: Folder of the list.
        name: Name of the list.
        faults: Collects the items that are no numbers.
    """
    numbers = []
    for line, text in place.lines(name):
        for word in re.split(r"[,;\s]+", text.strip(",; ")):
            if word.isdecimal() and len(word) < 10:
                numbers.append(int(word))
            else:
                faults.add(Kind.MALFORMED, place.named(name), word, "whole numbers", line)
    return numbers


@dataclass(frozen=True)
class Listed:
    """One line of a list of images: ``Visible/285/male_back_v_05528_285.bmp 0``.

    Args:
        line: Line number.
        path: Path of the image, below the folder of the data set.
        folder: Name of the folder that holds the image: its identity.
        label: The number after the path.
    """

    line: int
    path: str
    folder: str
    label: int


_LISTED = re.compile(r"(?P<path>(?:.*/)?(?P<folder>[^/]+)/[\w.-]+\.\w+)\s+(?P<label>\d{1,9})")


def listed_images(place: Place, name: str, faults: Faults) -> list[Listed]:
    """Return the lines of a list of images with labels.

    Args:
        place: Folder of the list.
        name: Name of the list.
        faults: Collects malformed lines, images that are listed twice, and empty lists.
    """
    found: dict[str, Listed] = {}
    for line, text in place.lines(name):
        match = _LISTED.fullmatch(text.replace("\\", "/").removeprefix("./"))
        if match is None:
            wanted = "a path and a label: <folder>/<identity>/<image> 0"
            faults.add(Kind.MALFORMED, place.named(name), text, wanted, line)
        elif match["path"] in found:
            faults.add(Kind.LISTED_TWICE, place.named(name), match["path"], line=line)
        else:
            parts = match["path"], match["folder"], int(match["label"])
            found[match["path"]] = Listed(line, *parts)
    if not found:
        faults.add(Kind.EMPTY, place.named(name))
    return list(found.values())


def check_labels(
    place: Place, name: str, listed: Sequence[Listed], known: dict[str, int], faults: Faults
) -> None:
    """Note the lines that break the one-to-one relation of labels and folders.

    Args:
        place: Folder of the list.
        name: Name of the list.
        listed: Its lines.
        known: Folder to label, from the lists of this half so far; extended here.
        faults: Collects the contradictions.
    """
    folders = {label: folder for folder, label in known.items()}
    for each in listed:
        label = known.setdefault(each.folder, each.label)
        folder = folders.setdefault(each.label, each.folder)
        if (folder, label) != (each.folder, each.label):
            said = f"{each.path} has label {each.label}"
            other = f"{each.folder} has {label} and {folder} has {each.label} before"
            faults.add(Kind.CONTRADICTION, place.named(name), said, other, each.line)
