"""Cutting people out of the frames of one video, with one frame in memory at a time.

The encoded crops of all unfinished tracklets lie in one unnamed temporary file, which the system
removes however the process ends. When the last box of a tracklet is cut, its crops are read back
and packed. So memory holds one frame and the crops of one tracklet, for any number of people and
any length of the video.
"""

import tempfile
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from opengait_ext.data.layout import write_tracklet
from opengait_ext.prepare.images import (
    WIDE,
    Range,
    as_jpeg,
    encode_jpeg,
    encode_png,
    wide_range,
)
from opengait_ext.prepare.recordings.journal import (
    Journal,
    is_there,
    remove_leftovers,
    remove_prepared,
    stamp_of,
)
from opengait_ext.prepare.recordings.names import told
from opengait_ext.prepare.recordings.packing import Made
from opengait_ext.prepare.recordings.reader import DamagedVideoError, FrameReader
from opengait_ext.prepare.work import Tell

UNREADABLE, OUTSIDE, SMALL = "unreadable", "outside", "small"  # reasons why a box has no crop
_WHOLE = "video"  # the journal's key for the video itself


@dataclass(frozen=True)
class BoxRun:
    """The boxes of one tracklet to cut.

    Args:
        name: Its folder below the root; the key in the journal.
        folder: Its whole folder.
        frames: ``[s]`` Numbers of the frames from 0, ascending.
        boxes: ``[s, 4]`` Left, top, width, height in pixels.
    """

    name: str
    folder: str
    frames: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class VideoJob:
    """One video to cut.

    Args:
        path: The video.
        runs: The tracklets to cut out of it.
        journal: Path of the journal.
        quality: JPEG quality.
        min_side: Boxes with a smaller side, in pixels, are left out.
        min_frames: With fewer crops nothing is written.
        skip_damaged: Leave unreadable frames out; otherwise a tracklet that needs one is not
            written.
        threads: Number of threads for decoding.
        wide: The values of 16-bit frames that become black and white; None: the range of the
            crops of each tracklet.
        is_infrared: Whether any of the tracklets is infrared.
    """

    path: str
    runs: tuple[BoxRun, ...]
    journal: str
    quality: int
    min_side: int
    min_frames: int
    skip_damaged: bool
    threads: int
    wide: Range | None = None
    is_infrared: bool = False

    @property
    def length(self) -> int:
        """The number of frames that have to be decoded."""
        return 1 + max(int(run.frames[-1]) for run in self.runs)


@dataclass(frozen=True)
class VideoDone:
    """The result of cutting one video.

    Args:
        made: Its tracklets, in the order of the job.
        facts: ``said``, ``size``, ``rotation``, ``depth``, ``jump`` as in `FrameReader`;
            ``lost``: the unreadable frames; ``end``: the number of frames, if fewer than needed;
            ``closed``: why the video cannot be opened, if so.
        reused: Number of its tracklets that an earlier run had prepared.
        failure: Any failure, with the path; usually empty.
    """

    made: list[Made]
    facts: dict[str, Any] = field(default_factory=dict)
    reused: int = 0
    failure: str = ""


def prepare_video(job: VideoJob, tell: Tell) -> VideoDone:
    """Prepare the tracklets of one video; errors become part of the result."""
    try:
        return _prepare(job, tell)
    except Exception as error:  # any error is reported with the video's path
        return VideoDone([Made(0) for _ in job.runs], failure=f"{job.path}: {told(error)}")


def _prepare(job: VideoJob, tell: Tell) -> VideoDone:
    journal = Journal(job.journal)
    stamp = stamp_of([job.path])
    records = {k: r for k, r in journal.read().items() if r.get("stamp") == stamp}
    made: dict[int, Made] = {}
    for number, run in enumerate(job.runs):
        remove_leftovers(run.folder)
        record = records.get(run.name)
        # A tracklet with unreadable frames is cut again, so that every run reports them.
        is_whole = record is not None and not record["left_out"].get(UNREADABLE)
        if record and is_whole and is_there(run.folder, record["frames"], job.min_frames):
            made[number] = Made.of_record(record)
    reused = len(made)
    if _WHOLE in records and reused == len(job.runs):
        tell(job.length)
        return VideoDone(_in_order(made), records[_WHOLE]["facts"], reused)
    Path(job.journal).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=Path(job.journal).parent) as spool:
        cutter = _Cutter(job, spool, made, journal, stamp)
        try:
            with FrameReader(job.path, job.threads) as reader:
                if job.is_infrared:
                    reader.refuse_infrared_depth(job.path)
                facts = _walk(job, reader, cutter, tell)
        except DamagedVideoError as error:
            cutter.end()
            tell(job.length)
            facts = {"closed": str(error), "end": 0, "lost": []}
    is_whole = not facts["lost"] and facts["end"] is None
    if is_whole:
        journal.add(_WHOLE, {"stamp": stamp, "facts": facts})
    return VideoDone(_in_order(made), facts, reused)


def _in_order(made: dict[int, Made]) -> list[Made]:
    return [made[number] for number in sorted(made)]


