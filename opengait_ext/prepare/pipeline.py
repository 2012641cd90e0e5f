"""The one run that prepares a published data set.

    sources -> reader -> protocol -> packing -> partition.json -> a table

A data set is a subclass of `DataSet` in its own module: it reads the lists (`read`) and defines who
queries whom (`tasks`, `protocol`). Everything else is done here: the command line, the lock of the
target, resuming a stopped or killed run, packing in several processes, damaged images, dropped
tracklets with reasons, validation identities, counts. ``partition.json`` is written last.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from opengait_ext import __version__
from opengait_ext.data.layout import Partition, Task, Tracklet, atomic_write, write_partition
from opengait_ext.errors import UserError
from opengait_ext.prepare.faults import SHOWN, Faults, Kind, listed
from opengait_ext.prepare.options import add_writing, fraction, positive, status_of
from opengait_ext.prepare.packing import Job, Prepared, prepare_all
from opengait_ext.prepare.partition import (
    MODALITIES,
    Dropped,
    count_all,
    digest_of,
    select,
    validation_identities,
    write_dropped,
)
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.published import Published, Row, file_name
from opengait_ext.prepare.report import tell_cost, tell_result, tell_source
from opengait_ext.prepare.sources import (
    UNPACKED,
    Sources,
    close_archives,
    remove_unpacked,
)
from opengait_ext.prepare.target import DAMAGED, DROPPED, PARTITION, open_target, sole_run


class DataSet:
    """One published data set: a reader and a protocol.

    Attributes:
        name: Name of the data set, printed alongside every result.
        script: The entry script, ``datasets/prep/<name>.py``.
        summary: What the script does, in a line.
        expected: What ``--source`` should hold, in words.
        min_frames: Default of ``--min-frames``: shorter tracklets are dropped.
        modalities: The modalities that every training identity needs.
        share: Default of ``--validation``, the share of training identities that is held out. None:
            the publishers name the validation identities.
    """

    name: str
    script: str
    summary: str
    expected: str
    min_frames = 1
    modalities: Sequence[str] = MODALITIES
    share: float | None = 0.1

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command-line options that only this data set has."""

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return the published tracklets; note faults and oddities in ``faults``."""
        raise NotImplementedError

    def candidates(self, rows: Sequence[Row]) -> set[str]:
        """Return the training identities that may be held out for validation."""
        return {row.pid for row in rows}

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return the tasks of one split by name: who queries whom.

        Args:
            rows: All used tracklets, in the order of the partition.
            members: Positions in ``rows`` of the tracklets of the split.
            options: Options of the command line.
        """
        raise NotImplementedError

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the protocol, as `evaluation.protocols` reads it."""
        raise NotImplementedError

    def settings(self, published: Published, options: argparse.Namespace) -> dict[str, object]:
        """Return the settings that decide the tracklet files; the protocol is not among them."""
        files = ([row.path, *map(file_name, row.images)] for row in published.rows)
        names = ["min_frames", "form"]
        if options.form == "opengait":
            names += ["height", "width"]
        return {
            "files": digest_of(sorted(files)),
            **{name: getattr(options, name) for name in names},
        }

    def source(
        self, published: Published, frames: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Any]:
        """Return the entries of the partition's ``source`` that only this data set has.

        Args:
            published: The result of `read`.
            frames: Number of undamaged frames of each of its rows.
            options: Options of the command line.
        """
        return {}

    def lines(self, partition: Partition) -> Iterator[str]:
        """Yield the lines at the end of the report that only this data set has."""
        yield from ()

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield what is counted, the official number, and the number found."""
        yield from ()


def run_script(dataset: DataSet, command: Sequence[str] | None = None) -> int:
    """Run a script; return the exit status: 0 done, 1 refused, 2 misuse, 130 stopped."""
    options = arguments_of(dataset, command)
    try:
        return status_of(lambda: run(dataset, options))
    finally:
        close_archives()


