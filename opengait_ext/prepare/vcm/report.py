"""What the preparation of HITSZ-VCM tells: tables, lists, the comparison with official counts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import (
    INFRARED,
    PACKED,
    PICKLED,
    VISIBLE,
    Partition,
)
from opengait_ext.prepare.faults import listed
from opengait_ext.prepare.partition import Dropped, table
from opengait_ext.prepare.report import Official, tell_official
from opengait_ext.prepare.vcm.discard import DiscardList
from opengait_ext.prepare.vcm.folders import Published
from opengait_ext.prepare.vcm.lists import HALVES, Row

# Of the lists as published, and tracklets of at least 12 frames and their frames.
OFFICIAL_IDENTITIES = {"Train": 500, "Test": 427}
OFFICIAL_ROWS = {"Train": 11061, "Test": 10802}
OFFICIAL_NAMES = {"Train": 232496, "Test": 230763}
OFFICIAL_TRACKLETS = {
    ("Train", INFRARED): 4291,
    ("Train", VISIBLE): 5460,
    ("Test", INFRARED): 4584,
    ("Test", VISIBLE): 5099,
}
OFFICIAL_FRAMES = {
    ("Train", INFRARED): 98214,
    ("Train", VISIBLE): 126543,
    ("Test", INFRARED): 105979,
    ("Test", VISIBLE): 118137,
}


def tell_source(source: str, published: Published) -> None:
    """Prints which layout was found, how much there is, and what is odd."""
    frames = sum(len(row.files) for row in published.rows)
    print(f"{source}: {published.layout}; {len(published.rows):,} tracklets, {frames:,} frames")
    for remark in published.remarks:
        print(f"  {remark}")


def tell_unknown(lists: Mapping[str, DiscardList]) -> None:
    """Prints the entries of discard lists that name no image: their list or half may be wrong."""
    for half, found in lists.items():
        if found.unknown:
            head = f"{len(found.unknown):,} of {len(found.images):,} entries name no {half} image"
            print(listed(f"{found.file}: {head}", found.unknown))


def tell_result(
    partition: Partition, published: Published, dropped: list[Dropped], dropped_list: Path
) -> None:
    """Prints the table of what was prepared, what is odd, and what was dropped.

    Args:
        partition: With its counts in ``source``.
        published: The published data.
        dropped: Tracklets that are not used.
        dropped_list: The file that lists them all.
    """
    counts = partition.source["counts"]
    print("\n" + "\n".join(table(counts)))
    one_sided = counts["test_identities_in_one_modality"]
    if one_sided:
        print(f"{one_sided} test identities are seen in one modality only; they stay")
    for task, number in counts["queries_without_match"].items():
        if number:
            print(f"{task}: {number} queries have no match in another camera")
    print("\n".join(discarded(partition.source["discard_lists"])))
    if dropped:
        lines = [f"{d.tracklet}: {d.reason}" for d in dropped]
        share = len(dropped) / len(published.rows)
        print("\n" + listed(f"{len(dropped):,} tracklets dropped ({share:.1%})", lines))
        print(f"  all of them: {dropped_list}")
    if partition.dataset == "HITSZ-VCM":
        tell_official("HITSZ-VCM", list(official_counts(published.rows, partition)))


def tell_cost(target: Path, partition: Partition, form: str, seconds: float) -> None:
    """Prints how long it took and how much disk is taken."""
    name = PICKLED if form == "opengait" else PACKED
    size = sum((target / t.path / name).stat().st_size for t in partition.tracklets)
    print(
        f"\n{target}: {len(partition.tracklets):,} tracklets and partition.json, "
        f"{size / 1e6:,.1f} MB of disk, after {seconds:.1f} s"
    )


def discarded(summary: Mapping[str, Any] | None) -> Iterator[str]:
    """Gives the lines that say what the discard lists took out.

    Args:
        summary: As it stands in ``source["discard_lists"]``.
    """
    if summary is None:
        yield "discard lists: none"
        return
    for half, found in summary.items():
        if found is None:
            yield f"discard list, {half}: none"
            continue
        yield (
            f"discard list, {half}: {found['file']} ({found['entries']:,} entries, "
            f"{found['unknown_entries']:,} of them name no image) removed "
            f"{found['removed_frames']:,} frames and {found['removed_tracklets']:,} tracklets"
        )


def official_counts(rows: Sequence[Row], partition: Partition) -> Iterator[Official]:
    """Return the counts of HITSZ-VCM beside those found, if the number of rows is of that order."""
    if len(rows) < sum(OFFICIAL_ROWS.values()) // 2:
        return
    for half in HALVES:
        mine = [row for row in rows if row.half == half]
        names = sum(len(row.files) + row.discarded for row in mine)
        people = len({row.pid for row in mine})
        yield Official(f"{half}, identities", OFFICIAL_IDENTITIES[half], people)
        yield Official(f"{half}, rows of the list", OFFICIAL_ROWS[half], len(mine))
        yield Official(f"{half}, frames of the list", OFFICIAL_NAMES[half], names)
    if partition.protocol["min_frames"] != 12:
        return
    for (half, modality), official in OFFICIAL_TRACKLETS.items():
        lengths = [
            t.frames
            for t in partition.tracklets
            if (t.split == "test") == (half == "Test") and t.modality == modality
        ]
        yield Official(f"{half}, {modality} tracklets", official, len(lengths))
        frames = OFFICIAL_FRAMES[half, modality]
        yield Official(f"{half}, {modality} frames", frames, sum(lengths))
