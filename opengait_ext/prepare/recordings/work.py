"""The work on own recordings: jobs, progress, refusals and remarks."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opengait_ext.data.layout import INFRARED, atomic_write
from opengait_ext.prepare.faults import SHOWN, listed
from opengait_ext.prepare.images import Range
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.recordings.journal import FOLDER, Journal
from opengait_ext.prepare.recordings.names import OwnDataError
from opengait_ext.prepare.recordings.packing import FolderDone, FolderJob, Made, prepare_folder
from opengait_ext.prepare.recordings.plan import Piece, Recordings
from opengait_ext.prepare.recordings.video import BoxRun, VideoJob, prepare_video
from opengait_ext.prepare.recordings.video_report import damage_of, remarks_of
from opengait_ext.prepare.target import DAMAGED, PARTITION, flush_disks
from opengait_ext.prepare.work import run_all


@dataclass(frozen=True)
class Settings:
    """Settings of the work; most are the options of the same names.

    Args:
        target: Folder of the prepared data.
        home: The folder of the videos; unused for images.
        quality: JPEG quality.
        wide: The values of 16-bit images and videos that become black and white, or None.
        min_side: Smallest side of a box, in pixels.
        min_frames: Number of frames that a tracklet needs.
        skip_damaged: Leave out what cannot be read.
        workers: Number of processes.
        cores: Number of cores that may be used.
    """

    target: Path
    home: Path
    quality: int
    wide: Range | None
    min_side: int
    min_frames: int
    skip_damaged: bool
    workers: int
    cores: int


@dataclass
class Work:
    """The result of the work.

    Args:
        made: The result of each planned tracklet, in order.
        remarks: Accepted oddities.
        damaged: Damaged images or frames, with place and reason.
        reused: Number of tracklets that an earlier run had prepared.
        digest: sha256 of what was read, as far as it is known.
    """

    made: list[Made]
    remarks: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    reused: int = 0
    digest: str = ""

    def left_out(self) -> dict[str, int]:
        """Return the number of frames left out, by reason."""
        total: Counter[str] = Counter()
        for made in self.made:
            total.update(made.left_out)
        return dict(sorted(total.items()))

    def changed(self) -> dict[str, int]:
        """Return the number of changed images, by change."""
        total: Counter[str] = Counter()
        for made in self.made:
            total.update(made.changed)
        return dict(sorted(total.items()))


def do_work(pieces: Sequence[Piece], recordings: Recordings, settings: Settings) -> Work:
    """Make all tracklets, or keep finished ones.

    Raises:
        OwnDataError: If a tracklet could not be made, or if damage is found and not to be skipped.
    """
    if pieces[0].recorded.video:
        work = _videos(pieces, recordings, settings)
    else:
        work = _folders(pieces, settings)
    flush_disks()
    _judge_damage(work, settings)
    return work


def _folders(pieces: Sequence[Piece], settings: Settings) -> Work:
    journal = Journal(settings.target / FOLDER / "folders.jsonl")
    records = journal.read()
    jobs = []
    for piece in pieces:
        images = tuple(piece.recorded.files[position] for position in piece.positions)
        jobs.append(
            FolderJob(
                str(settings.target / piece.path),
                images,
                settings.quality,
                settings.wide,
                settings.min_frames,
                settings.skip_damaged,
                records.get(piece.path),
            )
        )
    total = sum(len(job.images) for job in jobs)
    results: list[FolderDone] = []
    failures = []
    with Progress(total, "preparing", "images") as progress:
        running = run_all(prepare_folder, jobs, settings.workers, progress)
        for piece, done in zip(pieces, running, strict=True):
            results.append(done)
            failures += [done.failure] if done.failure else []
            if not (done.failure or done.reused):
                journal.add(piece.path, done.made.record(done.stamp))
            if len(failures) == SHOWN:  # a full disk, say: the rest would fail as well
                break
    _refuse_failures(settings.target, failures, "tracklets")
    return Work(
        [done.made for done in results],
        damaged=[text for done in results for text in done.damaged],
        reused=sum(done.reused for done in results),
        digest=_digest(done.made.digest for done in results),
    )


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _videos(pieces: Sequence[Piece], recordings: Recordings, settings: Settings) -> Work:
    by_video: dict[str, list[int]] = {}
    for position, piece in enumerate(pieces):
        by_video.setdefault(piece.recorded.video, []).append(position)
    share = max(1, settings.cores // min(settings.workers, len(by_video)))
    jobs = [
        _video_job(settings, video, [pieces[n] for n in positions], number, share)
        for number, (video, positions) in enumerate(by_video.items(), 1)
    ]
    made: dict[int, Made] = {}
    work = Work([])
    failures = []
    with Progress(sum(job.length for job in jobs), "cutting", "frames") as progress:
        running = run_all(prepare_video, jobs, settings.workers, progress)
        for (video, positions), done in zip(by_video.items(), running, strict=True):
            made.update(zip(positions, done.made, strict=True))
            failures += [done.failure] if done.failure else []
            if not done.failure:
                about = [pieces[n] for n in positions]
                work.damaged += damage_of(video, about, done, recordings.first_frame)
                work.remarks += remarks_of(video, done.facts, recordings.first_frame)
            work.reused += done.reused
    _refuse_failures(settings.target, failures, "videos")
    work.made = [made[position] for position in range(len(pieces))]
    sizes = [Path(job.path).stat().st_size for job in jobs]
    work.digest = _digest(zip(by_video, sizes, strict=True))
    return work


def _video_job(
    settings: Settings, video: str, pieces: Sequence[Piece], number: int, threads: int
) -> VideoJob:
    """Return the job of one video: its planned tracklets with their boxes."""
    runs = tuple(
        BoxRun(piece.path, str(settings.target / piece.path), piece.frames, piece.boxes)
        for piece in pieces
    )
    return VideoJob(
        str(settings.home / video),
        runs,
        str(settings.target / FOLDER / f"video-{number:05d}.jsonl"),
        settings.quality,
        settings.min_side,
        settings.min_frames,
        settings.skip_damaged,
        threads,
        settings.wide,
        any(piece.recorded.modality == INFRARED for piece in pieces),
    )


def _refuse_failures(target: Path, failures: Sequence[str], what: str) -> None:
    if failures:
        (target / PARTITION).unlink(missing_ok=True)
        head = f"{len(failures)} {what} could not be prepared"
        raise OwnDataError(listed(head, list(failures)))


def _judge_damage(work: Work, settings: Settings) -> None:
    """List the damage in a file; refuse it unless it is to be left out."""
    target = settings.target
    (target / DAMAGED).unlink(missing_ok=True)
    if not work.damaged:
        return
    atomic_write(target / DAMAGED, ("\n".join(work.damaged) + "\n").encode(errors="replace"))
    head = f"{len(work.damaged)} damaged places (all of them: {target / DAMAGED})"
    if not settings.skip_damaged:
        (target / PARTITION).unlink(missing_ok=True)
        raise OwnDataError(
            f"{listed(head, work.damaged)}\nGet these files again and repeat the command (what is "
            "finished is kept), or add --skip-damaged to go without what cannot be read."
        )
    print(f"left out: {listed(head, work.damaged)}")
