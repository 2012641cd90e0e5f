"""The lists and the index of BUPTCampus: the tracklets and the faults in them.

Only the lists and the index are read here, no image.
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
AUXILIARY_NAMES = (AUXILIARY, "train_aux.txt")  # the second name is from M3-ReID's description
LISTS = (TRAIN, QUERY, GALLERY)
IMAGES = "DATA"
_CODES_OF_CAMERAS = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")  # the position is the camera number
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
    """One tracklet of one modality, as listed.

    Args:
        pid: As published, not padded.
        camera: The published code.
        number: The published tracklet number, shared by both modalities.
        modality: ``visible`` or ``infrared``.
        part: ``train``, ``auxiliary`` or ``test``.
        files: Paths of its frames in order, relative to the image folder.
    """

    pid: str
    camera: str
    number: str
    modality: str
    part: str
    files: tuple[str, ...]

    @property
    def camid(self) -> int:
        """Camera number, shared by both modalities."""
        return CAMERAS[self.camera]

    @property
    def path(self) -> str:
        """Path of the prepared tracklet, such as ``1/ir/D2-T1`` or ``1/rgb/D2-T1``."""
        return f"{self.pid}/{FOLDERS[self.modality]}/D{self.camid}-T{self.number}"

    @property
    def fake_files(self) -> tuple[str, ...]:
        """FakeIR images of the frames: another folder, the same name, RGB included."""
        return tuple(map(fake_of, self.files)) if self.modality == VISIBLE else ()


def fake_of(file: str) -> str:
    """Return the FakeIR path of a visible image; both are relative to the image folder."""
    pid, _, camera, name = file.split("/")
    return f"{pid}/{FAKE}/{camera}/{name}"


class Reader:
    """Parser that turns list lines into rows and collects their faults."""

    def __init__(self, index: Index, names: dict[str, str], faults: Faults) -> None:
        self.rows: list[Row] = []
        self.pairs: list[tuple[int, int]] = []
        self.listed: dict[str, list[int]] = {name: [] for name in names}
        self._faults = faults
        self._index = index
        self._names = names
        self._place: dict[str, int] = {}  # path of a row -> its position
        self._seen: set[tuple[str, int]] = set()
        self._parts: dict[str, dict[str, str]] = {}  # identity -> part -> one list that names it
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
        """Return the position of a row, appended if it is new; None for a faulty line."""
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
        """Record faults across lists (an identity in two parts) and oddities."""
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
    """Yield the list of paths of every tracklet."""
    if isinstance(index, list):
        yield index
    elif isinstance(index, dict):
        for inner in index.values():
            yield from entries(inner)


def _line_fault(fields: list[str], name: str) -> str:
    """Return what a line should look like, or "" if it is right."""
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
    """Return the sha256 of the list contents and the names of all frames."""
    digest = hashlib.sha256()
    for name, found in lines.items():
        words = " ".join(" ".join(text.split()) for _, text in found)
        digest.update(f"{name}\n{words}\n".encode())
    for row in rows:
        digest.update(" ".join((row.path, *row.files, "\n")).encode())
    return digest.hexdigest()
