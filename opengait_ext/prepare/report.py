"""Printed report of a preparation: tables, dropped tracklets, comparison with official counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from opengait_ext.data.layout import PACKED, PICKLED, Partition
from opengait_ext.prepare.faults import listed
from opengait_ext.prepare.partition import Dropped, table
from opengait_ext.prepare.published import Published


class Official(NamedTuple):
    """A published count and the one that was found."""

    what: str
    official: int
    found: int

    def __str__(self) -> str:
        mark = "" if self.official == self.found else "   differs"
        return f"{self.what:<36}{self.official:>9,} official{self.found:>9,} found{mark}"


def tell_official(dataset: str, counts: Sequence[Official]) -> None:
    """Print official counts alongside those found, and warn if some differ."""
    if counts:
        print("\n" + "\n".join(map(str, counts)))
    differ = sum(count.official != count.found for count in counts)
    if differ:
        print(
            f"warning: {differ} of {len(counts)} counts are not those of {dataset}; results on "
            "these data do not compare with published ones"
        )


def tell_source(sources: str, published: Published) -> None:
    """Print where the data were found, the number of tracklets and frames, and the remarks."""
    frames = sum(len(row.images) for row in published.rows)
    print(f"{sources}: {published.layout}; {len(published.rows):,} tracklets, {frames:,} frames")
    for remark in published.remarks:
        print(f"  {remark}")


def tell_result(
    partition: Partition,
    published: int,
    dropped: Sequence[Dropped],
    dropped_list: Path,
    modalities: Sequence[str],
) -> None:
    """Print the table of prepared data, the tasks of each split, and the dropped tracklets.

    Args:
        partition: The prepared data, with their counts in ``source``.
        published: Number of published tracklets.
        dropped: Tracklets that are not used.
        dropped_list: The file that lists all of them.
        modalities: The modalities of the data set.
    """
    counts, protocol = partition.source["counts"], partition.protocol
    print("\n" + "\n".join(table(counts, modalities)))
    one_sided = counts["test_identities_in_one_modality"]
    if one_sided and len(modalities) > 1:
        print(f"{one_sided} test identities are seen in one modality only; they stay")
    print(f"protocol: {protocol['name']}; camera rule: {protocol['ignore']}")
    for split, tasks in partition.tasks.items():
        for direction, task in tasks.items():
            sizes = f"{len(task.query):,} queries, {len(task.gallery):,} in the gallery"
            unmatched = counts["queries_without_match"][f"{split} {direction}"]
            note = f"; {unmatched:,} queries have no match there" if unmatched else ""
            print(f"{split} {direction}: {sizes}{note}")
    if dropped:
        lines = [f"{d.tracklet}: {d.reason}" for d in dropped]
        share = len(dropped) / published
        print("\n" + listed(f"{len(dropped):,} tracklets dropped ({share:.1%})", lines))
        print(f"  all of them: {dropped_list}")


def tell_cost(
    name: str,
    official: Sequence[tuple[str, int, int]],
    target: Path,
    partition: Partition,
    form: str,
    seconds: float,
) -> None:
    """Print the comparison with official counts, the duration, and the disk space used.

    Args:
        name: Name of the published data set; data under another name are not compared.
        official: What is counted, the official number, the number found.
        target: Folder of the prepared data.
        partition: Its partition.
        form: ``packed`` or ``opengait``.
        seconds: Duration of the run.
    """
    if partition.dataset == name:
        tell_official(name, [Official(*each) for each in official])
    file = PICKLED if form == "opengait" else PACKED
    size = sum((target / t.path / file).stat().st_size for t in partition.tracklets)
    print(
        f"\n{target}: {len(partition.tracklets):,} tracklets and partition.json, "
        f"{size / 1e6:,.1f} MB of disk, after {seconds:.1f} s"
    )
