"""Where HITSZ-VCM lies as it is published: which layout it is, and whether all files exist."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from opengait_ext.prepare.faults import Faults, SourceError
from opengait_ext.prepare.sources import Archive, Image, Sources, Tree, is_archive
from opengait_ext.prepare.vcm.rows import HALVES, LISTS, NAME_LISTS, Row

EXPECTED = """expected one of
  Train/<pid>/<ir|rgb>/D<camera>/<frame>.jpg, Test/..., and the lists in info/
  <pid>/<ir|rgb>/D<camera>/<frame>.jpg, and the lists in info/
  <pid>/<ir|rgb>/D<camera>/<frame>.jpg, and the lists beside the identities
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""
DEPTH = 3  # of folders that are looked through: VCM-HITSZ/Train/Train
MARKS = ("partition.json", ".prepare.json")  # prepared data, which look like published ones


@dataclass(frozen=True)
class Place:
    """A folder in a tree."""

    tree: Tree
    folder: str

    def inner(self, name: str) -> str:
        """Gives the name in the tree of something in the folder."""
        return f"{self.folder}/{name}" if self.folder else name

    def image(self, name: str) -> Image:
        """Gives what `read_image` reads."""
        return self.tree.image(self.inner(name))

    def __str__(self) -> str:
        return self.tree.place(self.folder).rstrip(":/")


@dataclass(frozen=True)
class Home:
    """The folder that holds the identities of a half.

    Args:
        place: Where most of the images are.
        elsewhere: The others, by their listed names: where they are, and under which name.
    """

    place: Place
    elsewhere: dict[str, tuple[Place, str]] = field(default_factory=dict)

    def image(self, file: str) -> Image:
        """Gives what `read_image` reads, of a listed file."""
        place, name = self.elsewhere.get(file, (self.place, file))
        return place.image(name)


def find_lists(sources: Sources) -> tuple[Place, dict[str, str]]:
    """Gives the folder of the five lists, and how each is spelled there.

    Raises:
        SourceError: If there are no lists, not all of them, or several sets in one tree.
    """
    nearest: tuple[Place, dict[str, str]] | None = None
    seen: list[str] = []
    for tree in sources:
        complete = []
        for folder, folders, files in _folders_of(tree):
            seen += [*folders, *files] if not folder else []
            names = {name.lower(): name for name in files}
            found = {name: names[name.lower()] for name in LISTS if name.lower() in names}
            if len(found) == len(LISTS):
                complete.append((Place(tree, folder), found))
            elif found and (nearest is None or len(found) > len(nearest[1])):
                nearest = Place(tree, folder), found
        if len(complete) > 1:
            places = ", ".join(str(place) for place, _ in complete)
            raise SourceError(f"--source {sources}: several data sets ({places}); give one of them")
        if complete:
            return complete[0]
    if nearest is not None:
        missing = ", ".join(name for name in LISTS if name not in nearest[1])
        raise SourceError(f"{nearest[0]}: {missing} missing beside the other lists")
    nested = [name for name in seen if is_archive(name)] if not sources.folders else []
    hint = f"; {nested[0]} is an archive in an archive: unpack the outer one" if nested else ""
    raise SourceError(f"--source {sources}: no lists here (found: {seen[:6]}){hint}\n{EXPECTED}")


def _folders_of(tree: Tree) -> Iterator[tuple[str, list[str], list[str]]]:
    """Gives all folders but those below identities, the upper ones first, with their content."""
    waiting = [""]
    while waiting:
        folder = waiting.pop(0)
        folders, files = tree.listing(folder)
        if folder and any(mark in files for mark in MARKS):
            continue
        yield folder, folders, files
        if folder.count("/") + bool(folder) < DEPTH:
            waiting += [Place(tree, folder).inner(name) for name in folders if not name.isdecimal()]


