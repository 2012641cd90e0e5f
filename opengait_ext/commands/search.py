"""``opengait-ext search``: the gallery tracklets nearest to a query."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .options import among, modality

if TYPE_CHECKING:
    from ..gallery import Gallery
    from ..gallery.files import EmbeddingFile

HELP = "search a gallery by a new tracklet, across modalities"


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add("gallery", metavar="GALLERY", help="the folder of a gallery")
    add(
        "--query",
        required=True,
        metavar="PATH",
        help="a prepared tracklet's folder, a folder of images, or a file of embeddings",
    )
    add(
        "--modality",
        type=modality,
        metavar="WORD",
        help="of the query, where its path is silent: visible or infrared (rgb, ir ... do as well)",
    )
    add(
        "--among",
        type=among,
        metavar="WHICH",
        default="other",
        help="which tracklets of the gallery: other (of the other modality, the default), visible, "
        "infrared or any",
    )
    add("--top", type=int, default=10, metavar="K", help="how many (default: 10)")
    add("--method", choices=("auto", "exact", "faiss"), default="auto", help="default: auto")
    add(
        "--range16",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="of a query in 16-bit images: values that become black and white (default: the 0.5th "
        "and 99.5th percentile of the folder)",
    )
    add("--model", metavar="RUN", help="default: the checkpoint that the gallery names")
    add("--threshold", type=float, help="nobody if nothing is nearer (default: as calibrated)")
    add("--json", metavar="FILE", help="write what was found")
    add("--thumbnails", metavar="FILE", help="write pictures: .html or .png")
    add("--device", default="auto", help="default: auto")
    add("--config", metavar="NAME_OR_FILE", help="for a checkpoint that holds none")


def run(arguments: argparse.Namespace) -> int:
    """Search the gallery and report the matches.

    Raises:
        UserError: If the query cannot be embedded or the gallery cannot be searched.
    """
    if arguments.thumbnails and not arguments.thumbnails.endswith((".html", ".png")):
        raise UserError(f"--thumbnails: expected .html or .png, found {arguments.thumbnails}")
    from ..engine.files import write_json
    from ..engine.progress import LiveLine, logging_to
    from ..gallery import Gallery
    from ..gallery.answers import answered, told

    gallery = Gallery(arguments.gallery, arguments.method)
    with logging_to(None, LiveLine()):
        query = _query(gallery, arguments)
        threshold = _threshold(gallery, query.checkpoint, arguments.threshold)
        answer = answered(gallery, query, arguments.among, arguments.top, threshold)
    sys.stdout.write("\n".join(told(answer)) + "\n")
    if arguments.json:
        write_json(Path(arguments.json), answer)
        sys.stdout.write(f"written to {arguments.json}\n")
    if arguments.thumbnails:
        from ..gallery.pictures import write_pictures

        write_pictures(Path(arguments.thumbnails), answer)
        sys.stdout.write(f"written to {arguments.thumbnails}\n")
    return 0


def _query(gallery: "Gallery", arguments: argparse.Namespace) -> "EmbeddingFile":
    """Return the queries with their embeddings, from a file or by the gallery's model."""
    from ..gallery.files import EmbeddingFile, read_embeddings
    from ..gallery.records import GalleryError

    path = Path(arguments.query)
    if path.suffix == ".npz":
        content = read_embeddings(path)
        if content.mark != gallery.mark:
            raise GalleryError(
                f"{path}: {content.records[0].path}: embedded by {content.mark}, the gallery by "
                f"{gallery.mark}; embed it with the gallery's checkpoint"
            )
        return content
    if not path.is_dir():
        raise UserError(
            f"--query {path}: expected the folder of a prepared tracklet, a folder of images, or a "
            ".npz file of opengait-ext embed"
        )
    from ..api import load
    from .embed import mark_of

    if not arguments.model and not Path(gallery.state.checkpoint).exists():
        raise GalleryError(
            f"{gallery.folder}: its checkpoint {gallery.state.checkpoint} is not there; give it, "
            "or the folder of its run, with --model"
        )
    model = load(arguments.model or gallery.state.checkpoint, arguments.device, arguments.config)
    if model.about["sha256"] != gallery.mark.checkpoint:
        raise GalleryError(
            f"{path}: {model.about['checkpoint']} is not the checkpoint of this gallery "
            f"({model.about['sha256'][:12]}, the gallery has {gallery.mark.checkpoint[:12]}); give "
            "it with --model"
        )
    embeddings, record = _embedded(model, path.resolve(), arguments.modality, arguments.range16)
    checkpoint = model.about["checkpoint"]
    return EmbeddingFile(embeddings, [record], mark_of(model, embeddings), checkpoint)


def _embedded(
    model: Any, folder: Path, modality: str | None, range16: Any = None
) -> tuple[Any, Any]:
    """Embed one folder; of a prepared tracklet, the path has identity, modality and camera."""
    from ..data.layout import PACKED, PICKLED, Partition, Tracklet, count_frames
    from ..data.words import modality_of
    from ..gallery import Record

    if not any((folder / name).is_file() for name in (PACKED, PICKLED)):
        if modality is None:
            raise UserError("a folder of images needs --modality infrared or --modality visible")
        record = Record(folder.name, modality, root=str(folder.parent))
        return model.embed_folder(folder, modality, range16), record
    if range16:
        raise UserError("--range16 is for a folder of images; this query was spread when prepared")
    kind = modality or modality_of(folder.parent.name)
    if kind is None:
        raise UserError(
            f"--query {folder}: not below a folder rgb or ir; say --modality infrared or visible"
        )
    root, path = folder.parents[2], "/".join(folder.parts[-3:])
    tracklet = Tracklet(path, folder.parts[-3], 0, kind, count_frames(folder), "test")
    embeddings = model.embed_prepared(root, Partition("query", [tracklet], {}))
    return embeddings, Record(path, kind, tracklet.pid, root=str(root))


def _threshold(gallery: "Gallery", checkpoint: str, given: float | None) -> dict[str, Any] | None:
    """Return the threshold and its source; None if there is none."""
    from ..gallery.calibration import read_calibration

    if given is not None:
        return {"distance": given, "source": "given by hand"}
    for path in dict.fromkeys((checkpoint, gallery.state.checkpoint)):
        found = read_calibration(path, gallery.mark.checkpoint) if path else None
        if found:
            return {
                "distance": found["threshold"],
                "source": f"calibrated on {found['dataset']}, split {found['split']}",
                "wanted_far": found["wanted_far"],
                "tar": found["tar"],
            }
    return None
