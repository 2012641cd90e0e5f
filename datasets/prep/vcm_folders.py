"""The folders of HITSZ-VCM as it is published: which layout it is, and whether all files exist."""

import os
from collections.abc import Iterator
from pathlib import Path

from vcm_source import LISTS, NAME_LISTS, QUERY_LIST, Faults, Row, SourceError

EXPECTED = """expected one of
  Train/<pid>/<ir|rgb>/D<camera>/<frame>.jpg, Test/..., and the lists in info/
  <pid>/<ir|rgb>/D<camera>/<frame>.jpg, and the lists in info/
  <pid>/<ir|rgb>/D<camera>/<frame>.jpg, and the lists beside the identities"""


def find_lists(source: Path) -> Path:
    """Gives the folder of the five lists.

    Raises:
        SourceError: If ``source`` is missing, holds no lists, or not all of them.
    """
    if not source.is_dir():
        raise SourceError(f"--source {source}: no such folder; {EXPECTED}")
    folders = [source / "info", source]
    missing = {folder: [n for n in LISTS if not (folder / n).is_file()] for folder in folders}
    for folder in folders:
        if not missing[folder]:
            return folder
    nearest = min(folders, key=lambda folder: len(missing[folder]))
    if len(missing[nearest]) < len(LISTS):
        raise SourceError(
            f"{nearest}: {', '.join(missing[nearest])} missing beside the other lists"
        )
    found = sorted(path.name for path in source.iterdir())[:6]
    inner = [path.parent for path in source.glob(f"*/info/{QUERY_LIST}")]
    hint = f"; did you mean --source {inner[0].parent}?" if inner else ""
    raise SourceError(f"--source {source}: no lists here (found: {found}){hint}\n{EXPECTED}")


def find_home(source: Path, half: str, rows: list[Row]) -> Path:
    """Gives the folder that holds most of the identities of a half."""
    pids = {row.pid for row in rows if row.half == half}
    homes = [source / half, source / half / half, source]
    return max(homes, key=lambda home: sum((home / pid).is_dir() for pid in pids))


def check_files(home: Path, half: str, rows: list[Row], faults: Faults) -> list[str]:
    """Compares the listed files with those in the folders, as sets.

    Args:
        home: The folder that holds the identities of this half.
        half: ``Train`` or ``Test``.
        rows: Of both halves.
        faults: Gets every listed file that is not there.

    Returns:
        Remarks on files that are in no list.
    """
    mine = [row for row in rows if row.half == half]
    listed = {file for row in mine for file in row.files}
    there = {file for pid in {row.pid for row in mine} for file in _files_below(home, pid)}
    for file in sorted(listed - there):
        faults.add(f"{home / file}: listed in {NAME_LISTS[half]}, but not there")
    stray = len(there - listed)
    return [f"{home}: {stray} images are in no list and are left out"] if stray else []


def _files_below(home: Path, pid: str) -> Iterator[str]:
    for folder, folders, files in os.walk(home / pid):
        folders.sort()
        below = Path(folder).relative_to(home).as_posix()
        for file in files:
            if file.lower().endswith((".jpg", ".jpeg")) and not file.startswith("."):
                yield f"{below}/{file}"


def describe(source: Path, lists: Path, homes: dict[str, Path]) -> str:
    """Says in words which layout was found."""
    place = "info/" if lists != source else "the same folder"
    folders = {half: home.relative_to(source).as_posix() for half, home in homes.items()}
    if set(folders.values()) == {"."}:
        return f"identities in one folder, lists in {place}"
    return f"identities in {folders['Train']}/ and {folders['Test']}/, lists in {place}"
