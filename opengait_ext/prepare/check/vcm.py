"""Reads HITSZ-VCM as it is published for the check: where the images are, what is queried.

The preparation stops at faulty lists; here each fault is noted under the check it belongs to, and
what can be understood is looked at all the same.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from opengait_ext.data.layout import DIRECTIONS
from opengait_ext.prepare.check.findings import Findings
from opengait_ext.prepare.check.plan import Listed, Plan, vcm_official
from opengait_ext.prepare.check.strays import Used, check_strays
from opengait_ext.prepare.check.tracklets import IMAGES
from opengait_ext.prepare.check.vcm_lists import digest_of_lists, read_all_lists, read_all_rows
from opengait_ext.prepare.faults import Faults
from opengait_ext.prepare.sources import Image, Sources
from opengait_ext.prepare.vcm.folders import Home, find_home
from opengait_ext.prepare.vcm.lists import read_published
from opengait_ext.prepare.vcm.report import OFFICIAL_ROWS
from opengait_ext.prepare.vcm.rows import HALVES, Row

MIN_FRAMES = 12  # of the published protocol


def read_vcm(root: Path, sources: Sources, min_frames: int | None) -> Plan:
    """Gives what the lists say, and which of the images are there.

    Args:
        root: Folder of the data, which messages leave out.
        sources: Its folders and archives.
        min_frames: Shorter tracklets are counted; None for the published protocol.
    """
    findings = Findings()
    plan = Plan(root, "hitsz_vcm", "HITSZ-VCM", "published as HITSZ-VCM", findings)
    plan.min_frames = min_frames or MIN_FRAMES
    lines = read_all_lists(sources, findings)
    plan.lists_digest = digest_of_lists(lines)
    rows = read_all_rows(lines, findings)
    homes, missing = _homes(sources, rows, plan)
    used = Used()
    for row in rows:
        home = homes.get(row.half)
        there = tuple(f for f in row.files if home and f not in missing[row.half])
        plan.tracklets.append(_listed(row, there, home))
        if home:
            used.add(home, row.pid, there)
    check_strays(root, sources, used, findings)
    _check_spelling(root, homes, findings)
    _set_tasks(plan, rows)
    if 2 * len(rows) >= sum(OFFICIAL_ROWS.values()):
        plan.official = list(vcm_official(plan, Counter(row.half for row in rows)))
    return plan


def _homes(
    sources: Sources, rows: Sequence[Row], plan: Plan
) -> tuple[dict[str, Home], dict[str, set[str]]]:
    """Gives where the images of each half are, and which of the listed ones are missing."""
    missing: dict[str, set[str]] = {half: set() for half in HALVES}
    try:
        published = read_published(sources)
        plan.layout = f"published as HITSZ-VCM, {published.layout}"
        return published.homes, missing
    except ValueError as error:  # a UserError, but the lists may hold anything
        plan.refusal = str(error)
    homes = {}
    for half in HALVES if rows else ():
        faults = Faults()
        try:
            home = find_home(sources, half, rows, faults, [])
        except ValueError as error:
            plan.findings.fault("files", str(sources), str(error))
            break
        if home is None:
            plan.findings.fault("files", f"the {half} half", " ".join(faults.texts))
            continue
        for text in faults.texts:
            place, _, reason = text.rpartition(": ")
            plan.findings.fault("files", _below(place, plan.root), reason)
        homes[half] = home
        listed = {file for row in rows if row.half == half for file in row.files}
        missing[half] = listed - set(_files_at(home, listed, faults))
    return homes, missing


def _files_at(home: Home, listed: set[str], faults: Faults) -> Iterator[str]:
    """Gives the listed files that were found."""
    lost = {text.rpartition(": ")[0] for text in faults.texts}
    for file in listed:
        if home.place.tree.place(home.place.inner(file)) not in lost:
            yield file


def _below(place: str, root: Path) -> str:
    return place.removeprefix(str(root)).lstrip("/\\") or place


def _listed(row: Row, there: tuple[str, ...], home: Home | None) -> Listed:
    def image(file: str) -> Image:
        assert home is not None
        return home.image(file)

    split = "test" if row.half == "Test" else "train"
    return Listed(
        f"{row.half}/{row.path}", row.pid, row.camid, row.modality, split, len(row.files),
        IMAGES, there, image,
    )  # fmt: skip


def _check_spelling(root: Path, homes: dict[str, Home], findings: Findings) -> None:
    """Names files that differ from the list in the case of letters: other readers miss them."""
    for home in homes.values():
        for file, (place, name) in home.elsewhere.items():
            if file != name:
                text = f"is listed as {file}, in other letters"
                where = place.tree.place(place.inner(name))
                findings.warn("names", _below(where, root), text)


def _set_tasks(plan: Plan, rows: Sequence[Row]) -> None:
    """The listed rows query all others of the test half, and the reverse; short ones are out."""
    sides: dict[bool, list[int]] = {True: [], False: []}
    for position, row in enumerate(rows):
        if row.half == "Test" and len(row.files) >= plan.min_frames:
            sides[row.is_query].append(position)
    if not rows:
        return
    plan.tasks = {
        f"test {DIRECTIONS[0]}": (sides[True], sides[False]),
        f"test {DIRECTIONS[1]}": (sides[False], sides[True]),
    }
