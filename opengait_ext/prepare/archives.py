"""Published images: files, or members of a zip or a plain tar, read at their offsets.

An archive is indexed once; then several processes read its members in any order. Nothing is
unpacked, and no member's name ever becomes a path that is written to.
"""

import atexit
import os
import re
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from opengait_ext.errors import UserError
from opengait_ext.prepare.progress import Progress

JUNK = ("__macosx", "thumbs.db", "desktop.ini")
_TAR = -1  # in place of a zip's compression method
_HEADER = 30  # bytes of a zip member before its name
_MB = 1_000_000
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    RuntimeError,  # NotImplementedError: an unknown version of zip
    ValueError,
    OverflowError,
    MemoryError,  # impossible sizes in a header
    struct.error,
)
_open_files: dict[str, BinaryIO] = {}


class ArchiveError(UserError):
    """An archive cannot be read; the message names it and the remedy."""


class DamagedImageError(UserError):
    """An image file is empty, cut off, damaged or of an unknown format."""


class Member(NamedTuple):
    """A reference to a file in an archive, small enough to send to another process.

    Args:
        archive: Path of the zip or plain tar.
        name: Name in the archive, for messages.
        offset: Offset in bytes of the member's header (zip) or of its content (tar).
        packed: Size in the archive, in bytes.
        size: Size of the content, in bytes.
        method: Compression method, as in the zip; -1 in a tar.
        crc: CRC-32 of the content; 0 in a tar, which has none.
    """

    archive: str
    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int


Entry = tuple[int, int, int, int, int]  # a member without archive and name
Image = str | Member  # the path of a file, or a file in an archive
Listing = tuple[list[str], list[str]]


def read_image(image: Image) -> bytes:
    """Return the content of a file or a member.

    Raises:
        DamagedImageError: If a member contradicts the archive's directory.
        OSError: If the file cannot be read.
    """
    if isinstance(image, str):
        with open(image, "rb") as published:
            return published.read()
    file = _open_files.get(image.archive)
    if file is None:
        file = _open_files[image.archive] = open(image.archive, "rb")  # noqa: SIM115
    file.seek(image.offset)
    if image.method != _TAR:
        header = file.read(_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise DamagedImageError("the archive is damaged here (no header)")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(image.offset + _HEADER + lengths)
    content = file.read(image.packed)
    if image.method == zipfile.ZIP_DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, image.size + 1)
        except zlib.error as error:
            raise DamagedImageError(f"the archive is damaged here ({error})") from error
    whole = len(content) == image.size
    if not whole or image.method != _TAR and zlib.crc32(content) != image.crc:
        raise DamagedImageError("the archive is damaged here (its checksum differs)")
    return content


def size_and_time(image: Image) -> tuple[int, float]:
    """Return size in bytes and time of change of a file; a member has its archive's time."""
    if isinstance(image, str):
        found = os.stat(image)
        return found.st_size, found.st_mtime
    return image.size, os.stat(image.archive).st_mtime


def place_of(image: Image) -> str:
    """Return the path of a file for messages, ``Train.zip:Train/0001/ir/D2/1.jpg``."""
    return image if isinstance(image, str) else f"{image.archive}:{image.name}"


def close_archives() -> None:
    """Close the archives that this process has read from."""
    while _open_files:
        _open_files.popitem()[1].close()


atexit.register(close_archives)  # for workers, which end without a call


def is_junk(name: str) -> bool:
    """Return whether a file or folder is hidden or made by a system: ``._1.jpg``, ``Thumbs.db``."""
    return name.startswith(".") or name.lower() in JUNK


