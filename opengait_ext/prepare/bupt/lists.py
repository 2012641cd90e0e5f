"""Reading and checking of BUPTCampus as it is published: lists, index, images.

Nothing is decoded or written here. All faults are collected and shown together.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opengait_ext.prepare.bupt.folders import (
    check_files,
    describe,
    entries,
    find_auxiliary,
    find_images,
    find_places,
    read_lines,
)
from opengait_ext.prepare.bupt.rows import (
    AUXILIARY,
    CAMERAS,
    CODES,
    GALLERY,
    INDEX,
    NAME,
    QUERY,
    TRAIN,
    Published,
    Row,
)
from opengait_ext.prepare.faults import Faults, SourceError

BOTH = "RGB/IR"
PARTS = {TRAIN: "train", AUXILIARY: "auxiliary", QUERY: "test", GALLERY: "test"}
MODALITIES = {code: modality for modality, code in CODES.items()}

Lines = dict[str, list[tuple[int, str]]]  # name of the list -> its filled lines with numbers
Index = dict[str, Any]  # identity -> modality -> camera -> tracklet -> paths


def read_published(
    source: Path, lists: Path | None = None, auxiliary: bool = False, fake_ir: bool = False
) -> Published:
    """Finds everything, reads it and checks that it fits together.

    Args:
        source: DATA or its parent.
        lists: The folder of the lists, if not beside DATA or in a folder there.
        auxiliary: Read the auxiliary identities, too.
        fake_ir: Expect the FakeIR images, too.

    Raises:
        SourceError: If something is missing or unknown, or with all faults.
    """
    places = find_places(source, lists)
    files = {TRAIN: places.lists / TRAIN}
    if auxiliary:
        files[AUXILIARY] = find_auxiliary(places)
    files.update({name: places.lists / name for name in (QUERY, GALLERY)})
    lines = {name: read_lines(path) for name, path in files.items()}
    index = _read_index(places.index)
    reader = _Reader(index, {name: path.name for name, path in files.items()})
    for name, found in lines.items():
        reader.read(name, found)
    reader.check_disjoint()
    reader.faults.raise_if_any(f"{places.lists}")
    images = find_images(places, {row.pid for row in reader.rows})
    faults = Faults()
    stray = check_files(images, reader.rows, index, fake_ir, faults)
    faults.raise_if_any(f"{images}")
    remarks = [*reader.remarks()]
    if stray:
        remarks.append(f"{images}: {stray:,} images are in no entry of {INDEX} and are left out")
    return Published(
        describe(images, places),
        images,
        reader.rows,
        reader.pairs,
        reader.listed[QUERY],
        reader.listed[GALLERY],
        files[AUXILIARY].name if auxiliary else "",
        _digest(lines, reader.rows),
        remarks,
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
    """Refuses a key that is there twice, of which json would keep the last unseen."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the key {twice[0]!r} is there twice in one place")
    return found


