"""Boxes of people in videos: collected by track, checked and sorted."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from opengait_ext.prepare.recordings.names import (
    Faults,
    OwnDataError,
    check_people,
    natural_key,
    normal,
)
from opengait_ext.prepare.recordings.plan import Recorded, Recordings, digest_of
from opengait_ext.prepare.recordings.tables import number_of, whole_of

VIDEOS = (
    *(".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".264", ".265", ".h264", ".h265"),
)
_MOST_FRAMES = 2**31  # two years of video


@dataclass(frozen=True)
class About:
    """The facts of a track, the same in all its boxes.

    Args:
        pid: The identity; empty if unknown.
        camera: The camera's name.
        modality: ``visible`` or ``infrared``.
        said: The text in place of the pid; words for "unknown" may differ within a track.
    """

    pid: str
    camera: str
    modality: str
    said: str = field(default="", compare=False)


@dataclass
class _Track:
    """The boxes of one track while they are read, in arrays because there may be millions."""

    about: About
    line: int
    frames: array = field(default_factory=lambda: array("q"))
    boxes: array = field(default_factory=lambda: array("d"))
    lines: array = field(default_factory=lambda: array("q"))


class Boxes:
    """A collector of boxes by video and track that notes their faults.

    Args:
        first_frame: The number of a video's first frame in these files.
        faults: Collects the faults, with file and line.
    """

    def __init__(self, first_frame: int, faults: Faults) -> None:
        self._first, self._faults = first_frame, faults
        self._tracks: dict[tuple[str, str], _Track] = {}

    def add(
        self, place: str, line: int, key: tuple[str, str], about: About, values: Sequence[str]
    ) -> None:
        """Add one box.

        Args:
            place: The file, for messages.
            line: Line in the file.
            key: Video and track.
            about: The facts of the track.
            values: Frame number and the four numbers of the box, as texts.
        """
        frame = whole_of(values[0])
        if frame is None or not self._first <= frame < _MOST_FRAMES:
            self._faults.add(
                f"{place}:{line}: frame {values[0][:40]!r}, expected a whole number from "
                f"{self._first} (--first-frame)"
            )
            return
        box = [number_of(value) for value in values[1:]]
        if any(map(math.isnan, box)):
            self._faults.add(f"{place}:{line}: box {','.join(values[1:])!r}, expected x,y,w,h")
            return
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(about, line)
        if track.about != about:
            self._faults.add(
                f"{place}:{line}: track {key[1]!r} of {key[0]} is {_told(about)} here and "
                f"{_told(track.about)} in line {track.line}; one track is one person in one camera"
            )
            return
        track.frames.append(frame - self._first)
        track.boxes.extend(box)
        track.lines.append(line)

    def recorded(self, place: str) -> list[Recorded]:
        """Return the tracks in the order of videos and tracks, boxes in the order of frames."""
        result = []
        for video, name in sorted(self._tracks, key=lambda k: (*map(natural_key, k),)):
            track = self._tracks.pop((video, name))
            frames = np.array(track.frames, np.int64)
            order = np.argsort(frames, kind="stable")
            frames, lines = frames[order], np.array(track.lines, np.int64)[order]
            boxes = np.array(track.boxes, np.float64).reshape(-1, 4)[order]
            for n in np.flatnonzero(np.diff(frames) == 0)[:1].tolist():
                self._faults.add(
                    f"{place}:{lines[n + 1]}: track {name!r} of {video} has a box in frame "
                    f"{frames[n] + self._first} already (line {lines[n]})"
                )
            about = track.about
            fields = (about.pid, about.camera, about.modality, (), video, frames, boxes, lines)
            result.append(Recorded(f"{video}:{name}", *fields, about.said))
        return result


def _told(about: About) -> str:
    pid = repr(about.pid) if about.pid else "nobody known"
    return f"{pid}, {about.camera}, {about.modality}"


def home_of(videos: Path) -> Path:
    """Return the folder of the videos, also if a single video was given."""
    return videos.parent if videos.is_file() else videos


def find_videos(place: Path) -> dict[str, str]:
    """Return the paths of all files below a folder, by their Unicode-normalized names.

    Args:
        place: The folder, or a single video.

    Raises:
        OwnDataError: If the folder or file does not exist.
    """
    if place.is_file():
        return {normal(place.name): place.name}
    if not place.is_dir():
        raise OwnDataError(
            f"--videos {place}: no such folder or file (give the folder of the videos, or a video)"
        )
    files = (path for path in place.rglob("*") if path.is_file())
    below = [path.relative_to(place).as_posix() for path in files]
    names = [name for name in below if not any(p.startswith(".") for p in name.split("/"))]
    return {normal(name): name for name in sorted(names, key=natural_key)}


def collected(
    layout: str,
    recorded: list[Recorded],
    videos: dict[str, str],
    first_frame: int,
    faults: Faults,
    remarks: Sequence[str] = (),
) -> Recordings:
    """Return all tracks of all videos, after a check of their names.

    Args:
        layout: What was found, in words.
        recorded: The tracks.
        videos: Paths by name, as `find_videos` returns them.
        first_frame: The number of a video's first frame in the user's files.
        faults: Collects the faults of names.
        remarks: Accepted oddities of the boxes.

    Raises:
        OwnDataError: If there is no track.
    """
    check_people((r.pid for r in recorded), faults)
    used = {r.video for r in recorded}
    movies = {name for name in videos.values() if Path(name).suffix.lower() in VIDEOS}
    remarks = list(remarks)
    if movies - used:
        shown = ", ".join(sorted(movies - used, key=natural_key)[:5])
        remarks.append(f"{len(movies - used):,} videos have no boxes: {shown}")
    if not recorded and not faults.texts:
        raise OwnDataError(f"no box in the files given ({layout})")
    return Recordings(layout, recorded, digest_of(recorded), remarks, first_frame)