def _walk(job: VideoJob, reader: FrameReader, cutter: "_Cutter", tell: Tell) -> dict[str, Any]:
    """Stream the video to the last box of all, finished or not, so that facts stay the same."""
    lost: list[int] = []
    for frame, boxes in cutter.schedule():
        while reader.read <= frame and reader.grab():
            tell(1)
        if reader.read <= frame:
            cutter.end()
            break
        image = reader.picture() if boxes else None
        if boxes and image is None:
            lost.append(frame)
        for number, place in boxes:
            cutter.cut(number, place, image)
    tell(job.length - reader.read)
    return {
        "said": reader.said,
        "size": list(reader.size),
        "rotation": reader.rotation,
        "depth": 8 if reader.is_wide else reader.depth,
        "jump": list(reader.jump) if reader.jump else None,
        "lost": lost,
        "end": reader.read if reader.read < job.length else None,
    }


def clip(
    box: Sequence[float], height: int, width: int, min_side: int
) -> tuple[str, tuple[int, int, int, int]]:
    """Return why a box is unusable (empty if usable), and the corners of its part in the frame.

    Args:
        box: Left, top, width, height in pixels.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        min_side: Smallest allowed side of the part, in pixels.
    """
    left, top, wide, high = box
    x0, x1 = (min(max(round(x), 0), width) for x in (left, left + wide))
    y0, y1 = (min(max(round(y), 0), height) for y in (top, top + high))
    if x1 <= x0 or y1 <= y0:
        return OUTSIDE, (x0, y0, x1, y1)
    return SMALL if min(x1 - x0, y1 - y0) < min_side else "", (x0, y0, x1, y1)


class _Cutter:
    """Cutter of boxes: keeps the crops of unfinished tracklets in a file, packs finished ones."""

    def __init__(
        self, job: VideoJob, spool: IO[bytes], made: dict[int, Made], journal: Journal, stamp: str
    ) -> None:
        self._job, self._spool, self._made = job, spool, made
        self._journal, self._stamp = journal, stamp
        self._open = {n: array("q") for n in range(len(job.runs)) if n not in made}
        self._left = {n: len(job.runs[n].frames) for n in self._open}
        self._out: dict[int, Counter[str]] = {n: Counter() for n in self._open}
        self._size: dict[int, tuple[int, int]] = {}
        self._wide: dict[int, bool] = {}

    def schedule(self) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """Yield every frame with boxes of unfinished tracklets: tracklet and place of each box."""
        numbers = sorted(self._open)
        runs = [self._job.runs[n] for n in numbers]
        lengths = [len(run.frames) for run in runs]
        empty = np.empty(0, np.int64)
        frames = np.concatenate([run.frames for run in runs] or [empty])
        owners = np.repeat(np.array(numbers, np.int64), lengths)
        places = np.concatenate([np.arange(n) for n in lengths] or [empty])
        order = np.argsort(frames, kind="stable")
        starts = np.flatnonzero(np.diff(frames[order], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
            chosen = order[start:stop]
            pairs = list(zip(owners[chosen].tolist(), places[chosen].tolist(), strict=True))
            yield int(frames[chosen[0]]), pairs
        yield self._job.length - 1, []

    def cut(self, number: int, place: int, image: np.ndarray | None) -> None:
        """Cut one box out of a frame; None as image means a damaged frame."""
        self._left[number] -= 1
        crop = None if image is None else self._crop(number, place, image)
        if image is None:
            self._out[number][UNREADABLE] += 1
        if crop is not None:
            is_wide = crop.dtype == np.uint16  # spread later, when all crops are there
            content = encode_png(crop) if is_wide else encode_jpeg(crop, self._job.quality)
            self._wide[number] = is_wide
            self._open[number].extend((self._spool.seek(0, 2), len(content)))
            self._spool.write(content)
            self._size.setdefault(number, (crop.shape[0], crop.shape[1]))
        if self._left[number] == 0:
            self._finish(number)

    def _crop(self, number: int, place: int, image: np.ndarray) -> np.ndarray | None:
        """Return the part of a box inside the frame; if unusable, count the reason, return None."""
        box = self._job.runs[number].boxes[place].tolist()
        fault, (x0, y0, x1, y1) = clip(box, image.shape[0], image.shape[1], self._job.min_side)
        if fault:
            self._out[number][fault] += 1
            return None
        return image[y0:y1, x0:x1]

    def end(self) -> None:
        """Finish all tracklets when the video ends before their last box."""
        for number in sorted(self._open):
            self._out[number][UNREADABLE] += self._left[number]
            self._finish(number)

    def _finish(self, number: int) -> None:
        """Pack a tracklet, unless frames of it are lost or too few are left."""
        places, out = self._open.pop(number), dict(self._out[number])
        name, folder = self._job.runs[number].name, self._job.runs[number].folder
        frames = len(places) // 2
        changed = {WIDE: frames} if self._wide.get(number) else {}
        made = Made(frames, out, changed, self._size.get(number, (0, 0)))
        self._made[number] = made
        if out.get(UNREADABLE) and not self._job.skip_damaged:
            remove_prepared(folder)
            return
        if frames < self._job.min_frames:
            remove_prepared(folder)
        else:
            contents = list(self._read_back(places))
            if changed:
                wide = self._job.wide or wide_range(contents)
                contents = [as_jpeg(c, self._job.quality, wide).content for c in contents]
            write_tracklet(folder, contents, durable=False)
        self._journal.add(name, made.record(self._stamp))

    def _read_back(self, places: "array[int]") -> Iterator[bytes]:
        for start, length in zip(places[::2], places[1::2], strict=True):
            self._spool.seek(start)
            yield self._spool.read(length)
