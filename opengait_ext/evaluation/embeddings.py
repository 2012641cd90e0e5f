"""Inputs of the distances: embeddings of all tracklets, or a lazy selection of rows."""

import numpy as np
import torch
from torch import Tensor

METRICS = ("euclidean", "cosine")


class Chosen:
    """A selection of rows of a tensor of embeddings, copied one slice at a time.

    Args:
        embeddings: ``[N, d, p]``.
        rows: ``[n]``, indices of the selected rows, in order.
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
    """Return embeddings without gradient that can be read in slices."""
    return embeddings if isinstance(embeddings, Chosen) else as_tensor(embeddings)


def as_tensor(embeddings: Tensor | np.ndarray) -> Tensor:
    """Return a tensor without gradient; it shares the memory of a writable array."""
    if isinstance(embeddings, np.ndarray):
        embeddings = np.require(embeddings, requirements=["C", "W"])
    return torch.as_tensor(embeddings).detach()


def precision_of(embeddings: Tensor | Chosen) -> torch.dtype:
    """Return the type of the distances between such embeddings."""
    return torch.float64 if embeddings.dtype == torch.float64 else torch.float32


def check(query: Tensor | Chosen, gallery: Tensor | Chosen, metric: str, block_size: int) -> None:
    """Raise an error if two sets cannot be compared; see ``distance_blocks``."""
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
