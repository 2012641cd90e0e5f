"""What the preparation of BUPTCampus tells: tables, the comparison with official counts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from opengait_ext.data.layout import VISIBLE, Partition
from opengait_ext.prepare.bupt.folders import Published
from opengait_ext.prepare.bupt.lists import Row
from opengait_ext.prepare.faults import listed
from opengait_ext.prepare.partition import Dropped, table
from opengait_ext.prepare.report import Official, tell_official

# Identities, lines and images that the published lists have. The paper's totals (16,826 tracklets,
# 1,869,066 images) are larger than all lists together and are compared with nothing.
OFFICIAL = {
    "train.txt": (1074, 3574, 796138),
    "auxiliary list": (930, 930, 209150),
    "query.txt": (1076, 1076, 101938),
    "gallery.txt": (1076, 4844, 597542),
}
OFFICIAL_VISIBLE = {"query.txt": 540, "gallery.txt": 2422}


def tell_source(source: Path, published: Published) -> None:
    """Prints where things were found, how much there is, and what is odd."""
    frames = sum(len(row.files) for row in published.rows)
    print(f"{source}: {published.layout}; {len(published.rows):,} tracklets, {frames:,} frames")
    for remark in published.remarks:
        print(f"  {remark}")


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
    counts, protocol = partition.source["counts"], partition.protocol
    print("\n" + "\n".join(table(counts)))
    print(
        f"{counts['pairs']:,} pairs of a visible and an infrared training tracklet, "
        f"{counts['auxiliary_identities']:,} auxiliary identities among the training identities"
    )
    print(f"protocol: {protocol['name']}; camera rule: {protocol['ignore']}")
    for split, tasks in partition.tasks.items():
        for direction, task in tasks.items():
            sizes = f"{len(task.query):,} queries, {len(task.gallery):,} in the gallery"
            unmatched = counts["queries_without_match"][f"{split} {direction}"]
            note = f"; {unmatched:,} queries have no match there" if unmatched else ""
            print(f"{split} {direction}: {sizes}{note}")
    if counts["single_frame_tracklets"]:
        print(f"{counts['single_frame_tracklets']:,} tracklets of a single frame; they stay")
    if dropped:
        lines = [f"{d.tracklet}: {d.reason}" for d in dropped]
        share = len(dropped) / len(published.rows)
        print("\n" + listed(f"{len(dropped):,} tracklets dropped ({share:.1%})", lines))
        print(f"  all of them: {dropped_list}")
    if partition.dataset == "BUPTCampus":
        tell_official("BUPTCampus", list(official_counts(published)))


def official_counts(published: Published) -> Iterator[Official]:
    """Return the counts of the official lists beside those found, if these are of that order."""
    rows = published.rows
    places = {
        "train.txt": [place for place, row in enumerate(rows) if row.part == "train"],
        "auxiliary list": [place for place, row in enumerate(rows) if row.part == "auxiliary"],
        "query.txt": published.query,
        "gallery.txt": published.gallery,
    }
    if not published.auxiliary:
        del places["auxiliary list"]
    lines = {name: _lines(rows, found) for name, found in places.items()}
    if 2 * sum(lines.values()) < sum(OFFICIAL[name][1] for name in places):
        return
    for name, found in places.items():
        identities, count, images = OFFICIAL[name]
        yield Official(f"{name}, identities", identities, len({rows[p].pid for p in found}))
        yield Official(f"{name}, lines", count, lines[name])
        yield Official(f"{name}, images", images, sum(len(rows[p].files) for p in found))
        if name in OFFICIAL_VISIBLE:
            visible = sum(rows[place].modality == VISIBLE for place in found)
            yield Official(f"{name}, visible lines", OFFICIAL_VISIBLE[name], visible)


def _lines(rows: Sequence[Row], places: Sequence[int]) -> int:
    """Counts lines: a line of the training lists stands for two tracklets."""
    return sum(2 if rows[place].part == "test" else 1 for place in places) // 2
