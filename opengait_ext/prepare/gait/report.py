"""What the preparation of a gait data set prints."""

from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.layout import SPLITS, Partition
from opengait_ext.prepare.faults import SHOWN
from opengait_ext.prepare.gait.lists import Lists
from opengait_ext.prepare.gait.sets import GaitSet
from opengait_ext.prepare.gait.tree import Tree
from opengait_ext.prepare.partition import Dropped


def tell_lists(lists: Lists, tree: Tree, stream: str) -> None:
    """Tells what was found before the files are opened."""
    print(
        f"lists: {lists.path} ({len(lists.train):,} training, {len(lists.test):,} test identities)"
    )
    for half, pids in tree.absent.items():
        if pids:
            shown = ", ".join(pids[:5]) + (", ..." if len(pids) > 5 else "")
            print(f"  {len(pids):,} of the {half} half have no folder: {shown}")
    print(f"{len(tree.rows):,} tracklets, of each the file {stream}.pkl")


def tell_result(
    partition: Partition, gait_set: GaitSet, dropped: Sequence[Dropped], notes: Sequence[str]
) -> None:
    """Tells what was written, beside what is published."""
    counts = partition.source["counts"]
    columns = ("identities", "tracklets", "frames")
    print(f"\n{'split':<8}" + "".join(f"{column:>12}" for column in columns))
    for split in SPLITS:
        cells = "".join(f"{counts[split][column]:>12,}" for column in columns)
        print(f"{split:<8}{cells}")
    for line in _beside_published(partition, gait_set):
        print(line)
    for name, missing in counts["queries_without_match"].items():
        if missing:
            print(f"{name}: {missing:,} probes without a match in the gallery")
    if dropped:
        print(f"{len(dropped):,} tracklets are left out:")
        for each in dropped[:SHOWN]:
            print(f"  {each.tracklet}: {each.reason}")
        if len(dropped) > SHOWN:
            print(f"  and {len(dropped) - SHOWN} more")
    for line in notes:
        print(line)


def tell_places(partition: Partition, place: Path, root: Path) -> None:
    """Tells where the partition is, and what a config says to read these data."""
    stream = partition.source["stream"]
    print(f"\nwritten: {place}\nin a config, data_cfg:")
    print(f'  dataset_root: {root}\n  dataset_partition: {place}\n  stream: "{stream}"')


def _beside_published(partition: Partition, gait_set: GaitSet) -> list[str]:
    counts = partition.source["counts"]
    found = {
        "train": counts["train"]["identities"] + counts["val"]["identities"],
        "test": counts["test"]["identities"],
        "sequences": sum(counts[split]["tracklets"] for split in SPLITS),
    }
    words = {"train": "training identities", "test": "test identities", "sequences": "tracklets"}
    lines = []
    for key, published in gait_set.published.items():
        verdict = "as published" if found[key] == published else f"published are {published:,}"
        lines.append(f"{words[key]}: {found[key]:,}, {verdict}")
    return lines
