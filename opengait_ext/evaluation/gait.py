"""The view matrix of gait recognition: one accuracy per probe view and gallery view.

The code names no data set: probes and galleries are defined by the mapping ``protocol`` in
``partition.json``, see ``gait_protocols``. A tracklet's path is ``identity/type/view``; the type
encodes what the person wears or carries.

A probe whose identity is not in the gallery of a view counts as wrong there. The mean is taken over
the gallery views first, then over the probe views; views without a probe or without a gallery
tracklet are left out.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..escaping import some
from .distance import distance_blocks
from .faults import EvaluationError
from .gait_protocols import GAIT_PROTOCOLS, Rules, checked
from .gait_result import ConditionResult, GaitViewResult
from .inputs import Embedded, Side
from .metrics import score_identities

__all__ = ["GAIT_PROTOCOLS", "evaluate_gait_views"]


def evaluate_gait_views(
    embedded: Embedded,
    dataset: str,
    metric: Literal["euclidean", "cosine"] = "euclidean",
    split: str = "test",
    block_size: int = 512,
) -> GaitViewResult:
    """Return one accuracy per condition, probe view and gallery view.

    Args:
        embedded: Embeddings and the partition, with a ``protocol`` as in ``gait_protocols``.
        dataset: Name of the data set, for the result.
        metric: Distance between two parts; the mean over the parts counts.
        split: ``test`` or another split. ``test`` must have every condition of the protocol;
            in other splits, conditions without a probe or a gallery are left out.
        block_size: Number of probes whose distances are held at a time.

    Raises:
        EvaluationError: If the protocol is not one of views, embeddings are missing or of another
            split, or a condition has no probe or no gallery.
        ValueError: If the metric is unknown or ``block_size`` is below 1.
    """
    content = embedded.partition.protocol
    rules = checked(content)
    _check_listed(embedded, split)
    tracklets = embedded.tracklets
    types, views = [each.type for each in tracklets], [each.view for each in tracklets]
    if rules.view_until:
        views = [view.split(rules.view_until)[0] for view in views]
    if rules.pooled:
        views = ["all"] * len(views)
    everybody = Side(
        embedded.embeddings, np.arange(len(tracklets)), embedded.positions,
        [each.path for each in tracklets], np.array([str(each.pid) for each in tracklets]),
        np.array(views),
    )  # fmt: skip
    conditions = {}
    for name, probe, gallery in _sides(everybody, types, rules, split):
        conditions[name] = _condition(probe, gallery, rules, metric, block_size)
    parts = embedded.embeddings.shape[2]
    return GaitViewResult(dataset, split, metric, parts, dict(content), conditions)


def _sides(
    everybody: Side, types: Sequence[str], rules: Rules, split: str
) -> list[tuple[str, Side, Side]]:
    """Return probes and gallery of every condition that has both; in a test all must."""
    found = []
    for name in rules.probe:
        probe = everybody.only(_of_types(types, rules.probe[name], rules.probe_substring))
        gallery = everybody.only(_of_types(types, rules.gallery[name], rules.gallery_substring))
        if len(probe) and len(gallery):
            found.append((name, probe, gallery))
        elif split == "test":
            side, wanted = ("gallery", rules.gallery) if len(probe) else ("probe", rules.probe)
            raise EvaluationError(
                f"the condition {name} has no {side}: expected types {list(wanted[name])}, found "
                f"{some(sorted(set(types)))}"
            )
    if not found:
        raise EvaluationError(
            f"the split {split!r} has no condition with a probe and a gallery (conditions: "
            f"{', '.join(rules.probe)}; types found: {some(sorted(set(types)))})"
        )
    return found


def _check_listed(embedded: Embedded, split: str) -> None:
    """Raise an error for embeddings that are missing or of another split."""
    tracklets = embedded.partition.tracklets
    listed = {place for place, each in enumerate(tracklets) if each.split == split}
    there = set(embedded.positions.tolist())
    missing = sorted(tracklets[place].path for place in listed - there)
    if missing:
        raise EvaluationError(
            f"{len(missing)} of {len(listed)} tracklets have no embedding ({split}): "
            f"{some(missing)}. The loader must read the whole split"
        )
    unknown = [each.path for each in embedded.tracklets if each.split != split]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} embeddings are of tracklets that the partition does not list in the "
            f"split {split!r}: {some(unknown)}. Data and partition.json must come from one "
            "preparation"
        )


def _of_types(types: Sequence[str], wanted: Sequence[str], substring: bool) -> np.ndarray:
    """Return which tracklets have one of the wanted types, bool ``[N]``."""
    if not substring:
        return np.isin(types, list(wanted))
    return np.array([any(text in kind for text in wanted) for kind in types])


def _condition(
    probe: Side, gallery: Side, rules: Rules, metric: str, block_size: int
) -> ConditionResult:
    """Return the matrices of one condition; ``camids`` of a side are view numbers here."""
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
