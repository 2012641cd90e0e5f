"""The image files of a folder that are frames of a person: one list for every command."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from opengait_ext.errors import UserError
from opengait_ext.ordering import natural_key
from opengait_ext.prepare.archives import DamagedImageError, is_junk
from opengait_ext.prepare.images import (
    Encoded,
    Range,
    as_jpeg,
    is_wide,
    may_be_wide,
    wide_range,
)

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_SHOWN = 5
_HEAD = 64  # bytes that show whether a file may have 16 bits a channel
_NO_DATA = {"@eadir"}  # thumbnails made by network storage (Synology)
_WORD = "masks?|mattes?|labels?|seg|segm|segmentation|silhouette|parsing|alpha|depth"
_COMPANION = re.compile(rf"(?P<after>.+)[ ._-](?:{_WORD})|(?:{_WORD})[ ._-](?P<before>.+)")


class ImageFolderError(UserError):
    """A folder does not hold the frames of one person; the message names it."""


class Twins(NamedTuple):
    """Two images of one frame: an image and its mask, or an image and its copy."""

    first: str
    second: str

    def told(self) -> str:
        """Return the fault and its remedy as one sentence."""
        return (
            f"{self.first} and {self.second} have one name; if one is a mask or a copy, move it "
            "elsewhere"
        )


@dataclass
class FolderContent:
    """The content of a folder, without hidden files and system files (``Thumbs.db``).

    Args:
        images: Names in the order of their numbers, ``2.jpg`` before ``10.jpg``.
        folders: Names of the sub-folders.
        others: Number of other files by suffix.
    """

    images: tuple[str, ...] = ()
    folders: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def content_of(folder: str | Path) -> FolderContent:
    """Return the content of a folder.

    Raises:
        OSError: If the folder cannot be read.
    """
    found, images = FolderContent(), []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_junk(entry.name) or entry.name.lower() in _NO_DATA:
                continue
            if entry.is_dir():
                found.folders.append(entry.name)
            elif entry.name.lower().endswith(IMAGES):
                images.append(entry.name)
            else:
                found.others[Path(entry.name).suffix.lower() or "no ending"] += 1
    found.images = tuple(sorted(images, key=_order))
    return found


def frames_in(folder: str | Path) -> FolderContent:
    """Return the content of a folder that holds the frames of one person.

    Raises:
        ImageFolderError: If there is no image, or if one frame is there twice.
    """
    folder = Path(folder)
    found = content_of(folder) if folder.is_dir() else FolderContent()
    if not found.images:
        rest = f" (there are {tell_others(found.others)} files)" if found.others else ""
        raise ImageFolderError(
            f"{folder}: there is no image here{rest}; expected a folder of the frames of one "
            f"person, in files of {', '.join(IMAGES)}"
        )
    twins = twins_of(found.images)
    if twins:
        raise ImageFolderError(f"{folder}: {twins.told()}")
    return found


class FrameFolder:
    """The frames of one person in a folder, each as the JPEG that the preparation would pack.

    Args:
        folder: The folder with the images.
        range16: The values of 16-bit images that become black and white. None: the range that
            `wide_range` finds over all images of the folder.

    Attributes:
        names: Names of the images, in order.
        others: Number of other files by suffix.

    Raises:
        ImageFolderError: If there is no image, or if one frame is there twice.
    """

    def __init__(self, folder: str | Path, range16: Range | None = None) -> None:
        found = frames_in(folder)
        self.names, self.others = found.images, found.others
        self._folder, self._given = Path(folder), range16

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def is_wide(self) -> bool:
        """Return whether any image has more than 8 bits a channel."""
        return any(True for _ in self._wide_contents())

    @cached_property
    def range16(self) -> Range:
        """Return the range of 16-bit values that is spread over 8 bits."""
        return self._given or wide_range(self._wide_contents())

    def jpeg(self, place: int) -> Encoded:
        """Return one frame as JPEG.

        Args:
            place: Position of the frame in ``names``.

        Raises:
            ImageFolderError: If the frame cannot be decoded.
        """
        path = self._folder / self.names[place]
        try:
            return as_jpeg(path.read_bytes(), wide=self.range16)
        except DamagedImageError as error:
            raise ImageFolderError(f"{path}: cannot be decoded: {error}") from error

    def _wide_contents(self) -> Iterator[bytes]:
        """Yield the images of 16 bits; of all others only the first bytes are read."""
        for name in self.names:
            with open(self._folder / name, "rb") as file:
                start = file.read(_HEAD)
                if may_be_wide(start) and is_wide(content := start + file.read()):
                    yield content


def twins_of(names: Iterable[str]) -> Twins | None:
    """Return the first two images of one frame: ``1.jpg`` with ``1.png`` or ``1_mask.png``."""
    names = list(names)
    stems: dict[str, str] = {}
    for name in names:
        twin = stems.setdefault(Path(name).stem.lower(), name)
        if twin != name:
            return Twins(twin, name)
    for name in names:
        match = _COMPANION.fullmatch(Path(name).stem.lower())
        twin = stems.get(match["after"] or match["before"], "") if match else ""
        if twin:
            return Twins(twin, name)
    return None


def tell_others(others: Counter[str]) -> str:
    """Return the number of files by suffix as text: ``12 .txt, 3 .mp4``."""
    ranked = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {suffix}" for suffix, count in ranked[:_SHOWN])


def _order(name: str) -> tuple[Any, str]:
    """Return the sort key of a name: numbers by value, capitals next to small letters."""
    return natural_key(name.lower()), name
