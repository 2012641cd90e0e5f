"""Preparation of HITSZ-VCM, or data in its form (SynthVVI), for training and testing.

    python datasets/prep/hitsz_vcm.py --source <download> --target data/hitsz_vcm

Reads all three known layouts (identities in Train/ and Test/ or in one folder, lists in info/ or
beside them), unpacked or in the published archives. If discard lists are given, their images are
removed from the tracklets first.

Source: Lin et al., "Learning Modal-Invariant and Temporal-Memory for Video-Based Visible-Infrared
Person Re-Identification", CVPR 2022.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import INFRARED, VISIBLE, Partition, Task
from opengait_ext.prepare import pipeline
from opengait_ext.prepare.faults import Faults
from opengait_ext.prepare.partition import cross_modality
from opengait_ext.prepare.published import Published, Row
from opengait_ext.prepare.sources import Sources
from opengait_ext.prepare.vcm.discard import (
    DiscardList,
    discarded,
    read_discard_lists,
    summarize,
    tell_unknown,
    without_discarded,
)
from opengait_ext.prepare.vcm.folders import EXPECTED, read_published
from opengait_ext.prepare.vcm.lists import HALVES

# Counts of the published lists, and tracklets of at least 12 frames with their frames.
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


@dataclass(frozen=True)
class _Published(Published):
    """The published data, and the discard lists applied to it."""

    discard_lists: dict[str, DiscardList] = field(default_factory=dict)


class HitszVcm(pipeline.DataSet):
    """HITSZ-VCM: infrared tracklets query visible ones of other cameras, and the reverse."""

    name = "HITSZ-VCM"
    script = "datasets/prep/hitsz_vcm.py"
    summary = "Prepare HITSZ-VCM, or data in its form, for training and testing."
    expected = EXPECTED
    min_frames = 12

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the discard lists."""
        for half in HALVES:
            parser.add_argument(
                f"--discard-{half.lower()}",
                type=Path,
                metavar="FILE",
                help=f"list of images that are left out of the {half.lower()} half (default: none)",
            )

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return the listed tracklets, without the images of the discard lists."""
        layout, lists, homes = read_published(sources, faults)
        paths = {"Train": options.discard_train, "Test": options.discard_test}
        discard_lists = read_discard_lists(paths, lists.rows)
        tell_unknown(discard_lists)
        rows = [
            Row(
                row.path,
                row.pid,
                row.camid,
                row.modality,
                row.half.lower(),
                tuple(map(homes[row.half].image, row.files)),
                discarded=row.discarded,
            )
            for row in without_discarded(lists.rows, discard_lists)
        ]
        return _Published(layout, rows, lists.digest, discard_lists=discard_lists)

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return both directions."""
        return cross_modality(rows, members)

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the published protocol."""
        return {"name": "vcm", "ignore": "same_pid_camid"}

    def settings(self, published: Published, options: argparse.Namespace) -> dict[str, object]:
        """Return the settings in the form that earlier versions recorded."""
        names = ["name", "min_frames", "validation", "form"]
        if options.form == "opengait":
            names += ["height", "width"]
        lists = _lists_of(published)
        return {
            "digest": published.digest,
            **{name: getattr(options, name) for name in names},
            **{f"discard_{half.lower()}": found.sha256 for half, found in lists.items()},
        }

    def source(
        self, published: Published, frames: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Any]:
        """Return what the discard lists removed."""
        lists = _lists_of(published)
        return {"discard_lists": summarize(lists, published.rows, frames, options.min_frames)}

    def lines(self, partition: Partition) -> Iterator[str]:
        """Yield lines on what the discard lists removed."""
        return discarded(partition.source["discard_lists"])

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield published counts beside those found, if the number of rows is of that magnitude."""
        return official_counts(published.rows, partition)


def _lists_of(published: Published) -> dict[str, DiscardList]:
    assert isinstance(published, _Published)
    return published.discard_lists


def official_counts(rows: Sequence[Row], partition: Partition) -> Iterator[tuple[str, int, int]]:
    """Yield the counts of HITSZ-VCM beside those found, if the row count is of that magnitude.

    Args:
        rows: All published tracklets.
        partition: The partition of the used tracklets.
    """
    if len(rows) < sum(OFFICIAL_ROWS.values()) // 2:
        return
    for half in HALVES:
        mine = [row for row in rows if row.half == half.lower()]
        names = sum(len(row.images) + row.discarded for row in mine)
        people = len({row.pid for row in mine})
        yield f"{half}, identities", OFFICIAL_IDENTITIES[half], people
        yield f"{half}, rows of the list", OFFICIAL_ROWS[half], len(mine)
        yield f"{half}, frames of the list", OFFICIAL_NAMES[half], names
    if partition.protocol["min_frames"] != 12:
        return
    for (half, modality), official in OFFICIAL_TRACKLETS.items():
        lengths = [
            t.frames
            for t in partition.tracklets
            if (t.split == "test") == (half == "Test") and t.modality == modality
        ]
        yield f"{half}, {modality} tracklets", official, len(lengths)
        yield f"{half}, {modality} frames", OFFICIAL_FRAMES[half, modality], sum(lengths)


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 done, 1 refused, 2 misuse, 130 interrupted."""
    return pipeline.run_script(HitszVcm(), command)
