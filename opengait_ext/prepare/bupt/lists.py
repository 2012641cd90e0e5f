"""The lists and the index of BUPTCampus: which tracklets there are, and what is wrong with them.

Nothing but the lists and the index is looked at here.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opengait_ext.data.layout import FOLDERS, INFRARED, VISIBLE
from opengait_ext.prepare.faults import Faults, Kind, short
from opengait_ext.prepare.sources import Lines

INDEX = "data_paths.json"
TRAIN, AUXILIARY, QUERY, GALLERY = "train.txt", "train_auxiliary.txt", "query.txt", "gallery.txt"
AUXILIARY_NAMES = (AUXILIARY, "train_aux.txt")  # the second one is that of M3-ReID's description
LISTS = (TRAIN, QUERY, GALLERY)
IMAGES = "DATA"
_CODES_OF_CAMERAS = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")  # the place is the camera's number
CAMERAS = {code: camid for camid, code in enumerate(_CODES_OF_CAMERAS)}
CODES = {VISIBLE: "RGB", INFRARED: "IR"}
FAKE = "FakeIR"
BOTH = "RGB/IR"
PARTS = {TRAIN: "train", AUXILIARY: "auxiliary", QUERY: "test", GALLERY: "test"}
MODALITIES = {code: modality for modality, code in CODES.items()}

Index = dict[str, Any]  # identity -> modality -> camera -> tracklet -> paths

# 1/IR/CQ1/1_IR_CQ1_1_8535.jpg: identity, modality, camera, and again with tracklet and frame
NAME = re.compile(
    r"(?P<pid>[0-9]+)/(?P<modality>RGB|IR)/(?P<camera>[^/_]+)/"
    r"(?P<file>(?P=pid)_(?P=modality)_(?P=camera)_(?P<tracklet>[0-9]+)_(?P<frame>[0-9]{1,9})"
    r"\.(?i:jpg|jpeg))"
)


@dataclass(frozen=True)
class Row:
    """One tracklet of one modality, as the lists have it.

    Args:
        pid: As published, not padded.
        camera: The published code.
        number: Of the tracklet, as published; both modalities share it.
        modality: ``visible`` or ``infrared``.
        part: ``train``, ``auxiliary`` or ``test``.
        files: Of its frames in order, below the folder of the images.
    """

    pid: str
    camera: str
    number: str
    modality: str
    part: str
    files: tuple[str, ...]

    @property
    def camid(self) -> int:
        """The camera's number, which both modalities share."""
        return CAMERAS[self.camera]

    @property
    def path(self) -> str:
        """Where its prepared form goes: ``1/ir/D2-T1``, in ``1/rgb`` likewise."""
        return f"{self.pid}/{FOLDERS[self.modality]}/D{self.camid}-T{self.number}"

    @property
    def fake_files(self) -> tuple[str, ...]:
        """What FakeIR has for the frames: other folder, same name, RGB included."""
        return tuple(map(fake_of, self.files)) if self.modality == VISIBLE else ()


def fake_of(file: str) -> str:
    """Gives the FakeIR image of a visible one, both below the folder of the images."""
    pid, _, camera, name = file.split("/")
    return f"{pid}/{FAKE}/{camera}/{name}"


