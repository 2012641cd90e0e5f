"""The meaning of the numbers in a box file: pixels or fractions, sizes or corners, classes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from opengait_ext.prepare.recordings.names import Faults, natural_key
from opengait_ext.prepare.recordings.plan import Recorded
from opengait_ext.prepare.recordings.tables import number_of

XYWH, XYXY = "xywh", "xyxy"
_PEOPLE = {"person", "persons", "people", "pedestrian", "pedestrians", "human", "walker"}
_SAME = 0.1  # share of width and height: closer to left and top, both forms mean one box
_STEADY = 0.05  # a size that varies less than this, beside the other form's, is the true size
_SHOWN = 10


@dataclass(frozen=True)
class Reading:
    """The user's choices on how boxes are to be read.

    Args:
        first_frame: The number of a video's first frame; None: as usual for the kind of file.
        form: ``xywh`` or ``xyxy``; None: ``xywh``, and boxes that look different are refused.
        classes: The classes that are people; empty: no choice was made.
    """

    first_frame: int | None = None
    form: str | None = None
    classes: tuple[str, ...] = ()


@dataclass
class Classes:
    """The classes of boxes: a count, and a choice among them.

    Args:
        wanted: The classes that are people; empty: all boxes are used.
    """

    wanted: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)

    def takes(self, word: str) -> bool:
        """Count a box of this class; return whether the class is wanted."""
        self.counts[plain(word)] += 1
        return not self.wanted or plain(word) in {plain(name) for name in self.wanted}

    def judge(self, place: str, where: str, faults: Faults) -> list[str]:
        """Note faults of the choice of classes; return remarks on it.

        Args:
            place: The file or folder.
            where: The column that holds the classes, in words.
            faults: Collects a missing choice, and chosen classes that do not exist.
        """
        named = {name: n for name, n in self.counts.items() if name not in ("", "-1")}
        ranked = sorted(named, key=natural_key)[:_SHOWN]
        shown = ", ".join(f"{name} ({named[name]:,} boxes)" for name in ranked)
        if self.wanted:
            missing = [name for name in self.wanted if plain(name) not in named]
            if missing:
                faults.add(
                    f"{place}: --class {' '.join(missing)} is not in {where} "
                    f"(there {'are' if len(named) > 1 else 'is'} {shown or 'no class'})"
                )
            taken = sum(named.get(name, 0) for name in {plain(name) for name in self.wanted})
            left = self.counts.total() - taken
            chosen = ", ".join(self.wanted)
            return [f"{left:,} boxes of other classes than {chosen}: left out"] if left else []
        if named and not set(named) <= _PEOPLE:
            faults.add(
                f"{place}: {where} names classes: {shown}; say which are people with --class "
                "(as a rule 1 in MOT16 and MOT17, 0 in COCO)"
            )
        return []


def plain(word: str) -> str:
    """Return the one spelling of a class: ``1`` for ``1.0``, words in lower case."""
    value = number_of(word)
    whole = not math.isnan(value) and value == math.floor(value)
    return str(int(value)) if whole else word.strip().lower()


def are_classes(words: Sequence[str]) -> bool:
    """Return whether the eighth column of a MOT text can hold classes: whole numbers from -1.

    In the 3D form of MOT15 this column holds a coordinate in meters.
    """
    numbers = [number_of(word) for word in words]
    return all(value == math.floor(value) and value >= -1 for value in numbers if value == value)


def in_form(
    recorded: list[Recorded], place: str, form: str | None, faults: Faults
) -> list[Recorded]:
    """Return the recordings with boxes as left, top, width and height in pixels.

    Args:
        recorded: The recordings with boxes as in the files.
        place: The file or folder.
        form: The form that the user chose, or None.
        faults: Collects the form that the boxes look like, if it is another one.
    """
    if not recorded:
        return recorded
    tracks = [r.boxes for r in recorded if r.boxes is not None]
    boxes = np.concatenate(tracks)
    if np.abs(boxes).max() <= 1.0:
        faults.add(
            f"{place}: all {len(boxes):,} boxes lie within 0 and 1 ({_drawn(boxes[0])}, say): they "
            "look like fractions of the picture; write pixels (in YOLO's form x and y are the "
            "middle of the box, here they are its left and upper edge)"
        )
    elif form == XYXY:
        return [_from_corners(r, place, faults) for r in recorded]
    elif form is None and look_like_corners(tracks):
        faults.add(
            f"{place}: in all {len(boxes):,} boxes the third number is above the first and the "
            f"fourth above the second ({_drawn(boxes[0])}, say): they look like corners x1,y1,x2,"
            "y2; add --box-form xyxy, or --box-form xywh if they are widths and heights"
        )
    return recorded


def look_like_corners(tracks: Sequence[np.ndarray]) -> bool:
    """Return whether boxes look like corners rather than sizes.

    In corners the third number always exceeds the first, and the fourth the second. In sizes this
    holds only while everybody is within one width of the left edge and one height of the top edge.
    In that case numbers that stay steady while the boxes move are taken as sizes.

    Args:
        tracks: Boxes ``[s, 4]`` of each track.
    """
    boxes = np.concatenate(tracks)
    starts, ends = boxes[:, :2], boxes[:, 2:]
    if not (ends > starts).all() or (starts <= _SAME * ends).all():
        return False
    as_sizes = sum(float(track[:, 2:].var(0).sum()) * len(track) for track in tracks)
    sides = [track[:, 2:] - track[:, :2] for track in tracks]
    as_corners = sum(float(side.var(0).sum()) * len(side) for side in sides)
    return as_corners == 0.0 or as_sizes > _STEADY * as_corners


def _from_corners(recorded: Recorded, place: str, faults: Faults) -> Recorded:
    boxes, lines = recorded.boxes, recorded.lines
    assert boxes is not None, "of a track in a video only"
    assert lines is not None, "of a track in a video only"
    sizes = boxes[:, 2:] - boxes[:, :2]
    for n in np.flatnonzero((sizes <= 0).any(1))[:1].tolist():
        faults.add(
            f"{place}:{lines[n]}: box {_drawn(boxes[n])}, expected x1,y1,x2,y2 with x2 above x1 "
            "and y2 above y1 (--box-form xyxy)"
        )
    return replace(recorded, boxes=np.concatenate([boxes[:, :2], sizes], axis=1))


def _drawn(box: np.ndarray) -> str:
    return ",".join(f"{value:g}" for value in box.tolist())