def arguments_of(dataset: DataSet, command: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=dataset.summary)
    add = parser.add_argument
    add(
        "--source",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="PATH",
        help="the published data: a folder, a folder that holds the archives, or the archives "
        "themselves (.zip, .tar, .tar.gz); they are read as they are",
    )
    add("--target", type=Path, required=True, help="folder for the prepared data")
    add("--name", default=dataset.name, help="of the dataset (default: %(default)s)")
    add(
        "--min-frames",
        type=positive,
        default=dataset.min_frames,
        metavar="N",
        help="shorter tracklets are dropped (default: %(default)s)",
    )
    if dataset.share is not None:
        add(
            "--validation",
            type=fraction,
            default=dataset.share,
            metavar="SHARE",
            help="of the training identities, held out to choose models (default: %(default)s)",
        )
    dataset.add_arguments(parser)
    add_writing(parser, damaged="leave damaged images out instead of refusing the data")
    return parser.parse_args(command)


def run(dataset: DataSet, options: argparse.Namespace) -> None:
    """Prepare a published data set.

    Args:
        dataset: The data set.
        options: Options, as `arguments_of` returns them.

    Raises:
        UserError: If the source, the target or an image is faulty.
    """
    with sole_run(options.target):
        _run(dataset, options)


def _run(dataset: DataSet, options: argparse.Namespace) -> None:
    start = time.monotonic()
    target = options.target
    sources = Sources(options.source, target / UNPACKED, dataset.expected)
    published = _read(dataset, sources, options)
    tell_source(str(sources), published)
    rows = published.rows
    frames = [len(row.images) for row in rows]
    kept, _ = select(rows, frames, options.min_frames, dataset.modalities)
    _partition(dataset, rows, kept, frames, options)  # refuses an empty split before the work
    open_target(target, dataset.settings(published, options), options.anew)
    (target / PARTITION).unlink(missing_ok=True)  # it may only exist beside complete files
    results = _pack(rows, kept, options)
    for position, result in zip(kept, results, strict=True):
        frames[position] = result.frames
    kept, dropped = select(rows, frames, options.min_frames, dataset.modalities)
    partition = _partition(dataset, rows, kept, frames, options)
    damaged = sum(len(result.damaged) for result in results)
    source = _source(dataset, published, partition, dropped, damaged)
    source |= dataset.source(published, frames, options)
    partition = replace(partition, source=source)
    write_dropped(target / DROPPED, Dropped, dropped)
    write_partition(target / PARTITION, partition)
    remove_unpacked(target / UNPACKED)
    official = list(dataset.official(published, partition, options))
    tell_result(partition, len(rows), dropped, target / DROPPED, dataset.modalities)
    for line in dataset.lines(partition):
        print(line)
    tell_cost(dataset.name, official, target, partition, options.form, time.monotonic() - start)


def _read(dataset: DataSet, sources: Sources, options: argparse.Namespace) -> Published:
    faults = Faults()
    published = dataset.read(sources, options, faults)
    for path, count in sources.ignored():
        faults.add(Kind.IGNORED_MEMBERS, path, count)
    faults.refuse(f"--source {sources}")
    if not published.rows:
        raise UserError(f"--source {sources}: no tracklet is there; {dataset.expected}")
    digest = published.digest
    if not digest:
        digest = digest_of([*_fields(row), *map(file_name, row.images)] for row in published.rows)
    remarks = [*published.remarks, *faults.remarks()]
    return replace(published, digest=digest, remarks=remarks)


def _fields(row: Row) -> list[str]:
    return [row.path, row.pid, str(row.camid), row.modality, row.half, row.role]


