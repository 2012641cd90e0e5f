"""Protocols of retrieval as data: what a ranking leaves out and how it is scored.

A protocol is the mapping ``protocol`` in ``partition.json``. Missing keys have defaults, so
``{"name": "vcm", "ignore": "same_pid_camid", "min_frames": 12}`` is complete.
``PROTOCOLS`` holds the published ones, to be copied into a partition; no code depends on a
protocol's name.

======================  ===========================================================================
ignore                  Gallery tracklets that a query's ranking leaves out: ``none``;
                        ``same_pid_camid``, those with the query's identity and camera number;
                        ``same_location``, those of any identity from a camera at the query's
                        place, including the query's own camera. Required.
locations               For ``same_location``: camera to place, ``{"3": 2}``; a camera that is not
                        listed is at the place with its own number.
junk                    Identities left out of all rankings, such as ``["-1"]``.
gallery_cameras         Cameras of the gallery; default all.
cmc                     ``first_hit`` (default) or ``distinct_identities``, see ``metrics``.
ap                      ``hits`` (default) or ``trapezoid``, see ``metrics``.
unmatched               How a query without a match in the gallery counts: ``skip`` (default), not
                        at all; ``count_as_zero``, as a miss in all scores.
trials                  ``{"count": 10, "per_camera": 1, "seed": 0}``: ``count`` galleries, each of
                        ``per_camera`` random tracklets (all, if there are fewer) of every identity
                        in every camera; the mean counts. Trial t draws from Python's
                        ``random.Random(seed + t)``, by identity, camera, then path in natural
                        order (T2, T10), the order of the published files, whose numbers have
                        leading zeros.
swapped                 Directions in which the drawn gallery queries the partition's queries.
======================  ===========================================================================
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..ordering import natural_key
from .faults import EvaluationError


def _same_pid_camid(match: np.ndarray, same_place: np.ndarray) -> np.ndarray:
    return match & same_place


def _nothing(match: np.ndarray, same_place: np.ndarray) -> np.ndarray:
    return np.zeros_like(match)


def _same_location(match: np.ndarray, same_place: np.ndarray) -> np.ndarray:
    return same_place


# Tracklets left out of each ranking, from [b, g] same identity and [b, g] same camera or place.
CAMERA_RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "same_pid_camid": _same_pid_camid,
    "none": _nothing,
    "same_location": _same_location,
}

CHOICES = {
    "ignore": tuple(CAMERA_RULES),
    "cmc": ("first_hit", "distinct_identities"),
    "ap": ("hits", "trapezoid"),
    "unmatched": ("skip", "count_as_zero"),
}
_FURTHER = ("locations", "junk", "gallery_cameras", "trials", "swapped")
_TRIALS = {"count": 10, "per_camera": 1, "seed": 0}


def _drawn(name: str, cameras: Sequence[int], per_camera: int) -> dict[str, Any]:
    return {
        "name": name,
        "ignore": "same_location",
        "locations": {"3": 2},
        "cmc": "distinct_identities",
        "gallery_cameras": list(cameras),
        "trials": {**_TRIALS, "per_camera": per_camera},
    }


def _llcm(name: str, swapped: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "ignore": "same_pid_camid",
        "cmc": "distinct_identities",
        "trials": dict(_TRIALS),
        "swapped": list(swapped),
    }


PROTOCOLS: dict[str, dict[str, Any]] = {
    str(content["name"]): content
    for content in (
        {"name": "vcm", "ignore": "same_pid_camid", "min_frames": 12},
        {"name": "bupt_official", "ignore": "none"},
        {"name": "bupt_m3reid", "ignore": "same_pid_camid"},
        _drawn("sysu_all_single", (1, 2, 4, 5), 1),
        _drawn("sysu_all_multi", (1, 2, 4, 5), 10),
        _drawn("sysu_indoor_single", (1, 2), 1),
        _drawn("sysu_indoor_multi", (1, 2), 10),
        {"name": "regdb", "ignore": "none"},
        _llcm("llcm_strict", ()),
        _llcm("llcm_paper_code", ("visible_to_infrared",)),
        {
            "name": "mars",
            "ignore": "same_pid_camid",
            "junk": ["-1", "00-1"],
            "ap": "trapezoid",
            "unmatched": "count_as_zero",
        },
        {"name": "ccpg_reid", "ignore": "same_pid_camid"},
    )
}


@dataclass(frozen=True)
class Trials:
    """The rules for drawing galleries; see the table above."""

    count: int
    per_camera: int
    seed: int


@dataclass(frozen=True)
class Protocol:
    """A checked protocol; the fields are those of the table above."""

    ignore: str
    cmc: str = "first_hit"
    ap: str = "hits"
    unmatched: str = "skip"
    locations: Mapping[int, int] | None = None
    junk: frozenset[str] = frozenset()
    gallery_cameras: frozenset[int] | None = None
    trials: Trials | None = None
    swapped: frozenset[str] = frozenset()

    def places(self, camids: np.ndarray) -> np.ndarray:
        """Return the place of each camera number, ``[n]``."""
        if self.ignore != "same_location":
            return camids
        known = self.locations or {}
        return np.array([known.get(int(camid), int(camid)) for camid in camids])

    def left_out(self, match: np.ndarray, same_place: np.ndarray) -> np.ndarray:
        """Return which pairs are left out, bool ``[b, g]``, from same identity and same place."""
        return CAMERA_RULES[self.ignore](match, same_place)


def checked(content: Mapping[str, Any]) -> Protocol:
    """Return the checked protocol of a partition.

    Keys other than those of the table, such as ``min_frames``, are facts for the reader of a
    result.

    Args:
        content: The mapping ``protocol`` of the partition.

    Raises:
        EvaluationError: If a value is invalid, or a key looks misspelled.
    """
    known = (*CHOICES, *_FURTHER)
    for key in content:
        near = get_close_matches(str(key), known, n=1, cutoff=0.85)
        if near and key not in known:
            raise EvaluationError(
                f"the partition's protocol has a key {key!r}; did you mean {near[0]!r}?"
            )
    return Protocol(
        **{key: _choice(content, key) for key in CHOICES if key in content or key == "ignore"},
        locations=_valued(content, "locations", _locations, "camera numbers: {'3': 2}"),
        junk=_valued(content, "junk", _texts, "identities: ['-1']") or frozenset(),
        gallery_cameras=_valued(content, "gallery_cameras", _numbers, "camera numbers: [1, 2]"),
        trials=_valued(content, "trials", _trials, f"numbers such as {_TRIALS}, counts from 1"),
        swapped=_valued(content, "swapped", _texts, "names of directions") or frozenset(),
    )


def draw(pids: Sequence[str], camids: Sequence[int], paths: Sequence[str], trials: Trials,
         trial: int) -> np.ndarray:  # fmt: skip
    """Return the positions of a randomly drawn gallery.

    Args:
        pids: Identity of each candidate tracklet.
        camids: Camera number of each.
        paths: Path of each.
        trials: Number of tracklets per camera, and the seed.
        trial: Index of this gallery, from 0.

    Returns:
        Indices of the drawn tracklets, ascending.
    """
    generator = random.Random(trials.seed + trial)
    members: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, (pid, camid) in enumerate(zip(pids, camids, strict=True)):
        members[str(pid), int(camid)].append(place)
    chosen: list[int] = []
    for pid, camid in sorted(members, key=lambda key: (natural_key(key[0]), key[1])):
        there = sorted(members[pid, camid], key=lambda place: natural_key(paths[place]))
        if trials.per_camera == 1:
            chosen.append(generator.choice(there))
        else:
            chosen += generator.sample(there, min(trials.per_camera, len(there)))
    return np.array(sorted(chosen), dtype=np.int64)


def _choice(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if value not in CHOICES[key]:
        kind = "camera rule" if key == "ignore" else key
        raise EvaluationError(
            f"the partition's protocol says {key}: {value!r}; no {kind} is called so "
            f"(known: {', '.join(CHOICES[key])})"
        )
    return str(value)


def _valued(
    content: Mapping[str, Any], key: str, convert: Callable[[Any], Any], expected: str
) -> Any:
    if content.get(key) is None:
        return None
    try:
        return convert(content[key])
    except (TypeError, ValueError, AttributeError):
        raise EvaluationError(
            f"the partition's protocol says {key}: {content[key]!r}; expected {expected}"
        ) from None


def _locations(value: Mapping[str, int]) -> dict[int, int]:
    return {int(camera): int(place) for camera, place in value.items()}


def _texts(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        raise TypeError("a text is no list of texts")
    return frozenset(map(str, value))


def _numbers(value: Any) -> frozenset[int]:
    return frozenset(map(int, value))


def _trials(value: Mapping[str, int]) -> Trials:
    found = Trials(**{key: int(number) for key, number in {**_TRIALS, **value}.items()})
    if min(found.count, found.per_camera) < 1:
        raise ValueError("there is no gallery")
    return found
