"""The published BUPTCampus: find its folders, read them, and check that all files exist.

Nothing is decoded or written here.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import INFRARED, VISIBLE
from opengait_ext.prepare.bupt.lists import (
    AUXILIARY,
    AUXILIARY_NAMES,
    CODES,
    FAKE,
    GALLERY,
    IMAGES,
    INDEX,
    LISTS,
    NAME,
    QUERY,
    TRAIN,
    Index,
    Reader,
    Row,
    digest_of,
    entries,
    fake_of,
)
from opengait_ext.prepare.faults import Faults, Kind, SourceError
from opengait_ext.prepare.sources import read_lines

EXPECTED = f"""expected
  {IMAGES}/<pid>/<IR|RGB|{FAKE}>/<camera>/<pid>_<IR|RGB>_<camera>_<tracklet>_<frame>.jpg
  and beside {IMAGES}/, or in one folder there: {", ".join((INDEX, *LISTS))}
  (--source: {IMAGES}/ or the folder that holds it)"""


@dataclass(frozen=True)
class Places:
    """Paths of the published data.

    Args:
        home: The folder that holds the image folder and, usually, the lists.
        lists: The folder of the lists.
        index: ``data_paths.json``.
    """

    home: Path
    lists: Path
    index: Path


@dataclass(frozen=True)
class Published:
    """The published data after all checks.

    Args:
        layout: Where images and lists were found, as text.
        images: The folder that holds the identities.
        rows: All tracklets: training, auxiliary, test.
        pairs: Positions ``(visible, infrared)`` of paired training tracklets.
        query: Positions of the query tracklets, in the order of their list.
        gallery: Positions of the gallery tracklets, in the order of their list.
        auxiliary: Name of the auxiliary list, if it was read.
        digest: sha256 of the lists and the names of all frames.
        remarks: Oddities that were accepted.
        missing: Listed images that do not exist.
    """

    layout: str
    images: Path
    rows: list[Row]
    pairs: list[tuple[int, int]]
    query: list[int]
    gallery: list[int]
    auxiliary: str
    digest: str
    remarks: list[str]
    missing: set[str] = field(default_factory=set)


def read_published(
    source: Path,
    lists: Path | None = None,
    auxiliary: bool = False,
    fake_ir: bool = False,
    faults: Faults | None = None,
) -> Published:
    """Find and read lists, index and images, and check that they agree.

    Args:
        source: DATA or its parent.
        lists: The folder of the lists, if it is not DATA's parent or a folder in it.
        auxiliary: Also read the auxiliary identities.
        fake_ir: Also expect the FakeIR images.
        faults: Collects the faults; everything readable is then returned. Without it, the faults
            are raised.

    Raises:
        SourceError: If something is missing or unknown; otherwise with all faults at once.
    """
    noted = Faults() if faults is None else faults
    places = find_places(source, lists)
    files = {TRAIN: places.lists / TRAIN}
    if auxiliary:
        files[AUXILIARY] = find_auxiliary(places)
    files.update({name: places.lists / name for name in (QUERY, GALLERY)})
    lines = {name: read_lines(path) for name, path in files.items()}
    index = _read_index(places.index)
    reader = Reader(index, {name: path.name for name, path in files.items()}, noted)
    for name, found in lines.items():
        reader.read(name, found)
    reader.compare()
    if faults is None:
        noted.refuse(str(places.lists))
    images = find_images(places, {row.pid for row in reader.rows})
    missing = _check_files(images, reader.rows, index, fake_ir, noted)
    if faults is None:
        noted.refuse(str(images))
    return Published(
        describe(images, places),
        images,
        reader.rows,
        reader.pairs,
        reader.listed[QUERY],
        reader.listed[GALLERY],
        files[AUXILIARY].name if auxiliary else "",
        digest_of(lines, reader.rows),
        list(noted.remarks()),
        missing,
    )


def _read_index(path: Path) -> Index:
    try:
        index = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_without_twins)
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: is not the index of BUPTCampus ({error})") from error
    if not isinstance(index, dict):
        raise SourceError(
            f"{path}: holds {type(index).__name__}, expected identity -> modality -> camera -> "
            "tracklet -> list of paths"
        )
    return index


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a duplicate key; json would silently keep the last one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the key {twice[0]!r} is there twice in one place")
    return found


def find_places(source: Path, lists: Path | None) -> Places:
    """Find the lists and the index.

    Args:
        source: DATA or its parent.
        lists: The folder of the lists, if the user named one.

    Raises:
        SourceError: If a folder or a list is missing, or two folders hold different lists.
    """
    for option, folder in (("--source", source), ("--lists", lists)):
        if folder is not None and not folder.is_dir():
            raise SourceError(f"{option} {folder}: no such folder; {EXPECTED}")
    home = source.absolute().parent if _holds_people(source) else source
    folders = [lists] if lists is not None else [home, *_other_folders(home)]
    complete = [f for f in folders if all((f / name).is_file() for name in LISTS)]
    if not complete:
        raise SourceError(_no_lists(home, folders))
    for other in complete[1:]:
        if any(_words(complete[0] / name) != _words(other / name) for name in LISTS):
            raise SourceError(
                f"{complete[0]} and {other} hold different lists; choose with --lists"
            )
    for folder in (complete[0], home):
        if (folder / INDEX).is_file():
            return Places(home, complete[0], folder / INDEX)
    raise SourceError(f"{complete[0]}: {INDEX} is missing beside the lists, and in {home}")


def find_images(places: Places, pids: set[str]) -> Path:
    """Return the folder with the most identities.

    Raises:
        SourceError: If no folder holds an identity.
    """
    home = places.home
    folders = [home / IMAGES, home / IMAGES / IMAGES, home, places.lists / IMAGES]
    found = {folder: sum((folder / pid).is_dir() for pid in pids) for folder in folders}
    best = max(folders, key=lambda folder: found[folder])
    if not found[best]:
        raise SourceError(f"{home}: no folder of an identity of the lists; {EXPECTED}")
    return best


def find_auxiliary(places: Places) -> Path:
    """Return the auxiliary list under either of its names.

    Raises:
        SourceError: If there is none, or if two differ.
    """
    found = [p for name in AUXILIARY_NAMES if (p := places.lists / name).is_file()]
    if not found:
        raise SourceError(
            f"{places.lists}: --auxiliary needs {' or '.join(AUXILIARY_NAMES)}, none is there"
        )
    if len(found) > 1 and _words(found[0]) != _words(found[1]):
        raise SourceError(f"{found[0]} and {found[1].name} differ; remove one")
    return found[0]


def describe(images: Path, places: Places) -> str:
    """Return a description of the layout, with paths relative to DATA's parent."""
    names = []
    for path in (images, places.lists, places.index.parent):
        below = path.absolute()
        if below.is_relative_to(places.home.absolute()):
            below = below.relative_to(places.home.absolute())
            names.append("./" if below == Path() else f"{below.as_posix()}/")
        else:
            names.append("the folder of --lists")
    return f"images in {names[0]}, lists in {names[1]}, {INDEX} in {names[2]}"


