"""The folders of BUPTCampus as it is published: where things are, and whether all files exist."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import INFRARED, VISIBLE
from opengait_ext.prepare.bupt.rows import (
    AUXILIARY_NAMES,
    CODES,
    FAKE,
    IMAGES,
    INDEX,
    LISTS,
    NAME,
    QUERY,
    Row,
    fake_of,
)
from opengait_ext.prepare.faults import Faults, SourceError

EXPECTED = f"""expected
  {IMAGES}/<pid>/<IR|RGB|{FAKE}>/<camera>/<pid>_<IR|RGB>_<camera>_<tracklet>_<frame>.jpg
  and beside {IMAGES}/, or in one folder there: {", ".join((INDEX, *LISTS))}
  (--source: {IMAGES}/ or the folder that holds it)"""


@dataclass(frozen=True)
class Places:
    """Where things are.

    Args:
        home: The folder that holds the images' folder and, as a rule, the lists.
        lists: The folder of the lists.
        index: ``data_paths.json``.
    """

    home: Path
    lists: Path
    index: Path


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Gives the filled lines of a list with their numbers, without CRLF and blanks at the ends.

    Raises:
        SourceError: If the file is missing or no UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def find_places(source: Path, lists: Path | None) -> Places:
    """Finds lists and index.

    Args:
        source: DATA or its parent.
        lists: The folder of the lists, if it was named.

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
    """Gives the folder that holds most of the identities.

    Raises:
        SourceError: If none holds any.
    """
    home = places.home
    folders = [home / IMAGES, home / IMAGES / IMAGES, home, places.lists / IMAGES]
    found = {folder: sum((folder / pid).is_dir() for pid in pids) for folder in folders}
    best = max(folders, key=lambda folder: found[folder])
    if not found[best]:
        raise SourceError(f"{home}: no folder of an identity of the lists; {EXPECTED}")
    return best


def find_auxiliary(places: Places) -> Path:
    """Gives the auxiliary list under either of its names.

    Raises:
        SourceError: If there is none, or two that differ.
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
    """Says in words where things were found, from DATA's parent."""
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
    """Whether this is DATA itself: identities are here, and no lists."""
    if any((folder / name).is_file() for name in (INDEX, *LISTS)):
        return False
    people = (path for path in folder.iterdir() if path.name.isdecimal())
    return any((path / code).is_dir() for path in people for code in CODES.values())


def _other_folders(home: Path) -> list[Path]:
    """Gives the folders beside DATA that may hold the lists, such as DinoGRL's inversing_bu."""
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


def entries(index: Any) -> Iterator[list[Any]]:
    """Gives the list of paths of every tracklet."""
    if isinstance(index, list):
        yield index
    elif isinstance(index, dict):
        for inner in index.values():
            yield from entries(inner)


def check_files(
    images: Path, rows: list[Row], index: dict[str, Any], fake_ir: bool, faults: Faults
) -> int:
    """Compares listed with existing files, identity by identity; counts those in no entry."""
    by_pid: dict[str, list[Row]] = {}
    for row in rows:
        by_pid.setdefault(row.pid, []).append(row)
    stray = 0
    for pid, mine in by_pid.items():
        there = set(_files_below(images, pid, fake_ir))
        for file in sorted({file for row in mine for file in row.files} - there):
            faults.add(f"{images / file}: listed in {INDEX}, but not there")
        if fake_ir:
            for file in sorted({file for row in mine for file in row.fake_files} - there):
                faults.add(
                    f"{images / file}: not there, but --fake-ir needs it (published names below "
                    f"{FAKE}/ hold RGB; they must not be renamed)"
                )
        known = {str(path).replace("\\", "/") for entry in entries(index[pid]) for path in entry}
        if fake_ir:
            known |= {fake_of(file) for file in known if NAME.fullmatch(file)}
        stray += len(there - known)
    return stray


def _files_below(images: Path, pid: str, fake_ir: bool) -> Iterator[str]:
    for code in (CODES[VISIBLE], CODES[INFRARED], *([FAKE] if fake_ir else [])):
        for folder, folders, files in os.walk(images / pid / code):
            folders.sort()
            below = Path(folder).relative_to(images).as_posix()
            for file in files:
                if file.lower().endswith((".jpg", ".jpeg")) and not file.startswith("."):
                    yield f"{below}/{file}"
