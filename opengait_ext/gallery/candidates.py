"""Candidate search with FAISS on the concatenated parts, ordered by the exact part distance.

The two distances differ: FAISS compares sums of squared distances instead of means of distances,
and keeps only 2 bits per number. So the search takes more candidates than asked for: enough to find
at least ``WANTED`` of the true nearest, measured against the exact search. If no number of
candidates is enough, ``CandidateSearch`` is not used.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.files import write_json, write_whole
from .disk import Gallery
from .exact import ExactSearch, ordered
from .records import GalleryError, Hits

logger = logging.getLogger(__name__)

WANTED = 0.995  # recall on the sample, so that the recall of other queries is above 0.99
NEAREST = 10  # nearest rows per query in that measurement
QUERIES = 64  # queries in that measurement
FLAT = 20_000  # up to this number of rows, FAISS keeps them unchanged
_FIRST = 64  # candidates tried first
_SLICES = 1024  # slices per row, at most; each becomes 4 bits
_TRAINING = 4096  # rows that the 4 bits are learned from
_ELEMENTS = 2**23  # numbers of the rows that are added at a time
_GROWTH = 1.5  # a gallery that has grown by this factor is measured again


class CandidateSearch:
    """FAISS search for candidates among the tracklets of one modality, or of both.

    The index is stored in the gallery's folder. Rows that were appended since are added to it.

    Args:
        gallery: The gallery to search.
        modality: Modality of the rows to search; None: both.
        sample: Queries ``[q, d, p]`` to measure the recall with. None: rows of the other
            modality, or of the same one if there is no other.

    Attributes:
        candidates: Number of candidates that are ordered exactly; 0 if no number is enough.
        recall: Fraction of the true nearest that is found for the sample.

    Raises:
        GalleryError: If faiss is not installed.
    """

    def __init__(
        self, gallery: Gallery, modality: str | None = None, sample: np.ndarray | None = None
    ) -> None:
        self._faiss = import_faiss()
        self._metric = gallery.mark.metric
        self._embeddings = gallery.embeddings
        self._rows = gallery.rows_of(modality)
        self._exact = ExactSearch(self._embeddings, self._rows, self._metric)
        stem = f"candidates-{gallery.state.generation}-{gallery.removals}-{modality or 'both'}"
        self._path = gallery.folder / f"{stem}.faiss"
        self._index = self._made_index()
        facts = self._noted() if sample is None else self.measure(sample)
        if facts is None:
            facts = self._measured_on_rows(gallery, modality)
            note = facts
            _kept(self._note, lambda: write_json(self._note, note))
        self.candidates, self.recall = int(facts["candidates"]), float(facts["recall"])
        self._sample = f"{facts['queries']} queries, {facts['nearest']} nearest"

    @property
    def described(self) -> str:
        """Return the method and its recall, for the user."""
        return (
            f"faiss, {self.candidates} candidates of {len(self._rows)} ordered exactly; recall "
            f"{self.recall:.4f} against the exact search ({self._sample})"
        )

    @property
    def enough(self) -> bool:
        """Return whether the recall reaches ``WANTED``."""
        return self.recall >= WANTED

    def __call__(self, queries: np.ndarray, k: int) -> Hits:
        """Return the k nearest rows to each of ``[q, d, p]``."""
        return self.nearest(queries, k, self.candidates * max(1, -(-k // NEAREST)))

    def nearest(self, queries: np.ndarray, k: int, candidates: int) -> Hits:
        """Return the k nearest rows among the given number of candidates."""
        count = min(max(candidates, k), len(self._rows))
        _, places = self._index.search(self._flattened(queries), count)
        return ordered(queries, self._embeddings, list(self._rows[places]), self._metric, k)

    def measure(self, queries: np.ndarray, own: np.ndarray | None = None) -> dict[str, Any]:
        """Measure how many candidates reach the recall.

        Args:
            queries: ``[q, d, p]``.
            own: The rows of the queries, if they are in the gallery: no query finds itself.

        Returns:
            ``candidates``, the ``recall`` with them, and the numbers ``queries``, ``nearest`` and
            ``rows``.
        """
        size = len(self._rows)
        k = min(NEAREST, size - (own is not None))
        most = size if size <= FLAT else size // 8
        truth = self._without(self._exact(queries, k + (own is not None)), own, k)
        candidates = min(_FIRST, most)
        while True:
            found = self.nearest(queries, k + (own is not None), candidates)
            # Compare distances, not rows: of rows at equal distance any is right.
            hit = self._without(found, own, k).distances <= truth.distances[:, -1:]
            recall = float(hit.mean())
            if recall >= WANTED or candidates >= most:
                break
            candidates = min(2 * candidates, most)
        return {
            "candidates": candidates, "recall": recall, "queries": len(queries), "nearest": k,
            "rows": size,
        }  # fmt: skip

    @staticmethod
    def _without(hits: Hits, own: np.ndarray | None, k: int) -> Hits:
        """Remove each query's own row, or the last hit where its own row is not among them."""
        if own is None:
            return hits
        keep = hits.rows != own[:, None]
        keep[keep.all(1), -1] = False
        return Hits(*(values[keep].reshape(len(own), k) for values in hits))

    def _measured_on_rows(self, gallery: Gallery, modality: str | None) -> dict[str, Any]:
        searched = set(self._rows.tolist())
        others = [row for row in gallery.rows_of().tolist() if row not in searched]
        if not others and len(self._rows) < 2:
            return {"candidates": 1, "recall": 1.0, "queries": 0, "nearest": 1, "rows": 1}
        pool = np.array(others) if others else self._rows
        rows = np.unique(pool[np.linspace(0, len(pool) - 1, QUERIES).astype(np.int64)])
        return self.measure(np.array(self._embeddings[rows]), None if others else rows)

    @property
    def _note(self) -> Path:
        return self._path.with_suffix(".json")

    def _noted(self) -> dict[str, Any] | None:
        try:
            facts = json.loads(self._note.read_text(encoding="utf-8"))
            return facts if facts["rows"] * _GROWTH >= len(self._rows) else None
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def _made_index(self) -> Any:
        large = len(self._rows) > FLAT
        index = self._read() if large else None
        index = index or self._trained(large)
        first = index.ntotal
        step = max(1, _ELEMENTS // self._width)
        for start in range(first, len(self._rows), step):
            index.add(self._flattened(self._embeddings[self._rows[start : start + step]]))
        if large and first < len(self._rows):
            write = self._faiss.write_index
            _kept(
                self._path,
                lambda: write_whole(self._path, lambda path: write(index, str(path))),
            )
        return index

    def _read(self) -> Any | None:
        """Return the stored index if its rows are the first of these rows."""
        if not self._path.is_file():
            return None
        try:
            index = self._faiss.read_index(str(self._path))
        except RuntimeError:
            return None
        fits = index.d == self._width and index.ntotal <= len(self._rows)
        return index if fits else None

    def _trained(self, large: bool) -> Any:
        if not large:
            return self._faiss.IndexFlatL2(self._width)
        logger.info("making an index of %d tracklets", len(self._rows))
        index = self._faiss.IndexPQFastScan(self._width, self._width // self._slice, 4)
        chosen = np.linspace(0, len(self._rows) - 1, _TRAINING).astype(np.int64)
        index.train(self._flattened(self._embeddings[self._rows[chosen]]))
        return index

    @property
    def _slice(self) -> int:
        """Return how many numbers of a row become 4 bits."""
        return max(2, -(-int(np.prod(self._embeddings.shape[1:])) // _SLICES))

    @property
    def _width(self) -> int:
        """Return the length of a row, padded to whole slices."""
        return -(-int(np.prod(self._embeddings.shape[1:])) // self._slice) * self._slice

    def _flattened(self, embeddings: np.ndarray) -> np.ndarray:
        """Return rows ``[n, width]``; each part has unit length if the metric is cosine."""
        by_part = np.array(embeddings.swapaxes(1, 2), np.float32)  # [n, p, d]
        if self._metric == "cosine":
            by_part /= np.maximum(np.linalg.norm(by_part, axis=2, keepdims=True), 1e-12)
        rows = by_part.reshape(len(by_part), -1)
        return np.pad(rows, ((0, 0), (0, self._width - rows.shape[1])))


def import_faiss() -> Any:
    """Import faiss and return it.

    Raises:
        GalleryError: If it is not installed; the message has the command that installs it.
    """
    try:
        import faiss
    except ImportError as fault:
        raise GalleryError(
            "searching with faiss needs the package faiss-cpu: pip install -c constraints.txt "
            "-e '.[search]'. Without it, search with --method exact"
        ) from fault
    return faiss


def _kept(path: Path, write: Any) -> None:
    """Write a file that only saves time; log a failure and carry on."""
    try:
        write()
    except (OSError, RuntimeError) as fault:  # faiss reports a full disk as RuntimeError
        logger.info("%s is not kept (%s)", path, fault)
