"""The sources of published data: folders and archives with one interface, a tree of files.

Folders of a tree are named with slashes; the root is ``""``. A compressed tar can only be read from
its start, so it is decompressed once, to a plain tar in a hidden folder of the target. Archives are
opened when they are needed: folders come first, then archives, the smallest first.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from opengait_ext.prepare.archives import (
    Archive,
    ArchiveError,
    DamagedImageError,
    Image,
    Listing,
    Member,
    broken,
    by_hand,
    close_archives,
    is_junk,
    place_of,
    read_image,
    size_and_time,
)
from opengait_ext.prepare.faults import SourceError
from opengait_ext.prepare.progress import Progress

__all__ = [
    "UNPACKED",
    "Lines",
    "Archive",
    "ArchiveError",
    "DamagedImageError",
    "Folder",
    "Image",
    "Member",
    "Sources",
    "Tree",
    "close_archives",
    "is_archive",
    "lines_of",
    "open_archive",
    "place_of",
    "read_image",
    "read_lines",
    "remove_unpacked",
    "size_and_time",
]

UNPACKED = ".unpacked"
READ = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
REFUSED = (".rar", ".7z", ".tar.zst", ".z01", ".001")  # recognized, to name the remedy
KINDS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # an empty archive
    b"PK\x07\x08": "split",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"Rar!": "rar",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x28\xb5\x2f\xfd": "zstd",
}
Lines = list[tuple[int, str]]  # line number and text of each line that is not blank
_OPENERS: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_BLOCK = 1 << 20
_MB = 1_000_000


def read_lines(path: Path) -> Lines:
    """Return number and text of each line that is not blank, stripped of CRLF and outer blanks.

    Raises:
        SourceError: If the file is missing or not UTF-8.
    """
    try:
        return lines_of(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error


def lines_of(content: bytes) -> Lines:
    """Return number and text of each line that is not blank, stripped of CRLF and outer blanks."""
    lines = enumerate(content.decode("utf-8-sig").splitlines(), 1)
    return [(number, text) for number, line in lines if (text := line.strip())]


class Folder:
    """The tree of files in a folder on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def listing(self, folder: str) -> Listing:
        """Return the sorted names of folders and files in a folder; none if it is missing."""
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(self.path / folder) as entries:
                for entry in entries:
                    if not is_junk(entry.name):
                        (folders if entry.is_dir() else files).append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        return sorted(folders), sorted(files)

    def image(self, name: str) -> Image:
        """Return the reference that `read_image` takes."""
        return f"{self.path}/{name}"

    def place(self, name: str) -> str:
        """Return the path of a file or folder for messages, whether it exists or not."""
        return str(self.path / name)


Tree = Folder | Archive


class Sources:
    """All folders and archives that published data are read from.

    Iteration yields the trees: folders first, then archives, the smallest first. An archive is
    opened when it is reached. Archives inside a given folder are included.

    Args:
        paths: Folders and archives, as the user gave them.
        unpacked: Hidden folder for decompressed tars; created when needed.
        expected: What should be there, in words, for messages.

    Raises:
        ArchiveError: If one of the paths does not exist.
    """

    def __init__(self, paths: Sequence[Path], unpacked: Path, expected: str) -> None:
        for path in paths:
            if not path.exists():
                raise ArchiveError(f"--source {path}: no such folder or archive; {expected}")
        self.paths = list(paths)
        self.folders = [Folder(path) for path in paths if path.is_dir()]
        self.archives = sorted(_archives_in(paths), key=lambda path: path.stat().st_size)
        self._unpacked = unpacked
        self._open: dict[Path, Archive] = {}

    def __iter__(self) -> Iterator[Tree]:
        yield from self.folders
        for path in self.archives:
            if path not in self._open:
                self._open[path] = open_archive(path, self._unpacked)
            yield self._open[path]

    def __str__(self) -> str:
        return ", ".join(map(str, self.paths))

    def ignored(self) -> Iterator[tuple[str, int]]:
        """Yield each opened archive with ignored links and outside names, and their number."""
        for path, archive in self._open.items():
            if archive.ignored:
                yield str(path), archive.ignored


