"""``opengait-ext index``: show the content of a gallery, add to it and remove from it."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.words import UNKNOWN, is_made_up

if TYPE_CHECKING:
    from ..gallery import Gallery

HELP = "make a gallery, add embeddings to it, take a person out, or see what it holds"


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add("gallery", metavar="GALLERY", help="the folder; --add makes it if it is not there")
    add("--add", nargs="+", default=[], metavar="FILE.npz", help="embeddings to append")
    add("--remove", metavar="PID", help="take all tracklets of an identity out of every search")
    add("--purge", action="store_true", help="delete from the disk what has been removed")


def run(arguments: argparse.Namespace) -> int:
    """Change a gallery and print its content.

    Raises:
        GalleryError: If something cannot be added or removed.
    """
    from ..gallery import Gallery

    for file in arguments.add:
        from ..gallery.files import read_embeddings

        content = read_embeddings(file)
        there = Path(arguments.gallery, "gallery.json").is_file()
        if not there:
            Gallery.create(arguments.gallery, content.mark, content.checkpoint)
        Gallery(arguments.gallery).add(content.embeddings, content.records, content.mark)
    gallery = Gallery(arguments.gallery)
    if arguments.remove is not None:
        count = gallery.remove(arguments.remove)
        sys.stdout.write(f"{count} tracklets of {arguments.remove} are found no more\n")
    if arguments.purge:
        sys.stdout.write(f"{gallery.purge()} removed tracklets are deleted from the disk\n")
    sys.stdout.write("\n".join(described(gallery)) + "\n")
    return 0


def described(gallery: "Gallery") -> list[str]:
    """Return the content of a gallery as lines of text."""
    records = [gallery.records[row] for row in gallery.rows_of()]
    modalities = Counter(record.modality for record in records)
    cameras = {record.camid if record.camera is None else record.camera for record in records}
    people = [record.pid for record in records if not is_made_up(record.pid or UNKNOWN)]
    known, unknown = set(people), len(records) - len(people)
    removed = gallery.state.rows - len(gallery)
    lines = [
        f"{gallery.folder}: {len(gallery)} tracklets ("
        + (", ".join(f"{kind} {n}" for kind, n in sorted(modalities.items())) or "empty")
        + ")",
        f"identities: {len(known)}" + (f", and {unknown} tracklets of unknown" if unknown else ""),
        f"cameras: {len(cameras - {None})}",
        f"model: {gallery.mark}; {gallery.state.checkpoint}",
    ]
    if removed:
        lines.append(f"removed, but on the disk until --purge: {removed}")
    return lines