class Archive:
    """The tree of files in a zip or a plain tar.

    Args:
        path: Path of the archive, as named in messages.
        stored: The file that is read: the archive itself, or its decompressed tar.
        is_zip: Whether ``stored`` is a zip; otherwise it is a tar.

    Raises:
        ArchiveError: If it is cut off, damaged, encrypted, or compressed by an unknown method.
    """

    def __init__(self, path: Path, stored: Path, is_zip: bool) -> None:
        self.path = path
        self.ignored = 0  # number of links and of names that lead out of the archive
        self._stored = str(stored)
        self._folders: dict[str, dict[str, Entry]] = {}
        self._inner: dict[str, set[str]] = {}
        self._known: dict[str, dict[str, Entry] | None] = {}  # by name in the archive
        try:
            if is_zip:
                self._index_zip()
            else:
                self._index_tar()
        except ArchiveError:
            raise
        except _BROKEN as error:
            raise broken(path, error) from error

    def listing(self, folder: str) -> Listing:
        """Return the sorted names of folders and files in a folder; none if it is missing."""
        return sorted(self._inner.get(folder, ())), sorted(self._folders.get(folder, ()))

    def image(self, name: str) -> Image:
        """Return the reference that `read_image` takes."""
        folder, _, file = name.rpartition("/")
        return Member(self._stored, name, *self._folders[folder][file])

    def place(self, name: str) -> str:
        """Return the name of a file or folder for messages, whether it exists or not."""
        return f"{self.path}:{name}"

    def _index_zip(self) -> None:
        with zipfile.ZipFile(self._stored) as packed:
            for member in packed.infolist():
                if member.filename.endswith("/"):
                    continue
                if member.flag_bits & 1:
                    raise ArchiveError(f"{self.path}: is encrypted; {by_hand(self.path)}")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ArchiveError(
                        f"{self.path}: {member.filename} is compressed by method "
                        f"{member.compress_type}, which is not read here; {by_hand(self.path)}"
                    )
                if stat.S_ISLNK(member.external_attr >> 16):
                    self.ignored += 1
                    continue
                sizes = member.compress_size, member.file_size
                self._add(
                    member.filename,
                    (member.header_offset, *sizes, member.compress_type, member.CRC),
                )

    def _index_tar(self) -> None:
        total = os.path.getsize(self._stored) // _MB
        with (
            tarfile.open(self._stored, "r:") as packed,
            Progress(total, f"reading the directory of {self.path.name}", "MB") as progress,
        ):
            while (member := packed.next()) is not None:
                packed.members.clear()  # type: ignore[attr-defined]  # they take a kilobyte each
                progress.add(packed.offset // _MB - progress.done)
                if member.isreg() and not member.issparse():
                    self._add(member.name, (member.offset_data, member.size, member.size, _TAR, 0))
                elif member.islnk():
                    self._add_link(member)
                elif not member.isdir():
                    self.ignored += 1
        with open(self._stored, "rb") as file:  # tarfile accepts a cut file as complete
            file.seek(packed.offset)
            if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end mark")

    def _add_link(self, member: tarfile.TarInfo) -> None:
        """Add a hard link as a second name of its file, which must come before it."""
        folder, _, file = member.linkname.rpartition("/")
        entry = self._folders.get("/".join(_parts(folder) or []), {}).get(file)
        if entry is None:
            self.ignored += 1
        else:
            self._add(member.name, entry)

    def _add(self, name: str, entry: Entry) -> None:
        folder, _, file = name.replace("\\", "/").rpartition("/")
        if folder not in self._known:
            self._known[folder] = self._files_of(_parts(folder))
        files = self._known[folder]
        if files is None:
            self.ignored += 1
        elif file and not is_junk(file):
            files[sys.intern(file)] = entry

    def _files_of(self, parts: list[str] | None) -> dict[str, Entry] | None:
        """Return the (new or known) entry of a folder; None for one outside of the archive."""
        if parts is None:
            return None
        if any(map(is_junk, parts)):
            return {}  # not indexed: its files are never listed
        for depth, part in enumerate(parts):
            self._inner.setdefault("/".join(parts[:depth]), set()).add(part)
        return self._folders.setdefault("/".join(parts), {})


def broken(path: Path, error: Exception) -> ArchiveError:
    """Return the error for an archive that ends too early or contradicts itself."""
    return ArchiveError(
        f"{path}: is cut off or damaged ({error}); its {path.stat().st_size:,} bytes are perhaps "
        "not the whole download: get it again"
    )


def by_hand(path: Path) -> str:
    """Return the remedy for an archive of a kind that is not read here."""
    return (
        f"unpack it (for instance: 7z x {path.name}) and give the folder that comes out to --source"
    )


def _parts(folder: str) -> list[str] | None:
    """Return the parts of a member's folder; None if it leads out of the archive."""
    parts = [part for part in folder.replace("\\", "/").split("/") if part not in ("", ".")]
    leads_out = re.match(r"[/\\]|[A-Za-z]:", folder) or ".." in parts
    return None if leads_out else parts
