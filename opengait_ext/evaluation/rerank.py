"""Re-ranking: distances that also depend on shared neighbors.

Source: Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding",
CVPR 2017, https://arxiv.org/abs/1701.08398; for ``temporal`` the code of Du et al., "Video-based
Visible-Infrared Person Re-Identification with Auxiliary Samples", TIFS 2024 (BUPTCampus).

A re-ranked distance depends on all queries and the whole gallery, including tracklets that a
protocol drops or ignores. It is not a property of a single pair or of the model alone, so a result
names the re-ranking.

Choices that the publications leave open:

- Of equal distances, the one that comes first is nearer, queries before the gallery; a tracklet is
  always its own nearest. So equal tracklets give finite results.
- In the paper, two thirds of shared neighbors suffice; the authors' code and its successors require
  more than two thirds. ``strict``, the default, and ``temporal`` do so too.
- The paper's distance is squared, so a Euclidean distance is squared here unless ``squared`` is
  false. A cosine distance is half a squared distance already and is not squared again.
- BUPTCampus adds 1e-5 under the root of a Euclidean distance, which is NaN when rounding makes the
  square less than -1e-5, and keeps weights in 16 bits. Here the square is clamped at 0, and nothing
  has less than 32 bits.
"""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .embeddings import METRICS, Chosen, Embeddings, as_tensor
from .rerank_encoding import encode, jaccard_blocks, positive
from .rerank_neighbors import TILE, Embedded, Space, find_neighbors

__all__ = ["DEFAULTS", "RerankError", "checked", "described", "rerank_distances"]
__all__ += ["rerank_space", "temporal_distances"]

LARGEST = 1e16  # bound on the numbers of an embedding: squared distances stay finite in float32

Pair = tuple[Embeddings, Embeddings]

# Defaults by type: the values of the publications.
DEFAULTS: dict[str, dict[str, Any]] = {
    "k_reciprocal": {"k1": 20, "k2": 6, "lambda": 0.3, "squared": True, "strict": True},
    "temporal": {"k1": 5, "k2": 3, "lambda": 0.0, "euclidean": 0.8, "all": 0.2, "halves": 0.1},
}


