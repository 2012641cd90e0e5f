"""The published folders of HITSZ-VCM: recognize the layout, check that all files exist."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from opengait_ext.prepare.faults import Faults, Kind, SourceError
from opengait_ext.prepare.places import Place, folders_of
from opengait_ext.prepare.sources import Archive, Image, Sources, is_archive, read_image
from opengait_ext.prepare.vcm.lists import HALVES, LISTS, NAME_LISTS, Lists, Row, read_lists

EXPECTED = """expected one of
  Train/<pid>/<ir|rgb>/D<camera>/<frame>.jpg, Test/..., and the lists in info/
  <pid>/<ir|rgb>/D<camera>/<frame>.jpg, and the lists in info/
  <pid>/<ir|rgb>/D<camera>/<frame>.jpg, and the lists beside the identities
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""


@dataclass(frozen=True)
class Home:
    """The location of the images of one half.

    Args:
        place: The folder with most of the images.
        elsewhere: The others by listed name: their folder and actual name.
        missing: Listed images that were not found.
    """

    place: Place
    elsewhere: dict[str, tuple[Place, str]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def image(self, file: str) -> Image:
        """Return the image of a listed file, as `read_image` expects it."""
        place, name = self.elsewhere.get(file, (self.place, file))
        return place.image(name)


def read_published(sources: Sources, faults: Faults) -> tuple[str, Lists, dict[str, Home]]:
    """Recognize the layout, read the lists, and find all images.

    Args:
        sources: The folders and archives of the published data.
        faults: Collects accepted oddities.

    Returns:
        A description of the layout, the lists, and the location of the images by half.

    Raises:
        UserError: If something is missing, damaged or of an unknown layout; otherwise with all
            faults at once.
    """
    place, lists = find_and_read_lists(sources, faults)
    faults.refuse(str(place))
    homes = find_homes(sources, lists.rows, faults)
    faults.refuse(str(sources))
    return describe(place, homes), lists, homes


def find_and_read_lists(sources: Sources, faults: Faults) -> tuple[Place, Lists]:
    """Return the folder of the lists and their contents.

    Raises:
        UserError: As in `find_lists`.
    """
    place, spelled = find_lists(sources)
    return place, read_lists(lambda name: read_image(place.image(spelled[name])), faults)


def find_homes(sources: Sources, rows: Sequence[Row], faults: Faults) -> dict[str, Home]:
    """Find the images of both halves; leave out a half without any.

    Raises:
        UserError: If an archive cannot be read.
    """
    homes = {half: find_home(sources, half, rows, faults) for half in HALVES}
    return {half: home for half, home in homes.items() if home is not None}


def find_lists(sources: Sources) -> tuple[Place, dict[str, str]]:
    """Return the folder of the five lists, and the spelling of each name there.

    Raises:
        SourceError: If lists are missing, or one tree holds several sets of them.
    """
    nearest: tuple[Place, dict[str, str]] | None = None
    seen: list[str] = []
    for tree in sources:
        complete = []
        for folder, folders, files in folders_of(tree):
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


def find_home(sources: Sources, half: str, rows: Sequence[Row], faults: Faults) -> Home | None:
    """Find all listed files of a half; most are in one folder, others may be elsewhere.

    Names are compared as sets, then once more ignoring case, which file systems and archives may
    change.

    Args:
        sources: All folders and archives.
        half: ``Train`` or ``Test``.
        rows: The tracklets of both halves.
        faults: Collects missing files and oddities.

    Returns:
        None if no identity was found, which is also a fault if the half has rows.
    """
    mine = [row for row in rows if row.half == half]
    if not mine:
        return None
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
        if renamed:
            count, name = len(renamed), next(iter(renamed.values()))
            faults.add(Kind.OTHER_LETTERS, str(place), count, name)
        stray = len(others) - len(renamed)
        if stray and place is home.place:
            faults.add(Kind.UNLISTED_IMAGES, str(place), stray)
        if not missing:
            return home
    if home is None:
        some = f"{len(pids)} identities ({', '.join(sorted(pids)[:3])}, ...)"
        faults.add(Kind.NO_HOME, f"the {half} half", some, advice=EXPECTED)
        return None
    home.missing.update(missing)
    for file in sorted(missing):
        where = home.place.tree.place(home.place.inner(file))
        faults.add(Kind.MISSING, where, NAME_LISTS[half])
    return home


def _homes_of(sources: Sources, pids: set[str]) -> Iterator[tuple[Place, list[str]]]:
    """Yield every folder with identities and their pids, the fullest of each tree first."""
    for tree in sources:
        homes = [
            (Place(tree, folder), sorted(pids.intersection(folders)))
            for folder, folders, _ in folders_of(tree)
        ]
        homes.sort(key=lambda home: -len(home[1]))
        yield from (home for home in homes if home[1])


def _take(place: Place, pids: Iterable[str], missing: set[str]) -> tuple[list[str], list[str]]:
    """Remove the files of a folder from ``missing``; return those found and the other images."""
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
    """Match missing images to files whose names differ only in case; return the renamings."""
    if not missing:
        return {}
    listed = {file.lower(): file for file in missing}
    renamed: dict[str, str] = {}
    for name in others:
        file = listed.get(name.lower())
        if file in renamed:
            faults.add(Kind.TWINS, renamed[file], name, file)
        elif file is not None:
            renamed[file] = name
    missing.difference_update(renamed)
    return renamed


def describe(lists: Place, homes: dict[str, Home]) -> str:
    """Return a description of the layout."""
    train, test = (homes[half].place for half in HALVES)
    if train == test:
        beside = lists.tree is train.tree and not lists.folder
        inner = f" ({_named(train)})" if train.folder or isinstance(train.tree, Archive) else ""
        where = "the same folder" if beside or lists == train else _named(lists)
        return f"identities in one folder{inner}, lists in {where}"
    return f"identities in {_named(train)} and {_named(test)}, lists in {_named(lists)}"


def _named(place: Place) -> str:
    """Return a name relative to the source: ``Train/``, ``Train.zip:Train/``, ``Train.zip``."""
    if not place.folder:
        return place.tree.path.name + ("" if isinstance(place.tree, Archive) else "/")
    above = f"{place.tree.path.name}:" if isinstance(place.tree, Archive) else ""
    return f"{above}{place.folder}/"
