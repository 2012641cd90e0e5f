"""Reading and checking of HITSZ-VCM as it is published: the lists, the names, the folders.

Nothing is decoded or written here. All faults of the lists are collected and shown together.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opengait_ext.data.layout import FOLDERS, INFRARED
from opengait_ext.prepare.faults import Faults, SourceError
from opengait_ext.prepare.sources import DamagedImageError, Sources, read_image
from opengait_ext.prepare.vcm.folders import Home, Place, describe, find_home, find_lists
from opengait_ext.prepare.vcm.rows import (
    HALVES,
    LISTS,
    MODALITIES,
    NAME_LISTS,
    QUERY_LIST,
    ROW_LISTS,
    Row,
)

Lines = dict[str, list[tuple[int, str]]]  # name of the list -> its filled lines with numbers

# 0001M2D3T1F126.jpg: identity, modality, camera, tracklet, frame
NAME = re.compile(
    r"(?P<pid>[0-9]{4})M(?P<modality>[12])D(?P<camera>[0-9]{1,2})"
    r"T(?P<tracklet>[0-9]+)F(?P<frame>[0-9]+)(?P<suffix>\.(?i:jpg|jpeg))"
)


@dataclass(frozen=True)
class Published:
    """The published data after all checks.

    Args:
        layout: Which of the known layouts was found, in words.
        homes: Where the images of each half are.
        rows: All tracklets, training half first.
        digest: sha256 of all lists; line ends and blank lines do not change it.
        remarks: What is odd and was accepted.
    """

    layout: str
    homes: dict[str, Home]
    rows: list[Row]
    digest: str
    remarks: list[str]


def read_published(sources: Sources) -> Published:
    """Recognizes the layout, reads the lists and checks that all of it fits together.

    Args:
        sources: The folders and archives of the published data.

    Raises:
        UserError: If something is missing, of an unknown layout or damaged, or with all faults.
    """
    place, spelled = find_lists(sources)
    lines = {name: _lines_at(place, spelled[name]) for name in LISTS}
    faults = Faults()
    query = _read_query(lines, faults)
    names = {half: _read_names(lines, half, faults) for half in HALVES}
    rows = [row for half in HALVES for row in _read_rows(lines, half, names[half], query, faults)]
    _check_query(rows, lines, faults)
    _check_disjoint(rows, faults)
    faults.raise_if_any(f"{place}")
    remarks = [remark for half in HALVES for remark in _remarks(names[half], half, rows, lines)]
    digest = _digest(lines)
    del lines, names  # as large as all the rest
    homes: dict[str, Home] = {}
    for half in HALVES:
        home = find_home(sources, half, rows, faults, remarks)
        homes |= {half: home} if home else {}
    remarks += sources.ignored()
    faults.raise_if_any(f"{sources}")
    return Published(describe(place, homes), homes, rows, digest, remarks)


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Gives the filled lines of a text with their numbers, without CRLF and blanks at the ends.

    Raises:
        SourceError: If the file is missing or no UTF-8.
    """
    try:
        return lines_of(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error


def _lines_at(place: Place, name: str) -> list[tuple[int, str]]:
    try:
        return lines_of(read_image(place.image(name)))
    except (OSError, UnicodeDecodeError, DamagedImageError) as error:
        where = place.tree.place(place.inner(name))
        raise SourceError(f"{where}: cannot be read as text ({error})") from error


def lines_of(content: bytes) -> list[tuple[int, str]]:
    """Gives the filled lines of a text with their numbers, without CRLF and blanks at the ends."""
    lines = enumerate(content.decode("utf-8-sig").splitlines(), 1)
    return [(number, text) for number, line in lines if (text := line.strip())]


def _read_names(lines: Lines, half: str, faults: Faults) -> list[re.Match[str] | None]:
    """Gives the fields of every name; None stands for a faulty one."""
    fields = []
    for number, text in lines[NAME_LISTS[half]]:
        match = NAME.fullmatch(text)
        fields.append(match)
        if match is None:
            faults.add(
                f"{NAME_LISTS[half]}:{number}: {text!r}, expected a name like 0001M2D3T1F126.jpg "
                "(four digits, M1 infrared or M2 visible, camera, tracklet, frame)"
            )
    return fields


def file_of(name: re.Match[str]) -> str:
    """Gives the path of an image, ``0001/rgb/D3/126.jpg``, from its matched `NAME`."""
    folder = FOLDERS[MODALITIES[name["modality"]]]
    return f"{name['pid']}/{folder}/D{name['camera']}/{name['frame']}{name['suffix']}"


def _read_rows(
    lines: Lines,
    half: str,
    names: list[re.Match[str] | None],
    query: set[int],
    faults: Faults,
) -> list[Row]:
    rows = []
    for number, (line, text) in enumerate(lines[ROW_LISTS[half]], 1):
        place = f"{ROW_LISTS[half]}:{line}"
        values = text.split()
        if len(values) != 5 or not all(value.isdecimal() for value in values):
            faults.add(
                f"{place}: {text!r}, expected: modality start end pid camera (whole numbers)"
            )
            continue
        start, end = int(values[1]), int(values[2])
        if values[0] not in MODALITIES or not 1 <= start <= end <= len(names):
            faults.add(
                f"{place}: {text!r}, expected modality 1 or 2 and 1 <= start <= end <= "
                f"{len(names)}, the lines of {NAME_LISTS[half]}"
            )
            continue
        frames = [name for name in names[start - 1 : end] if name is not None]
        for name in _strangers(frames, values):
            faults.add(f"{place}: {text!r} covers {name}: another identity, modality or camera")
        modality = MODALITIES[values[0]]
        is_query = half == "Test" and number in query
        files = tuple(map(file_of, frames))
        pid = f"{int(values[3]):04d}"
        rows.append(Row(number, pid, int(values[4]), modality, half, is_query, files))
    return rows


def _strangers(frames: list[re.Match[str]], row: list[str]) -> Iterator[str]:
    """Gives the first name that does not belong to its row."""
    expected = (row[0], int(row[3]), int(row[4]))
    for name in frames:
        if (name["modality"], int(name["pid"]), int(name["camera"])) != expected:
            yield name.group()
            return


def _read_query(lines: Lines, faults: Faults) -> set[int]:
    """Gives the row numbers of all tokens of all lines."""
    query: set[int] = set()
    count = len(lines[ROW_LISTS["Test"]])
    for line, text in lines[QUERY_LIST]:
        for token in text.split():
            if not token.isdecimal() or not 1 <= int(token) <= count:
                faults.add(f"{QUERY_LIST}:{line}: {token!r}, expected a row from 1 to {count}")
            elif int(token) in query:
                faults.add(f"{QUERY_LIST}:{line}: row {token} is listed a second time")
            else:
                query.add(int(token))
    return query


def _check_query(rows: list[Row], lines: Lines, faults: Faults) -> None:
    """All infrared rows of the test half are queries, and no others."""
    table = ROW_LISTS["Test"]
    for row in rows:
        if row.half == "Test" and row.is_query != (row.modality == INFRARED):
            place = f"{table}:{lines[table][row.number - 1][0]}"
            listed = "listed" if row.is_query else "not listed"
            faults.add(
                f"{place}: row {row.number} is {row.modality} and {listed} in {QUERY_LIST}, "
                "expected: all infrared rows are listed, no visible one"
            )


def _check_disjoint(rows: list[Row], faults: Faults) -> None:
    pids = {half: {row.pid for row in rows if row.half == half} for half in HALVES}
    for pid in sorted(pids["Train"] & pids["Test"]):
        faults.add(f"identity {pid} is in {ROW_LISTS['Train']} and in {ROW_LISTS['Test']}")
    for half in HALVES:
        if not pids[half]:
            faults.add(f"{ROW_LISTS[half]}: no tracklet")


def _remarks(
    names: list[re.Match[str] | None], half: str, rows: list[Row], lines: Lines
) -> Iterator[str]:
    """Names what a sound list does not have, though it does no harm."""
    table, mine = ROW_LISTS[half], [row for row in rows if row.half == half]
    files = [file for row in mine for file in row.files]
    twice = len(files) - len(set(files))
    if twice:
        yield f"{NAME_LISTS[half]}: {twice} frames belong to two tracklets or are listed twice"
    first: dict[tuple[str, ...], Row] = {}
    for row in mine:
        same = first.setdefault(row.files, row)
        if same is not row:
            line, earlier = (lines[table][r.number - 1][0] for r in (row, same))
            yield f"{table}:{line}: has the frames of line {earlier} once more; both rows are used"
    free = len({file_of(name) for name in names if name is not None}.difference(files))
    if free:
        yield f"{NAME_LISTS[half]}: {free} names belong to no row of {table}"


def _digest(lines: Lines) -> str:
    digest = hashlib.sha256()
    for name in LISTS:
        words = " ".join(" ".join(text.split()) for _, text in lines[name])
        digest.update(f"{name}\n{words}\n".encode())
    return digest.hexdigest()