def find_home(
    sources: Sources, half: str, rows: Sequence[Row], faults: Faults, remarks: list[str]
) -> Home | None:
    """Finds all listed files of a half; most are in one folder, the others may be elsewhere.

    Names are compared as sets, and once more without the case of their letters, which systems
    and archives change.

    Args:
        sources: All that there is to read from.
        half: ``Train`` or ``Test``.
        rows: Of both halves.
        faults: Gets every listed file that is not there.
        remarks: Gets what is odd: files that are in no list, names in other letters.

    Returns:
        None if not one identity was found; that is a fault, too.
    """
    mine = [row for row in rows if row.half == half]
    pids = {row.pid for row in mine}
    missing = {file for row in mine for file in row.files}
    home: Home | None = None
    for place, there in _homes_of(sources, pids):
        found, others = _take(place, there, missing)
        if home is None:
            home = Home(place)
        else:
            home.elsewhere.update({file: (place, file) for file in found})
        renamed = _take_renamed(others, missing, faults)
        home.elsewhere.update({file: (place, name) for file, name in renamed.items()})
        remarks += _remarks(place, renamed, len(others) - len(renamed), place is home.place)
        if not missing:
            return home
    if home is None:
        some = ", ".join(sorted(pids)[:3])
        faults.add(f"none of the {len(pids)} {half} identities ({some}, ...) is there; {EXPECTED}")
        return None
    for file in sorted(missing):
        where = home.place.tree.place(home.place.inner(file))
        faults.add(f"{where}: listed in {NAME_LISTS[half]}, but not there")
    return home


def _homes_of(sources: Sources, pids: set[str]) -> Iterator[tuple[Place, list[str]]]:
    """Gives every folder that holds identities, and which; of each tree the fullest first."""
    for tree in sources:
        homes = [
            (Place(tree, folder), sorted(pids.intersection(folders)))
            for folder, folders, _ in _folders_of(tree)
        ]
        homes.sort(key=lambda home: -len(home[1]))
        yield from (home for home in homes if home[1])


def _take(place: Place, pids: Iterable[str], missing: set[str]) -> tuple[list[str], list[str]]:
    """Takes what is there from the missing files; gives what was found, and the other images."""
    found: list[str] = []
    others: list[str] = []
    for pid in pids:
        for file in _images_below(place, pid, depth=2):
            (found if file in missing else others).append(file)
    missing.difference_update(found)
    return found, others


def _images_below(place: Place, folder: str, depth: int) -> Iterator[str]:
    folders, files = place.tree.listing(place.inner(folder))
    yield from (f"{folder}/{file}" for file in files if file.lower().endswith((".jpg", ".jpeg")))
    for name in folders if depth else ():
        yield from _images_below(place, f"{folder}/{name}", depth - 1)


def _take_renamed(others: list[str], missing: set[str], faults: Faults) -> dict[str, str]:
    """Takes images whose names differ from missing ones in the case of letters only."""
    if not missing:
        return {}
    listed = {file.lower(): file for file in missing}
    renamed: dict[str, str] = {}
    for name in others:
        file = listed.get(name.lower())
        if file in renamed:
            faults.add(f"{renamed[file]} and {name}: which of them is {file}? remove the other")
        elif file is not None:
            renamed[file] = name
    missing.difference_update(renamed)
    return renamed


def _remarks(place: Place, renamed: dict[str, str], stray: int, is_first: bool) -> Iterator[str]:
    if renamed:
        name = next(iter(renamed.values()))
        yield f"{place}: {len(renamed)} names ({name}) differ from the list in the case of letters"
    if stray and is_first:
        yield f"{place}: {stray} images are in no list and are left out"


def describe(lists: Place, homes: dict[str, Home]) -> str:
    """Says in words which layout was found."""
    train, test = (homes[half].place for half in HALVES)
    if train == test:
        beside = lists.tree is train.tree and not lists.folder
        inner = f" ({_named(train)})" if train.folder or isinstance(train.tree, Archive) else ""
        where = "the same folder" if beside or lists == train else _named(lists)
        return f"identities in one folder{inner}, lists in {where}"
    return f"identities in {_named(train)} and {_named(test)}, lists in {_named(lists)}"


def _named(place: Place) -> str:
    """Gives the name below what the user gave: ``Train/``, ``Train.zip:Train/``, ``Train.zip``."""
    if not place.folder:
        return place.tree.path.name + ("" if isinstance(place.tree, Archive) else "/")
    above = f"{place.tree.path.name}:" if isinstance(place.tree, Archive) else ""
    return f"{above}{place.folder}/"
