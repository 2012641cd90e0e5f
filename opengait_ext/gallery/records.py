"""Records of gallery tracklets, and the interface of every store of embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..data.words import modality_of
from ..errors import UserError
from ..escaping import some

_MOST = 2**24  # limit of either side of an embedding's shape


class GalleryError(UserError):
    """A gallery is missing, damaged or in use, or embeddings do not belong in it."""


@dataclass(frozen=True)
class ModelMark:
    """Mark of the model that computed embeddings; those of equal marks can be compared.

    Attributes:
        checkpoint: SHA-256 of the checkpoint's file.
        shape: ``(d, p)`` of an embedding.
        metric: ``euclidean`` or ``cosine``, averaged over the parts.
    """

    checkpoint: str
    shape: tuple[int, int]
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """Return the mark for JSON."""
        return {"checkpoint": self.checkpoint, "shape": list(self.shape), "metric": self.metric}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ModelMark":
        """Return the mark that ``to_dict`` wrote.

        Raises:
            KeyError, TypeError, ValueError: If the content is not a mark.
        """
        d, p = content["shape"]
        if not all(type(side) is int and 1 <= side < _MOST for side in (d, p)):
            raise ValueError(f"shape: expected two numbers from 1, found {ascii((d, p))[:60]}")
        return cls(str(content["checkpoint"]), (d, p), str(content["metric"]))

    def __str__(self) -> str:
        return f"checkpoint {self.checkpoint[:12]}, [d, p] {list(self.shape)}, {self.metric}"


@dataclass(frozen=True)
class Record:
    """Metadata of a tracklet.

    Attributes:
        path: Its name below ``root``; no two tracklets of a gallery share both.
        modality: ``visible`` or ``infrared``; other words (``rgb``, ``ir``) are converted.
        pid: The identity; None: unknown.
        camid: The camera's number; None: unknown.
        time: Time of the recording, ISO 8601; None: unknown.
        root: Folder of the images, for thumbnails.
        camera: The user's name for the camera; None: it has only a number.
    """

    path: str
    modality: str
    pid: str | None = None
    camid: int | None = None
    time: str | None = None
    root: str = ""
    camera: str | None = None

    def __post_init__(self) -> None:
        """Convert the modality to ``visible`` or ``infrared``."""
        object.__setattr__(self, "modality", modality_of(self.modality) or self.modality)


class Hits(NamedTuple):
    """The nearest rows to each query, nearest first; ties by row, the earlier first.

    Attributes:
        rows: int64 ``[q, k]``; ``k`` is smaller than asked for if the gallery has fewer rows.
        distances: float32 ``[q, k]``.
    """

    rows: np.ndarray
    distances: np.ndarray


class VectorStore(Protocol):
    """A store of embeddings: a folder here; could also be a distributed vector database."""

    def __len__(self) -> int:
        """Return the number of tracklets that a search can find."""

    def add(self, embeddings: np.ndarray, records: Sequence[Record], mark: ModelMark) -> None:
        """Add ``[n, d, p]`` embeddings; all of them, or none if it raises GalleryError."""

    def get(self, row: int) -> tuple[Record, np.ndarray]:
        """Return the record of a row and its embedding ``[d, p]``."""


def check_embeddings(embeddings: np.ndarray, names: Sequence[str], mark: ModelMark) -> np.ndarray:
    """Check embeddings and return them as float32 ``[n, d, p]``.

    Args:
        embeddings: The output of a model.
        names: Names of the tracklets, for the message.
        mark: Mark of their model.

    Raises:
        GalleryError: If the shape is not that of the mark, or a number is not finite.
    """
    embeddings = np.asarray(embeddings)
    shape = embeddings.shape
    named = some(names) or "no tracklet"
    if len(shape) != 3 or len(names) != shape[0] or shape[1:] != mark.shape:
        raise GalleryError(
            f"{named}: the embeddings are {list(shape)} for {len(names)} tracklets; expected "
            f"[tracklets, {mark.shape[0]}, {mark.shape[1]}]. Embed the tracklets again with the "
            "model of this gallery"
        )
    check_finite(embeddings, names)
    return embeddings.astype("<f4", copy=False)


def check_finite(embeddings: np.ndarray, names: Sequence[str]) -> None:
    """Refuse embeddings that hold NaN or infinity.

    Raises:
        GalleryError: If there is one; the message names the tracklets.
    """
    wrong = ~np.isfinite(embeddings).all(axis=(1, 2))
    if wrong.any():
        named = [name for name, bad in zip(names, wrong, strict=True) if bad]
        raise GalleryError(
            f"{some(named)}: {len(named)} of {len(names)} embeddings are not finite. Look at the "
            "frames and at the losses of the training, or embed with precision float32"
        )
