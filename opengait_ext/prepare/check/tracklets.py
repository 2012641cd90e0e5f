"""The check of one tracklet's files: damage and content.

No code from a file is run, and nothing is unpacked. An archive's members are read in memory, and
only if the archive as a whole is as the preparation writes it. A pickle may only build one array.
"""

import hashlib
import os
import re
import stat
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opengait_ext.data.layout import FOLDERS, PACKED, PICKLED, LayoutError, read_array
from opengait_ext.data.pickled import RefusedError
from opengait_ext.prepare.check.findings import FAULT, WARNING, Finding
from opengait_ext.prepare.check.images import DIGEST, Look, digest_of, look, look_at_pixels
from opengait_ext.prepare.sources import (
    DamagedImageError,
    Image,
    place_of,
    read_image,
    size_and_time,
)
from opengait_ext.prepare.work import run_whatever_dies

IMAGES = "images"  # the form of published data: one file per frame
LARGEST = 1 << 28  # largest image in bytes; an archive's directory can claim any number
QUICK = 3  # most frames of a tracklet that a quick check reads
EXAMPLES = 3  # per kind of finding and tracklet
VERSION = 2  # of the checks; a journal of another version is discarded
_MEMBER = re.compile(r"[0-9]{6,}\.[A-Za-z0-9]+")
_ENCRYPTED = 1
_BROKEN = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,  # NotImplementedError: an unknown compression
    ValueError,
    MemoryError,
    struct.error,
)


@dataclass(frozen=True)
class Job:
    """One tracklet to check.

    Args:
        key: Its name, unique in the data.
        form: ``IMAGES``, ``PACKED`` or ``PICKLED``.
        files: The images in frame order, or the one file with all of them.
        root: Folder of the data, omitted in messages.
        quick: Whether only the first, the middle and the last frame are read.
        known: Signature of the files when they were last checked; empty for never.
    """

    key: str
    form: str
    files: tuple[Image, ...]
    root: str
    quick: bool
    known: str = ""

    def place(self, file: Image) -> str:
        """Return the name of a file for messages."""
        return place_of(file).removeprefix(self.root).lstrip(os.sep).replace(os.sep, "/")


@dataclass
class Checked:
    """The result of checking one tracklet.

    Args:
        signature: Hash of names, sizes and times of its files; empty if the result may differ next
            time although the files are the same (no permission, a missing disk).
        frames: Number of frames, damaged or not.
        digests: Digests of the frames that were read, 16 bytes each; zeros for an unreadable one.
        damaged: Positions in ``digests`` of the damaged frames.
        sizes: ``(height, width, number)`` of the undamaged frames.
        gray: Number of undamaged frames that are gray.
        flat: Number of undamaged frames without contrast.
        findings: Findings of this tracklet.
        is_known: Whether the files are those of ``Job.known``; then nothing else is filled in.
    """

    signature: str = ""
    frames: int = 0
    digests: bytes = b""
    damaged: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    gray: int = 0
    flat: int = 0
    findings: list[Finding] = field(default_factory=list)
    is_known: bool = False

    @property
    def whole(self) -> int:
        """The number of undamaged frames that were read."""
        return sum(number for _, _, number in self.sizes)


def check_tracklet(job: Job) -> Checked:
    """Check the files of one tracklet; errors become part of the result."""
    notes = _Notes(job)
    try:
        notes.checked.signature = _signature(job)
        if notes.checked.signature == job.known:
            return Checked(job.known, is_known=True)
        _READERS[job.form](job, notes)
    except FileNotFoundError as error:
        notes.add("files", FAULT, job.key, f"vanished during the check ({error.filename})")
    except OddFileError as error:
        notes.add("safety", FAULT, str(error), "is no regular file")
    except Exception as error:  # any error is reported with the tracklet's name
        notes.add("images", FAULT, job.key, f"{type(error).__name__}: {error}")
        notes.may_pass = True
    return notes.finished()


class OddFileError(Exception):
    """A file of the data is no regular file but a pipe, a device or a folder."""


