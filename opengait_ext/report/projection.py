"""A map of the embeddings in two dimensions: t-SNE by scikit-learn if it is there, else PCA."""

from typing import NamedTuple

import numpy as np

_FEWEST = 8  # below, t-SNE has no neighborhoods to keep
_COMPONENTS = 50  # that t-SNE begins with


class Projection(NamedTuple):
    """Holds where each tracklet stands on the map.

    Attributes:
        points: ``[m, 2]``, in 0..1.
        method: How it was made, for the reader.
    """

    points: np.ndarray
    method: str


def project(embeddings: np.ndarray, metric: str, seed: int = 0) -> Projection:
    """Gives a map on which near tracklets should stand near.

    Source of t-SNE: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008.

    Args:
        embeddings: ``[m, d, p]``.
        metric: ``"cosine"``: every part is brought to length 1 before.
        seed: For t-SNE.
    """
    flat = embeddings.astype(np.float32)
    if metric == "cosine":
        flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    flat = flat.reshape(len(flat), -1)
    components, share = principal_components(flat, _COMPONENTS)
    try:
        from sklearn.manifold import TSNE
    except ImportError as fault:
        why = f"t-SNE needs scikit-learn: {fault}; pip install scikit-learn"
        return _by_variance(components, share, why)
    if len(flat) < _FEWEST:
        return _by_variance(components, share, "too few tracklets for t-SNE")
    perplexity = min(30.0, (len(flat) - 1) / 3)
    points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(components)
    how = f"t-SNE (scikit-learn, perplexity {perplexity:.0f}) of {components.shape[1]} components"
    return Projection(_in_unit_square(points), how)


def principal_components(flat: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gives the coordinates along the directions of largest variance.

    By way of the products of the rows, so that the number of columns does not matter.

    Args:
        flat: ``[m, c]``.
        count: At most so many directions.

    Returns:
        Coordinates ``[m, n]`` and the share of the variance of each, ``[n]``, both by falling
        variance; the sign is such that the largest coordinate is positive.
    """
    centered = flat - flat.mean(0)
    products = (centered @ centered.T).astype(np.float64)
    values, vectors = np.linalg.eigh(products)
    count = min(count, *flat.shape)
    values, vectors = values[::-1][:count].clip(0), vectors[:, ::-1][:, :count]
    coordinates = vectors * np.sqrt(values)
    largest = coordinates[np.abs(coordinates).argmax(0), np.arange(count)]
    shares = values / max(float(np.trace(products)), 1e-12)
    return coordinates * np.where(largest < 0, -1, 1), shares


def _by_variance(components: np.ndarray, share: np.ndarray, why: str) -> Projection:
    points = np.zeros((len(components), 2))
    points[:, : min(2, components.shape[1])] = components[:, :2]
    how = f"PCA, two components with {100 * float(share[:2].sum()):.0f} % of the variance ({why})"
    return Projection(_in_unit_square(points), how)


def _in_unit_square(points: np.ndarray) -> np.ndarray:
    """Moves and scales the map, both axes by one factor."""
    low, high = points.min(0), points.max(0)
    span = float((high - low).max()) or 1.0
    return (points - (low + high) / 2) / span + 0.5