def _partition(
    dataset: DataSet,
    rows: Sequence[Row],
    kept: Sequence[int],
    frames: Sequence[int],
    options: argparse.Namespace,
) -> Partition:
    """Return the partition of the used rows, with ``source`` still empty.

    Raises:
        UserError: If a split or a side of a task is empty.
    """
    used = [rows[position] for position in kept]
    training = [row for row in used if row.half == "train"]
    held_out: set[str] = set()
    if dataset.share is not None:
        held_out = validation_identities(dataset.candidates(training), options.validation)
    splits = ["val" if row.pid in held_out else row.half for row in used]
    tracklets = [
        Tracklet(row.path, row.pid, row.camid, row.modality, frames[position], split)
        for row, position, split in zip(used, kept, splits, strict=True)
    ]
    for split in ("train", "test"):
        if split not in splits:
            raise UserError(
                f"no tracklet of at least {options.min_frames} frames is left for {split}; "
                "lower --min-frames, or use more data"
            )
    tasks: dict[str, dict[str, Task]] = {}
    for split in ("val", "test"):
        members = [place for place, found in enumerate(splits) if found == split]
        if members:
            tasks[split] = dataset.tasks(used, members, options)
            _refuse_empty(tasks[split], split)
    protocol = {**dataset.protocol(options), "min_frames": options.min_frames}
    return Partition(options.name, tracklets, tasks, protocol)


def _refuse_empty(tasks: dict[str, Task], split: str) -> None:
    for direction, task in tasks.items():
        for side, places in (("query", task.query), ("gallery", task.gallery)):
            if not places:
                raise UserError(
                    f"{split}, {direction.replace('_', ' ')}: no tracklet is left as {side}; "
                    "lower --min-frames, or use more data"
                    + (" (or --validation 0)" if split == "val" else "")
                )


def _pack(rows: Sequence[Row], kept: Sequence[int], options: argparse.Namespace) -> list[Prepared]:
    """Pack the tracklets; raise UserError if one failed, or if damage is found and not allowed."""
    jobs = [
        Job(
            str(options.target / rows[position].path),
            rows[position].images,
            options.form,
            options.height,
            options.width,
            options.min_frames,
            options.skip_damaged,
        )
        for position in kept
    ]
    results = run_jobs(jobs, options.workers)
    judge_damage(options.target, results, options.skip_damaged)
    reused = sum(result.reused for result in results)
    if reused:
        print(f"{reused:,} of {len(jobs):,} tracklets were prepared already")
    return results


def run_jobs(jobs: Sequence[Job], workers: int) -> list[Prepared]:
    """Return the results of all jobs.

    Raises:
        UserError: If a tracklet cannot be written.
    """
    results, failures = [], []
    with Progress(sum(len(job.images) for job in jobs), "preparing", "frames") as progress:
        for job, result in zip(jobs, prepare_all(jobs, workers), strict=True):
            results.append(result)
            progress.add(len(job.images))
            failures += [result.failure] if result.failure else []
            if len(failures) == SHOWN:  # a full disk, say: the rest would fail as well
                break
    if failures:
        raise UserError(listed(f"{len(failures)} tracklets could not be prepared", failures))
    return results


def judge_damage(
    target: Path, results: Sequence[Prepared], skip_damaged: bool, others: str = ""
) -> None:
    """List the damaged images in a file; refuse them unless they are to be left out.

    Args:
        target: Folder that the list is written to.
        results: Results of all jobs.
        skip_damaged: Whether damaged images are left out.
        others: What is left out along with them, in words.

    Raises:
        UserError: If there are damaged images and they are not left out.
    """
    damaged = [image for result in results for image in result.damaged]
    (target / DAMAGED).unlink(missing_ok=True)
    if not damaged:
        return
    atomic_write(target / DAMAGED, "".join(f"{image}\n" for image in damaged).encode())
    shown = listed(f"{len(damaged)} damaged images (all of them: {target / DAMAGED})", damaged)
    if not skip_damaged:
        also = f", and with them {others}" if others else ""
        raise UserError(
            f"{shown}\nGet these files again and repeat the command (what is finished is kept), "
            f"or add --skip-damaged to leave them out{also}."
        )
    print(f"left out{', with ' + others if others else ''}: {shown}")


def _source(
    dataset: DataSet,
    published: Published,
    partition: Partition,
    dropped: Sequence[Dropped],
    damaged: int,
) -> dict[str, Any]:
    return {
        "digest": published.digest,
        "tool": dataset.script,
        "version": __version__,
        "layout": published.layout,
        "counts": count_all(partition),
        "dropped": [
            {name: asdict(d)[name] for name in ("tracklet", "frames", "reason")} for d in dropped
        ],
        "damaged_images": damaged,
    }
