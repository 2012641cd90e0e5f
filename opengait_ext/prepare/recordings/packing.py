"""Packing of a tracklet from the image files of one recording."""

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

_LOOKED_AT = 50  # most images that a dry run opens


@dataclass(frozen=True)
class Made:
    """The result of making one tracklet.

    Args:
        frames: Number of frames in its file, if they are enough.
        left_out: Number of frames left out, by reason.
        changed: Number of changed images, by change.
        size: Height and width of the first frame in pixels; zeros if there is none.
        digest: sha256 of all original images, or empty.
    """

    frames: int
    left_out: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    digest: str = ""

    def record(self, stamp: str) -> dict[str, Any]:
        """Return the record for the journal."""
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
        """Return the result that a record of the journal holds."""
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
    """One tracklet to make from image files.

    Args:
        folder: Folder of the prepared tracklet.
        images: The files in order.
        quality: JPEG quality of images that are encoded again.
        wide: The values of 16-bit images that become black and white; None: their own range.
        min_frames: With fewer undamaged images nothing is written.
        skip_damaged: Leave damaged images out; otherwise a tracklet with one is not written.
        record: Its record in the journal, or None.
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
    """The result of a job.

    Args:
        made: The tracklet.
        stamp: Stamp of its images, see `stamp_of`.
        damaged: Path and reason of every damaged image.
        reused: Whether an earlier run had prepared it.
        failure: Any failure other than damaged images, with the path; usually empty.
    """

    made: Made
    stamp: str = ""
    damaged: list[str] = field(default_factory=list)
    reused: bool = False
    failure: str = ""


def prepare_folder(job: FolderJob, tell: Tell) -> FolderDone:
    """Prepare one tracklet, or keep a finished one; errors become part of the result."""
    try:
        done = _prepare(job)
    except Exception as error:  # any error is reported with the tracklet's folder
        done = FolderDone(Made(0), failure=f"{job.folder}: {told(error)}")
    tell(len(job.images))
    return done


def _prepare(job: FolderJob) -> FolderDone:
    remove_leftovers(job.folder)
    stamp = stamp_of(job.images)
    if job.record and job.record["stamp"] == stamp:
        made = Made.of_record(job.record)
        # A tracklet with damaged images is read again, so that every run names them.
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
    """Open the first image of some tracklets, evenly spread, for a dry run.

    Args:
        pieces: Tracklets to make from image files.
        faults: Collects the damaged images.

    Returns:
        Height and width of each image that could be read.
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
