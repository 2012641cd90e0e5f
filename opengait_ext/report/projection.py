"""Map of the embeddings in two dimensions: t-SNE if scikit-learn is installed, else PCA."""

from typing import NamedTuple

import numpy as np

_FEWEST = 8  # with fewer tracklets, t-SNE has no neighborhoods to preserve
_COMPONENTS = 50  # principal components that t-SNE starts from


class Projection(NamedTuple):
    """Position of each tracklet on the map.

    Attributes:
        points: ``[m, 2]``, in 0..1.
        method: Description of the method, for the reader.
    """

    points: np.ndarray
    method: str


def project(embeddings: np.ndarray, metric: str, seed: int = 0) -> Projection:
    """Return a map on which near tracklets should be near.

    Source of t-SNE: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008.

    Args:
        embeddings: ``[m, d, p]``.
        metric: With ``"cosine"``, every part is normalized to length 1 first.
        seed: Seed of t-SNE.
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
    """Return the coordinates along the directions of largest variance.

    Computed from the inner products of the rows, so that the cost hardly depends on the number of
    columns.

    Args:
        flat: ``[m, c]``.
        count: Maximum number of directions.

    Returns:
        Coordinates ``[m, n]`` and the fraction of the variance of each, ``[n]``, both by
        decreasing variance. The sign makes the coordinate of largest magnitude positive.
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
    """Return the map moved and scaled to 0..1, both axes by one factor."""
    low, high = points.min(0), points.max(0)
    span = float((high - low).max()) or 1.0
    return (points - (low + high) / 2) / span + 0.5
