"""Discard lists: images removed from their tracklets before any selection.

DinoGRL drops the images of two unpublished lists (discard_train.txt and discard_test.txt) from all
training and test tracklets before it drops short tracklets. Such lists can be passed to the
preparation. The removed images are counted and recorded in ``partition.json``, so a result shows
which images it was measured on.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opengait_ext.prepare.faults import Faults, Kind, SourceError, listed
from opengait_ext.prepare.partition import MODALITIES, select
from opengait_ext.prepare.published import Row as Tracklet
from opengait_ext.prepare.sources import read_lines
from opengait_ext.prepare.vcm.lists import HALVES, NAME, Row, file_of

_FORM = "a name like 0001M2D3T1F126.jpg or a path that ends like 0001/rgb/D3/126.jpg"
# .../0001/rgb/D3/126.jpg: identity, modality, camera, frame
PATH = re.compile(r"(?:.*/)?(?P<file>[0-9]{4}/(?:rgb|ir)/D[0-9]{1,2}/[0-9]+\.(?i:jpg|jpeg))")


@dataclass(frozen=True)
class DiscardList:
    """The discard list of one half, matched against the existing images.

    Args:
        file: Name of the list, without its folder.
        sha256: Hash of its content.
        images: The listed images, each once, as in ``Row.files``.
        unknown: Entries that match no image of the half, with file and line.
    """

    file: str
    sha256: str
    images: frozenset[str]
    unknown: list[str]


def read_discard_lists(
    paths: Mapping[str, Path | None], rows: Sequence[Row]
) -> dict[str, DiscardList]:
    """Read the given discard lists.

    Args:
        paths: Path of the list by half; None for no list.
        rows: All published tracklets.

    Returns:
        The list by half, for halves that have one.

    Raises:
        SourceError: If a list cannot be read; otherwise with all lines that name no image.
    """
    return {
        half: _read(path, {file for row in rows if row.half == half for file in row.files})
        for half, path in paths.items()
        if path is not None
    }


def _read(path: Path, there: set[str]) -> DiscardList:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read as text ({error})") from error
    faults = Faults()
    places: dict[str, str] = {}
    for number, text in read_lines(path):
        image = image_of(text)
        if image is None:
            faults.add(Kind.MALFORMED, path.name, text, _FORM, number)
        else:
            places.setdefault(image, f"{path.name}:{number}: {text!r}")
    faults.refuse(str(path))
    unknown = [place for image, place in places.items() if image not in there]
    return DiscardList(path.name, digest, frozenset(places), unknown)


def image_of(entry: str) -> str | None:
    """Return the image an entry names, as in ``Row.files``; None if its form is unknown.

    The tracklet number in a name is ignored, because it is not part of the image path.
    """
    name = NAME.fullmatch(entry)
    if name is not None:
        return file_of(name)
    path = PATH.fullmatch(entry.replace("\\", "/"))
    return path["file"] if path is not None else None


def without_discarded(rows: Sequence[Row], lists: Mapping[str, DiscardList]) -> list[Row]:
    """Return the rows without the listed images; ``discarded`` counts the removed ones."""
    return [_without(row, lists[row.half].images) if row.half in lists else row for row in rows]


def _without(row: Row, images: frozenset[str]) -> Row:
    files = tuple(file for file in row.files if file not in images)
    return replace(row, files=files, discarded=len(row.files) - len(files))


def summarize(
    lists: Mapping[str, DiscardList],
    rows: Sequence[Tracklet],
    frames: Sequence[int],
    min_frames: int,
) -> dict[str, Any] | None:
    """Return what the lists removed, for ``source["discard_lists"]``.

    A tracklet counts as removed if it would be used without the lists (discarded images are assumed
    undamaged): either it is too short now, or its identity has only one modality left.

    Args:
        lists: The lists by half.
        rows: All tracklets, without discarded images.
        frames: Number of undamaged frames of each tracklet.
        min_frames: Fewest frames of a used tracklet.

    Returns:
        None without any list, else ``{"train": ..., "test": ...}``; None for a half without one.
    """
    if not lists:
        return None
    completed = [count + row.discarded for row, count in zip(rows, frames, strict=True)]
    kept, _ = select(rows, frames, min_frames, MODALITIES)
    otherwise, _ = select(rows, completed, min_frames, MODALITIES)
    lost = [rows[position].half for position in set(otherwise).difference(kept)]
    return {
        half.lower(): {
            "file": lists[half].file,
            "sha256": lists[half].sha256,
            "entries": len(lists[half].images),
            "removed_frames": sum(row.discarded for row in rows if row.half == half.lower()),
            "removed_tracklets": lost.count(half.lower()),
            "unknown_entries": len(lists[half].unknown),
        }
        if half in lists
        else None
        for half in HALVES
    }


def tell_unknown(lists: Mapping[str, DiscardList]) -> None:
    """Print discard entries that match no image; the list or the half may be wrong."""
    for half, found in lists.items():
        if found.unknown:
            head = f"{len(found.unknown):,} of {len(found.images):,} entries name no {half} image"
            print(listed(f"{found.file}: {head}", found.unknown))


def discarded(summary: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield lines on what the discard lists removed.

    Args:
        summary: The value of ``source["discard_lists"]``.
    """
    if summary is None:
        yield "discard lists: none"
        return
    for half, found in summary.items():
        if found is None:
            yield f"discard list, {half}: none"
            continue
        yield (
            f"discard list, {half}: {found['file']} ({found['entries']:,} entries, "
            f"{found['unknown_entries']:,} of them name no image) removed "
            f"{found['removed_frames']:,} frames and {found['removed_tracklets']:,} tracklets"
        )
