"""Plan of the tracklets to make from recordings: numbers, names, cutting of long recordings."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from opengait_ext.data.layout import FOLDERS
from opengait_ext.data.words import UNKNOWN
from opengait_ext.prepare.recordings.names import number_cameras


@dataclass(frozen=True)
class Recorded:
    """One person in one camera, as recorded.

    Args:
        place: Its origin, for messages: ``anna/rgb/gate/1``, ``hall.mp4:17``.
        pid: The identity; empty if unknown.
        camera: The camera's name.
        modality: ``visible`` or ``infrared``.
        files: Paths of the frames in order; empty for a track in a video.
        video: The video's path below the folder of the videos; empty for files.
        frames: ``[s]`` Numbers of the frames in the video, from 0, ascending; empty for files.
        boxes: ``[s, 4]`` Left, top, width and height in pixels.
        lines: ``[s]`` Line numbers of the boxes in their file.
        said: The text in place of the pid, as the user wrote it.
    """

    place: str
    pid: str
    camera: str
    modality: str
    files: tuple[str, ...] = ()
    video: str = ""
    frames: np.ndarray | None = None
    boxes: np.ndarray | None = None
    lines: np.ndarray | None = None
    said: str = ""

    @property
    def length(self) -> int:
        """The number of frames."""
        return len(self.files) if self.frames is None else len(self.frames)

    def name_of(self, frame: int, first: int) -> str:
        """Return the name of a frame: its file's, or its number as the user counts.

        Args:
            frame: Position of the frame in the recording.
            first: The number of a video's first frame in the user's files.
        """
        if self.frames is None:
            return self.files[frame].replace("\\", "/").rsplit("/", 1)[-1]
        return str(int(self.frames[frame]) + first)


@dataclass(frozen=True)
class Recordings:
    """All recordings that a user gave.

    Args:
        layout: What was found, in words.
        recorded: One entry per person and camera.
        digest: sha256 of all names and boxes, without the images.
        remarks: Accepted oddities.
        first_frame: The number of a video's first frame in the user's files.
    """

    layout: str
    recorded: list[Recorded]
    digest: str
    remarks: list[str]
    first_frame: int = 0


@dataclass(frozen=True)
class Piece:
    """A tracklet to make: a whole recording, or a run of its frames.

    Args:
        row: Its number, from 1, unique in the prepared data.
        path: Its folder below the root: ``0001/rgb/D3-T17``.
        recorded: The recording that it comes from.
        pid: The pid in the path; unknown people get one that nobody else has.
        camid: The camera's number.
        positions: Positions of its frames in the recording.
    """

    row: int
    path: str
    recorded: Recorded
    pid: str
    camid: int
    positions: range

    @property
    def is_known(self) -> bool:
        """Return whether the identity is known."""
        return bool(self.recorded.pid)

    @property
    def frames(self) -> np.ndarray:
        """``[s]`` Numbers of its frames in the video, from 0."""
        return self._taken(self.recorded.frames)

    @property
    def boxes(self) -> np.ndarray:
        """``[s, 4]`` Boxes of its frames."""
        return self._taken(self.recorded.boxes)

    @property
    def lines(self) -> np.ndarray:
        """``[s]`` Line numbers of its boxes in their file."""
        return self._taken(self.recorded.lines)

    def _taken(self, values: np.ndarray | None) -> np.ndarray:
        assert values is not None, "of a track in a video only"
        return values[self.positions.start : self.positions.stop : self.positions.step]


def make_pieces(
    recordings: Sequence[Recorded], every: int, max_frames: int
) -> tuple[list[Piece], dict[str, int]]:
    """Number the recordings, and cut the long ones.

    Every ``every``-th frame of a recording is used, starting with the first. If more than
    ``max_frames`` remain, they are cut into as few runs as possible. The lengths of the runs differ
    by at most one frame, so no short rest is left.

    Args:
        recordings: The recordings, in the order of their numbers.
        every: Step between used frames, at least 1.
        max_frames: Most frames of a tracklet; 0 for no limit.

    Returns:
        The tracklets to make in order, and the number of every camera.
    """
    cameras = number_cameras(recorded.camera for recorded in recordings)
    pieces: list[Piece] = []
    for recorded in recordings:
        first_row = len(pieces) + 1
        pid = recorded.pid or f"{UNKNOWN}-{first_row:05d}"
        camid = cameras[recorded.camera]
        for run in _runs(recorded.length, every, max_frames):
            row = len(pieces) + 1
            path = f"{pid}/{FOLDERS[recorded.modality]}/D{camid}-T{row}"
            pieces.append(Piece(row, path, recorded, pid, camid, run))
    return pieces, cameras


def _runs(length: int, every: int, max_frames: int) -> Iterator[range]:
    taken = -(-length // every)
    count = -(-taken // max_frames) if max_frames else 1
    for number in range(count):
        start, stop = number * taken // count, (number + 1) * taken // count
        yield range(start * every, stop * every, every)


def digest_of(recordings: Sequence[Recorded]) -> str:
    """Return the sha256 of all names and boxes of the recordings."""
    digest = hashlib.sha256()
    for recorded in recordings:
        about = (recorded.place, recorded.pid, recorded.camera, recorded.modality)
        digest.update("\0".join((*about, recorded.video)).encode(errors="surrogateescape"))
        for path in recorded.files:
            name = path.replace("\\", "/").rsplit("/", 1)[-1]
            digest.update(f"\n{name}".encode(errors="surrogateescape"))
        digest.update(b"\n\n")
        for values in (recorded.frames, recorded.boxes):
            if values is not None:
                digest.update(values.tobytes())
    return digest.hexdigest()
