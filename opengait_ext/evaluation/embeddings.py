"""Embeddings as the distances take them: of all tracklets, or of some that are chosen."""

import numpy as np
import torch
from torch import Tensor

METRICS = ("euclidean", "cosine")


class Chosen:
    """Some tracklets of many embeddings, copied only a slice at a time.

    Args:
        embeddings: ``[N, d, p]``.
        rows: ``[n]``, which of them, in which order.
    """

    def __init__(self, embeddings: Tensor, rows: Tensor) -> None:
        self._embeddings, self._rows = embeddings, rows
        self.shape = torch.Size((len(rows), *embeddings.shape[1:]))
        self.ndim, self.dtype = embeddings.ndim, embeddings.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        return self._embeddings[self._rows[which]]


Embeddings = Tensor | np.ndarray | Chosen


def readable(embeddings: Embeddings) -> Tensor | Chosen:
    """Return what is read by slices, without gradient."""
    return embeddings if isinstance(embeddings, Chosen) else as_tensor(embeddings)


def as_tensor(embeddings: Tensor | np.ndarray) -> Tensor:
    """Return a tensor without gradient; the memory of a writable array is shared."""
    if isinstance(embeddings, np.ndarray):
        embeddings = np.require(embeddings, requirements=["C", "W"])
    return torch.as_tensor(embeddings).detach()


def precision_of(embeddings: Tensor | Chosen) -> torch.dtype:
    """Return the precision of distances of such embeddings."""
    return torch.float64 if embeddings.dtype == torch.float64 else torch.float32


def check(query: Tensor | Chosen, gallery: Tensor | Chosen, metric: str, block_size: int) -> None:
    """Refuse what cannot be compared; see ``distance_blocks``."""
    if metric not in METRICS:
        raise ValueError(f"no metric is called {metric!r} (known: {', '.join(METRICS)})")
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; expected at least 1 query")
    for name, embeddings in (("query", query), ("gallery", gallery)):
        if embeddings.ndim != 3 or 0 in embeddings.shape:
            raise ValueError(
                f"the {name} embeddings have the shape {list(embeddings.shape)}; expected "
                "[tracklets, embedding, parts] and none of them 0"
            )
    if query.shape[1:] != gallery.shape[1:]:
        raise ValueError(
            f"query and gallery differ in [embedding, parts]: {list(query.shape[1:])} and "
            f"{list(gallery.shape[1:])}; both must come from the same model"
        )
