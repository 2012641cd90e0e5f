"""The five lists of HITSZ-VCM, line by line: each fault goes to the check it belongs to."""

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np

from opengait_ext.data.layout import INFRARED
from opengait_ext.errors import UserError
from opengait_ext.prepare.check.findings import Findings
from opengait_ext.prepare.sources import DamagedImageError, Sources, read_image
from opengait_ext.prepare.vcm.folders import find_lists
from opengait_ext.prepare.vcm.lists import NAME, file_of, lines_of
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
Names = Sequence[re.Match[str] | None]


def read_all_lists(sources: Sources, findings: Findings) -> Lines:
    """Gives the filled lines of the five lists; none of one that cannot be read."""
    lines: Lines = {name: [] for name in LISTS}
    try:
        place, spelled = find_lists(sources)
    except UserError as error:
        findings.fault("lists", "lists", str(error))
        return lines
    for name in LISTS:
        try:
            lines[name] = lines_of(read_image(place.image(spelled[name])))
        except (OSError, UnicodeDecodeError, DamagedImageError) as error:
            findings.fault("lists", name, f"cannot be read as text ({error})")
        else:
            if not lines[name]:
                findings.fault("empty", name, "holds no line")
    return lines


def digest_of_lists(lines: Lines) -> str:
    """Gives the sha256 that the preparation notes: line ends and blank lines do not change it."""
    digest = hashlib.sha256()
    for name in LISTS:
        words = " ".join(" ".join(text.split()) for _, text in lines[name])
        digest.update(f"{name}\n{words}\n".encode())
    return digest.hexdigest()


def read_all_rows(lines: Lines, findings: Findings) -> list[Row]:
    """Gives all tracklets that can be understood, the training half first."""
    query = _read_query(lines, findings)
    rows: list[Row] = []
    for half in HALVES:
        names = _read_names(lines[NAME_LISTS[half]], half, findings)
        rows += _read_rows(lines[ROW_LISTS[half]], half, names, query, findings)
    return rows


def _read_names(lines: list[tuple[int, str]], half: str, findings: Findings) -> Names:
    """Gives the fields of every name; None stands for a faulty one."""
    names = []
    seen: dict[str, int] = {}
    for line, text in lines:
        name = NAME.fullmatch(text)
        names.append(name)
        place = f"{NAME_LISTS[half]}:{line}"
        if name is None:
            example = "0001M2D3T1F126.jpg (four digits, M1 infrared or M2 visible)"
            findings.fault("lists", place, f"{text!r}, expected a name like {example}")
        elif seen.setdefault(text, line) != line:
            findings.fault("duplicates", place, f"{text} is listed in line {seen[text]}, too")
    return names


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def _read_query(lines: Lines, findings: Findings) -> set[int]:
    """Gives the row numbers of all tokens of all lines."""
    query: set[int] = set()
    count = len(lines[ROW_LISTS["Test"]])
    for line, text in lines[QUERY_LIST]:
        place = f"{QUERY_LIST}:{line}"
        for token in text.split():
            if not _is_number(token) or not 1 <= int(token) <= count:
                findings.fault("lists", place, f"{token!r}, expected a row from 1 to {count}")
            elif int(token) in query:
                findings.fault("queries", place, f"row {token} is listed a second time")
            else:
                query.add(int(token))
    return query


def _read_rows(
    lines: list[tuple[int, str]], half: str, names: Names, query: set[int], findings: Findings
) -> Iterator[Row]:
    covered = np.zeros(len(names), int)  # number of the first row that covers a name
    for number, (line, text) in enumerate(lines, 1):
        place = f"{ROW_LISTS[half]}:{line}"
        values = text.split()
        if len(values) != 5 or not all(map(_is_number, values)):
            expected = "modality start end pid camera (whole numbers)"
            findings.fault("lists", place, f"{text!r}, expected: {expected}")
            continue
        start, end = int(values[1]), int(values[2])
        if values[0] not in MODALITIES:
            findings.fault("lists", place, f"{text!r}, expected modality 1 or 2")
            continue
        if not 1 <= start <= end <= len(names):
            bounds = f"1 <= start <= end <= {len(names)}, the lines of {NAME_LISTS[half]}"
            findings.fault("ranges", place, f"{text!r}, expected {bounds}")
            continue
        _cover(covered, start, end, number, place, findings)
        frames = [name for name in names[start - 1 : end] if name is not None]
        _compare(frames, values, place, findings)
        row = Row(
            number, f"{int(values[3]):04d}", int(values[4]), MODALITIES[values[0]], half,
            half == "Test" and number in query, tuple(map(file_of, frames)),
        )  # fmt: skip
        if half == "Test" and row.is_query != (row.modality == INFRARED):
            listed = "listed" if row.is_query else "not listed"
            text = f"row {number} is {row.modality} and {listed} in {QUERY_LIST}"
            findings.fault("queries", place, f"{text}, expected: all infrared rows and no others")
        yield row
    for first, last in _runs(covered == 0):
        text = f"lines {first + 1} to {last + 1} belong to no row of {ROW_LISTS[half]}"
        findings.fault("ranges", NAME_LISTS[half], text)


def _cover(
    covered: np.ndarray, start: int, end: int, number: int, place: str, findings: Findings
) -> None:
    """Marks the names of a row; a name that another row has is a fault."""
    mine = covered[start - 1 : end]
    if mine.any():
        first = int(mine[mine > 0][0])
        count = int((mine > 0).sum())
        findings.fault("ranges", place, f"{count} of its frames belong to row {first}, too")
    mine[mine == 0] = number


def _compare(
    frames: list[re.Match[str]], values: list[str], place: str, findings: Findings
) -> None:
    """Compares the names of a row with its fields."""
    expected = (values[0], int(values[3]), int(values[4]))
    strangers = [
        name.group()
        for name in frames
        if (name["modality"], int(name["pid"]), int(name["camera"])) != expected
    ]
    if strangers:
        text = f"{' '.join(values)!r} covers {strangers[0]}"
        findings.fault("names", place, f"{text}: another identity, modality or camera")
    elif len({name["tracklet"] for name in frames}) > 1:
        numbers = sorted({int(name["tracklet"]) for name in frames})
        findings.warn("names", place, f"covers frames of the tracklets {numbers}")


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Gives first and last position of every run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(int), 0]))
    for first, end in edges.reshape(-1, 2).tolist():
        yield first, end - 1
