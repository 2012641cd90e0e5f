"""What a search found, in the form of JSON and as lines."""

from typing import Any

import numpy as np

from ..escaping import escaped
from .disk import Gallery
from .files import EmbeddingFile
from .records import GalleryError, Hits, check_embeddings
from .searching import Searcher

OTHER = {"infrared": "visible", "visible": "infrared"}


def answered(
    gallery: Gallery,
    query: EmbeddingFile,
    among: str = "other",
    top: int = 10,
    threshold: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Searches for every query.

    Args:
        gallery: What is searched.
        query: Embeddings with records.
        among: ``visible``, ``infrared``, ``any``, or ``other``: of the modality that the query
            is not of.
        top: How many for each query.
        threshold: ``distance`` and where it comes from; None: nobody is ever "nobody".

    Returns:
        ``gallery``, ``model``, ``threshold``, ``searches`` (how, and how many tracklets, by
        modality) and ``queries``, each with ``nobody`` (None without a threshold) and ``matches``.

    Raises:
        GalleryError: If a query or the gallery is unfit.
    """
    names = [record.path for record in query.records]
    embeddings = check_embeddings(query.embeddings, names, gallery.mark)
    if not names:
        raise GalleryError("there is no query")
    searches: dict[str, Any] = {}
    answers: dict[int, dict[str, Any]] = {}
    wanted = [{"any": "any", "other": OTHER[r.modality]}.get(among, among) for r in query.records]
    for kind in sorted(set(wanted)):
        places = [place for place, each in enumerate(wanted) if each == kind]
        search = Searcher(gallery, None if kind == "any" else kind)
        hits = search(embeddings[places], top, [names[place] for place in places])
        searches[kind] = {"tracklets": len(search), "how": search.described}
        if threshold and "wanted_far" in threshold:
            searches[kind]["expected_false_accepts"] = threshold["wanted_far"] * len(search)
        for place, rows, distances in zip(places, *hits, strict=True):
            matches = _matches(gallery, Hits(rows, distances), threshold)
            answers[place] = {"nobody": _nobody(matches, threshold), "matches": matches}
    return {
        "gallery": str(gallery.folder),
        "model": {**gallery.mark.to_dict(), "path": gallery.state.checkpoint},
        "threshold": threshold,
        "searches": searches,
        "queries": [
            {**record.__dict__, "among": wanted[place], **answers[place]}
            for place, record in enumerate(query.records)
        ],
    }


def told(answer: dict[str, Any]) -> list[str]:
    """Gives the lines that tell an answer."""
    lines = []
    for query in answer["queries"]:
        lines.append(f"{escaped(query['path'])} ({query['modality']}) among {query['among']}:")
        if query["nobody"]:
            limit = answer["threshold"]["distance"]
            lines.append(f"  nobody: nothing is nearer than {limit:.4f}")
        lines += [
            f"  {match['rank']:>3}  {match['distance']:.4f}"
            f"{'' if match['near'] is not False else ' (too far)'}"
            f"  {_shown(match['pid'])}  camera {_shown(match['camid'])}  {escaped(match['path'])}"
            + (f"  {escaped(match['time'])}" if match["time"] else "")
            for match in query["matches"]
        ]
    for kind, search in answer["searches"].items():
        lines.append(f"{kind}: {search['tracklets']} tracklets; {search['how']}")
    threshold = answer["threshold"]
    lines.append(
        f"threshold {threshold['distance']:.4f}, {threshold['source']}"
        if threshold
        else "no threshold: run opengait-ext calibrate, and a stranger can be told as nobody"
    )
    for search in answer["searches"].values():
        if "expected_false_accepts" in search:
            lines.append(
                f"a stranger is nearer than that to {search['expected_false_accepts']:.1f} of "
                f"{search['tracklets']} tracklets on average"
            )
    return lines


def _matches(gallery: Gallery, hits: Hits, threshold: dict[str, Any] | None) -> list[Any]:
    return [
        {
            "rank": rank,
            "row": int(row),
            "distance": float(distance),
            # As in calibration, equal is not nearer.
            "near": bool(distance < np.float32(threshold["distance"])) if threshold else None,
            **gallery.records[row].__dict__,
        }
        for rank, (row, distance) in enumerate(zip(*hits, strict=True), start=1)
    ]


def _nobody(matches: list[Any], threshold: dict[str, Any] | None) -> bool | None:
    return not matches[0]["near"] if threshold else None


def _shown(value: Any) -> str:
    return "?" if value is None else escaped(value)
