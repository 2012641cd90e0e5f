"""Preparation of a gait data set in OpenGait's form for training and testing.

    python datasets/prep/gait.py --benchmark ccpg --source <pickles>

The tracklets, ``identity/type/view/*.pkl``, stay where they are. ``partition.json`` is written
beside them: the splits of OpenGait's JSON file, validation identities, the tasks, and the protocol.
With ``--target``, one stream is packed into another folder. Code in a pickle is never run. Needs
OpenGait's JSON file, but no checkout of OpenGait.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from opengait_ext import __version__
from opengait_ext.data.layout import FRAMES, SPLITS, VISIBLE, Partition, write_partition
from opengait_ext.prepare.faults import SHOWN, SourceError
from opengait_ext.prepare.gait.partition import (
    count,
    faults_of_partition,
    faults_of_tree,
    make_partition,
    notes,
)
from opengait_ext.prepare.gait.sets import (
    GAIT_SETS,
    RGB,
    SILHOUETTES,
    GaitSet,
    Lists,
    find_lists,
    read_lists,
)
from opengait_ext.prepare.gait.tree import Row, Tree, measure, pack, stream_of, walk
from opengait_ext.prepare.options import fraction, positive, status_of
from opengait_ext.prepare.partition import Dropped, write_dropped
from opengait_ext.prepare.target import DROPPED, PARTITION, open_target, sole_run


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Prepare a gait data set in OpenGait's form for training and testing."
    )
    add = parser.add_argument
    add("--benchmark", choices=sorted(GAIT_SETS), required=True, help="which data set")
    add("--source", type=Path, required=True, metavar="DIR", help="folder of the identities")
    _add_places(parser)
    add(
        "--kind",
        choices=(RGB, SILHOUETTES),
        help="which pictures (default: rgb, if there are such)",
    )
    add(
        "--stream",
        help="name of each tracklet's file without .pkl; {view} stands for its folder's name, * "
        "for any text (default: that of OpenGait)",
    )
    add("--name", help="of the data set, printed beside results")
    add(
        "--min-frames",
        type=positive,
        default=1,
        metavar="N",
        help="shorter tracklets are dropped (default: %(default)s)",
    )
    add(
        "--validation",
        type=fraction,
        default=0.1,
        metavar="SHARE",
        help="of the training identities, held out to choose models (default: %(default)s)",
    )
    for option, text in (
        ("--allow-missing", "work with the listed identities and tracklets that are there"),
        ("--skip-damaged", "leave out tracklets whose file cannot be used"),
        ("--anew", "remove what is packed in --target and begin again"),
    ):
        add(option, action="store_true", help=text)
    add("--workers", type=positive, default=8, metavar="N", help="threads (default: %(default)s)")
    arguments = parser.parse_args(command)
    if arguments.target and arguments.partition:
        parser.error("--partition: --target has its own; give one of them")
    return arguments


def _add_places(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--lists",
        type=Path,
        metavar="FILE",
        help="OpenGait's JSON file of the data set, datasets/<name>/<name>.json of a checkout "
        "(default: beside the data, or in the checkout of OPENGAIT_ROOT)",
    )
    add(
        "--partition",
        type=Path,
        metavar="FILE",
        help="where to write the partition (default: partition.json in --source)",
    )
    add("--target", type=Path, metavar="DIR", help="pack the tracklets and the partition here")


def run(arguments: argparse.Namespace) -> None:
    """Prepare the data.

    Args:
        arguments: As returned by `arguments_of`.

    Raises:
        UserError: If the source or the target is faulty.
    """
    if arguments.target:
        with sole_run(arguments.target):
            _run(arguments)
    else:
        _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    gait_set, source = GAIT_SETS[arguments.benchmark], arguments.source
    lists = read_lists(find_lists(arguments.lists, source, gait_set), gait_set)
    tree = walk(source, lists)
    stream = arguments.stream or stream_of(source, tree.rows, _candidates(arguments, gait_set))
    _tell_lists(lists, tree, stream)
    measure(source, tree, stream, arguments.workers)
    absent, skip = arguments.allow_missing, arguments.skip_damaged
    faults_of_tree(tree, lists, gait_set, absent, skip).refuse(str(source))
    kept, dropped = _select(tree, arguments.min_frames)
    partition = make_partition(kept, lists, gait_set, arguments.validation)
    faults_of_partition(partition, gait_set).refuse(str(source))
    facts = _facts(partition, gait_set, lists, tree, dropped)
    partition = replace(
        partition,
        dataset=arguments.name or gait_set.title,
        source={"digest": _digest(kept, lists), **facts, "stream": stream},
    )
    place = arguments.partition or source / PARTITION
    if arguments.target:
        partition = _pack(arguments, partition, kept, dropped, lists)
        place = arguments.target / PARTITION
    write_partition(place, partition)
    _tell_result(partition, gait_set, dropped, notes(tree, partition, gait_set))
    _tell_places(partition, place, arguments.target or source)


def _candidates(arguments: argparse.Namespace, gait_set: GaitSet) -> Sequence[str]:
    if arguments.kind is None:
        return [name for names in gait_set.streams.values() for name in names]
    if arguments.kind not in gait_set.streams:
        raise SourceError(
            f"--kind {arguments.kind}: {gait_set.title} is published with "
            f"{' and '.join(gait_set.streams)} only; name another file with --stream"
        )
    return gait_set.streams[arguments.kind]


def _select(tree: Tree, min_frames: int) -> tuple[list[Row], list[Dropped]]:
    """Return the used tracklets, and the dropped ones with their reasons."""
    kept: list[Row] = []
    dropped = []
    for row in tree.rows:
        reason = str(row.fault or "")
        if not reason and row.shape[0] < min_frames:
            reason = f"{row.shape[0]} frames, at least {min_frames} needed"
        if reason:
            dropped.append(Dropped(row.path, row.half, row.pid, VISIBLE, 0, row.shape[0], reason))
        else:
            kept.append(row)
    return kept, dropped


def _pack(
    arguments: argparse.Namespace,
    partition: Partition,
    kept: list[Row],
    dropped: list[Dropped],
    lists: Lists,
) -> Partition:
    """Pack the tracklets and return the partition of the packed ones."""
    names = ("benchmark", "name", "min_frames", "validation")
    settings = {
        **{name: getattr(arguments, name) for name in names},
        "stream": partition.source["stream"],
        "digest": _digest(kept, lists),
    }
    open_target(arguments.target, settings, arguments.anew)
    stream = partition.source["stream"]
    reused = pack(arguments.source, arguments.target, kept, stream, arguments.workers)
    if reused:
        print(f"{reused:,} of {len(kept):,} tracklets were packed already")
    write_dropped(arguments.target / DROPPED, Dropped, dropped)
    return replace(partition, source={**partition.source, "stream": FRAMES, "packed": stream})


def _digest(kept: list[Row], lists: Lists) -> str:
    content = [lists.digest, *((row.path, row.shape) for row in kept)]
    return sha256(repr(content).encode()).hexdigest()


def _facts(
    partition: Partition, gait_set: GaitSet, lists: Lists, tree: Tree, dropped: list[Dropped]
) -> dict[str, Any]:
    """Return the facts in the partition's ``source`` besides digest and stream."""
    return {
        "tool": "datasets/prep/gait.py",
        "version": __version__,
        "lists": lists.path.name,
        "counts": count(partition),
        "published": dict(gait_set.published),
        "absent": {half: len(pids) for half, pids in tree.absent.items()},
        "dropped": [
            {"tracklet": each.tracklet, "frames": each.frames, "reason": each.reason}
            for each in dropped
        ],
    }


def _tell_lists(lists: Lists, tree: Tree, stream: str) -> None:
    """Print the findings before any file is opened."""
    print(
        f"lists: {lists.path} ({len(lists.train):,} training, {len(lists.test):,} test identities)"
    )
    for half, pids in tree.absent.items():
        if pids:
            shown = ", ".join(pids[:5]) + (", ..." if len(pids) > 5 else "")
            print(f"  {len(pids):,} of the {half} half have no folder: {shown}")
    print(f"{len(tree.rows):,} tracklets, of each the file {stream}.pkl")


def _tell_result(
    partition: Partition, gait_set: GaitSet, dropped: Sequence[Dropped], notes: Sequence[str]
) -> None:
    """Print the counts of the written data beside the published ones."""
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


def _tell_places(partition: Partition, place: Path, root: Path) -> None:
    """Print the path of the partition and the config lines that read this data."""
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


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 done, 1 refused, 2 misuse, 130 interrupted."""
    arguments = arguments_of(command)
    return status_of(lambda: run(arguments))
