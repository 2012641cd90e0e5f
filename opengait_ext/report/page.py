"""One self-contained HTML page of a tested run: no network, no other file.

Every text of a run is escaped by the template or, for the rank lists, passed as JSON that the
page's script inserts as text. The content security policy of the page forbids it to load
anything and to run any script but its own.
"""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.layout import FRAMES, Tracklet
from ..escaping import POLICY, escaped
from ..evaluation.inputs import Embedded
from ..evaluation.metrics import cmc_curve
from . import analysis, svg
from .projection import Projection, project
from .ranking import Ranking, ReportError, ranked
from .sources import Sources
from .thumbnails import Thumbnails, make_thumbnails

_ASSETS = Path(__file__).with_name("assets")
LIMIT = 20_000_000  # maximum bytes of a page
_RESERVE = 200_000  # bytes kept free for what the page says about the pictures
MAP_LIMIT = 2000  # maximum tracklets on the map
_RANKS = 20
_TOLERANCE = 1e-4  # allowed difference of recomputed scores: order of sums, near ties

Maps = Callable[[Sequence[int], int], dict[int, str]]


class Lists(NamedTuple):
    """The rank lists in the form of the page's script, and the tracklets that they show."""

    directions: dict[str, list[list[Any]]]
    shown: list[int]
    left_out: int


