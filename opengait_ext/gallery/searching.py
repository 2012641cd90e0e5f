"""Choice of the search method of a gallery."""

import importlib.util
import logging

import numpy as np

from ..data.words import modality_of
from .candidates import FLAT, CandidateSearch
from .disk import Gallery
from .exact import ExactSearch
from .records import GalleryError, Hits, check_embeddings

logger = logging.getLogger(__name__)


class Searcher:
    """Search among the tracklets of one modality, or of both.

    Args:
        gallery: The gallery to search, by its ``method``.
        modality: Modality of the tracklets to search; None: both.

    Raises:
        GalleryError: If there is nothing to search, or faiss is requested but not installed.
    """

    def __init__(self, gallery: Gallery, modality: str | None = None) -> None:
        self._mark = gallery.mark
        modality = modality and (modality_of(modality) or modality)
        self._rows = gallery.rows_of(modality)
        if not len(self._rows):
            raise GalleryError(_nothing(gallery, modality))
        self._search: ExactSearch | CandidateSearch
        self._search = ExactSearch(gallery.embeddings, self._rows, gallery.mark.metric)
        if _wants_faiss(gallery.method, len(self._rows)):
            candidates = CandidateSearch(gallery, modality)
            if candidates.enough or gallery.method == "faiss":
                self._search = candidates
            else:
                logger.warning("faiss is not used, it would miss too much: %s",
                               candidates.described)  # fmt: skip

    @property
    def described(self) -> str:
        """Return the method, and its recall where it is not exact, for the user."""
        return self._search.described

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, queries: np.ndarray, k: int, names: list[str] | None = None) -> Hits:
        """Return the k nearest rows to each of ``[q, d, p]``.

        Args:
            queries: Embeddings of the gallery's model.
            k: Number of rows per query; fewer if the gallery has fewer.
            names: Names of the queries, for messages.

        Raises:
            GalleryError: If a query is not finite or of another shape, or k is below 1.
        """
        if k < 1:
            raise GalleryError(f"the number of tracklets to find is {k}; expected 1 or more")
        names = names or [f"query {place}" for place in range(len(queries))]
        return self._search(check_embeddings(queries, names, self._mark), k)


def _nothing(gallery: "Gallery", modality: str | None) -> str:
    """Return the message for a search among no tracklets, with the remedy."""
    add = "opengait-ext embed RUN --data DIR"
    which = f"no {modality} tracklet" if modality else "no tracklet"
    there = f"{gallery.folder}: there is {which} to search ({len(gallery)} tracklets in all"
    if modality is None or not len(gallery):
        return f"{there}). Add some: {add} --target {gallery.folder}"
    other = gallery.records[int(gallery.rows_of()[0])].modality
    return (
        f"{there}, {other}). Search among these: --among {other}; or add others: {add} "
        f"--modality {modality} --target {gallery.folder}"
    )


def _wants_faiss(method: str, rows: int) -> bool:
    if method != "auto":
        return method == "faiss"
    return rows > FLAT and importlib.util.find_spec("faiss") is not None
