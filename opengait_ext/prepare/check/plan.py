"""The listed content of a data set in any form, and the checks that need only the lists."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import FOLDERS, INFRARED, SPLITS
from opengait_ext.evaluation.protocols import Protocol
from opengait_ext.prepare.check.findings import FAULT, WARNING, Findings
from opengait_ext.prepare.check.tracklets import Job
from opengait_ext.prepare.partition import unmatched
from opengait_ext.prepare.recordings.names import UNKNOWN
from opengait_ext.prepare.sources import Image
from opengait_ext.prepare.vcm.run import OFFICIAL_ROWS, OFFICIAL_TRACKLETS

_HALVES = {"train": "Train", "val": "Train", "test": "Test"}


@dataclass(frozen=True)
class Listed:
    """One listed tracklet.

    Args:
        path: Its name, unique in the data.
        pid: The identity.
        camid: The camera's number.
        modality: ``visible`` or ``infrared``.
        split: ``train``, ``val``, ``test``, or the name of another list.
        frames: Number of frames according to the lists.
        form: ``IMAGES``, ``PACKED`` or ``PICKLED``.
        files: Existing files of its frames in order, or the one file with all of them.
        images: Function from such a file to the reference that is read.
    """

    path: str
    pid: str
    camid: int
    modality: str
    split: str
    frames: int
    form: str
    files: tuple[str, ...]
    images: Callable[[str], Image]


@dataclass
class Plan:
    """A data set as its lists describe it.

    Args:
        root: Folder of the data.
        kind: ``prepared``, or the published form: ``hitsz_vcm``, ``bupt_campus``.
        dataset: Name of the data set.
        layout: The form of the data, in words.
        findings: Findings of the lists and the folders so far.
        tracklets: All tracklets that could be understood.
        tasks: Positions of query and gallery, ``{"test infrared_to_visible": (..., ...)}``.
        protocol: Rule for the gallery tracklets that are left out.
        min_frames: Number of frames that the protocol needs.
        lists_digest: sha256 of all lists; for published data the one that the preparation notes.
        published_digest: sha256 of the published lists, as the preparation noted it.
        refusal: Message of the preparation or the training if it refuses the lists.
        official: Official counts, ``(text, official, found)``.
        stream: For gait data, the name of each tracklet's file; empty for other data.
    """

    root: Path
    kind: str
    dataset: str
    layout: str
    findings: Findings
    tracklets: list[Listed] = field(default_factory=list)
    tasks: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)
    protocol: Protocol = Protocol("same_pid_camid")
    min_frames: int = 1
    lists_digest: str = ""
    published_digest: str = ""
    refusal: str = ""
    official: list[tuple[str, int, int]] = field(default_factory=list)
    stream: str = ""

    def job(self, position: int, quick: bool, known: str) -> Job:
        """Return the job that checks the files of a tracklet.

        Args:
            position: Position of the tracklet in ``tracklets``.
            quick: Whether only some frames are read.
            known: Signature of the files when they were last checked; empty for never.
        """
        listed = self.tracklets[position]
        files = tuple(map(listed.images, listed.files))
        return Job(listed.path, listed.form, files, str(self.root), quick, known)


def check_lists(plan: Plan) -> None:
    """Run the checks that need no file: numbers 5, 7, 8, 10 and one-sided identities.

    If the lists are refused for a reason that no check covers, that is a fault of the check
    ``lists``.
    """
    _check_identities(plan)
    for name in plan.tasks:
        _check_matches(plan, name)
    _check_lengths(plan)
    _check_sides(plan)
    _check_official(plan)
    if plan.refusal and not plan.findings.has(FAULT):
        plan.findings.fault("lists", "lists", plan.refusal)


def _check_identities(plan: Plan) -> None:
    """Find identities in two splits, unless the reader of the lists has already reported some."""
    if plan.kind != "prepared" and plan.findings.results["identities"].counts[FAULT]:
        return
    homes: dict[str, dict[str, str]] = {}
    for tracklet in plan.tracklets:
        homes.setdefault(tracklet.pid, {}).setdefault(tracklet.split, tracklet.path)
    for pid, splits in homes.items():
        if len(splits) > 1:
            places = " and ".join(f"in {split} ({path})" for split, path in splits.items())
            plan.findings.fault("identities", f"identity {pid}", f"is {places}")


def _check_matches(plan: Plan, name: str) -> None:
    """Find queries without a match in the gallery under the protocol."""
    findings = plan.findings
    query, gallery = ([plan.tracklets[p] for p in side] for side in plan.tasks[name])
    for side, tracklets in (("query", query), ("gallery", gallery)):
        if not tracklets:
            findings.fault("matches", f"{name}, {side}", "holds no tracklet")
    alone = unmatched(plan.protocol, query, gallery)
    if query and len(alone) == len(query):
        findings.fault("matches", name, f"none of the {len(query)} queries has a match")
    else:
        ignore = plan.protocol.ignore
        rule = "another camera of the gallery" if ignore != "none" else "the gallery"
        for tracklet in alone:
            findings.warn("matches", tracklet.path, f"{name}: identity is not in {rule}")
    in_gallery = Counter((tracklet.pid, tracklet.camid) for tracklet in gallery)
    left_out = sum(in_gallery[tracklet.pid, tracklet.camid] for tracklet in query)
    findings.results["matches"].numbers[name] = {
        "queries": len(query),
        "gallery": len(gallery),
        "queries_without_match": len(alone),
        "pairs_left_out": left_out if plan.protocol.ignore == "same_pid_camid" else 0,
    }


def _check_lengths(plan: Plan) -> None:
    """Find tracklets that are too short: a fault in prepared data, a warning in published data."""
    severity = FAULT if plan.kind == "prepared" else WARNING
    for tracklet in plan.tracklets:
        if tracklet.frames < plan.min_frames:
            text = f"{tracklet.frames} frames, the protocol needs {plan.min_frames}"
            plan.findings.add("lengths", severity, tracklet.path, text)


def _check_sides(plan: Plan) -> None:
    """Find identities in one modality only, which no batch and no query can pair.

    If this holds for all of them, or because their pids are unknown, it is one finding.
    """
    if plan.stream:  # gait data have one modality
        return
    modalities = {tracklet.modality for tracklet in plan.tracklets}
    if len(modalities) == 1:
        if any(query for query, _ in plan.tasks.values()):
            return  # a protocol of one modality, as that of MARS
        text = f"all are {modalities.pop()}: they can be embedded, but not paired or scored"
        plan.findings.warn("sides", "tracklets", text)
        return
    sides: dict[tuple[str, str], set[str]] = {}
    for tracklet in plan.tracklets:
        if tracklet.frames >= plan.min_frames:
            sides.setdefault((tracklet.split, tracklet.pid), set()).add(tracklet.modality)
    nameless = 0
    for (split, pid), modalities in sides.items():
        if plan.kind == "prepared" and pid.startswith(f"{UNKNOWN}-"):
            nameless += 1
        elif len(modalities) == 1:
            text = f"is seen in {split} in {next(iter(modalities))} only"
            plan.findings.warn("sides", f"identity {pid}", text)
    if nameless:
        text = "have no pid; each counts as another person, seen in one modality"
        plan.findings.warn("sides", f"{nameless} tracklets", text)


def vcm_official(plan: Plan, rows: dict[str, int] | None) -> Iterator[tuple[str, int, int]]:
    """Yield the official counts of HITSZ-VCM alongside those found.

    Args:
        plan: The data set with its tracklets.
        rows: Number of list rows of each half; None for prepared data, which lack some of them.
    """
    for half, official in OFFICIAL_ROWS.items() if rows else ():
        yield f"{half}, rows of the list", official, rows[half] if rows else 0
    if plan.min_frames != 12:
        return
    found = Counter(
        (_HALVES.get(t.split, ""), t.modality) for t in plan.tracklets if t.frames >= 12
    )
    for (half, modality), official in OFFICIAL_TRACKLETS.items():
        name = f"{half}, {modality} tracklets of 12 frames or more"
        yield name, official, found[half, modality]


def _check_official(plan: Plan) -> None:
    result = plan.findings.results["official"]
    if not plan.official:
        result.note = (
            "not compared here; the preparation compares with official counts, where known"
        )
    for what, official, found in plan.official:
        result.numbers[what] = {"official": official, "found": found}
        if official != found:
            plan.findings.warn("official", what, f"{found:,}, officially {official:,}")


def counts_of(plan: Plan) -> dict[str, Any]:
    """Count identities, tracklets and frames of every split and modality."""
    counts: dict[str, Any] = {}
    splits = [s for s in SPLITS if any(t.split == s for t in plan.tracklets)]
    splits += sorted({t.split for t in plan.tracklets} - set(splits))
    for split in splits:
        for modality in (INFRARED, *(m for m in FOLDERS if m != INFRARED)):
            chosen = [t for t in plan.tracklets if (t.split, t.modality) == (split, modality)]
            counts.setdefault(split, {})[modality] = {
                "identities": len({t.pid for t in chosen}),
                "tracklets": len(chosen),
                "frames": sum(t.frames for t in chosen),
            }
    return counts
