"""``opengait-ext embed``: tracklets to embeddings, into a file or a gallery."""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from ..api import Embedder
    from ..data.layout import Tracklet
    from ..gallery import ModelMark, Record

HELP = "embed prepared tracklets, or a folder of frames, with a trained model"
_SHARE = 512  # tracklets that are appended at a time: what a kill can cost


def add_arguments(add: Callable[..., Any]) -> None:
    """Says what the command takes."""
    add("model", metavar="RUN", help="the folder of a run, or a checkpoint (.pt)")
    add("--data", metavar="DIR", help="prepared data, the folder of partition.json")
    add("--split", default="test", help="train, val, test or all (default: test)")
    add("--frames", metavar="FOLDER", help="instead of --data: images of one person's walk")
    add(
        "--modality",
        choices=("infrared", "visible"),
        help="of --frames; with --data: only these tracklets",
    )
    add("--id", metavar="PID", help="with --frames: who it is")
    add("--camera", type=int, metavar="N", help="with --frames: number of the camera")
    add("--time", metavar="TIME", help="when it was recorded, as 2024-05-01T10:00:00")
    add("--target", required=True, metavar="FILE.npz|GALLERY", help="a file, or a gallery's folder")
    add("--device", default="auto", help="default: auto")
    add("--config", metavar="NAME_OR_FILE", help="for a checkpoint that holds none")


def run(arguments: argparse.Namespace) -> int:
    """Embeds; tracklets that the gallery has already are left out.

    Raises:
        UserError: If the arguments do not fit each other, or as the model and the target say.
    """
    if (arguments.data is None) == (arguments.frames is None):
        raise UserError("give either --data (prepared tracklets) or --frames (a folder of images)")
    if arguments.frames and not arguments.modality:
        raise UserError("--frames needs --modality infrared or --modality visible")
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


def mark_of(model: "Embedder", embeddings: Any) -> "ModelMark":
    """Gives the mark of embeddings ``[n, d, p]`` of a model."""
    from ..gallery import ModelMark

    d, p = embeddings.shape[1:]
    return ModelMark(model.about["sha256"], (d, p), model.about["metric"])


def check_time(time: str | None) -> None:
    """Refuses a time that is not in ISO form."""
    from datetime import datetime

    try:
        datetime.fromisoformat(time or "2000-01-01")
    except ValueError as fault:
        raise UserError(
            f"--time: expected a form as 2024-05-01T10:00:00, found {time!r}"
        ) from fault


def _embed_frames(model: "Embedder", arguments: argparse.Namespace) -> None:
    from ..gallery import Record

    folder = Path(arguments.frames).resolve()
    record = Record(
        folder.name, arguments.modality, arguments.id, arguments.camera, arguments.time,
        str(folder.parent),
    )  # fmt: skip
    _keep(model, model.embed_folder(folder, arguments.modality), [record], arguments.target)
    sys.stdout.write(f"1 tracklet: {record.path} -> {arguments.target}\n")


def _embed_prepared(model: "Embedder", arguments: argparse.Namespace) -> None:
    import numpy as np

    from ..data.layout import read_partition
    from ..gallery import Gallery, Record

    root = Path(arguments.data)
    partition = read_partition(root / "partition.json")
    chosen = list(_chosen(partition.tracklets, arguments))
    home = str(root.resolve())
    records = [
        Record(tracklet.path, tracklet.modality, tracklet.pid, tracklet.camid, arguments.time, home)
        for tracklet in chosen
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
    yield from wanted


def _keep(model: "Embedder", embeddings: Any, records: "list[Record]", target: str) -> None:
    """Writes embeddings to a file, or appends them to a gallery, which is made if need be."""
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
