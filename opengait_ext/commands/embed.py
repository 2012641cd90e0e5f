"""``opengait-ext embed``: embeddings of tracklets, written to a file or a gallery."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .options import modality

if TYPE_CHECKING:
    from ..api import Embedder
    from ..data.layout import Tracklet
    from ..gallery import ModelMark, Record

HELP = "embed prepared tracklets, or a folder of frames, with a trained model"
_OTHER_FILES = (
    *(".csv", ".tsv", ".txt", ".json", ".jsonl", ".npy", ".pt", ".pth", ".pkl", ".mat", ".h5"),
    *(".hdf5", ".parquet", ".xlsx", ".zip", ".f32", ".bin", ".yaml", ".html"),
)
_SHARE = 512  # tracklets that are appended at a time: the most that a kill can lose

logger = logging.getLogger(__name__)


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add("model", metavar="RUN", help="the folder of a run, or a checkpoint (.pt)")
    add("--data", metavar="DIR", help="prepared data, the folder of partition.json")
    add("--split", default="test", help="train, val, test or all (default: test)")
    add("--frames", metavar="FOLDER", help="instead of --data: images of one person's walk")
    add(
        "--modality",
        type=modality,
        metavar="WORD",
        help="visible or infrared (rgb, ir ... do as well), of --frames; with --data: only these "
        "tracklets",
    )
    add("--id", metavar="PID", help="with --frames: who it is")
    add("--camera", metavar="NAME", help="with --frames: number or name of the camera")
    add(
        "--range16",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="with --frames: values of 16-bit images that become black and white (default: the "
        "0.5th and 99.5th percentile of the folder)",
    )
    add("--time", metavar="TIME", help="when it was recorded, as 2024-05-01T10:00:00")
    add("--target", required=True, metavar="FILE.npz|GALLERY", help="a file, or a gallery's folder")
    add("--device", default="auto", help="default: auto")
    add("--config", metavar="NAME_OR_FILE", help="for a checkpoint that holds none")


def run(arguments: argparse.Namespace) -> int:
    """Embed tracklets, except those that the gallery already holds.

    Raises:
        UserError: If the arguments do not fit together, or the model, the data or the target
            cannot be used.
    """
    check_target(arguments.target)
    if (arguments.data is None) == (arguments.frames is None):
        raise UserError("give either --data (prepared tracklets) or --frames (a folder of images)")
    if arguments.frames and not arguments.modality:
        raise UserError("--frames needs --modality infrared or --modality visible")
    if arguments.range16 and not arguments.frames:
        raise UserError("--range16 is for --frames; prepared data were spread when prepared")
    check_time(arguments.time)
    from ..api import load
    from ..engine.progress import LiveLine, logging_to

    with logging_to(None, LiveLine()):
        model = load(arguments.model, arguments.device, arguments.config)
        if arguments.frames:
            _embed_frames(model, arguments)
        else:
            _embed_prepared(model, arguments)
    return 0


def check_target(target: str) -> None:
    """Refuse a target that is a file of another format than ``.npz``."""
    suffix = Path(target).suffix
    if suffix.lower() in _OTHER_FILES or suffix != ".npz" == suffix.lower():
        raise UserError(
            f"--target {target}: embeddings go into a file .npz (numpy.load reads it, names and "
            f"cameras beside them) or into a gallery's folder; {suffix} files are not written"
        )
    if suffix != ".npz" and Path(target).is_file():
        raise UserError(f"--target {target}: is a file, expected FILE.npz or a gallery's folder")


def mark_of(model: "Embedder", embeddings: Any) -> "ModelMark":
    """Return the mark of embeddings ``[n, d, p]`` of a model."""
    from ..gallery import ModelMark

    d, p = embeddings.shape[1:]
    return ModelMark(model.about["sha256"], (d, p), model.about["metric"])


def check_time(time: str | None) -> None:
    """Refuse a time that is not in ISO 8601 format."""
    from datetime import datetime

    try:
        datetime.fromisoformat(time or "2000-01-01")
    except ValueError as fault:
        raise UserError(
            f"--time: expected a form as 2024-05-01T10:00:00, found {time!r}"
        ) from fault


def _embed_frames(model: "Embedder", arguments: argparse.Namespace) -> None:
    from ..data.words import is_nobody
    from ..gallery import Record

    folder = Path(arguments.frames).resolve()
    pid = None if is_nobody(arguments.id or "") else arguments.id
    number, name = _camera_of(arguments.camera)
    record = Record(
        folder.name, arguments.modality, pid, number, arguments.time, str(folder.parent), name
    )
    _keep(
        model,
        model.embed_folder(folder, arguments.modality, arguments.range16),
        [record],
        arguments.target,
    )
    sys.stdout.write(f"1 tracklet: {record.path} -> {arguments.target}\n")


def _embed_prepared(model: "Embedder", arguments: argparse.Namespace) -> None:
    import numpy as np

    from ..data.layout import read_partition
    from ..gallery import Gallery, Record

    root = Path(arguments.data)
    partition = read_partition(root / "partition.json")
    chosen = list(_chosen(partition.tracklets, arguments))
    home = str(root.resolve())
    names = camera_names(partition.source)
    records = [
        Record(t.path, t.modality, t.pid, t.camid, arguments.time, home, names.get(t.camid))
        for t in chosen
    ]
    to_file = arguments.target.endswith(".npz")
    skipped = 0
    if not to_file and Path(arguments.target, "gallery.json").is_file():
        gallery = Gallery(arguments.target)
        new = [place for place, record in enumerate(records) if record not in gallery]
        skipped = len(records) - len(new)
        chosen, records = [chosen[place] for place in new], [records[place] for place in new]
    share = len(chosen) if to_file else _SHARE
    parts = []
    for start in range(0, len(chosen), max(1, share)):
        some = replace(partition, tracklets=chosen[start : start + share], tasks={}, pairs=[])
        parts.append(model.embed_prepared(root, some))
        if not to_file:
            _keep(model, parts.pop(), records[start : start + share], arguments.target)
    if to_file:
        _keep(model, np.concatenate(parts), records, arguments.target)
    told = f", {skipped} were there already" if skipped else ""
    sys.stdout.write(f"{len(chosen)} tracklets -> {arguments.target}{told}\n")


def camera_names(source: "Mapping[str, Any]") -> dict[int, str]:
    """Return the user's camera names by camera number; empty for data without such names."""
    cameras = source.get("cameras")
    found = cameras.items() if isinstance(cameras, dict) else ()
    return {n: name for name, n in found if isinstance(n, int) and name != str(n)}


