"""Results of a search, for JSON and as lines of text."""

from typing import Any

import numpy as np

from ..data.words import modality_of
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
    """Search the gallery for every query.

    Args:
        gallery: The gallery to search.
        query: Embeddings with records.
        among: Modality to search: ``visible``, ``infrared`` (or ``rgb``, ``ir``), ``any``, or
            ``other``, the modality that the query does not have.
        top: Number of matches per query.
        threshold: ``distance`` and its source; None: no query is reported as "nobody".

    Returns:
        ``gallery``, ``model``, ``threshold``, ``searches`` (method and number of tracklets, by
        modality) and ``queries``, each with ``nobody`` (None without a threshold that holds),
        ``matches``, and ``itself``: whether the query is in the gallery. It is never its own match.

    Raises:
        GalleryError: If a query does not fit the gallery's model, or there is nothing to search.
    """
    names = [record.path for record in query.records]
    embeddings = check_embeddings(query.embeddings, names, gallery.mark)
    if not names:
        raise GalleryError("there is no query")
    if top < 1:
        raise GalleryError(f"the number of tracklets to find is {top}; expected 1 or more")
    among = modality_of(among) or among
    searches: dict[str, Any] = {}
    answers: dict[int, dict[str, Any]] = {}
    wanted = [{"any": "any", "other": OTHER[r.modality]}.get(among, among) for r in query.records]
    own = _own_rows(gallery, query, wanted)
    for kind in sorted(set(wanted)):
        places = [place for place, each in enumerate(wanted) if each == kind]
        search = Searcher(gallery, None if kind == "any" else kind)
        most = top + max(len(own[place]) for place in places)
        hits = search(embeddings[places], most, [names[place] for place in places])
        searches[kind] = {"tracklets": len(search), "how": search.described}
        is_across = all(query.records[place].modality != kind != "any" for place in places)
        if threshold and "wanted_far" in threshold and is_across:
            searches[kind]["expected_false_accepts"] = threshold["wanted_far"] * len(search)
        for place, rows, distances in zip(places, *hits, strict=True):
            found = _without(own[place], Hits(rows, distances), top)
            matches = _matches(gallery, found, threshold, query.records[place].modality)
            nobody, itself = _nobody(matches, threshold), bool(own[place])
            answers[place] = {"nobody": nobody, "itself": itself, "matches": matches}
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
    """Return an answer as lines of text."""
    lines = []
    for query in answer["queries"]:
        lines.append(f"{escaped(query['path'])} ({query['modality']}) among {query['among']}:")
        if query["nobody"]:
            limit = answer["threshold"]["distance"]
            lines.append(f"  nobody: nothing is nearer than {limit:.4f}")
        lines += [
            f"  {match['rank']:>3}  {match['distance']:.4f}"
            f"{'' if match['near'] is not False else ' (too far)'}"
            f"  {_shown(match['pid'])}  camera {_camera(match)}  {escaped(match['path'])}"
            + (f"  {escaped(match['time'])}" if match["time"] else "")
            for match in query["matches"]
        ]
        if not query["matches"]:
            lines.append("  the gallery holds nothing else to compare it with")
        if query["itself"]:
            lines.append("  (the query itself is in the gallery, and left out)")
    for kind, search in answer["searches"].items():
        lines.append(f"{kind}: {search['tracklets']} tracklets; {search['how']}")
    threshold = answer["threshold"]
    lines.append(
        f"threshold {threshold['distance']:.4f}, {threshold['source']}"
        if threshold
        else "no threshold: run opengait-ext calibrate RUN --data DIR --split test (people whom "
        "the model was not trained on), and a stranger can be told as nobody"
    )
    judged = [match["near"] for query in answer["queries"] for match in query["matches"]]
    if threshold and None in judged:
        lines.append(
            "the threshold was found on pairs of an infrared and a visible tracklet; matches of "
            "the query's own modality are not judged by it"
        )
    for search in answer["searches"].values():
        if "expected_false_accepts" in search:
            lines.append(
                f"a stranger is nearer than that to {search['expected_false_accepts']:.1f} of "
                f"{search['tracklets']} tracklets on average"
            )
    return lines


def _matches(
    gallery: Gallery, hits: Hits, threshold: dict[str, Any] | None, modality: str
) -> list[Any]:
    """Return the matches of one query; a threshold of pairs across judges no other pairs."""
    is_across_only = threshold is not None and "wanted_far" in threshold
    matches = []
    for rank, (row, distance) in enumerate(zip(*hits, strict=True), start=1):
        record, near = gallery.records[row], None
        if threshold and not (is_across_only and record.modality == modality):
            # As in calibration, an equal distance is not nearer.
            near = bool(distance < np.float32(threshold["distance"]))
        about = {"rank": rank, "row": int(row), "distance": float(distance), "near": near}
        matches.append({**about, **record.__dict__})
    return matches


def _nobody(matches: list[Any], threshold: dict[str, Any] | None) -> bool | None:
    if not threshold or matches and matches[0]["near"] is None:
        return None
    return not (matches and matches[0]["near"])


def _without(own: set[int], hits: Hits, top: int) -> Hits:
    """Return the nearest of one query ``[top]`` that are not the query itself."""
    keep = [n for n, row in enumerate(hits.rows.tolist()) if row not in own][:top]
    return Hits(hits.rows[keep], hits.distances[keep])


def _own_rows(gallery: Gallery, query: EmbeddingFile, wanted: list[str]) -> list[set[int]]:
    """Return, for each query, the searched rows that are the same tracklet.

    The same tracklet has the same name below the same root. Below another root it must also have
    the same embedding: the data were moved or copied.
    """
    by_path: dict[str, list[int]] = {record.path: [] for record in query.records}
    for row in gallery.rows_of().tolist():
        if gallery.records[row].path in by_path:
            by_path[gallery.records[row].path].append(row)
    return [
        {
            row
            for row in by_path[record.path]
            if kind in ("any", gallery.records[row].modality)
            and (
                gallery.records[row].root == record.root
                or np.allclose(gallery.embeddings[row], embedding, rtol=1e-3, atol=1e-5)
            )
        }
        for record, embedding, kind in zip(query.records, query.embeddings, wanted, strict=True)
    ]


def _camera(match: dict[str, Any]) -> str:
    return _shown(match["camid"] if match["camera"] is None else match["camera"])


def _shown(value: Any) -> str:
    return "?" if value is None else escaped(value)
