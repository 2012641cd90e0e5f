"""What a gallery holds of a tracklet, and the interface that every store of embeddings has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..data.words import modality_of
from ..errors import UserError
from ..escaping import some

_MOST = 2**24  # of either side of an embedding


class GalleryError(UserError):
    """A gallery is missing, damaged or in use, or embeddings do not belong into it."""


@dataclass(frozen=True)
class ModelMark:
    """Tells embeddings of one model from those of another; equal marks can be compared.

    Attributes:
        checkpoint: SHA-256 of the checkpoint's file.
        shape: ``(d, p)`` of an embedding.
        metric: ``euclidean`` or ``cosine``, the mean over the parts.
    """

    checkpoint: str
    shape: tuple[int, int]
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """Gives the mark for JSON."""
        return {"checkpoint": self.checkpoint, "shape": list(self.shape), "metric": self.metric}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "ModelMark":
        """Gives the mark that ``to_dict`` has written.

        Raises:
            KeyError, TypeError, ValueError: If it is none.
        """
        d, p = content["shape"]
        if not all(type(side) is int and 1 <= side < _MOST for side in (d, p)):
            raise ValueError(f"shape: expected two numbers from 1, found {ascii((d, p))[:60]}")
        return cls(str(content["checkpoint"]), (d, p), str(content["metric"]))

    def __str__(self) -> str:
        return f"checkpoint {self.checkpoint[:12]}, [d, p] {list(self.shape)}, {self.metric}"


@dataclass(frozen=True)
class Record:
    """What is known of a tracklet beside its embedding.

    Attributes:
        path: Its name below ``root``; no two tracklets of a gallery have the same of both.
        modality: ``visible`` or ``infrared``; other words for them (``rgb``, ``ir``) become these.
        pid: The identity; None: unknown.
        camid: The camera's number; None: unknown.
        time: When it was recorded, ISO 8601; None: unknown.
        root: Folder of the images, for thumbnails.
        camera: The name that the user gave to the camera; None: it has a number only.
    """

    path: str
    modality: str
    pid: str | None = None
    camid: int | None = None
    time: str | None = None
    root: str = ""
    camera: str | None = None

    def __post_init__(self) -> None:
        """Write the modality as all else does."""
        object.__setattr__(self, "modality", modality_of(self.modality) or self.modality)


class Hits(NamedTuple):
    """Holds what is nearest to each query, nearest first; of equal distances the earlier row.

    Attributes:
        rows: int64 ``[q, k]``; ``k`` is less than asked for if the gallery has fewer.
        distances: float32 ``[q, k]``.
    """

    rows: np.ndarray
    distances: np.ndarray


class VectorStore(Protocol):
    """A store of embeddings: a folder here; a distributed vector database can be another."""

    def __len__(self) -> int:
        """Gives the number of tracklets that a search can find."""

    def add(self, embeddings: np.ndarray, records: Sequence[Record], mark: ModelMark) -> None:
        """Adds ``[n, d, p]`` embeddings; all of them, or none if it raises GalleryError."""

    def get(self, row: int) -> tuple[Record, np.ndarray]:
        """Gives a tracklet and its embedding ``[d, p]``."""


def check_embeddings(embeddings: np.ndarray, names: Sequence[str], mark: ModelMark) -> np.ndarray:
    """Gives embeddings as float32 ``[n, d, p]``, if they are such.

    Args:
        embeddings: As a model gave them.
        names: Of the tracklets, for the message.
        mark: Of their model.

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
    """Refuses embeddings that hold NaN or infinity.

    Raises:
        GalleryError: With the names of the tracklets.
    """
    wrong = ~np.isfinite(embeddings).all(axis=(1, 2))
    if wrong.any():
        named = [name for name, bad in zip(names, wrong, strict=True) if bad]
        raise GalleryError(
            f"{some(named)}: {len(named)} of {len(names)} embeddings are not finite. Look at the "
            "frames and at the losses of the training, or embed with precision float32"
        )
