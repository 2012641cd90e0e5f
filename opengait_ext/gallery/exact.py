"""Exact search: compare every row. The reference for other searches."""

from typing import NamedTuple

import numpy as np
import torch

from ..evaluation.distance import part_distance
from ..evaluation.embeddings import as_tensor
from .records import Hits

_BLOCK = 8192  # rows compared at a time, at most
_ELEMENTS = 2**23  # numbers of those rows
_QUERIES = 256
_FEW = 4  # up to this number of queries, preparing a block costs more than it saves


class ExactSearch(NamedTuple):
    """Search that compares all rows, a block at a time.

    Attributes:
        embeddings: ``[n, d, p]``, may be mapped from a file.
        rows: The rows to search, ascending.
        metric: ``euclidean`` or ``cosine``.
    """

    embeddings: np.ndarray
    rows: np.ndarray
    metric: str

    @property
    def described(self) -> str:
        """Return the method, for the user."""
        return "exact, all compared"

    def __call__(self, queries: np.ndarray, k: int) -> Hits:
        """Return the k nearest rows to each of ``[q, d, p]``."""
        parts = [
            self._nearest(queries[start : start + _QUERIES], k)
            for start in range(0, len(queries), _QUERIES)
        ]
        return Hits(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _nearest(self, queries: np.ndarray, k: int) -> Hits:
        best: list[np.ndarray] = [np.empty(0, np.int64)] * len(queries)
        distances: list[np.ndarray] = [np.empty(0, np.float32)] * len(queries)
        margin = k + 8  # ordered() breaks near ties, because it rounds less
        step = min(_BLOCK, max(1, _ELEMENTS // int(np.prod(self.embeddings.shape[1:]))))
        for start in range(0, len(self.rows), step):
            rows = self.rows[start : start + step]
            block = self._block(queries, rows)
            few = min(margin, len(rows))
            for place, found in enumerate(block):
                bound = np.partition(found, few - 1)[few - 1]
                near = np.flatnonzero(found <= bound)
                merged = np.concatenate([distances[place], found[near]])
                names = np.concatenate([best[place], rows[near]])
                order = np.lexsort((names, merged))[:margin]
                best[place], distances[place] = names[order], merged[order]
        return ordered(queries, self.embeddings, best, self.metric, k)

    def _block(self, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the distances ``[q, b]`` to some rows."""
        others = _taken(self.embeddings, rows)
        if len(queries) > _FEW:
            return part_distance(queries, others, self.metric).numpy()
        return np.stack([paired_distance(query, others, self.metric) for query in queries])


def ordered(
    queries: np.ndarray, embeddings: np.ndarray, rows: list[np.ndarray], metric: str, k: int
) -> Hits:
    """Order candidates by their distance, computed pair by pair; ties by row, the earlier first.

    Args:
        queries: ``[q, d, p]``.
        embeddings: ``[n, d, p]``.
        rows: The candidate rows of each query; all queries have equally many after the cut to k.
        metric: ``euclidean`` or ``cosine``.
        k: Number of candidates to keep per query.
    """
    hits = []
    for query, candidates in zip(queries, rows, strict=True):
        distance = paired_distance(query, _taken(embeddings, candidates), metric)
        order = np.lexsort((candidates, distance))[:k]
        hits.append((candidates[order], distance[order]))
    return Hits(*(np.stack(columns) for columns in zip(*hits, strict=True)))


def paired_distance(query: np.ndarray, others: np.ndarray, metric: str) -> np.ndarray:
    """Return the distance of one embedding ``[d, p]`` to each of ``[c, d, p]``: float32 ``[c]``.

    The differences are computed directly, not through inner products as in
    ``evaluation.distance``, so that a pair has the same distance whichever pairs are computed
    with it. Roots and quotients are added in float64, so that the order of the parts does not
    separate equal distances.
    """
    x, y = as_tensor(query.T), as_tensor(others.swapaxes(1, 2))  # [p, d], [c, p, d]
    if metric == "euclidean":
        return (y - x).square_().sum(2).double().sqrt_().mean(1).float().numpy()
    lengths = (x * x).sum(1).double() * (y * y).sum(2).double()  # squared, [c, p]
    cosines = (y * x).sum(2).double() / torch.where(lengths > 0, lengths, 1).sqrt_()
    return (1 - cosines.mean(1)).float().numpy()


def _taken(embeddings: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return some rows of ``[n, d, p]`` in the gallery's memory layout, part by part."""
    return embeddings.swapaxes(1, 2)[rows].swapaxes(1, 2)
