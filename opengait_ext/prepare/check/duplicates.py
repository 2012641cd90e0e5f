"""Frames that are in the data twice, byte for byte, and how serious each case is."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from opengait_ext.data.words import is_made_up
from opengait_ext.prepare.check.findings import FAULT, WARNING, Findings
from opengait_ext.prepare.check.images import DIGEST
from opengait_ext.prepare.check.plan import Listed
from opengait_ext.prepare.check.tracklets import Checked, chosen_frames

# How two tracklets with a common frame are related, worst first.
KINDS = {
    "splits": (FAULT, "is in {b} of {other.split}, too: a leak from {other.split} to {one.split}"),
    "identities": (FAULT, "is identity {other.pid} in {b}"),
    "modalities": (FAULT, "is {other.modality} in {b}"),
    "tracklets": (WARNING, "is in {b}, too"),
    "within": (WARNING, "is in the same tracklet, too, as frame {second}"),
}


@dataclass
class Pair:
    """Two tracklets with common frames: the number of frames, and the first of them."""

    frames: int = 0
    first: tuple[int, int] = field(default=(0, 0))


def check_duplicates(
    tracklets: Sequence[Listed], checked: Sequence[Checked], quick: bool, findings: Findings
) -> None:
    """Find frames with the same content within a tracklet, across tracklets and across splits.

    Args:
        tracklets: The listed tracklets.
        checked: The result of each tracklet.
        quick: Whether only some frames were read.
        findings: Collects a finding for every pair of tracklets with common frames.
    """
    pairs = _pairs(checked)
    numbers = {f"frames_in_two_{kind}": 0 for kind in KINDS if kind != "within"}
    numbers |= {"frames_twice_in_a_tracklet": 0, "whole_tracklets": 0}
    order = list(KINDS)
    kinds = {pair: _kind(tracklets[pair[0]], tracklets[pair[1]]) for pair in pairs}
    for (a, b), pair in sorted(pairs.items(), key=lambda p: (order.index(kinds[p[0]]), p[0])):
        kind = kinds[a, b]
        severity, words = KINDS[kind]
        first, second = _numbers((a, b), pair, checked, quick)
        is_whole = a != b and checked[a].digests == checked[b].digests
        one, other = tracklets[a], tracklets[b]
        text = words.format(one=one, other=other, b=f"{other.path} frame {second}", second=second)
        if is_whole:
            text += f"; all {pair.frames} frames are the same, a whole tracklet twice"
        elif pair.frames > 1:
            text += f"; {pair.frames} frames in all"
        findings.add("duplicates", severity, f"{one.path} frame {first}", text)
        name = "frames_twice_in_a_tracklet" if kind == "within" else f"frames_in_two_{kind}"
        numbers[name] += pair.frames
        numbers["whole_tracklets"] += is_whole
    findings.results["duplicates"].numbers = {**numbers}


def _kind(one: Listed, other: Listed) -> str:
    if one is other:
        return "within"
    if one.split != other.split:
        return "splits"
    # Of people without a pid nobody knows whether they are two.
    if one.pid != other.pid and not (is_made_up(one.pid) or is_made_up(other.pid)):
        return "identities"
    return "modalities" if one.modality != other.modality else "tracklets"


def _pairs(checked: Sequence[Checked]) -> dict[tuple[int, int], Pair]:
    """Return the pairs of tracklets with common frames; a copy is paired with the first one."""
    counts = [len(c.digests) // DIGEST for c in checked]
    digests = np.frombuffer(b"".join(c.digests for c in checked), "<u8").reshape(-1, 2)
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum([0, *counts])
    whole = np.ones(len(digests), bool)
    for number, one in enumerate(checked):
        whole[starts[number] + np.array(one.damaged, int)] = False
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: equal frames stay in order
    order = order[whole[order]]
    if not len(order):
        return {}
    is_new = np.r_[True, (digests[order[1:]] != digests[order[:-1]]).any(axis=1)]
    heads = order[np.flatnonzero(is_new)[np.cumsum(is_new) - 1]]  # per frame, the first equal one
    pairs: dict[tuple[int, int], Pair] = {}
    again = sorted(zip(order[~is_new].tolist(), heads[~is_new].tolist(), strict=True))
    for frame, head in again:
        a, b = int(owners[head]), int(owners[frame])
        pair = pairs.setdefault((a, b), Pair(0, (head - int(starts[a]), frame - int(starts[b]))))
        pair.frames += 1
    return pairs


def _numbers(
    owners: tuple[int, int], pair: Pair, checked: Sequence[Checked], quick: bool
) -> tuple[int, int]:
    """Return the numbers (from 0) of the first common frame in both tracklets."""
    one, other = (
        chosen_frames(checked[owner].frames, quick)[place]
        for owner, place in zip(owners, pair.first, strict=True)
    )
    return one, other