def _camera_of(word: str | None) -> tuple[int | None, str | None]:
    """Return number and name of a camera: a number has no name, a name no number."""
    if word is None:
        return None, None
    return (int(word), None) if word.isdecimal() else (None, word)


def _chosen(tracklets: "list[Tracklet]", arguments: argparse.Namespace) -> "Iterator[Tracklet]":
    wanted = [
        tracklet
        for tracklet in tracklets
        if arguments.split in ("all", tracklet.split)
        and arguments.modality in (None, tracklet.modality)
    ]
    if not wanted:
        known = ", ".join(sorted({tracklet.split for tracklet in tracklets}))
        raise UserError(
            f"{arguments.data}: no tracklet of the split {arguments.split!r} and the modality "
            f"{arguments.modality or 'any'} (splits: {known})"
        )
    others = sorted(
        {tracklet.split for tracklet in tracklets} - {tracklet.split for tracklet in wanted}
    )
    if others:
        logger.info(
            "only the split %s; --split all takes %s, too", arguments.split, " and ".join(others)
        )
    yield from wanted


def _keep(model: "Embedder", embeddings: Any, records: "list[Record]", target: str) -> None:
    """Write embeddings to a file, or append them to a gallery, created if necessary."""
    mark = mark_of(model, embeddings)
    if target.endswith(".npz"):
        from ..gallery.files import EmbeddingFile, write_embeddings

        checkpoint = model.about["checkpoint"]
        write_embeddings(Path(target), EmbeddingFile(embeddings, records, mark, checkpoint))
        return
    from ..gallery import Gallery

    there = Path(target, "gallery.json").is_file()
    checkpoint = str(Path(model.about["checkpoint"]).resolve())
    gallery = Gallery(target) if there else Gallery.create(target, mark, checkpoint)
    gallery.add(embeddings, records, mark)
