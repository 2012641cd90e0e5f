"""Files of embeddings: ``.npz`` with a record of each tracklet and the mark of the model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.npz import read_arrays
from ..engine.files import write_whole
from .records import GalleryError, ModelMark, Record, check_embeddings

_TEXTS = ("pid", "modality", "path", "time", "root", "camera")


class EmbeddingFile(NamedTuple):
    """Content of a file of embeddings.

    Attributes:
        embeddings: float32 ``[n, d, p]``.
        records: The n records.
        mark: Mark of the model.
        checkpoint: Path of the model's checkpoint.
    """

    embeddings: np.ndarray
    records: list[Record]
    mark: ModelMark
    checkpoint: str


def write_embeddings(path: Path, content: EmbeddingFile) -> None:
    """Write a file of embeddings atomically.

    Raises:
        GalleryError: If an embedding is not finite or not of the mark's shape.
    """
    records: Sequence[Record] = content.records
    names = [record.path for record in records]
    columns: dict[str, Any] = {
        name: np.array([getattr(record, name) or "" for record in records]) for name in _TEXTS
    }
    cameras = [-1 if record.camid is None else record.camid for record in records]
    model = {**content.mark.to_dict(), "path": content.checkpoint}
    arrays = {
        "embeddings": check_embeddings(content.embeddings, names, content.mark),
        "camid": np.array(cameras, np.int64),
        "model": np.array(json.dumps(model)),
        **columns,
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    write_whole(path, write)


def read_embeddings(path: str | Path) -> EmbeddingFile:
    """Read a file of ``write_embeddings`` without running any code from it.

    Raises:
        GalleryError: If it is not such a file, or does not name its model
            (``test/embeddings.npz`` of a run does not).
    """
    try:
        found = read_arrays(path)
        model = json.loads(str(found["model"]))
        mark = ModelMark.from_dict(model)
        count = len(found["camid"])
        found.setdefault("camera", np.full(count, ""))  # files of earlier versions have no cameras
        columns = [found[name].tolist() for name in _TEXTS]
        records = [
            Record(
                where, modality, pid or None, None if camid < 0 else camid, time or None, root,
                camera or None,
            )
            for pid, modality, where, time, root, camera, camid in zip(
                *columns, found["camid"].tolist(), strict=True
            )
        ]  # fmt: skip
        names = [record.path for record in records]
        embeddings = check_embeddings(found["embeddings"], names, mark)
    except GalleryError as fault:
        raise GalleryError(f"{path}: {fault}") from fault
    except Exception as fault:  # a damaged archive raises almost any error
        reason = f"{type(fault).__name__}: {fault}"
        raise GalleryError(
            f"{path}: not a file of embeddings with their model ({reason}); make it with "
            "opengait-ext embed RUN --data DIR --target FILE.npz"
        ) from fault
    return EmbeddingFile(embeddings, records, mark, str(model["path"]))
