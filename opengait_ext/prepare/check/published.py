"""Reader of published data for the check, by the readers of their preparation.

The preparation refuses faulty lists. Here each fault is noted under the check that its kind
belongs to, and everything that can be understood is still checked.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from opengait_ext.data.layout import DIRECTIONS
from opengait_ext.errors import UserError
from opengait_ext.evaluation.protocols import Protocol
from opengait_ext.prepare.bupt.folders import find_auxiliary, find_places
from opengait_ext.prepare.bupt.folders import read_published as read_published_bupt
from opengait_ext.prepare.bupt.lists import INDEX
from opengait_ext.prepare.bupt.run import official_counts
from opengait_ext.prepare.check.findings import FAULT, WARNING, Findings
from opengait_ext.prepare.check.plan import Listed, Plan, vcm_official
from opengait_ext.prepare.check.prepared import read_prepared
from opengait_ext.prepare.check.strays import Used, check_strays
from opengait_ext.prepare.check.tracklets import IMAGES
from opengait_ext.prepare.faults import ACCEPTED, Fault, Faults, Kind, SourceError
from opengait_ext.prepare.sources import (
    UNPACKED,
    Image,
    Sources,
    close_archives,
    remove_unpacked,
)
from opengait_ext.prepare.target import NOTE, PARTITION
from opengait_ext.prepare.vcm.folders import (
    Home,
    describe,
    find_and_read_lists,
    find_homes,
    find_lists,
)
from opengait_ext.prepare.vcm.lists import HALVES, LISTS, Row
from opengait_ext.prepare.vcm.run import OFFICIAL_ROWS

VCM, BUPT = RAW_KINDS = ("hitsz_vcm", "bupt_campus")
MIN_FRAMES = 12  # in the protocol of HITSZ-VCM
CHECKS_OF_KINDS = {
    Kind.EMPTY: ("empty", FAULT),
    Kind.OUT_OF_RANGE: ("ranges", FAULT),
    Kind.UNEQUAL_PAIR: ("ranges", FAULT),
    Kind.OVERLAP: ("ranges", FAULT),
    Kind.UNUSED_NAMES: ("ranges", FAULT),
    Kind.FOREIGN_FRAME: ("names", FAULT),
    Kind.MIXED_TRACKLETS: ("names", WARNING),
    Kind.WRONG_QUERY: ("queries", FAULT),
    Kind.LISTED_TWICE: ("queries", FAULT),
    Kind.IN_TWO_PARTS: ("identities", FAULT),
    Kind.NO_HOME: ("files", FAULT),
    Kind.MISSING: ("files", FAULT),
    Kind.TWINS: ("files", FAULT),
    Kind.NAME_TWICE: ("duplicates", FAULT),
    Kind.IMAGE_TWICE: ("duplicates", WARNING),
    Kind.FRAMES_TWICE: ("duplicates", WARNING),
    Kind.STRAY_IMAGES: ("stray", WARNING),
}  # all other kinds belong to the check of the lists
# Kinds that the check finds itself, file by file.
_FOUND_ANYHOW = {Kind.OTHER_LETTERS, Kind.UNLISTED_IMAGES, Kind.IGNORED_MEMBERS}
_BUPT_SPLITS = {"test": "test", "train": "train", "auxiliary": "train"}


class UnknownDataError(UserError):
    """No data that can be checked were found."""


def read_plan(
    data: Path, raw_kind: str | None, min_frames: int | None, own: Sequence[Path]
) -> Plan:
    """Recognize the data set, and read its lists.

    Args:
        data: A prepared folder, or a folder or an archive of published data.
        raw_kind: Kind of the published data; None to recognize it.
        min_frames: Shorter tracklets of published data are counted; None: the protocol's number.
        own: Files that the check writes. They are no strays; compressed archives are decompressed
            next to the first one.

    Raises:
        UnknownDataError: If there are no data that can be checked.
    """
    if not data.exists():
        raise UnknownDataError(f"{data}: no such folder")
    if raw_kind is None and (data / PARTITION).is_file():
        folder = data.resolve()
        return read_prepared(data, {p.name for p in own if p.resolve().parent == folder})
    if (data / NOTE).is_file():
        raise UnknownDataError(
            f"{data}: a preparation that is not finished ({PARTITION} is missing); give the same "
            "command again that began it"
        )
    unpacked = own[0].parent / UNPACKED
    kind = raw_kind or _kind_of(data, unpacked)
    if kind == BUPT:
        return read_bupt(data, min_frames)
    root = data if data.is_dir() else data.parent
    return read_vcm(root, _sources(data, unpacked), min_frames)


def close(own: Sequence[Path]) -> None:
    """Close all archives, and remove the decompressed tars."""
    close_archives()
    remove_unpacked(own[0].parent / UNPACKED)


def _sources(data: Path, unpacked: Path) -> Sources:
    return Sources([data], unpacked, "expected a folder or an archive of HITSZ-VCM")


def _kind_of(data: Path, unpacked: Path) -> str:
    if data.is_dir():
        homes = [data, data.resolve().parent, *(path for path in data.iterdir() if path.is_dir())]
        if any((home / INDEX).is_file() for home in homes):
            return BUPT
    try:
        find_lists(_sources(data, unpacked))
        return VCM
    except UserError as error:
        if any((home / name).is_file() for home in (data, data / "info") for name in LISTS):
            return VCM
        found = sorted(os.listdir(data))[:6] if data.is_dir() else data.name
        raise UnknownDataError(
            f"{data}: neither prepared ({PARTITION} is missing) nor published data of a known form "
            f"(found: {found}); if it is published data, --raw-kind {' or '.join(RAW_KINDS)} tells "
            f"what is missing\n{error}"
        ) from error


def note_faults(faults: Iterable[Fault], root: Path, findings: Findings) -> None:
    """Add the faults of a reader to the findings, each under the check that its kind belongs to."""
    for fault in faults:
        if fault.kind in _FOUND_ANYHOW:
            continue
        of_lists = ("lists", WARNING if fault.kind in ACCEPTED else FAULT)
        check, severity = CHECKS_OF_KINDS.get(fault.kind, of_lists)
        findings.add(check, severity, _below(fault.where, root), fault.what)


def _below(place: str, root: Path) -> str:
    return place.removeprefix(str(root)).lstrip("/\\") or place


def read_vcm(root: Path, sources: Sources, min_frames: int | None) -> Plan:
    """Read HITSZ-VCM: the content of the lists, and which of the images exist.

    Args:
        root: Folder of the data, omitted in messages.
        sources: Its folders and archives.
        min_frames: Shorter tracklets are counted; None: the number of the published protocol.
    """
    findings = Findings()
    plan = Plan(root, VCM, "HITSZ-VCM", "published as HITSZ-VCM", findings)
    plan.min_frames = min_frames or MIN_FRAMES
    faults, rows, homes = Faults(), [], {}
    try:
        place, lists = find_and_read_lists(sources, faults)
        rows, plan.lists_digest = lists.rows, lists.digest
        homes = find_homes(sources, rows, faults)
        if len(homes) == len(HALVES):
            plan.layout += f", {describe(place, homes)}"
    except UserError as error:  # no lists, or a damaged archive
        findings.fault("files" if rows else "lists", str(sources) if rows else "lists", str(error))
    note_faults(faults.found, root, findings)
    used = Used()
    for row in rows:
        home = homes.get(row.half)
        there = tuple(f for f in row.files if home and f not in home.missing)
        plan.tracklets.append(_listed(row, there, home))
        if home:
            used.add(home, row.pid, there)
    check_strays(root, sources, used, findings)
    _check_spelling(root, homes, findings)
    _set_vcm_tasks(plan, rows)
    if 2 * len(rows) >= sum(OFFICIAL_ROWS.values()):
        plan.official = list(vcm_official(plan, Counter(row.half for row in rows)))
    return plan


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
    """Note files whose names differ from the list in case only; other readers miss them."""
    for home in homes.values():
        for file, (place, name) in home.elsewhere.items():
            if file != name:
                text = f"is listed as {file}, in other letters"
                where = place.tree.place(place.inner(name))
                findings.warn("names", _below(where, root), text)


def _set_vcm_tasks(plan: Plan, rows: Sequence[Row]) -> None:
    """Set both directions: listed rows against the rest of the test half, without short ones."""
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


def read_bupt(root: Path, min_frames: int | None) -> Plan:
    """Read BUPTCampus: the content of the lists, and which of the images exist.

    Args:
        root: The folder ``DATA`` or its parent.
        min_frames: Shorter tracklets are counted; None: the published protocol, which uses all.
    """
    findings = Findings()
    plan = Plan(root, BUPT, "BUPTCampus", "published as BUPTCampus", findings)
    plan.min_frames = min_frames or 1
    plan.protocol = Protocol("none")
    faults = Faults()
    try:
        published = read_published_bupt(root, auxiliary=_has_auxiliary(root), faults=faults)
    except SourceError as error:
        note_faults(faults.found, root, findings)
        if not findings.has(FAULT):
            findings.fault("lists", "lists", str(error))
        return plan
    note_faults(faults.found, root, findings)
    plan.layout += f", {published.layout}"
    plan.lists_digest = published.digest
    images = str(published.images)
    for row in published.rows:
        there = tuple(file for file in row.files if file not in published.missing)
        plan.tracklets.append(
            Listed(
                row.path, row.pid, row.camid, row.modality, _BUPT_SPLITS[row.part], len(row.files),
                IMAGES, there, lambda file: f"{images}/{file}",
            )
        )  # fmt: skip
    for direction in DIRECTIONS:
        asked, offered = direction.split("_to_")
        plan.tasks[f"test {direction}"] = (
            [p for p in published.query if plan.tracklets[p].modality == asked],
            [p for p in published.gallery if plan.tracklets[p].modality == offered],
        )
    plan.official = list(official_counts(published))
    return plan


def _has_auxiliary(root: Path) -> bool:
    try:
        find_auxiliary(find_places(root, None))
    except SourceError:
        return False
    return True
