"""Embeddings that are kept and searched: who in the gallery is this?

Nothing here needs torch until a search is made.
"""

from .disk import Gallery
from .records import GalleryError, Hits, ModelMark, Record, VectorStore

__all__ = ["Gallery", "GalleryError", "Hits", "ModelMark", "Record", "VectorStore"]