class RerankError(UserError):
    """The settings of a re-ranking are wrong, or the embeddings cannot be re-ranked."""


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked settings, with defaults filled in.

    Args:
        settings: ``type``, and values that differ from ``DEFAULTS``. ``k1`` and ``k2`` are
            numbers of tracklets; ``lambda`` in [0, 1] is the weight of the original distance,
            the Jaccard distance has the rest.

    Returns:
        ``type`` and all its settings.

    Raises:
        RerankError: For an unknown type or key, or a value of the wrong kind or range.
    """
    if not isinstance(settings, Mapping):
        raise RerankError(
            f"rerank is {settings!r}; expected a mapping, as in {{type: k_reciprocal, k1: 20}}"
        )
    kind = settings.get("type")
    if not isinstance(kind, str) or kind not in DEFAULTS:
        raise RerankError(
            f"rerank.type is {kind!r}{_hint(kind, DEFAULTS)}; expected one of: "
            f"{', '.join(DEFAULTS)}"
        )
    defaults = DEFAULTS[kind]
    for key in settings:
        if key != "type" and key not in defaults:
            raise RerankError(
                f"rerank.{key} is unknown for the type {kind}{_hint(key, defaults)} "
                f"(known: {', '.join(defaults)})"
            )
    complete = {"type": kind, **defaults, **settings}
    for key in defaults:
        _check_value(key, complete[key])
    if kind == "temporal" and not any(complete[key] for key in ("euclidean", "all", "halves")):
        raise RerankError(
            "rerank.euclidean, rerank.all and rerank.halves are all 0; expected one above 0, "
            "or every distance is 0"
        )
    return complete


def described(settings: Mapping[str, Any]) -> str:
    """Return the settings as text, for the legend of a result.

    Args:
        settings: As in ``checked``.

    Raises:
        RerankError: As in ``checked``.
    """
    full = checked(settings)
    lists = f"k1 {full['k1']}, k2 {full['k2']}, lambda {full['lambda']:g}"
    if full["type"] == "temporal":
        return (
            f"temporal k-reciprocal ({lists}; {full['euclidean']:g} distance + {full['all']:g} "
            f"all + {full['halves']:g} each way of halves)"
        )
    squared = "squared" if full["squared"] else "not squared"
    share = "more than 2/3" if full["strict"] else "at least 2/3"
    return f"k-reciprocal ({lists}; Euclidean distances {squared}; {share} shared)"


def rerank_distances(
    query: Embeddings, gallery: Embeddings, settings: Mapping[str, Any], metric: str = "euclidean"
) -> Tensor:
    """Return distances re-ranked by k-reciprocal neighbors.

    Args:
        query: ``[q, d, p]``.
        gallery: ``[g, d, p]``.
        settings: Settings of type ``k_reciprocal``, see ``checked``.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.

    Returns:
        ``[q, g]`` in [0, 1], float32 or float64, on the device of the embeddings:
        (1 - lambda) * Jaccard distance + lambda * distance, the latter divided by the query's
        largest distance to any tracklet.

    Raises:
        RerankError: If the settings are wrong or of type ``temporal``, which needs more
            embeddings; if the metric is unknown, the shapes are wrong, or an embedding is not
            finite.
    """
    full = checked(settings)
    if full["type"] != "k_reciprocal":
        raise RerankError(
            f"rerank.type is {full['type']!r}, which needs embeddings of all frames and of both "
            "halves of each tracklet; expected k_reciprocal, or call temporal_distances"
        )
    squared = full["squared"] and metric == "euclidean"
    return rerank_space(_space((query, gallery), metric), full, squared, full["strict"])


def temporal_distances(
    all_frames: Pair,
    first_half: Pair,
    second_half: Pair,
    settings: Mapping[str, Any] | None = None,
    metric: str = "euclidean",
) -> Tensor:
    """Return distances re-ranked by k-reciprocal neighbors under three samplings of frames.

    The result is ``euclidean`` * distance + ``all`` * KR(all, all) + ``halves`` * (KR(first,
    second) + KR(second, first)), where KR(a, b) is the re-ranked distance from sampling a of the
    queries to sampling b of the gallery. The distance is not normalized: its weight depends on
    the norm of the embeddings, which is 1 per network in BUPTCampus' code.

    Args:
        all_frames: Query ``[q, d, p]`` and gallery ``[g, d, p]``, from all frames.
        first_half: The same tracklets, from the first half of their frames.
        second_half: The same tracklets, from the second half.
        settings: Settings of type ``temporal``, see ``checked``. None: the published values.
        metric: ``"euclidean"`` or ``"cosine"``, mean over the parts.

    Returns:
        ``[q, g]``, float32 or float64, on the device of the embeddings.

    Raises:
        RerankError: If the settings are wrong or of another type, the metric is unknown, the
            shapes are wrong or differ, or an embedding is not finite.
    """
    full = checked({"type": "temporal"} if settings is None else settings)
    if full["type"] != "temporal":
        raise RerankError(f"rerank.type is {full['type']!r}; expected temporal")
    shapes = [
        [list(embeddings.shape) for embeddings in pair]
        for pair in (all_frames, first_half, second_half)
    ]
    if shapes[1:] != shapes[:1] * 2:
        raise RerankError(
            f"temporal re-ranking: query and gallery of all frames, first and second half have the "
            f"shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; expected the same three times"
        )
    total = rerank_space(
        _space(all_frames, metric), full, False, True, (full["all"], full["euclidean"])
    )
    for query, gallery in (
        (first_half[0], second_half[1]),
        (second_half[0], first_half[1]),
    ):
        crossed = rerank_space(_space((query, gallery), metric), full, False, True)
        total.add_(crossed, alpha=full["halves"])
    return total


@torch.no_grad()
def rerank_space(
    space: Space,
    settings: Mapping[str, Any],
    squared: bool,
    strict: bool,
    weights: tuple[float, float] = (1, 0),
) -> Tensor:
    """Return re-ranked distances from any source of distances.

    Args:
        space: Distances among queries and gallery.
        settings: Complete settings of either type; ``k1``, ``k2`` and ``lambda`` are used.
        squared: Whether to square the distances.
        strict: Whether more than two thirds of the neighbors must be shared.
        weights: Weight of the re-ranked distance, and weight of the distance added to it.

    Returns:
        ``[q, g]``.
    """
    k1, k2, share = settings["k1"], settings["k2"], settings["lambda"]
    neighbors = find_neighbors(space, max(k1 + 1, k2))
    encoding = encode(space, neighbors, k1, k2, squared, strict)
    queries = encoding.rows(0, space.queries)
    gallery = encoding.rows(space.queries, space.size)
    total = neighbors.across  # overwritten in place, because it may be the largest tensor
    for start, block in jaccard_blocks(queries, gallery, space.size):
        rows = slice(start, start + len(block))
        block.mul_(1 - share)
        if share:
            relative = total[rows] / positive(neighbors.farthest[rows])[:, None]
            block.add_(relative.square_() if squared else relative, alpha=share)
        total[rows].mul_(weights[1]).add_(block, alpha=weights[0])
        assert total[rows].max().isfinite()  # max propagates NaN
    return total


def _space(pair: Pair, metric: str) -> Space:
    """Return the distances of checked embeddings."""
    if metric not in METRICS:
        raise RerankError(f"no metric is called {metric!r} (known: {', '.join(METRICS)})")
    query, gallery = (side if isinstance(side, Chosen) else as_tensor(side) for side in pair)
    for embeddings in (query, gallery):
        wrong = embeddings.ndim != 3 or 0 in embeddings.shape
        if wrong or embeddings.shape[1:] != query.shape[1:]:
            raise RerankError(
                f"re-ranking: query {list(query.shape)} and gallery {list(gallery.shape)}; "
                "expected [tracklets, embedding, parts], none of them 0, the last two equal"
            )
    for name, embeddings in (("query", query), ("gallery tracklet", gallery)):
        _check_finite(name, embeddings)
    return Embedded(query, gallery, metric)


def _check_finite(name: str, embeddings: Tensor | Chosen) -> None:
    for start in range(0, len(embeddings), TILE):
        low, high = torch.aminmax(embeddings[start : start + TILE].flatten(1), dim=1)
        wrong = ~((low >= -LARGEST) & (high <= LARGEST))  # both comparisons are false for NaN
        if wrong.any():
            row = int(wrong.nonzero()[0])
            raise RerankError(
                f"re-ranking: the embedding of {name} {start + row} (counted from 0) reaches from "
                f"{float(low[row])} to {float(high[row])}; expected finite numbers within "
                f"{LARGEST:g}. Look at the losses of the training, or test in float32"
            )


def _check_value(key: str, value: Any) -> None:
    """Raise an error for a value of the wrong kind or range."""
    if key in ("squared", "strict"):
        right, expected = isinstance(value, bool), "true or false"
    elif key in ("k1", "k2"):
        right = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        expected = "a whole number of at least 1"
    else:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        highest = 1 if key == "lambda" else math.inf
        right = number and math.isfinite(value) and 0 <= value <= highest
        expected = "a number from 0 to 1" if key == "lambda" else "a finite number of at least 0"
    if not right:
        raise RerankError(f"rerank.{key} is {value!r}; expected {expected}")


def _hint(name: Any, known: Mapping[str, Any]) -> str:
    near = get_close_matches(str(name), known, n=1)
    return f" - did you mean {near[0]!r}?" if near else ""
