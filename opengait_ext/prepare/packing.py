"""Packing of tracklets: from image files to prepared files, in several processes.

Every image is decoded once, so that damage is found here and not after hours of training. A
finished file that is not older than its images is kept: a stopped preparation resumes.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import cv2
import numpy as np
import simplejpeg

from opengait_ext.data.image_notes import BMP, PNG
from opengait_ext.data.image_size import check_image_size
from opengait_ext.data.layout import FRAMES, write_tracklet, write_tracklet_array
from opengait_ext.data.pictures import read_pixels
from opengait_ext.edge import explained, placed
from opengait_ext.prepare.sources import (
    DamagedImageError,
    Image,
    close_archives,
    place_of,
    read_image,
    size_and_time,
)
from opengait_ext.prepare.target import flush_disks
from opengait_ext.prepare.work import run_in_order

FORMS = ("packed", "opengait")
CHUNK = 8  # tracklets that a process gets at once
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # neither stuffing nor restart


@dataclass(frozen=True)
class Job:
    """One tracklet to prepare.

    Args:
        folder: Folder of the prepared file.
        images: The published files in frame order: paths, or members of archives.
        form: ``packed`` (bytes unchanged) or ``opengait`` (decoded, one array).
        height: Height of the frames in pixels, for the form ``opengait``.
        width: Width of the frames in pixels, for the form ``opengait``.
        min_frames: With fewer undamaged frames nothing is written.
        skip_damaged: Leave damaged frames out; otherwise a tracklet with one is not written.
        stream: Name of the prepared file, without suffix.
    """

    folder: str
    images: tuple[Image, ...]
    form: str
    height: int
    width: int
    min_frames: int
    skip_damaged: bool
    stream: str = FRAMES

    @property
    def path(self) -> Path:
        """The path of the prepared file."""
        return Path(self.folder, self.stream + (".pkl" if self.form == "opengait" else ".zip"))

    def remove(self) -> None:
        """Remove the prepared file, in either form."""
        for suffix in (".zip", ".pkl"):
            Path(self.folder, self.stream + suffix).unlink(missing_ok=True)


@dataclass(frozen=True)
class Damaged:
    """A damaged image.

    Args:
        frame: Position of the image in the job.
        place: Its path, for messages.
        reason: What is wrong with it.
    """

    frame: int
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True)
class Prepared:
    """The result of a job.

    Args:
        frames: Number of undamaged frames. They are in the file if ``failure`` is empty and the job
            neither lacks frames nor refuses damage.
        damaged: The damaged images.
        reused: Whether the prepared file was there already.
        failure: Any failure other than damaged images, with the path; usually empty.
    """

    frames: int
    damaged: list[Damaged] = field(default_factory=list)
    reused: bool = False
    failure: str = ""


def refuse_large(content: bytes) -> None:
    """Refuse an image with more pixels than any frame has, before it is decoded.

    Raises:
        DamagedImageError: If the claimed size is too large; the message names it.
    """
    try:
        check_image_size(content)
    except ValueError as error:
        raise DamagedImageError(str(error)) from error


def decode_whole(content: bytes, pixels: bool = True) -> np.ndarray:
    """Decode a JPEG of one or three channels, a PNG or a BMP; refuse a damaged one.

    OpenCV silently fills the missing rest of a cut JPEG with gray. simplejpeg turns every warning
    of the decoder into an error. What simplejpeg refuses for another reason (a rare color format,
    say) OpenCV may still decode.

    Args:
        content: All bytes of the file.
        pixels: Whether the pixels are needed. If not, the image is decoded in gray at an eighth of
            its size, in half the time: the same bytes are read, and the same warnings arise.

    Returns:
        uint8 ``[h, w, 3]``, BGR; a smaller image if pixels are not needed.

    Raises:
        DamagedImageError: If the image is damaged.
    """
    if not content:
        raise DamagedImageError("the file is empty")
    if content.startswith((PNG, BMP)):
        return _decode_lossless(content)
    if content[:2] != b"\xff\xd8":
        raise DamagedImageError("not a JPEG file")
    refuse_large(content)
    try:
        if not pixels:
            return simplejpeg.decode_jpeg(content, "GRAY", min_height=1, min_width=1, min_factor=1)
        return simplejpeg.decode_jpeg(content, "BGR")
    except ValueError as error:
        if not _has_end(content):
            text = f"cut off after {len(content)} bytes (no end mark)"
            raise DamagedImageError(text) from error
        if "orrupt" in str(error) and "extraneous" not in str(error):
            raise DamagedImageError(f"cannot be decoded whole ({error})") from error
    return _decode_with_opencv(content)


def suffix_of(content: bytes) -> str:
    """Return the suffix of an image file, recognized by its first bytes."""
    return ".png" if content.startswith(PNG) else ".bmp" if content.startswith(BMP) else ".jpg"


def _decode_lossless(content: bytes) -> np.ndarray:
    """Decode a PNG or BMP exactly as training does."""
    try:
        image = read_pixels(content)
    except ValueError as error:
        raise DamagedImageError(str(error)) from error
    if image.dtype != np.uint8:
        raise DamagedImageError(f"has pixels of {image.dtype}, expected 8 bits")
    return image if image.ndim == 3 else np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))


def _decode_with_opencv(content: bytes) -> np.ndarray:
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise DamagedImageError(f"cannot be decoded ({error})") from error
    if image is None:
        raise DamagedImageError("cannot be decoded")
    return np.asarray(image)


def _has_end(content: bytes) -> bool:
    """Return whether a JPEG has its end marker; a marker inside a segment does not count."""
    position = 2
    while True:
        marker = _JPEG_MARKER.search(content, position)
        if marker is None:
            return False
        if marker[1] == b"\xd9":
            return True
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")


def prepare(job: Job) -> Prepared:
    """Prepare one tracklet, or keep a finished one; errors become part of the result."""
    try:
        _remove_leftovers(job)
        if _is_finished(job):
            return Prepared(len(job.images), reused=True)
        return _prepare_anew(job)
    except OSError as error:
        return Prepared(0, failure=explained(placed(error, error.filename or job.folder)))
    except Exception as error:  # any error is reported with the tracklet's folder
        return Prepared(0, failure=f"{job.folder}: {type(error).__name__}: {error}")


def prepare_all(jobs: Sequence[Job], workers: int) -> Iterator[Prepared]:
    """Prepare all tracklets; yield the results in the order of the jobs as they become ready.

    Args:
        jobs: One job per tracklet.
        workers: Number of processes; 1 works in this process.

    Raises:
        UserError: If a process died, usually for lack of memory.
    """
    try:
        yield from run_in_order(prepare, jobs, workers, CHUNK)
    finally:
        close_archives()
    flush_disks()


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prepare_anew(job: Job) -> Prepared:
    contents, frames, damaged = [], [], []
    for number, source in enumerate(job.images):
        try:
            content = read_image(source)
            image = decode_whole(content, pixels=job.form == "opengait")
        except DamagedImageError as error:
            damaged.append(Damaged(number, place_of(source), str(error)))
            continue
        contents.append(content)
        if job.form == "opengait":
            frames.append(_resized(image, job.height, job.width))
    if damaged and not job.skip_damaged or len(contents) < job.min_frames:
        job.remove()
    elif job.form == "opengait":
        write_tracklet_array(job.folder, np.stack(frames), durable=False, stream=job.stream)
    else:
        suffix = suffix_of(contents[0])
        write_tracklet(job.folder, contents, suffix, durable=False, stream=job.stream)
    return Prepared(len(contents), damaged)


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image ``[h, w, 3]`` (BGR) resized as ``[3, height, width]`` (RGB)."""
    shrinks = image.shape[0] > height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(image, (width, height), interpolation=method))
    return resized[:, :, ::-1].transpose(2, 0, 1)


def _is_finished(job: Job) -> bool:
    """Return whether the prepared file is complete: right sizes, not older than the images."""
    try:
        prepared = job.path.stat()
    except FileNotFoundError:
        return False
    sizes, times = zip(*map(size_and_time, job.images), strict=True)
    if max(times) > prepared.st_mtime:
        return False
    if job.form == "opengait":
        pixels = len(sizes) * 3 * job.height * job.width
        return pixels < prepared.st_size < pixels + 1024
    try:
        with ZipFile(job.path) as archive:
            return tuple(m.file_size for m in archive.infolist()) == sizes
    except BadZipFile:
        return False


def _remove_leftovers(job: Job) -> None:
    """Remove temporary files that a stopped run left."""
    folder = Path(job.folder)
    if not folder.is_dir():  # the usual case; a glob costs ten times as much
        return
    for path in folder.glob(f".{job.stream}.*.tmp"):
        path.unlink(missing_ok=True)