def make_page(
    sources: Sources, places: int = 10, limit: int = LIMIT, maps: Maps | None = None
) -> str:
    """Return the HTML of the page.

    Args:
        sources: The files of the run.
        places: Number of nearest gallery tracklets to show per query.
        limit: Maximum bytes of the page; pictures become smaller, then fewer.
        maps: Function from positions in the partition and a maximum of bytes to pictures of
            silhouettes and gait maps; None: no such pictures.

    Raises:
        ReportError: If jinja2 is missing, the run cannot be ranked again, or the limit is too low.
    """
    split, metric = str(sources.record.result["split"]), str(sources.record.result["metric"])
    tracklets = sources.partition.tracklets
    embedded = Embedded(sources.embeddings, sources.positions, sources.partition)
    rankings = ranked(embedded, split, metric, places, sources.record.result.get("rerank"))
    lists = rank_lists(rankings, limit // 4)
    facts = {
        "sources": sources,
        "record": sources.record,
        "places": places,
        "check": recomputed(sources.record.directions, rankings),
        "sections": [_section(name, each, sources) for name, each in rankings.items()],
        "cmc": svg.match_curves({
            spoken(name): list(cmc_curve(each.scores.first_hit, _RANKS))
            for name, each in rankings.items()
        }),
        "map": _map(sources, rankings, metric),
        "curves": _curves(sources.curves),
        "lists": lists,
        "limit": limit,
    }  # fmt: skip
    empty = _rendered(facts, _data(tracklets, lists, Thumbnails({}, 0, 0, 0), {}))
    room = limit - len(empty.encode()) - _RESERVE
    if room < 0:
        raise ReportError(
            f"the page takes {len(empty.encode()):,} bytes without any picture, {limit:,} are "
            "allowed; show fewer places (--top)"
        )
    stream = str((sources.record.config.get("data_cfg") or {}).get("stream", FRAMES))
    pictures = make_thumbnails(
        sources.root, tracklets, lists.shown, room if maps is None else room * 2 // 3, stream
    )
    used = sum(map(len, pictures.pictures.values()))
    gait = maps(lists.shown, room - used) if maps else {}
    return _rendered(facts, _data(tracklets, lists, pictures, gait), pictures, gait)


def spoken(name: str) -> str:
    """Return the name of a direction as words."""
    return name.replace("_", " ")


def recomputed(
    stored: Mapping[str, Mapping[str, float]], ranked: Mapping[str, Ranking]
) -> dict[str, Any]:
    """Compare the scores of the rank lists with those of the record.

    Args:
        stored: Scores of the record, by direction and name.
        ranked: Rankings by direction.

    Returns:
        ``largest``, the largest difference of R1, mAP and mINP, and whether they ``agree``.
    """
    differences = [
        abs(value - stored.get(name, {}).get(score, math.nan))
        for name, each in ranked.items()
        for score, value in zip(("R1", "mAP", "mINP"), analysis.whole(each, name)[2:], strict=True)
        if score in stored.get(name, {}) and not math.isnan(value)
    ]
    largest = max(differences, default=math.nan)
    return {"largest": largest, "agree": largest <= _TOLERANCE}


def rank_lists(ranked: Mapping[str, Ranking], budget: int) -> Lists:
    """Return the rank lists for the page and their tracklets, the worst queries' first.

    Each list is ``[query, AP, mINP, rank of the first match, matches, nearest, distances]``;
    scores are null where the gallery holds no match.

    Args:
        ranked: Rankings by direction.
        budget: Maximum bytes of all lists; the best queries are left out beyond it.
    """
    order = sorted(
        (_or_zero(each.scores.average_precision[row]), name, row)
        for name, each in ranked.items()
        for row in range(len(each.query))
    )
    shown: dict[int, None] = {}
    kept: dict[str, list[tuple[int, list[Any]]]] = {name: [] for name in ranked}
    used = taken = 0
    for _, name, row in order:
        each = ranked[name]
        line = _line(each, row)
        used += len(json.dumps(line))
        if used > budget:
            break
        taken += 1
        kept[name].append((row, line))
        shown.update(dict.fromkeys([line[0], *line[5]]))
    lists = {name: [line for _, line in sorted(lines)] for name, lines in kept.items()}
    return Lists(lists, list(shown), len(order) - taken)


def _line(each: Ranking, row: int) -> list[Any]:
    scores = each.scores
    first = scores.first_hit[row]
    scored, found = not np.isnan(first), bool(np.isfinite(first))
    return [
        int(each.query[row]),
        round(float(scores.average_precision[row]), 6) if scored else None,
        round(float(scores.inverse_negative_penalty[row]), 6) if scored else None,
        int(first) if found else None,
        int(each.matches[row]),
        each.nearest[row].tolist(),
        [float(f"{distance:.6g}") for distance in each.distances[row]],
    ]


def _or_zero(score: float) -> float:
    return 0.0 if np.isnan(score) else float(score)


def _section(name: str, each: Ranking, sources: Sources) -> dict[str, Any]:
    """Return the facts and charts about one direction."""
    tracklets = sources.partition.tracklets
    shown = analysis.histogram(each.intra, each.inter)
    means = (each.intra.mean, each.inter.mean)
    return {
        "name": spoken(name),
        "modality": spoken(name).split(" to ")[0],
        "intra": means[0],
        "inter": means[1],
        "pairs": (each.intra.pairs, each.inter.pairs),
        "histogram": svg.distance_histogram(*shown, means),
        "groups": [
            ("query camera", analysis.by_camera(each, tracklets)),
            ("query length", analysis.by_length(each, tracklets)),
            ("worst identities", analysis.hardest_identities(each, tracklets)),
        ],
        "whole": analysis.whole(each, "all queries"),
        "cameras": each.cameras,
        "wrong": analysis.wrong_firsts(each, tracklets),
    }


def _map(sources: Sources, ranked: Mapping[str, Ranking], metric: str) -> dict[str, Any]:
    tracklets = sources.partition.tracklets
    members = sorted(
        {int(place) for each in ranked.values() for place in (*each.query, *each.gallery)}
    )
    chosen = map_members(tracklets, members, MAP_LIMIT)
    rows = {int(position): row for row, position in enumerate(sources.positions)}
    points: Projection = project(sources.embeddings[[rows[place] for place in chosen]], metric)
    facts = [vars(tracklets[place]) for place in chosen]
    return {
        "picture": svg.scatter(points.points, facts),
        "method": points.method,
        "shown": len(chosen),
        "all": len(members),
        "identities": sorted({tracklets[place].pid for place in chosen}),
    }


def map_members(tracklets: Sequence[Tracklet], members: Sequence[int], limit: int) -> list[int]:
    """Draw whole identities (seed 0) until no further one fits; return everything if it fits."""
    of_identity: dict[str, list[int]] = {}
    for place in members:
        of_identity.setdefault(tracklets[place].pid, []).append(place)
    if len(members) <= limit:
        return list(members)
    chosen: list[int] = []
    pids = sorted(of_identity)
    for number in np.random.default_rng(0).permutation(len(pids)):
        if len(chosen) + len(of_identity[pids[number]]) <= limit:
            chosen += of_identity[pids[number]]
    return sorted(chosen)


def _curves(curves: Mapping[str, tuple[list[float], list[float]]]) -> list[tuple[str, list[str]]]:
    """Return the training curves in two groups: those to look at first, and the rest."""
    groups: dict[str, list[str]] = {"first": [], "rest": []}
    for name, (steps, values) in curves.items():
        head = name.split("/")[0]
        scored = "_to_" in name or head == "mean" or name.endswith(("mAP", "/accuracy"))
        first = head in ("loss", "learning_rate") or scored
        groups["first" if first else "rest"].append(svg.training_curve(name, steps, values))
    return [(name, pictures) for name, pictures in groups.items() if pictures]


def _data(
    tracklets: Sequence[Tracklet], lists: Lists, pictures: Thumbnails, gait: Mapping[int, str]
) -> str:
    """Return the rank lists as JSON that cannot close the HTML element around it."""
    content = {
        "tracklets": {
            str(place): [*map(escaped, (one.path, one.pid)), one.camid, one.modality, one.frames]
            for place in lists.shown
            for one in (tracklets[place],)
        },
        "lists": lists.directions,
        "pictures": {str(place): picture for place, picture in pictures.pictures.items()},
        "maps": {str(place): picture for place, picture in gait.items()},
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _rendered(
    facts: Mapping[str, Any],
    data: str,
    pictures: Thumbnails | None = None,
    gait: Mapping[int, str] | None = None,
) -> str:
    try:
        import jinja2
    except ImportError:
        raise ReportError("the page is written with jinja2: pip install jinja2") from None
    from markupsafe import Markup

    style, script = ((_ASSETS / name).read_text(encoding="utf-8")
                     for name in ("page.css", "page.js"))  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escaped(value, "\n") if type(value) is str else value,
    )
    environment.filters |= {
        "percent": lambda value: "-" if math.isnan(value) else f"{100 * value:.2f}",
        "drawn": Markup,  # charts escape their texts themselves
        "json": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        "spoken": spoken,
    }
    return environment.get_template("page.html").render(
        **facts,
        style=Markup(style),
        script=Markup(script),
        policy=Markup(f"{POLICY}; script-src 'sha256-{digest}'"),
        data=Markup(data),
        pictures=pictures or Thumbnails({}, 0, 0, 0),
        gait=gait or {},
    )
