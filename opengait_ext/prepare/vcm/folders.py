"""The folders of HITSZ-VCM as it is published: which layout it is, and whether all files exist."""

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
    """The folder that holds the identities of a half.

    Args:
        place: Where most of the images are.
        elsewhere: The others, by their listed names: where they are, and under which name.
        missing: Listed images that are nowhere.
    """

    place: Place
    elsewhere: dict[str, tuple[Place, str]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def image(self, file: str) -> Image:
        """Gives what `read_image` reads, of a listed file."""
        place, name = self.elsewhere.get(file, (self.place, file))
        return place.image(name)


def read_published(sources: Sources, faults: Faults) -> tuple[str, Lists, dict[str, Home]]:
    """Recognize the layout, read the lists and find all images.

    Args:
        sources: The folders and archives of the published data.
        faults: Gets what is odd and accepted.

    Returns:
        The layout in words, what the lists say, and where the images of each half are.

    Raises:
        UserError: If something is missing, of an unknown layout or damaged, or with all faults.
    """
    place, lists = find_and_read_lists(sources, faults)
    faults.refuse(str(place))
    homes = find_homes(sources, lists.rows, faults)
    faults.refuse(str(sources))
    return describe(place, homes), lists, homes


def find_and_read_lists(sources: Sources, faults: Faults) -> tuple[Place, Lists]:
    """Return the folder of the lists and what they say.

    Raises:
        UserError: As `find_lists`.
    """
    place, spelled = find_lists(sources)
    return place, read_lists(lambda name: read_image(place.image(spelled[name])), faults)


def find_homes(sources: Sources, rows: Sequence[Row], faults: Faults) -> dict[str, Home]:
    """Find the images of both halves; a half of which there is nothing is left out.

    Raises:
        UserError: If an archive cannot be read.
    """
    homes = {half: find_home(sources, half, rows, faults) for half in HALVES}
    return {half: home for half, home in homes.items() if home is not None}


def find_lists(sources: Sources) -> tuple[Place, dict[str, str]]:
    """Gives the folder of the five lists, and how each is spelled there.

    Raises:
        SourceError: If there are no lists, not all of them, or several sets in one tree.
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
    """Finds all listed files of a half; most are in one folder, the others may be elsewhere.

    Names are compared as sets, and once more without the case of their letters, which systems
    and archives change.

    Args:
        sources: All that there is to read from.
        half: ``Train`` or ``Test``.
        rows: Of both halves.
        faults: Gets every listed file that is not there, and what is odd.

    Returns:
        None if not one identity was found; that is a fault, too, if there are rows.
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
    """Gives every folder that holds identities, and which; of each tree the fullest first."""
    for tree in sources:
        homes = [
            (Place(tree, folder), sorted(pids.intersection(folders)))
            for folder, folders, _ in folders_of(tree)
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
            faults.add(Kind.TWINS, renamed[file], name, file)
        elif file is not None:
            renamed[file] = name
    missing.difference_update(renamed)
    return renamed


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