class _Reader:
    """Turns the lines of the lists into rows, and notes what is wrong with them."""

    def __init__(self, index: Index, names: dict[str, str]) -> None:
        self.rows: list[Row] = []
        self.pairs: list[tuple[int, int]] = []
        self.listed: dict[str, list[int]] = {name: [] for name in names}
        self.faults = Faults()
        self._index = index
        self._names = names
        self._place: dict[str, int] = {}  # path of a row -> its position
        self._seen: set[tuple[str, int]] = set()
        self._parts: dict[str, dict[str, str]] = {}  # identity -> part -> a list that names it
        self._frames: list[list[int]] = []  # published numbers of the frames of each row
        self._backslashes = 0

    def read(self, name: str, lines: list[tuple[int, str]]) -> None:
        """Reads one list."""
        if not lines:
            self.faults.add(f"{self._names[name]}: no tracklet")
        for number, text in lines:
            place = f"{self._names[name]}:{number}: {text!r}"
            fields = text.split()
            wrong = _line_fault(fields, name)
            if wrong:
                self.faults.add(f"{place}, expected {wrong}")
                continue
            pid, modalities, camera, tracklet = fields
            self._parts.setdefault(pid, {}).setdefault(PARTS[name], self._names[name])
            found = [
                self._row(place, name, pid, code, camera, tracklet)
                for code in modalities.split("/")
            ]
            positions = [position for position in found if position is not None]
            self.listed[name] += positions
            if len(positions) == 2:
                self._pair(place, (positions[0], positions[1]))

    def _row(
        self, place: str, name: str, pid: str, code: str, camera: str, tracklet: str
    ) -> int | None:
        """Gives the position of a row, which is made if it is new; None for a faulty one."""
        keys = (pid, code, camera, tracklet)
        entry: Any = self._index
        for key in keys:
            entry = entry.get(key) if isinstance(entry, dict) else None
        where = f"{INDEX}[{']['.join(keys)}]"
        if not isinstance(entry, list) or not entry:
            self.faults.add(f"{place}: {where} holds {_short(entry)}, expected a list of paths")
            return None
        files, frames = self._files(entry, keys, where)
        if len(files) != len(entry):
            return None
        row = Row(pid, camera, tracklet, MODALITIES[code], PARTS[name], files)
        position = self._place.setdefault(row.path, len(self.rows))
        if (name, position) in self._seen:
            self.faults.add(f"{place}: {code} is listed a second time")
            return None
        self._seen.add((name, position))
        if position == len(self.rows):
            self.rows.append(row)
            self._frames.append(frames)
        return position

    def _files(
        self, entry: list[Any], keys: tuple[str, ...], where: str
    ) -> tuple[tuple[str, ...], list[int]]:
        files, frames = [], []
        for number, path in enumerate(entry):
            text = path.replace("\\", "/") if isinstance(path, str) else ""
            match = NAME.fullmatch(text)
            if match is None or match.group("pid", "modality", "camera", "tracklet") != keys:
                pid, code, camera, tracklet = keys
                example = f"{pid}/{code}/{camera}/{pid}_{code}_{camera}_{tracklet}_<frame>.jpg"
                self.faults.add(f"{where}[{number}]: {_short(path)}, expected {example}")
                break
            self._backslashes += text != path
            files.append(text)
            frames.append(int(match["frame"]))
        return tuple(files), frames

    def _pair(self, place: str, pair: tuple[int, int]) -> None:
        visible, infrared = (len(self.rows[position].files) for position in pair)
        if visible != infrared:
            self.faults.add(
                f"{place}: {visible} visible and {infrared} infrared frames, expected equally "
                "many, because training takes frames of the same numbers from both"
            )
        self.pairs.append(pair)

    def check_disjoint(self) -> None:
        """Notes identities of two parts."""
        for pid, parts in self._parts.items():
            if len(parts) > 1:
                names = " and in ".join(parts.values())
                self.faults.add(f"identity {pid} is in {names}, expected in one of them")

    def remarks(self) -> Iterator[str]:
        """Names what is odd, though it does no harm."""
        if self._backslashes:
            yield f"{INDEX}: {self._backslashes:,} paths with backslashes, read as /"
        unsorted = sum(numbers != sorted(numbers) for numbers in self._frames)
        if unsorted:
            yield f"{unsorted:,} tracklets whose frame numbers do not ascend; their order is kept"
        twice = sum(len(row.files) - len(set(row.files)) for row in self.rows)
        if twice:
            yield f"{twice:,} frames are listed twice in their tracklet"
        other = sum(self._frames[one] != self._frames[two] for one, two in self.pairs)
        if other:
            yield f"{other:,} of {len(self.pairs):,} pairs have other frame numbers in infrared"
        both = len(set(self.listed[QUERY]) & set(self.listed[GALLERY]))
        if both:
            yield f"{both:,} tracklets are both in {QUERY} and in {GALLERY}"
        single = sum(len(row.files) == 1 for row in self.rows)
        if single:
            yield f"{single:,} tracklets have a single frame"
        unused = sum(1 for _ in entries(self._index)) - len(self.rows)
        if unused:
            yield f"{INDEX}: {unused:,} tracklets are in none of the lists that were read"


def _line_fault(fields: list[str], name: str) -> str:
    """Says what a line should be, or nothing."""
    if len(fields) != 4:
        return "4 fields: identity modality camera tracklet"
    pid, modality, camera, tracklet = fields
    if not (pid.isdecimal() and pid.isascii() and tracklet.isdecimal() and tracklet.isascii()):
        return "an identity and a tracklet in digits"
    known = (BOTH,) if PARTS[name] != "test" else tuple(MODALITIES)
    if modality not in known:
        return f"the modality {' or '.join(known)}"
    if camera not in CAMERAS:
        return f"a camera of {', '.join(CAMERAS)}"
    return ""


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _digest(lines: Lines, rows: list[Row]) -> str:
    digest = hashlib.sha256()
    for name, found in lines.items():
        words = " ".join(" ".join(text.split()) for _, text in found)
        digest.update(f"{name}\n{words}\n".encode())
    for row in rows:
        digest.update(" ".join((row.path, *row.files, "\n")).encode())
    return digest.hexdigest()
