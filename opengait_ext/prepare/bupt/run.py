"""Prepares BUPTCampus for training and testing.

    python datasets/prep/bupt_campus.py --source <download> --target data/bupt_campus

Reads the published folder DATA with data_paths.json and the lists beside it or in a folder there,
checks that all of it fits together, and writes one file a tracklet and ``partition.json`` with the
splits, the pairs of training tracklets that were filmed together, both directions of query and
gallery, and the protocol. A run that was stopped goes on with the same command. Needs numpy and
OpenCV, no torch.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from opengait_ext import __version__
from opengait_ext.data.layout import Partition, write_partition
from opengait_ext.prepare.bupt.folders import Published, read_published
from opengait_ext.prepare.bupt.pack import pack, remove_fakes
from opengait_ext.prepare.bupt.partition import CAMERA_RULES, count_all, make_partition, select
from opengait_ext.prepare.bupt.report import tell_result, tell_source
from opengait_ext.prepare.options import add_writing, fraction, positive, status_of
from opengait_ext.prepare.partition import Dropped, write_dropped
from opengait_ext.prepare.target import DROPPED, NOTE, PARTITION, open_target, sole_run

PUBLISHED_BATCH = 64  # of the published test sampler


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
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
    """Prepares the data.

    Args:
        arguments: As `arguments_of` gives them.

    Raises:
        UserError: If the source, the target or an image is not as it must be.
    """
    with sole_run(arguments.target):
        _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    start = time.monotonic()
    target = arguments.target
    published = read_published(
        arguments.source, arguments.lists, arguments.auxiliary, arguments.fake_ir
    )
    tell_source(arguments.source, published)
    lengths = [len(row.files) for row in published.rows]
    kept, _ = select(published.rows, lengths, arguments.min_frames)
    _partition(published, kept, lengths, arguments)  # an empty split is refused before the work
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
    tell_result(partition, published, dropped, target / DROPPED)
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
    """Gives the options that decide what the tracklets' files hold."""
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


def main(command: Sequence[str] | None = None) -> int:
    """Runs the script; returns the exit status: 0 done, 1 refused, 2 misuse, 130 stopped."""
    arguments = arguments_of(command)
    return status_of(lambda: run(arguments))
