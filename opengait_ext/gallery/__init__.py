"""Storage and search of embeddings: which gallery tracklets match a query?

Torch is imported by the first search, not before.
"""

from .disk import Gallery
from .records import GalleryError, Hits, ModelMark, Record, VectorStore

__all__ = ["Gallery", "GalleryError", "Hits", "ModelMark", "Record", "VectorStore"]
