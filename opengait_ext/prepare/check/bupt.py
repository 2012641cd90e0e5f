"""Reads BUPTCampus as it is published for the check, by the reader of its preparation.

That reader refuses faulty lists as a whole. Its faults are told under the checks they belong to;
no image is looked at until they are mended.
"""

import re
from pathlib import Path

from opengait_ext.data.layout import DIRECTIONS
from opengait_ext.prepare.bupt.folders import find_auxiliary, find_places
from opengait_ext.prepare.bupt.lists import read_published
from opengait_ext.prepare.bupt.report import official_differences
from opengait_ext.prepare.bupt.rows import INDEX, Published
from opengait_ext.prepare.check.findings import FAULT, Findings
from opengait_ext.prepare.check.plan import Listed, Plan
from opengait_ext.prepare.check.tracklets import IMAGES
from opengait_ext.prepare.faults import SourceError

__all__ = ["INDEX", "read_bupt"]

_CHECKS = {
    "but not there": "files",
    "expected in one of them": "identities",
    "expected equally": "ranges",
    "no tracklet": "empty",
    "a second time": "queries",
    "images are in no entry": "stray",
    "are listed twice in their tracklet": "duplicates",
}
_MORE = re.compile(r"and ([0-9]+) more")
_COMPARED = re.compile(r"(.*?) +([0-9,]+) official +([0-9,]+) found.*")
_SPLITS = {"test": "test", "train": "train", "auxiliary": "train"}


def read_bupt(root: Path, min_frames: int | None) -> Plan:
    """Gives what the lists say, and where the images are.

    Args:
        root: DATA or its parent.
        min_frames: Shorter tracklets are counted; None for the published protocol, which uses all.
    """
    findings = Findings()
    plan = Plan(root, "bupt_campus", "BUPTCampus", "published as BUPTCampus", findings)
    plan.min_frames = min_frames or 1
    plan.ignore = "none"
    try:
        published = _read(root)
    except SourceError as error:
        _note_refusal(str(error), findings)
        return plan
    plan.layout = f"published as BUPTCampus, {published.layout}"
    plan.lists_digest = published.digest
    for remark in published.remarks:
        findings.warn(_check_of(remark), "lists", remark)
    images = str(published.images)
    for row in published.rows:
        plan.tracklets.append(
            Listed(
                row.path, row.pid, row.camid, row.modality, _SPLITS[row.part], len(row.files),
                IMAGES, row.files, lambda file: f"{images}/{file}",
            )
        )  # fmt: skip
    _set_tasks(plan, published)
    for line in official_differences(published):
        found = _COMPARED.fullmatch(line)
        if found:
            official, count = (int(found[group].replace(",", "")) for group in (2, 3))
            plan.official.append((found[1], official, count))
    return plan


def _read(root: Path) -> Published:
    """Reads the lists, with the auxiliary one if it is there."""
    try:
        find_auxiliary(find_places(root, None))
        has_auxiliary = True
    except SourceError:
        has_auxiliary = False
    return read_published(root, auxiliary=has_auxiliary)


def _note_refusal(text: str, findings: Findings) -> None:
    """Sorts the lines of a refusal by check."""
    head, *lines = text.splitlines()
    for line in lines if "faults, nothing was written" in head else ():
        more = _MORE.fullmatch(line.strip())
        count = int(more[1]) if more else 1
        place, _, reason = line.strip().partition(": ")
        findings.add("lists" if more else _check_of(line), FAULT, place, reason, count)
    if not findings.has(FAULT):
        findings.fault("lists", "lists", text)


def _check_of(text: str) -> str:
    return next((check for words, check in _CHECKS.items() if words in text), "lists")


def _set_tasks(plan: Plan, published: Published) -> None:
    for direction in DIRECTIONS:
        sides = [
            [p for p in places if plan.tracklets[p].modality == modality]
            for places, modality in zip(
                (published.query, published.gallery), direction.split("_to_"), strict=True
            )
        ]
        plan.tasks[f"test {direction}"] = sides[0], sides[1]
