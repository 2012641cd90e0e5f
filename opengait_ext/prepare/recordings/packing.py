"""From the images of one recording to its packed tracklet."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from opengait_ext.data.layout import write_tracklet
from opengait_ext.prepare.images import Encoded, Range, as_jpeg, wide_range
from opengait_ext.prepare.recordings.journal import (
    is_there,
    remove_leftovers,
    remove_prepared,
    stamp_of,
)
from opengait_ext.prepare.recordings.names import Faults, told
from opengait_ext.prepare.recordings.plan import Piece
from opengait_ext.prepare.sources import DamagedImageError
from opengait_ext.prepare.work import Tell, be_quiet

_LOOKED_AT = 50  # images that a trial run opens


@dataclass(frozen=True)
class Made:
    """What became of a tracklet.

    Args:
        frames: That are in its file, if they suffice.
        left_out: Why others are not in it: reason and number.
        changed: What was done to images, and to how many.
        size: Height and width of the first frame in pixels; zeros if there is none.
        digest: sha256 of all images as they were given, or empty.
    """

    frames: int
    left_out: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    digest: str = ""

    def record(self, stamp: str) -> dict[str, Any]:
        """Gives what a journal keeps of it."""
        return {
            "stamp": stamp,
            "frames": self.frames,
            "left_out": self.left_out,
            "changed": self.changed,
            "size": list(self.size),
            "digest": self.digest,
        }

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Made":
        """Gives back what a journal kept."""
        height, width = record["size"]
        return cls(
            record["frames"],
            record["left_out"],
            record["changed"],
            (height, width),
            record["digest"],
        )


@dataclass(frozen=True)
class FolderJob:
    """One tracklet to make of image files.

    Args:
        folder: Where it goes.
        images: The files in order.
        quality: Of JPEG, for what is encoded anew.
        wide: The values of 16-bit images that become black and white; None: what they hold.
        min_frames: With fewer whole images nothing is written.
        skip_damaged: Leave damaged images out; otherwise a tracklet with one is not written.
        record: What the journal has of it, or None.
    """

    folder: str
    images: tuple[str, ...]
    quality: int
    wide: Range | None
    min_frames: int
    skip_damaged: bool
    record: dict[str, Any] | None


@dataclass(frozen=True)
class FolderDone:
    """What became of a job.

    Args:
        made: The tracklet.
        stamp: Of its images.
        damaged: Path and reason of every image that is not whole.
        reused: Whether it was prepared already.
        failure: What went wrong apart from damaged images, with the path; mostly empty.
    """

    made: Made
    stamp: str = ""
    damaged: list[str] = field(default_factory=list)
    reused: bool = False
    failure: str = ""


def prepare_folder(job: FolderJob, tell: Tell) -> FolderDone:
    """Prepares one tracklet, or finds it prepared; never raises, so that no path gets lost."""
    try:
        done = _prepare(job)
    except Exception as error:  # whatever a process meets is told with the tracklet's folder
        done = FolderDone(Made(0), failure=f"{job.folder}: {told(error)}")
    tell(len(job.images))
    return done


def _prepare(job: FolderJob) -> FolderDone:
    remove_leftovers(job.folder)
    stamp = stamp_of(job.images)
    if job.record and job.record["stamp"] == stamp:
        made = Made.of_record(job.record)
        # One with damaged images is read again, so that they are named in every run.
        if not made.left_out and is_there(job.folder, made.frames, job.min_frames):
            return FolderDone(made, stamp, reused=True)
    contents = [Path(path).read_bytes() for path in job.images]
    wide = job.wide or wide_range(contents)
    encoded: list[Encoded] = []
    damaged = []
    digest = hashlib.sha256()
    for path, content in zip(job.images, contents, strict=True):
        digest.update(hashlib.sha256(content).digest())
        try:
            encoded.append(as_jpeg(content, job.quality, wide))
        except DamagedImageError as error:
            damaged.append(f"{path}: {error}")
    if (damaged and not job.skip_damaged) or len(encoded) < job.min_frames:
        remove_prepared(job.folder)
    else:
        write_tracklet(job.folder, [image.content for image in encoded], durable=False)
    changed = Counter(what for image in encoded for what in image.changed)
    size = (encoded[0].height, encoded[0].width) if encoded else (0, 0)
    left_out = {"damaged": len(damaged)} if damaged else {}
    made = Made(len(encoded), left_out, dict(changed), size, digest.hexdigest())
    return FolderDone(made, stamp, damaged)


def look_at_first(pieces: Sequence[Piece], faults: Faults) -> list[tuple[int, int]]:
    """Opens the first image of some tracklets, evenly spread, for a trial run.

    Args:
        pieces: Of image files.
        faults: Gets the images that are damaged.

    Returns:
        Height and width of those that could be read.
    """
    sizes = []
    places = np.unique(np.linspace(0, len(pieces) - 1, min(len(pieces), _LOOKED_AT)).astype(int))
    be_quiet()
    for place in places.tolist():
        path = pieces[place].recorded.files[pieces[place].positions[0]]
        try:
            image = as_jpeg(Path(path).read_bytes())
        except (DamagedImageError, OSError) as error:
            faults.add(f"{path}: {error}")
        else:
            sizes.append((image.height, image.width))
    return sizes
