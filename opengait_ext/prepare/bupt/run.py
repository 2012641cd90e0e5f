"""Preparation of BUPTCampus for training and testing.

    python datasets/prep/bupt_campus.py --source <download> --target data/bupt_campus

Reads the published folder DATA, data_paths.json and the lists, which are beside DATA or in a folder
there. Checks that all of them agree. Writes one file per tracklet and ``partition.json``: the
splits, the pairs of training tracklets that were filmed together, both directions of query and
gallery, and the protocol. The same command resumes an interrupted run. Needs numpy and OpenCV, no
torch.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from opengait_ext import __version__
from opengait_ext.data.layout import VISIBLE, Partition, write_partition
from opengait_ext.prepare.bupt.folders import Published, read_published
from opengait_ext.prepare.bupt.lists import Row
from opengait_ext.prepare.bupt.pack import pack, remove_fakes
from opengait_ext.prepare.bupt.partition import CAMERA_RULES, count_all, make_partition, select
from opengait_ext.prepare.faults import listed
from opengait_ext.prepare.options import add_writing, fraction, positive, status_of
from opengait_ext.prepare.partition import Dropped, table, write_dropped
from opengait_ext.prepare.report import Official, tell_official
from opengait_ext.prepare.target import DROPPED, NOTE, PARTITION, open_target, sole_run

# Identities, lines and images in the published lists. The paper's totals (16,826 tracklets,
# 1,869,066 images) exceed all lists together and are not compared with anything.
OFFICIAL = {
    "train.txt": (1074, 3574, 796138),
    "auxiliary list": (930, 930, 209150),
    "query.txt": (1076, 1076, 101938),
    "gallery.txt": (1076, 4844, 597542),
}
OFFICIAL_VISIBLE = {"query.txt": 540, "gallery.txt": 2422}
PUBLISHED_BATCH = 64  # batch size of the published test sampler


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Prepare BUPTCampus for training and testing.")
    add = parser.add_argument
    add("--source", type=Path, required=True, help="the published folder DATA, or its parent")
    add("--target", type=Path, required=True, help="folder for the prepared data")
    add("--lists", type=Path, metavar="FOLDER", help="of the lists (default: looked for)")
    add("--name", default="BUPTCampus", help="of the dataset (default: %(default)s)")
    add(
        "--auxiliary",
        action="store_true",
        help="add the auxiliary identities, each of one camera, to the training split",
    )
    add(
        "--fake-ir",
        action="store_true",
        help="pack FakeIR, too, as a second file beside the frames of each visible tracklet",
    )
    add(
        "--min-frames",
        type=positive,
        default=1,
        metavar="N",
        help="shorter tracklets are dropped (default: %(default)s, the published protocol)",
    )
    _add_protocol(parser)
    add_writing(
        parser,
        damaged="leave damaged images out, and the frames beside them, not refuse the data",
    )
    return parser.parse_args(command)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "protocol", "These change partition.json only; repeat the command with others at will."
    )
    group.add_argument(
        "--camera-rule",
        choices=CAMERA_RULES,
        default="none",
        help="none: every gallery tracklet counts, as officially; same_pid_camid: not those of "
        "the query's identity and camera, as M3-ReID (default: %(default)s)",
    )
    group.add_argument(
        "--official-drop",
        type=positive,
        nargs="?",
        const=PUBLISHED_BATCH,
        default=0,
        metavar="BATCH",
        help="test only what the published sampler tests: whole batches of visible query and "
        "gallery tracklets (default: test everything; without a number: %(const)s)",
    )
    group.add_argument(
        "--validation",
        type=fraction,
        default=0.1,
        metavar="SHARE",
        help="of the training identities that two cameras see, held out to choose models "
        "(default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Prepare the data.

    Args:
        arguments: As returned by `arguments_of`.

    Raises:
        UserError: If the source, the target or an image is faulty.
    """
    with sole_run(arguments.target):
        _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    start = time.monotonic()
    target = arguments.target
    published = read_published(
        arguments.source, arguments.lists, arguments.auxiliary, arguments.fake_ir
    )
    _tell_source(arguments.source, published)
    lengths = [len(row.files) for row in published.rows]
    kept, _ = select(published.rows, lengths, arguments.min_frames)
    _partition(published, kept, lengths, arguments)  # refuses an empty split before any work
    if arguments.anew and (target / NOTE).is_file():
        remove_fakes(target)
    open_target(target, {"digest": published.digest, **_options(arguments)}, arguments.anew)
    packed = pack(published, kept, arguments)
    kept, dropped = select(published.rows, packed.frames, arguments.min_frames)
    partition = _partition(published, kept, packed.frames, arguments)
    source = _source(published, partition, dropped, packed.damaged, arguments)
    partition = replace(partition, source=source)
    write_dropped(target / DROPPED, Dropped, dropped)
    write_partition(target / PARTITION, partition)
    _tell_result(partition, published, dropped, target / DROPPED)
    print(f"\n{target / PARTITION} written after {time.monotonic() - start:.1f} s")


def _partition(
    published: Published, kept: list[int], lengths: list[int], arguments: argparse.Namespace
) -> Partition:
    return make_partition(
        published,
        kept,
        lengths,
        arguments.name,
        arguments.min_frames,
        arguments.camera_rule,
        arguments.official_drop,
        arguments.validation,
    )


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the options that decide the content of the tracklet files."""
    names = ["auxiliary", "fake_ir", "min_frames", "form"]
    if arguments.form == "opengait":
        names += ["height", "width"]
    return {name: getattr(arguments, name) for name in names}


def _source(
    published: Published,
    partition: Partition,
    dropped: list[Dropped],
    damaged: int,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    return {
        "digest": published.digest,
        "tool": "datasets/prep/bupt_campus.py",
        "version": __version__,
        "layout": published.layout,
        "auxiliary": published.auxiliary or None,
        "fake_ir": arguments.fake_ir,
        "counts": count_all(partition, published),
        "dropped": [
            {name: asdict(d)[name] for name in ("tracklet", "frames", "reason")} for d in dropped
        ],
        "damaged_images": damaged,
    }


def _tell_source(source: Path, published: Published) -> None:
    """Print the layout, the counts and the oddities of the source."""
    frames = sum(len(row.files) for row in published.rows)
    print(f"{source}: {published.layout}; {len(published.rows):,} tracklets, {frames:,} frames")
    for remark in published.remarks:
        print(f"  {remark}")


def _tell_result(
    partition: Partition, published: Published, dropped: list[Dropped], dropped_list: Path
) -> None:
    """Print the table of prepared data, the oddities and the dropped tracklets.

    Args:
        partition: The partition, with the counts in ``source``.
        published: The published data.
        dropped: Unused tracklets.
        dropped_list: The file that lists all of them.
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
    """Yield official counts beside those found, if the found ones are of that magnitude."""
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
    """Count list lines; a line of the training lists stands for two tracklets."""
    return sum(2 if rows[place].part == "test" else 1 for place in places) // 2


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 done, 1 refused, 2 misuse, 130 interrupted."""
    arguments = arguments_of(command)
    return status_of(lambda: run(arguments))
