"""Protocols of gait recognition as data: which types query which, and how views are counted.

``GAIT_PROTOCOLS`` holds the published ones, to be copied into a partition; no code depends on a
protocol's name.

================  ================================================================================
probe             Types of the probes, by condition: ``{"NM": ["nm-05", "nm-06"]}``.
gallery           Types of the gallery: one list for all conditions, or one per condition.
probe_types       ``exact`` (default), or ``substring``: a type matches if it contains a listed one.
gallery_types     The same for the gallery.
view_until        The view is the folder name before this text (``"_"`` for CCPG, whose folders
                  start with the camera); not given: the whole folder name.
pool_views        Whether to treat all views as one, for data without view labels; default false.
identical_view    Whether probe and gallery of one view count in the mean; default false.
decimals          Decimals to which each accuracy, in percent, is rounded before the mean (OpenGait:
                  2); not given: not rounded.
ranks             Ranks to report; default [1].
================  ================================================================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .faults import EvaluationError

_KINDS = ("exact", "substring")
_STEP_VIEWS = {"probe_types": "exact", "identical_view": False, "decimals": 2}


def _walks(kind: str, *numbers: int) -> list[str]:
    """Return CASIA-B's names of the walks of one kind: ``bg-01``."""
    return [f"{kind}-{number:02d}" for number in numbers]


# Parts of the names of SUSTech1K's walks; all names begin with the walk's number.
_SUSTECH1K = {
    "Normal": "01-nm", "Bag": "bg", "Clothing": "cl", "Carrying": "cr", "Umbrella": "ub",
    "Uniform": "uf", "Occlusion": "oc", "Night": "nt",
}  # fmt: skip

GAIT_PROTOCOLS: dict[str, dict[str, Any]] = {
    "gait_casia_b": {
        "name": "gait_casia_b",
        "probe": {"NM": _walks("nm", 5, 6), "BG": _walks("bg", 1, 2), "CL": _walks("cl", 1, 2)},
        "gallery": _walks("nm", 1, 2, 3, 4),
        **_STEP_VIEWS,
    },
    "gait_oumvlp": {
        "name": "gait_oumvlp",
        "probe": {"NM": ["00"]},
        "gallery": ["01"],
        **_STEP_VIEWS,
    },
    "gait_sustech1k": {
        "name": "gait_sustech1k",
        "probe": {
            **{condition: [word] for condition, word in _SUSTECH1K.items()},
            "Overall": ["01", "02", "03", "04"],
        },
        "gallery": ["00-nm"],
        **_STEP_VIEWS,
        "probe_types": "substring",
        "gallery_types": "substring",
        "ranks": [1, 5],
    },
    "gait_ccpg": {
        "name": "gait_ccpg",
        "probe": {
            "CL": ["U0_D0_BG", "U0_D0"],
            "UP": ["U3_D3"],
            "DN": ["U1_D0"],
            "BG": ["U0_D0_BG"],
        },
        "gallery": {
            "CL": ["U1_D1", "U2_D2", "U3_D3"],
            "UP": ["U0_D3"],
            "DN": ["U1_D1"],
            "BG": ["U0_D0"],
        },
        **_STEP_VIEWS,
        "view_until": "_",
    },
    **{
        name: {
            "name": name,
            "probe": {"all": probe},
            "gallery": gallery,
            **_STEP_VIEWS,
            "pool_views": True,
            "identical_view": True,
            "ranks": [1, 5, 10, 20],
        }
        for name, probe, gallery in (
            ("gait_grew", ["02"], ["01"]),  # GREW's own score comes from its server
            ("gait_hid2021", ["1"], ["0"]),
            ("gait_ttg200", ["2", "3", "4", "5", "6"], ["1"]),
        )
    },
}


@dataclass(frozen=True)
class Rules:
    """A checked protocol; the fields are those of the table above."""

    probe: Mapping[str, Sequence[str]]
    gallery: Mapping[str, Sequence[str]]
    probe_substring: bool
    gallery_substring: bool
    view_until: str
    pooled: bool
    identical_view: bool
    decimals: int | None
    ranks: Sequence[int]


def checked(content: Mapping[str, Any]) -> Rules:
    """Return the rules of a protocol of views.

    Args:
        content: The mapping ``protocol`` of a partition.

    Raises:
        EvaluationError: If a value is invalid.
    """
    probe, gallery = content.get("probe"), content.get("gallery")
    if not isinstance(probe, Mapping) or not probe or not all(map(_texts, probe.values())):
        raise EvaluationError(
            f"the partition's protocol says probe: {probe!r}; expected the types of the probes by "
            "condition, as in {'NM': ['nm-05', 'nm-06']}"
        )
    by_condition: Mapping[str, Any] = (
        gallery if isinstance(gallery, Mapping) else dict.fromkeys(probe, gallery)
    )
    if set(by_condition) != set(probe) or not all(map(_texts, by_condition.values())):
        raise EvaluationError(
            f"the partition's protocol says gallery: {gallery!r}; expected the types of the "
            f"gallery, a list or one for each of {', '.join(probe)}"
        )
    kinds = [content.get(key, "exact") for key in ("probe_types", "gallery_types")]
    decimals, ranks = content.get("decimals"), content.get("ranks", [1])
    for key, value, right, expected in (
        ("probe_types", kinds[0], kinds[0] in _KINDS, " or ".join(_KINDS)),
        ("gallery_types", kinds[1], kinds[1] in _KINDS, " or ".join(_KINDS)),
        ("decimals", decimals, decimals is None or type(decimals) is int, "a number of decimals"),
        ("ranks", ranks, _numbers(ranks), "numbers from 1, as in [1, 5]"),
    ):
        if not right:
            raise EvaluationError(
                f"the partition's protocol says {key}: {value!r}; expected {expected}"
            )
    return Rules(
        probe,
        by_condition,
        kinds[0] == "substring",
        kinds[1] == "substring",
        str(content.get("view_until") or ""),
        bool(content.get("pool_views", False)),
        bool(content.get("identical_view", False)),
        decimals,
        ranks,
    )


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_text, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _numbers(value: Any) -> bool:
    listed = isinstance(value, (list, tuple)) and bool(value)
    return listed and all(type(rank) is int and rank >= 1 for rank in value)
