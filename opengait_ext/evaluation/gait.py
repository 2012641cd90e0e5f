"""The view matrix of gait recognition: one accuracy per view of the probe and of the gallery.

No data set is named by the code: what is probe and gallery is data, the mapping ``protocol`` in
``partition.json``. A tracklet's path is ``identity/type/view``; the type says what the person
wears or carries. ``GAIT_PROTOCOLS`` holds the published ones.

================  ================================================================================
probe             By condition, the types of the probes: ``{"NM": ["nm-05", "nm-06"]}``.
gallery           Types of the gallery, a list for all conditions or one by condition.
probe_types       ``exact`` (default), or ``substring``: a type counts if it contains one named.
view_until        The view ends before this text (``"_"`` for CCPG, whose folders begin with the
                  camera); not given: the whole folder name.
identical_view    Whether probe and gallery of one view count in the mean; default false.
decimals          Each accuracy, in percent, is rounded so before the mean, as OpenGait does with
                  2; not given: not rounded.
ranks             Where the curve is read; default [1].
================  ================================================================================

A probe counts whether or not its identity is in the gallery of that view: without, it is wrong.
The mean is that over the views of the probe of the mean over the views of the gallery; a view
that no probe has, or no tracklet of the gallery, is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .distance import distance_blocks
from .faults import EvaluationError, some
from .gait_result import ConditionResult, GaitViewResult
from .inputs import Side, named_embeddings, read_partition, rows_by_path
from .metrics import score_identities

_STEP_VIEWS = {"probe_types": "exact", "identical_view": False, "decimals": 2}

GAIT_PROTOCOLS: dict[str, dict[str, Any]] = {
    "gait_casia_b": {
        "name": "gait_casia_b",
        "probe": {"NM": ["nm-05", "nm-06"], "BG": ["bg-01", "bg-02"], "CL": ["cl-01", "cl-02"]},
        "gallery": ["nm-01", "nm-02", "nm-03", "nm-04"],
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
            "Normal": ["01-nm"],
            "Bag": ["bg"],
            "Clothing": ["cl"],
            "Carrying": ["cr"],
            "Umbrella": ["ub"],
            "Uniform": ["uf"],
            "Occlusion": ["oc"],
            "Night": ["nt"],
            "Overall": ["01", "02", "03", "04"],
        },
        "gallery": ["00-nm"],
        **_STEP_VIEWS,
        "probe_types": "substring",
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
}


@dataclass(frozen=True)
class _Rules:
    """Holds a protocol that was checked; the fields are those of the table above."""

    probe: Mapping[str, Sequence[str]]
    gallery: Mapping[str, Sequence[str]]
    substring: bool
    view_until: str
    identical_view: bool
    decimals: int | None
    ranks: Sequence[int]


def evaluate_gait_views(
    data: Mapping[str, Any],
    dataset: str,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    partition: Any = "",
    split: str = "test",
    block_size: int = 512,
) -> GaitViewResult:
    """Gives one accuracy per condition, view of the probe and view of the gallery.

    Args:
        data: As in ``evaluate_cross_modality``.
        dataset: Name of the data set, for the result.
        metric: Distance between two parts; the mean over the parts counts.
        partition: The path of a ``partition.json``, or what stands in one, with ``TEST_SET``
            (identities) and ``protocol`` as above.
        split: ``test``; another name is a key of the partition with a list of identities.
        block_size: Probes whose distances are held at a time.

    Raises:
        EvaluationError: If the partition cannot be read or lacks something, if the protocol is
            none, if data lack a key, if an embedding is there twice, of an identity that the
            partition does not list, or not finite, or if a condition has no probe or no gallery.
        ValueError: If the metric is unknown or ``block_size`` is below 1.
    """
    key = "TEST_SET" if split == "test" else split
    content = read_partition(partition, (key, "protocol"))
    rules = _checked(content["protocol"])
    embeddings, paths = named_embeddings(data)
    rows_by_path(paths)
    listed = set(map(str, content[key]))
    unknown = [path for path in paths if path.split("/")[0] not in listed]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} embeddings are of identities that {key} of the partition does not "
            f"list: {some(unknown)}. Data and partition.json must come from one preparation"
        )
    pids, types, views = (list(map(str, data[name])) for name in ("labels", "types", "views"))
    if rules.view_until:
        views = [view.split(rules.view_until)[0] for view in views]
    everybody = Side(embeddings, np.arange(len(paths)), paths, np.array(pids), np.array(views))
    conditions = {}
    for name, wanted in rules.probe.items():
        chosen = [
            any(text in kind if rules.substring else text == kind for text in wanted)
            for kind in types
        ]
        probe = everybody.only(np.array(chosen))
        gallery = everybody.only(np.isin(types, list(rules.gallery[name])))
        for side, present in (("probe", probe), ("gallery", gallery)):
            if not len(present):
                raise EvaluationError(
                    f"the condition {name} has no {side}: expected types "
                    f"{list(wanted if side == 'probe' else rules.gallery[name])}, found "
                    f"{some(sorted(set(types)))}"
                )
        conditions[name] = _condition(probe, gallery, rules, metric, block_size)
    protocol = dict(content["protocol"])
    return GaitViewResult(dataset, split, metric, embeddings.shape[2], protocol, conditions)


def _condition(
    probe: Side, gallery: Side, rules: _Rules, metric: str, block_size: int
) -> ConditionResult:
    """Gives the matrices of one condition; the camera of a side is the view here."""
    rows, columns = (np.unique(side.camids).tolist() for side in (probe, gallery))
    ranks = np.full((len(columns), len(probe)), np.nan)
    for start, distance in distance_blocks(probe.chosen, gallery.chosen, metric, block_size):
        block = distance.cpu().numpy()
        pids = probe.pids[start : start + len(block)]
        for number, view in enumerate(columns):
            seen = gallery.camids == view
            scores = score_identities(block[:, seen], pids, gallery.pids[seen])
            ranks[number, start : start + len(block)] = scores.first_hit
    cells = {}
    for rank in rules.ranks:
        hit = ranks <= rank  # false without a match, [gallery views, probes]
        found = np.stack([_percent(hit[:, probe.camids == view]) for view in rows])
        cells[rank] = found if rules.decimals is None else np.round(found, rules.decimals)
    return ConditionResult(
        probes=len(probe),
        gallery=len(gallery),
        identities=len(np.unique(probe.pids)),
        unmatched=[probe.paths[place] for place in np.flatnonzero(np.isnan(ranks).any(0))],
        probe_views=rows,
        gallery_views=columns,
        identical_view=rules.identical_view,
        percent=cells,
    )


def _percent(hit: np.ndarray) -> np.ndarray:
    return hit.sum(1) * 100 / hit.shape[1]


def _checked(content: Mapping[str, Any]) -> _Rules:
    """Gives the rules, if the protocol is one of views."""
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
    kind, decimals = content.get("probe_types", "exact"), content.get("decimals")
    ranks = content.get("ranks", [1])
    for key, value, right, expected in (
        ("probe_types", kind, kind in ("exact", "substring"), "exact or substring"),
        ("decimals", decimals, decimals is None or type(decimals) is int, "a number of decimals"),
        ("ranks", ranks, _numbers(ranks), "numbers from 1, as in [1, 5]"),
    ):
        if not right:
            raise EvaluationError(
                f"the partition's protocol says {key}: {value!r}; expected {expected}"
            )
    return _Rules(
        probe,
        by_condition,
        kind == "substring",
        str(content.get("view_until") or ""),
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
