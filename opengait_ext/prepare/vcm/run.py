"""Prepares HITSZ-VCM, or data published in the same form (SynthVVI), for training and testing.

    python datasets/prep/hitsz_vcm.py --source <download> --target data/hitsz_vcm

Reads all three layouts in circulation (identities below Train/ and Test/ or in one folder, lists
in info/ or beside them), unpacked or in the published archives, checks them, and writes one file a
tracklet and ``partition.json`` with the splits, both directions of query and gallery, and the
protocol. A run that was stopped or killed goes on with the same command. Images of a discard list,
if one is given, leave their tracklets first. Needs numpy and OpenCV, no torch.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from opengait_ext import __version__
from opengait_ext.data.layout import Partition, atomic_write, write_partition
from opengait_ext.errors import UserError
from opengait_ext.prepare.faults import SHOWN, listed
from opengait_ext.prepare.options import add_writing, fraction, positive, status_of
from opengait_ext.prepare.packing import Job, Prepared, prepare_all
from opengait_ext.prepare.partition import Dropped, count_all, write_dropped
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.sources import UNPACKED, Sources, close_archives, remove_unpacked
from opengait_ext.prepare.target import DAMAGED, DROPPED, PARTITION, open_target, sole_run
from opengait_ext.prepare.vcm.discard import (
    DiscardList,
    read_discard_lists,
    summarize,
    without_discarded,
)
from opengait_ext.prepare.vcm.folders import EXPECTED, Published, read_published
from opengait_ext.prepare.vcm.lists import HALVES
from opengait_ext.prepare.vcm.partition import make_partition, select
from opengait_ext.prepare.vcm.report import tell_cost, tell_result, tell_source, tell_unknown


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description="Prepare HITSZ-VCM, or data in its form, for training and testing."
    )
    _add_places(parser)
    add = parser.add_argument
    add("--name", default="HITSZ-VCM", help="of the dataset (default: %(default)s)")
    add(
        "--min-frames",
        type=positive,
        default=12,
        metavar="N",
        help="shorter tracklets are dropped (default: %(default)s, the published protocol)",
    )
    add(
        "--validation",
        type=fraction,
        default=0.1,
        metavar="SHARE",
        help="of the training identities, held out to choose models (default: %(default)s)",
    )
    for half in HALVES:
        add(
            f"--discard-{half.lower()}",
            type=Path,
            metavar="FILE",
            help=f"list of images that are left out of the {half.lower()} half (default: none)",
        )
    add_writing(parser, damaged="leave damaged images out instead of refusing the data")
    return parser.parse_args(command)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="PATH",
        help="the published data: a folder, a folder that holds the archives, or the archives "
        "themselves (.zip, .tar, .tar.gz); they are read as they are",
    )
    parser.add_argument("--target", type=Path, required=True, help="folder for the prepared data")


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
    sources = Sources(arguments.source, arguments.target / UNPACKED, EXPECTED)
    published = read_published(sources)
    tell_source(str(sources), published)
    paths = {"Train": arguments.discard_train, "Test": arguments.discard_test}
    lists = read_discard_lists(paths, published.rows)
    tell_unknown(lists)
    rows = without_discarded(published.rows, lists)
    published = replace(published, rows=rows)
    settings = {"digest": published.digest, **_options(arguments), **_digests(lists)}
    lengths = [len(row.files) for row in rows]
    kept, _ = select(rows, lengths, arguments.min_frames)
    _partition(published, kept, lengths, arguments)  # an empty split is refused before the work
    open_target(arguments.target, settings, arguments.anew)
    results = _prepare(published, kept, arguments)
    for position, result in zip(kept, results, strict=True):
        lengths[position] = result.frames
    kept, dropped = select(rows, lengths, arguments.min_frames)
    partition = _partition(published, kept, lengths, arguments)
    source = _source(published, partition, dropped, results)
    source["discard_lists"] = summarize(lists, rows, lengths, arguments.min_frames)
    partition = replace(partition, source=source)
    write_dropped(arguments.target / DROPPED, Dropped, dropped)
    write_partition(arguments.target / PARTITION, partition)
    remove_unpacked(arguments.target / UNPACKED)
    tell_result(partition, published, dropped, arguments.target / DROPPED)
    tell_cost(arguments.target, partition, arguments.form, time.monotonic() - start)


def _partition(
    published: Published, kept: list[int], lengths: list[int], arguments: argparse.Namespace
) -> Partition:
    return make_partition(
        [published.rows[position] for position in kept],
        [lengths[position] for position in kept],
        arguments.name,
        arguments.min_frames,
        arguments.validation,
    )


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    """Gives the options that decide what is written; how it is done is left out."""
    names = ["name", "min_frames", "validation", "form"]
    if arguments.form == "opengait":
        names += ["height", "width"]
    return {name: getattr(arguments, name) for name in names}


def _digests(lists: dict[str, DiscardList]) -> dict[str, str]:
    """Gives nothing without lists, so that data prepared before there were any stay valid."""
    return {f"discard_{half.lower()}": found.sha256 for half, found in lists.items()}


def _prepare(
    published: Published, kept: list[int], arguments: argparse.Namespace
) -> list[Prepared]:
    """Prepares the tracklets and refuses to go on if one failed or is damaged."""
    jobs = []
    for row in (published.rows[position] for position in kept):
        images = tuple(map(published.homes[row.half].image, row.files))
        jobs.append(
            Job(
                str(arguments.target / row.path),
                images,
                arguments.form,
                arguments.height,
                arguments.width,
                arguments.min_frames,
                arguments.skip_damaged,
            )
        )
    results, failures = [], []
    with Progress(sum(len(job.images) for job in jobs), "preparing", "frames") as progress:
        for job, result in zip(jobs, prepare_all(jobs, arguments.workers), strict=True):
            results.append(result)
            progress.add(len(job.images))
            failures += [result.failure] if result.failure else []
            if len(failures) == SHOWN:  # a full disk, say: all that follows would fail, too
                break
    _refuse_failures(arguments.target, failures)
    _judge_damage(arguments.target, results, arguments.skip_damaged)
    reused = sum(result.reused for result in results)
    if reused:
        print(f"{reused:,} of {len(jobs):,} tracklets were prepared already")
    return results


def _refuse_failures(target: Path, failures: list[str]) -> None:
    if failures:
        (target / PARTITION).unlink(missing_ok=True)
        raise UserError(listed(f"{len(failures)} tracklets could not be prepared", failures))


def _judge_damage(target: Path, results: list[Prepared], skip_damaged: bool) -> None:
    """Lists damaged images; refuses them unless they are to be left out."""
    damaged = [image for result in results for image in result.damaged]
    (target / DAMAGED).unlink(missing_ok=True)
    if not damaged:
        return
    atomic_write(target / DAMAGED, "".join(f"{image}\n" for image in damaged).encode())
    shown = listed(f"{len(damaged)} damaged images (all of them: {target / DAMAGED})", damaged)
    if not skip_damaged:
        (target / PARTITION).unlink(missing_ok=True)
        raise UserError(
            f"{shown}\nGet these files again and repeat the command (what is finished is kept), "
            "or add --skip-damaged to leave them out."
        )
    print(f"left out: {shown}")


def _source(
    published: Published, partition: Partition, dropped: list[Dropped], results: list[Prepared]
) -> dict[str, object]:
    return {
        "digest": published.digest,
        "tool": "datasets/prep/hitsz_vcm.py",
        "version": __version__,
        "layout": published.layout,
        "counts": count_all(partition),
        "dropped": [
            {"tracklet": d.tracklet, "frames": d.frames, "reason": d.reason} for d in dropped
        ],
        "damaged_images": sum(len(result.damaged) for result in results),
    }


def main(command: Sequence[str] | None = None) -> int:
    """Runs the script; returns the exit status: 0 done, 1 refused, 2 misuse, 130 stopped."""
    arguments = arguments_of(command)
    try:
        return status_of(lambda: run(arguments))
    finally:
        close_archives()
