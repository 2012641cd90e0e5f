"""The k nearest by comparing with every row: the reference."""

from typing import NamedTuple

import numpy as np
import torch

from ..evaluation.distance import part_distance
from ..evaluation.embeddings import as_tensor
from .records import Hits

_BLOCK = 8192  # rows compared at a time, at most
_ELEMENTS = 2**23  # numbers of those rows
_QUERIES = 256
_FEW = 4  # queries up to which preparing a block costs more than it saves


class ExactSearch(NamedTuple):
    """Compares with all rows, a block at a time.

    Attributes:
        embeddings: ``[n, d, p]``, may be mapped from a file.
        rows: Those that are searched, ascending.
        metric: ``euclidean`` or ``cosine``.
    """

    embeddings: np.ndarray
    rows: np.ndarray
    metric: str

    @property
    def described(self) -> str:
        """Says how it searches."""
        return "exact, all compared"

    def __call__(self, queries: np.ndarray, k: int) -> Hits:
        """Gives the k nearest to each of ``[q, d, p]``."""
        parts = [
            self._nearest(queries[start : start + _QUERIES], k)
            for start in range(0, len(queries), _QUERIES)
        ]
        return Hits(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _nearest(self, queries: np.ndarray, k: int) -> Hits:
        best: list[np.ndarray] = [np.empty(0, np.int64)] * len(queries)
        distances: list[np.ndarray] = [np.empty(0, np.float32)] * len(queries)
        margin = k + 8  # equal distances are told apart by ordered(), which rounds less
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
        """Gives the distances ``[q, b]`` to some rows."""
        others = _taken(self.embeddings, rows)
        if len(queries) > _FEW:
            return part_distance(queries, others, self.metric).numpy()
        return np.stack([paired_distance(query, others, self.metric) for query in queries])


def ordered(
    queries: np.ndarray, embeddings: np.ndarray, rows: list[np.ndarray], metric: str, k: int
) -> Hits:
    """Orders candidates by the distance, computed pair by pair; of equals, the earlier row first.

    Args:
        queries: ``[q, d, p]``.
        embeddings: ``[n, d, p]``.
        rows: Of each query the candidates; all queries have equally many after the cut to k.
        metric: ``euclidean`` or ``cosine``.
        k: How many stay.
    """
    hits = []
    for query, candidates in zip(queries, rows, strict=True):
        distance = paired_distance(query, _taken(embeddings, candidates), metric)
        order = np.lexsort((candidates, distance))[:k]
        hits.append((candidates[order], distance[order]))
    return Hits(*(np.stack(columns) for columns in zip(*hits, strict=True)))


def paired_distance(query: np.ndarray, others: np.ndarray, metric: str) -> np.ndarray:
    """Gives the distance of one embedding ``[d, p]`` to each of ``[c, d, p]``, ``[c]`` float32.

    Without the detour over products that ``evaluation.distance`` takes, so that the same pair
    has the same distance whichever pairs are computed beside it. Roots and quotients are added in
    float64, so that the order of the parts splits no equal distances.
    """
    x, y = as_tensor(query.T), as_tensor(others.swapaxes(1, 2))  # [p, d], [c, p, d]
    if metric == "euclidean":
        return (y - x).square_().sum(2).double().sqrt_().mean(1).float().numpy()
    lengths = (x * x).sum(1).double() * (y * y).sum(2).double()  # squared, [c, p]
    cosines = (y * x).sum(2).double() / torch.where(lengths > 0, lengths, 1).sqrt_()
    return (1 - cosines.mean(1)).float().numpy()


def _taken(embeddings: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Gives some of ``[n, d, p]``; a gallery's rows lie part by part, and stay so."""
    return embeddings.swapaxes(1, 2)[rows].swapaxes(1, 2)