def _words(path: Path) -> list[list[str]]:
    return [text.split() for _, text in read_lines(path)]


def _holds_people(folder: Path) -> bool:
    """Return whether this is DATA itself: it holds identities and no lists."""
    if any((folder / name).is_file() for name in (INDEX, *LISTS)):
        return False
    people = (path for path in folder.iterdir() if path.name.isdecimal())
    return any((path / code).is_dir() for path in people for code in CODES.values())


def _other_folders(home: Path) -> list[Path]:
    """Return folders beside DATA that may hold the lists, such as DinoGRL's inversing_bu."""
    names = sorted(path for path in home.iterdir() if path.is_dir())
    return [path for path in names if path.name != IMAGES and not path.name.isdecimal()]


def _no_lists(home: Path, folders: list[Path]) -> str:
    missing = {folder: [n for n in LISTS if not (folder / n).is_file()] for folder in folders}
    nearest = min(folders, key=lambda folder: len(missing[folder]))
    if len(missing[nearest]) < len(LISTS):
        return f"{nearest}: {', '.join(missing[nearest])} missing beside the other lists"
    found = sorted(path.name for path in home.iterdir())[:6]
    inner = [path.parent for path in home.glob(f"*/*/{QUERY}")]
    hint = f"; did you mean --source {inner[0].parent}?" if inner else ""
    return f"{home}: no lists here (found: {found}){hint}; {EXPECTED}"


def _check_files(
    images: Path, rows: list[Row], index: Index, fake_ir: bool, faults: Faults
) -> set[str]:
    """Compare listed and existing files per identity; return the missing ones."""
    by_pid: dict[str, list[Row]] = {}
    for row in rows:
        by_pid.setdefault(row.pid, []).append(row)
    missing: set[str] = set()
    stray = 0
    for pid, mine in by_pid.items():
        there = set(_files_below(images, pid, fake_ir))
        lost = {file for row in mine for file in row.files} - there
        missing |= lost
        for file in sorted(lost):
            faults.add(Kind.MISSING, str(images / file), INDEX)
        if fake_ir:
            for file in sorted({file for row in mine for file in row.fake_files} - there):
                faults.add(Kind.MISSING_FAKE, str(images / file), FAKE)
        known = {str(path).replace("\\", "/") for entry in entries(index[pid]) for path in entry}
        if fake_ir:
            known |= {fake_of(file) for file in known if NAME.fullmatch(file)}
        stray += len(there - known)
    if stray:
        faults.add(Kind.STRAY_IMAGES, str(images), stray, INDEX)
    return missing


def _files_below(images: Path, pid: str, fake_ir: bool) -> Iterator[str]:
    for code in (CODES[VISIBLE], CODES[INFRARED], *([FAKE] if fake_ir else [])):
        for folder, folders, files in os.walk(images / pid / code):
            folders.sort()
            below = Path(folder).relative_to(images).as_posix()
            for file in files:
                if file.lower().endswith((".jpg", ".jpeg")) and not file.startswith("."):
                    yield f"{below}/{file}"
