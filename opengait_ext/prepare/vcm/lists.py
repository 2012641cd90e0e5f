"""The five lists of HITSZ-VCM: the tracklets and the faults in the lists.

One reader serves the preparation, which refuses faulty lists, and the check, which continues with
the readable lines. Only the lists are read here, no image.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from opengait_ext.data.layout import FOLDERS, INFRARED, VISIBLE
from opengait_ext.prepare.faults import Faults, Kind
from opengait_ext.prepare.sources import DamagedImageError, Lines, lines_of

HALVES = ("Train", "Test")
NAME_LISTS = {"Train": "train_name.txt", "Test": "test_name.txt"}
ROW_LISTS = {"Train": "track_train_info.txt", "Test": "track_test_info.txt"}
QUERY_LIST = "query_IDX.txt"
LISTS = (*NAME_LISTS.values(), *ROW_LISTS.values(), QUERY_LIST)
MODALITIES = {"1": INFRARED, "2": VISIBLE}

# 0001M2D3T1F126.jpg: identity, modality, camera, tracklet, frame
NAME = re.compile(
    r"(?P<pid>[0-9]{4})M(?P<modality>[12])D(?P<camera>[0-9]{1,2})"
    r"T(?P<tracklet>[0-9]+)F(?P<frame>[0-9]+)(?P<suffix>\.(?i:jpg|jpeg))"
)
_NAME_FORM = (
    "a name like 0001M2D3T1F126.jpg (four digits, M1 infrared or M2 visible, camera, tracklet, "
    "frame)"
)
_ROW_FORM = "modality start end pid camera (whole numbers)"
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Row:
    """One tracklet, as listed.

    Args:
        number: Its line among the non-empty lines of ``track_*_info.txt``, from 1.
        pid: Four digits.
        camid: The camera number.
        modality: ``visible`` or ``infrared``.
        half: ``Train`` or ``Test``.
        is_query: Whether ``query_IDX.txt`` lists it.
        files: Paths of its frames in order, relative to the folder of the identities.
        discarded: Number of its frames removed by a discard list.
    """

    number: int
    pid: str
    camid: int
    modality: str
    half: str
    is_query: bool
    files: tuple[str, ...]
    discarded: int = 0

    @property
    def path(self) -> str:
        """Path of the prepared tracklet relative to the root: ``0001/rgb/D3-T17``."""
        return f"{self.pid}/{FOLDERS[self.modality]}/D{self.camid}-T{self.number}"


@dataclass(frozen=True)
class Lists:
    """The contents of the lists.

    Args:
        rows: All readable tracklets, training half first.
        digest: sha256 of all lists; line ends and blank lines do not change it.
    """

    rows: list[Row]
    digest: str


class _Name(NamedTuple):
    """A line of ``*_name.txt``: the fields compared with its row, and its image."""

    modality: str
    pid: int
    camera: int
    tracklet: str
    text: str
    file: str


def read_lists(read: Callable[[str], bytes], faults: Faults) -> Lists:
    """Read the five lists and compare them with one another.

    Args:
        read: Function that returns the content of a list, given its name.
        faults: Collects faults and oddities, with list and line.
    """
    lines = {name: _read(name, read, faults) for name in LISTS}
    query = _read_query(lines[QUERY_LIST], len(lines[ROW_LISTS["Test"]]), faults)
    rows: list[Row] = []
    for half in HALVES:
        names = list(_read_names(lines[NAME_LISTS[half]], half, faults))
        rows += _read_rows(lines[ROW_LISTS[half]], half, names, query, faults)
    pids = {half: {row.pid for row in rows if row.half == half} for half in HALVES}
    for pid in sorted(pids["Train"] & pids["Test"]):
        both = " and in ".join(ROW_LISTS.values())
        faults.add(Kind.IN_TWO_PARTS, f"identity {pid}", both)
    return Lists(rows, _digest(lines))


def file_of(name: re.Match[str]) -> str:
    """Return the path of an image, ``0001/rgb/D3/126.jpg``, from its matched `NAME`."""
    folder = FOLDERS[MODALITIES[name["modality"]]]
    return f"{name['pid']}/{folder}/D{name['camera']}/{name['frame']}{name['suffix']}"


def _read(name: str, read: Callable[[str], bytes], faults: Faults) -> Lines:
    try:
        lines = lines_of(read(name))
    except (OSError, UnicodeDecodeError, DamagedImageError) as error:
        faults.add(Kind.UNREADABLE, name, error)
        return []
    if not lines:
        faults.add(Kind.EMPTY, name)
    return lines


def _read_names(lines: Lines, half: str, faults: Faults) -> Iterator[_Name | None]:
    """Yield the fields of every name; None for a faulty one."""
    place = NAME_LISTS[half]
    first: dict[str, tuple[int, str]] = {}
    for line, text in lines:
        match = NAME.fullmatch(text)
        if match is None:
            faults.add(Kind.MALFORMED, place, text, _NAME_FORM, line)
            yield None
            continue
        numbers = int(match["pid"]), int(match["camera"])
        name = _Name(match["modality"], *numbers, match["tracklet"], text, file_of(match))
        earlier, other = first.setdefault(name.file, (line, text))
        if earlier != line:
            kind = Kind.NAME_TWICE if other == text else Kind.IMAGE_TWICE
            faults.add(kind, place, text, earlier, line)
        yield name


def _read_query(lines: Lines, count: int, faults: Faults) -> set[int] | None:
    """Return the row numbers of all tokens of all lines; None if there is no line."""
    query: set[int] = set()
    for line, text in lines:
        for token in text.split():
            if not _NUMBER.fullmatch(token) or not 1 <= int(token) <= count:
                faults.add(Kind.MALFORMED, QUERY_LIST, token, f"a row from 1 to {count}", line)
            elif int(token) in query:
                faults.add(Kind.LISTED_TWICE, QUERY_LIST, f"row {token}", line=line)
            else:
                query.add(int(token))
    return query if lines else None


def _read_rows(
    lines: Lines,
    half: str,
    names: Sequence[_Name | None],
    query: set[int] | None,
    faults: Faults,
) -> Iterator[Row]:
    if not names:
        return  # already reported as empty or unreadable
    place = ROW_LISTS[half]
    owners = np.zeros(len(names), int)  # number of the first row that covers a name
    for number, (line, text) in enumerate(lines, 1):
        values = text.split()
        if len(values) != 5 or not all(map(_NUMBER.fullmatch, values)):
            faults.add(Kind.MALFORMED, place, text, _ROW_FORM, line)
            continue
        if values[0] not in MODALITIES:
            faults.add(Kind.MALFORMED, place, text, "modality 1 or 2", line)
            continue
        start, end = int(values[1]), int(values[2])
        if not 1 <= start <= end <= len(names):
            bounds = f"1 <= start <= end <= {len(names)}, the lines of {NAME_LISTS[half]}"
            faults.add(Kind.OUT_OF_RANGE, place, text, bounds, line)
            continue
        _own(owners[start - 1 : end], number, place, line, faults)
        mine = [name for name in names[start - 1 : end] if name is not None]
        _compare(mine, values, place, line, faults)
        row = Row(
            number, f"{int(values[3]):04d}", int(values[4]), MODALITIES[values[0]], half,
            half == "Test" and number in (query or ()), tuple(name.file for name in mine),
        )  # fmt: skip
        if half == "Test" and query is not None and row.is_query != (row.modality == INFRARED):
            listed = "listed" if row.is_query else "not listed"
            text = f"row {number} is {row.modality} and {listed} in {QUERY_LIST}"
            faults.add(Kind.WRONG_QUERY, place, text, line=line)
        yield row
    for first, last in _runs(owners == 0):
        faults.add(Kind.UNUSED_NAMES, NAME_LISTS[half], f"{first + 1} to {last + 1}", place)


def _own(owners: np.ndarray, number: int, place: str, line: int, faults: Faults) -> None:
    """Mark the names of a row, and record names that another row owns."""
    taken = owners[owners > 0]
    if len(taken):
        share = f"{len(taken)} of {len(owners)}"
        faults.add(Kind.OVERLAP, place, share, int(taken[0]), line)
    owners[owners == 0] = number


def _compare(
    names: Sequence[_Name], values: Sequence[str], place: str, line: int, faults: Faults
) -> None:
    """Compare the names of a row with its fields."""
    expected = (values[0], int(values[3]), int(values[4]))
    strangers = [n.text for n in names if (n.modality, n.pid, n.camera) != expected]
    numbers = dict.fromkeys(name.tracklet for name in names)
    if strangers:
        faults.add(Kind.FOREIGN_FRAME, place, strangers[0], repr(" ".join(values)), line)
    elif len(numbers) > 1:
        faults.add(Kind.MIXED_TRACKLETS, place, " and ".join(numbers), line=line)


def _runs(mask: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the first and last position of every run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[0, mask.astype(int), 0]))
    for first, end in edges.reshape(-1, 2).tolist():
        yield first, end - 1


def _digest(lines: dict[str, Lines]) -> str:
    digest = hashlib.sha256()
    for name in LISTS:
        words = " ".join(" ".join(text.split()) for _, text in lines[name])
        digest.update(f"{name}\n{words}\n".encode())
    return digest.hexdigest()