class Reader:
    """Turns the lines of the lists into rows, and notes what is wrong with them."""

    def __init__(self, index: Index, names: dict[str, str], faults: Faults) -> None:
        self.rows: list[Row] = []
        self.pairs: list[tuple[int, int]] = []
        self.listed: dict[str, list[int]] = {name: [] for name in names}
        self._faults = faults
        self._index = index
        self._names = names
        self._place: dict[str, int] = {}  # path of a row -> its position
        self._seen: set[tuple[str, int]] = set()
        self._parts: dict[str, dict[str, str]] = {}  # identity -> part -> a list that names it
        self._frames: list[list[int]] = []  # published numbers of the frames of each row
        self._backslashes = 0

    def read(self, name: str, lines: Lines) -> None:
        """Read one list."""
        place = self._names[name]
        if not lines:
            self._faults.add(Kind.EMPTY, place)
        for line, text in lines:
            fields = text.split()
            wrong = _line_fault(fields, name)
            if wrong:
                self._faults.add(Kind.MALFORMED, place, text, wrong, line)
                continue
            pid, modalities, camera, tracklet = fields
            self._parts.setdefault(pid, {}).setdefault(PARTS[name], place)
            codes = modalities.split("/")
            found = [self._row(name, line, (pid, code, camera, tracklet)) for code in codes]
            positions = [position for position in found if position is not None]
            self.listed[name] += positions
            if len(positions) == 2:
                self._pair(place, line, (positions[0], positions[1]))

    def _row(self, name: str, line: int, keys: tuple[str, str, str, str]) -> int | None:
        """Return the position of a row, which is made if it is new; None for a faulty one."""
        pid, code, camera, tracklet = keys
        place = self._names[name]
        entry: Any = self._index
        for key in keys:
            entry = entry.get(key) if isinstance(entry, dict) else None
        where = f"{INDEX}[{']['.join(keys)}]"
        if not isinstance(entry, list) or not entry:
            holds = "nothing" if entry is None else short(entry)
            self._faults.add(Kind.NO_ENTRY, place, f"{where} holds {holds}", line=line)
            return None
        files, frames = self._files(entry, keys, where)
        if len(files) != len(entry):
            return None
        row = Row(pid, camera, tracklet, MODALITIES[code], PARTS[name], files)
        position = self._place.setdefault(row.path, len(self.rows))
        if (name, position) in self._seen:
            self._faults.add(Kind.LISTED_TWICE, place, " ".join(keys), line=line)
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
                self._faults.add(Kind.MALFORMED, f"{where}[{number}]", path, example)
                break
            self._backslashes += text != path
            files.append(text)
            frames.append(int(match["frame"]))
        return tuple(files), frames

    def _pair(self, place: str, line: int, pair: tuple[int, int]) -> None:
        visible, infrared = (len(self.rows[position].files) for position in pair)
        if visible != infrared:
            lengths = f"{visible} visible and {infrared} infrared"
            self._faults.add(Kind.UNEQUAL_PAIR, place, lengths, line=line)
        self.pairs.append(pair)

    def compare(self) -> None:
        """Note what shows when all lists are read: identities of two parts, and what is odd."""
        for pid, parts in self._parts.items():
            if len(parts) > 1:
                names = " and in ".join(parts.values())
                self._faults.add(Kind.IN_TWO_PARTS, f"identity {pid}", names)
        both = len(set(self.listed[QUERY]) & set(self.listed[GALLERY]))
        frames = self._frames
        unsorted = sum(numbers != sorted(numbers) for numbers in frames)
        twice = sum(len(row.files) - len(set(row.files)) for row in self.rows)
        other = sum(frames[one] != frames[two] for one, two in self.pairs)
        single = sum(len(row.files) == 1 for row in self.rows)
        unused = sum(1 for _ in entries(self._index)) - len(self.rows)
        for kind, place, count, expected in (
            (Kind.BACKSLASHES, INDEX, self._backslashes, ""),
            (Kind.UNSORTED, INDEX, unsorted, ""),
            (Kind.FRAMES_TWICE, INDEX, twice, ""),
            (Kind.OTHER_NUMBERS, INDEX, other, f"{len(self.pairs):,}"),
            (Kind.QUERY_IN_GALLERY, QUERY, both, GALLERY),
            (Kind.SINGLE_FRAMES, INDEX, single, ""),
            (Kind.UNUSED_ENTRIES, INDEX, unused, ""),
        ):
            if count > 0:
                self._faults.add(kind, place, count, expected)


def entries(index: Any) -> Iterator[list[Any]]:
    """Return the list of paths of every tracklet."""
    if isinstance(index, list):
        yield index
    elif isinstance(index, dict):
        for inner in index.values():
            yield from entries(inner)


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


def digest_of(lines: dict[str, Lines], rows: list[Row]) -> str:
    """Return the sha256 of what the lists say and of the names of all frames."""
    digest = hashlib.sha256()
    for name, found in lines.items():
        words = " ".join(" ".join(text.split()) for _, text in found)
        digest.update(f"{name}\n{words}\n".encode())
    for row in rows:
        digest.update(" ".join((row.path, *row.files, "\n")).encode())
    return digest.hexdigest()
