"""Packing of BUPTCampus, with paired frames kept aligned.

The frames of a pair, and FakeIR frames and their visible originals, are aligned by frame number.
If one is damaged and left out, all others with its number are left out too.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opengait_ext.data.layout import FAKE_IR, FRAMES
from opengait_ext.prepare.bupt.folders import Published
from opengait_ext.prepare.packing import Job, Prepared
from opengait_ext.prepare.pipeline import judge_damage, run_jobs
from opengait_ext.prepare.target import PARTITION

_OTHERS = "the frames of the same number in their pair"


@dataclass(frozen=True)
class Packed:
    """The result of packing.

    Args:
        frames: Per published row, the number of undamaged frames whose partners are undamaged too.
        damaged: The damaged images.
    """

    frames: list[int]
    damaged: int


@dataclass(frozen=True)
class _Stream:
    """The frames of one output file and the row they belong to."""

    row: int
    job: Job


def pack(published: Published, kept: Sequence[int], arguments: argparse.Namespace) -> Packed:
    """Pack tracklets in several processes; keep those that are already packed.

    Args:
        published: The published data.
        kept: Positions of the rows to pack.
        arguments: Target, form, sizes, ``min_frames``, ``fake_ir``, ``workers`` and
            ``skip_damaged``.

    Raises:
        UserError: If a tracklet cannot be written, or an image is damaged and ``skip_damaged`` is
            not set.
    """
    target = arguments.target
    (target / PARTITION).unlink(missing_ok=True)  # it exists only for complete data
    groups = list(_groups(published, kept, arguments))
    streams = [stream for group in groups for stream in group]
    results = run_jobs([stream.job for stream in streams], arguments.workers)
    judge_damage(target, results, arguments.skip_damaged, _OTHERS)
    found = dict(zip(streams, results, strict=True))
    _leave_out_together(groups, found, arguments.workers)
    frames = [len(row.files) for row in published.rows]
    for group in groups:
        counts = {found[stream].frames for stream in group}
        assert len(counts) == 1, f"{group[0].job.folder}: {counts} frames side by side"
        for stream in group:
            frames[stream.row] = found[stream].frames
    reused = sum(found[stream].reused for stream in streams)
    if reused:
        print(f"{reused:,} of {len(streams):,} files were prepared already")
    return Packed(frames, sum(len(result.damaged) for result in results))


def _groups(
    published: Published, kept: Sequence[int], arguments: argparse.Namespace
) -> Iterator[list[_Stream]]:
    """Yield the streams to align: those of a pair or of a single tracklet."""
    used = set(kept)
    paired = {place for pair in published.pairs for place in pair}
    alone = [(place,) for place in kept if place not in paired]
    for places in [*(pair for pair in published.pairs if used.issuperset(pair)), *alone]:
        group = []
        for place in places:
            row = published.rows[place]
            kinds = [(FRAMES, row.files)]
            if arguments.fake_ir and row.fake_files:
                kinds.append((FAKE_IR, row.fake_files))
            for name, files in kinds:
                job = Job(
                    str(arguments.target / row.path),
                    tuple(f"{published.images}/{file}" for file in files),
                    arguments.form,
                    arguments.height,
                    arguments.width,
                    arguments.min_frames,
                    skip_damaged=False,
                    stream=name,
                )
                group.append(_Stream(place, job))
        yield group


def _leave_out_together(
    groups: Sequence[list[_Stream]], found: dict[_Stream, Prepared], workers: int
) -> None:
    """Pack groups with damaged images again, without these and the frames aligned with them."""
    again: dict[_Stream, Job] = {}
    for group in groups:
        bad = {damage.frame for stream in group for damage in found[stream].damaged}
        for stream in group if bad else []:
            images = enumerate(stream.job.images)
            whole = tuple(image for number, image in images if number not in bad)
            if len(whole) >= stream.job.min_frames:
                again[stream] = replace(stream.job, images=whole)
            else:
                stream.job.remove()
                found[stream] = Prepared(len(whole), found[stream].damaged)
    if again:
        found.update(zip(again, run_jobs(list(again.values()), workers), strict=True))


def remove_fakes(target: Path) -> None:
    """Remove FakeIR streams of an earlier preparation, complete or partial."""
    for view in target.glob("*/rgb/*"):
        for path in [*view.glob(f"{FAKE_IR}.*"), *view.glob(f".{FAKE_IR}.*.tmp")]:
            path.unlink()