class _Notes:
    """A collector of the results of one tracklet."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.checked = Checked()
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._findings: dict[tuple[str, str], Finding] = {}
        self._digests = bytearray()
        self.may_pass = False

    def add(self, check: str, severity: str, place: str, text: str) -> None:
        known = self._findings.get((check, severity))
        count, examples = (known.count, known.examples) if known else (0, [])
        if count < EXAMPLES:
            examples = [*examples, (place, text)]
        self._findings[check, severity] = Finding(check, severity, count + 1, examples)

    def frame(self, place: str, digest: bytes, seen: Look) -> None:
        self._digests += digest
        self._sizes[seen.height, seen.width] += 1
        self.checked.gray += seen.is_gray
        self.checked.flat += seen.is_flat
        if seen.remark:
            self.add("images", WARNING, place, seen.remark)

    def encoded(self, place: str, content: bytes) -> None:
        """Check one image file."""
        digest = digest_of(content)
        try:
            if self.job.form == IMAGES and content[:2] not in (b"", b"\xff\xd8"):
                raise DamagedImageError("not a JPEG file")
            self.frame(place, digest, look(content))
        except DamagedImageError as error:
            self.checked.damaged.append(len(self._digests) // DIGEST)
            self._digests += digest
            check, text = ("images", str(error)) if content else ("empty", "the file is empty")
            self.add(check, FAULT, place, text)

    def unreadable(self, place: str, text: str, error: Exception | None) -> None:
        """Note a frame that cannot be read at all."""
        self.may_pass = self.may_pass or isinstance(error, OSError | MemoryError)
        self.checked.damaged.append(len(self._digests) // DIGEST)
        self._digests += bytes(DIGEST)
        self.add("images", FAULT, place, text)

    def finished(self) -> Checked:
        self.checked.digests = bytes(self._digests)
        self.checked.sizes = [(*size, number) for size, number in sorted(self._sizes.items())]
        self.checked.findings = list(self._findings.values())
        if self.may_pass:
            self.checked.signature = ""
        return self.checked


def chosen_frames(count: int, quick: bool) -> list[int]:
    """Return the positions of the frames that are read."""
    return sorted({0, count // 2, count - 1}) if quick and count else list(range(count))


def _signature(job: Job) -> str:
    digest = hashlib.blake2b(f"{VERSION} {job.form} {job.quick}".encode(), digest_size=16)
    for file in job.files:
        if isinstance(file, str) and not stat.S_ISREG(os.stat(file).st_mode):
            raise OddFileError(job.place(file))  # reading a pipe would never end
        size, time = size_and_time(file)
        digest.update(f"\n{ascii(job.place(file))} {size} {time!r}".encode())
    return digest.hexdigest()


def _read_images(job: Job, notes: _Notes) -> None:
    notes.checked.frames = len(job.files)
    for position in chosen_frames(len(job.files), job.quick):
        file = job.files[position]
        try:
            if size_and_time(file)[0] > LARGEST:
                notes.unreadable(job.place(file), f"is larger than {LARGEST:,} bytes", None)
                continue
            content = read_image(file)
        except FileNotFoundError:
            raise
        except (OSError, DamagedImageError) as error:
            notes.unreadable(job.place(file), f"cannot be read ({error})", error)
            continue
        notes.encoded(job.place(file), content)


def _read_packed(job: Job, notes: _Notes) -> None:
    path = Path(str(job.files[0]))
    shown = job.place(job.files[0])
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            odd = list(_odd_members(members, path.stat().st_size))
            for text in odd:
                notes.add("safety", FAULT, shown, text)
            if odd:
                return
            notes.checked.frames = len(members)
            if not members:
                notes.add("empty", FAULT, shown, "holds no frame")
            for position in chosen_frames(len(members), job.quick):
                _read_member(archive, members[position], shown, notes)
    except FileNotFoundError:
        raise
    except _BROKEN as error:
        is_empty = not path.stat().st_size
        text = "the file is empty" if is_empty else f"damaged archive ({error})"
        notes.add("empty" if is_empty else "images", FAULT, shown, text)
        notes.may_pass = isinstance(error, OSError)


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, shown: str, notes: _Notes
) -> None:
    place = f"{shown}, {member.filename}"
    try:
        notes.encoded(place, archive.read(member))
    except _BROKEN as error:  # usually a wrong checksum
        notes.unreadable(place, f"damaged in the archive ({error})", error)


def _odd_members(members: list[zipfile.ZipInfo], size: int) -> Iterator[str]:
    """Yield the oddities of an archive that the preparation never writes."""
    for number, member in enumerate(members):
        name = member.filename
        if not _MEMBER.fullmatch(name) or name.split(".")[0] != f"{number:06d}":
            yield f"member {name!r} stands where frame {number:06d} should"
        elif member.flag_bits & _ENCRYPTED:
            yield f"member {name!r} is encrypted"
        elif member.compress_type or member.file_size != member.compress_size:
            yield f"member {name!r} is compressed, expected a stored image"
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        yield f"its members claim {claimed:,} bytes, the file has {size:,}"


def _read_pickled(job: Job, notes: _Notes) -> None:
    path = Path(str(job.files[0]))
    shown = job.place(job.files[0])
    if not path.stat().st_size:
        notes.add("empty", FAULT, shown, "the file is empty")
        return
    try:
        frames = read_array(path, own=path.parts[-3] in FOLDERS.values())
    except LayoutError as error:
        carries_code = isinstance(error, RefusedError)
        reason = str(error).removeprefix(f"{path}: ")
        notes.add("safety" if carries_code else "images", FAULT, shown, reason)
        notes.may_pass = isinstance(error.__cause__, OSError)
        return
    notes.checked.frames = len(frames)
    for position in chosen_frames(len(frames), job.quick):
        frame = frames[position]
        place = f"{shown}, frame {position}"
        notes.frame(place, digest_of(frame.tobytes()), look_at_pixels(frame))


_READERS = {IMAGES: _read_images, PACKED: _read_packed, PICKLED: _read_pickled}


def check_all(
    job_of: Callable[[int], Job], count: int, workers: int
) -> Iterator[tuple[int, Checked]]:
    """Check tracklets in a process pool that survives worker crashes; yield position and result.

    Args:
        job_of: Function from a position to its job.
        count: Number of positions.
        workers: Number of processes.

    Raises:
        UserError: If too many processes died, usually for lack of memory.
    """
    return run_whatever_dies(check_tracklet, job_of, count, workers, _ended)


def _ended(job: Job) -> Checked:
    text = "the process that read it was ended (a fault of a decoder, or memory)"
    return Checked(findings=[Finding("images", FAULT, 1, [(job.key, text)])])