def _archives_in(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inner = sorted(file for file in path.iterdir() if not is_junk(file.name))
            yield from (file for file in inner if is_archive(file.name) and file.is_file())
        else:
            yield path


def is_archive(name: str) -> bool:
    """Return whether a file name is an archive's, including kinds that are not read here."""
    return name.lower().endswith(READ + REFUSED)


def open_archive(path: Path, unpacked: Path) -> Archive:
    """Open an archive; its kind is recognized by its first bytes, not by its name.

    Args:
        path: The archive.
        unpacked: Hidden folder for a decompressed tar.

    Raises:
        ArchiveError: If it is no archive, is damaged, or is of a kind that is not read here.
    """
    with path.open("rb") as file:
        start = file.read(16)
    name = path.name.lower()
    kind = next((kind for magic, kind in KINDS.items() if start.startswith(magic)), "")
    if name.endswith((".z01", ".001")) or kind == "split" or path.with_suffix(".z01").exists():
        raise ArchiveError(f"{path}: is a part of a split archive; {by_hand(path)}")
    if kind in ("rar", "7z", "zstd"):
        raise ArchiveError(f"{path}: is a {kind} archive, which is not read here; {by_hand(path)}")
    if kind in _OPENERS:
        return Archive(path, _decompressed(path, kind, unpacked), is_zip=False)
    if not kind and not _is_tar(path):
        raise ArchiveError(
            f"{path}: is no zip and no tar, it begins with {start!r}; perhaps a page was saved in "
            "place of the archive: get it again"
        )
    return Archive(path, path, is_zip=kind == "zip")


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (MemoryError, OverflowError, ValueError):  # a header that claims impossible sizes
        return False


def _decompressed(path: Path, kind: str, folder: Path) -> Path:
    """Return the plain tar of a compressed one; decompress it unless an earlier run did."""
    found = path.stat()
    mark = f"{path.resolve()}\n{found.st_size}\n{found.st_mtime_ns}"
    target = folder / f"{path.name}.{hashlib.sha256(mark.encode()).hexdigest()[:16]}.tar"
    if target.is_file():
        print(f"{path}: decompressed before, {target} is used")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < found.st_size:
        raise ArchiveError(
            f"{path}: a compressed tar is decompressed to {folder}, where there is less room than "
            f"the {found.st_size / 1e9:.1f} GB it needs; {by_hand(path)}"
        )
    print(f"{path}: a compressed tar, decompressed to {target}, which goes when all is done")
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)
    temporary = target.with_suffix(".tmp")
    try:
        _decompress(path, kind, temporary)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise broken(path, error) from error
    except OSError as error:
        if error.errno is not None:  # a fault of the disk, not of the archive
            raise
        raise broken(path, error) from error
    os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))  # as old as the images in it
    os.replace(temporary, target)
    return target


def _decompress(path: Path, kind: str, target: Path) -> None:
    with ExitStack() as stack:
        packed: IO[bytes] = stack.enter_context(path.open("rb"))
        content: IO[bytes] = stack.enter_context(_OPENERS[kind](packed))
        file = stack.enter_context(target.open("wb"))
        total = path.stat().st_size // _MB
        progress = stack.enter_context(Progress(total, f"decompressing {path.name}", "MB"))
        while block := content.read(_BLOCK):
            file.write(block)
            progress.add(packed.tell() // _MB - progress.done)
        file.flush()
        os.fsync(file.fileno())


def remove_unpacked(folder: Path) -> None:
    """Remove the decompressed tars, and nothing else."""
    close_archives()  # Windows does not remove open files
    for pattern in ("*.tar", "*.tmp"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
