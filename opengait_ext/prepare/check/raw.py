"""Which data these are, and who reads them for the check."""

import os
from collections.abc import Sequence
from pathlib import Path

from opengait_ext.errors import UserError
from opengait_ext.prepare.check.bupt import INDEX, read_bupt
from opengait_ext.prepare.check.plan import Plan
from opengait_ext.prepare.check.prepared import read_prepared
from opengait_ext.prepare.check.vcm import read_vcm
from opengait_ext.prepare.sources import UNPACKED, Sources, close_archives, remove_unpacked
from opengait_ext.prepare.target import NOTE, PARTITION
from opengait_ext.prepare.vcm.folders import find_lists
from opengait_ext.prepare.vcm.rows import LISTS

VCM, BUPT = RAW_KINDS = ("hitsz_vcm", "bupt_campus")


class UnknownDataError(UserError):
    """There is nothing that can be checked."""


def read_plan(
    data: Path, raw_kind: str | None, min_frames: int | None, own: Sequence[Path]
) -> Plan:
    """Finds out which data these are, and reads their lists.

    Args:
        data: A prepared folder, or a folder or an archive of published data.
        raw_kind: Of published data; None to find it out.
        min_frames: Of published data: shorter tracklets are counted; None for the protocol's.
        own: Files that the check writes: they are no strays, and beside the first one a compressed
            archive is decompressed.

    Raises:
        UnknownDataError: If there is nothing that can be checked.
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
    """Closes archives, and removes what was decompressed of them."""
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
