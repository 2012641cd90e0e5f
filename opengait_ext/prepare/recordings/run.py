"""Preparation of own recordings: folders of images, or videos with boxes of the people in them.

    python datasets/prep/own.py --source <folders> --target data/own
    python datasets/prep/own.py --videos <folder> --boxes boxes.csv --target data/own

Images lie in a tree ``<pid>/<rgb|ir>/<camera>/<tracklet>/1.jpg`` (or a simpler one, see
``--tree``), or in any folders with a list of them. Boxes come as CSV with the columns ``video,
frame, x, y, w, h, track, pid, camera, modality``, or in MOT format. ``--dry-run`` shows the plan. A
stopped run resumes with the same command. Needs numpy and OpenCV, no torch.
"""

import argparse
import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from opengait_ext import __version__
from opengait_ext.data.layout import Partition, write_partition
from opengait_ext.data.words import modality_of
from opengait_ext.errors import UserError
from opengait_ext.prepare.options import status_of
from opengait_ext.prepare.packing import available_cores
from opengait_ext.prepare.partition import write_dropped
from opengait_ext.prepare.recordings.box_files import is_mot, read_about, read_box_table, read_mot
from opengait_ext.prepare.recordings.box_forms import Reading
from opengait_ext.prepare.recordings.boxes import home_of
from opengait_ext.prepare.recordings.journal import FOLDER
from opengait_ext.prepare.recordings.names import Faults
from opengait_ext.prepare.recordings.options import arguments_of
from opengait_ext.prepare.recordings.packing import look_at_first
from opengait_ext.prepare.recordings.partition import (
    Dropped,
    Rules,
    count_all,
    make_partition,
    select,
)
from opengait_ext.prepare.recordings.plan import Piece, Recordings, make_pieces
from opengait_ext.prepare.recordings.report import (
    TRACKLETS,
    tell_found,
    tell_next,
    tell_plan,
    tell_result,
    tell_sizes,
    write_tracklets,
)
from opengait_ext.prepare.recordings.tree import read_list, read_tree
from opengait_ext.prepare.recordings.trial import look_at_videos
from opengait_ext.prepare.recordings.work import Settings, Work, do_work
from opengait_ext.prepare.target import DROPPED, PARTITION, open_target, sole_run


def run(arguments: argparse.Namespace) -> bool:
    """Prepare the data, or show the plan.

    Args:
        arguments: Options, as `arguments_of` returns them.

    Returns:
        False after a dry run that found faults, otherwise True.

    Raises:
        UserError: If the recordings, the target or an image are faulty.
    """
    start = time.monotonic()
    faults = Faults()
    recordings = read_recordings(arguments, faults)
    pieces, cameras = make_pieces(recordings.recorded, arguments.every, arguments.max_frames)
    tell_found(recordings, cameras)
    rules = Rules(
        arguments.split,
        arguments.train or 0.0,
        arguments.validation,
        arguments.camera_rule,
        arguments.distractors,
        arguments.min_frames,
    )
    if arguments.dry_run:
        return _try(arguments, pieces, recordings, rules, faults)
    faults.raise_if_any(str(arguments.source or arguments.tracklets or arguments.boxes))
    planned = [len(piece.positions) for piece in pieces]
    _partition(pieces, planned, [{} for _ in pieces], arguments.name, rules)  # refuse early
    target: Path = arguments.target
    with sole_run(target):
        _open(target, arguments, recordings)
        work = do_work(pieces, recordings, _settings(arguments))
        if work.reused:
            print(f"{work.reused:,} of {len(pieces):,} tracklets were prepared already")
        for remark in work.remarks:
            print(remark)
        _finish(arguments, pieces, recordings, work, rules, cameras)
    print(f"\n{target / PARTITION} written after {time.monotonic() - start:.1f} s; where every "
          f"tracklet comes from: {target / TRACKLETS}")  # fmt: skip
    return True


def read_recordings(arguments: argparse.Namespace, faults: Faults) -> Recordings:
    """Read the user's recordings in any of the forms.

    Raises:
        UserError: If they cannot be read at all; single faults go into ``faults``.
    """
    modality = modality_of(arguments.modality or "") or ""
    camera = arguments.camera or ""
    if arguments.videos is None:
        if arguments.tracklets is not None:
            return read_list(arguments.source, arguments.tracklets, faults)
        return read_tree(arguments.source, arguments.tree, modality, camera, faults)
    about = read_about(arguments.cameras, camera, modality, faults)
    boxes: Path = arguments.boxes
    read = read_mot if is_mot(boxes) else read_box_table
    reading = Reading(arguments.first_frame, arguments.box_form, tuple(arguments.classes))
    return read(arguments.videos, boxes, reading, about, faults)


def _try(
    arguments: argparse.Namespace,
    pieces: list[Piece],
    recordings: Recordings,
    rules: Rules,
    faults: Faults,
) -> bool:
    """Show the plan and the first faults, and write nothing; return whether there is no fault."""
    if pieces:
        tell_plan(pieces)
        if pieces[0].recorded.video:
            look_at_videos(
                pieces, recordings, home_of(arguments.videos), arguments.min_side, faults
            )
        else:
            tell_sizes(look_at_first(pieces, faults))
        try:
            lengths = [len(piece.positions) for piece in pieces]
            _partition(pieces, lengths, [{} for _ in pieces], arguments.name, rules)
        except UserError as error:
            faults.add(str(error))
    print(f"\n{faults.shown() if faults.texts else 'no faults found'}")
    print("nothing was written (--dry-run)")
    return not faults.texts


def _partition(
    pieces: Sequence[Piece],
    frames: Sequence[int],
    left_out: Sequence[dict[str, int]],
    name: str,
    rules: Rules,
) -> tuple[list[int], Partition, list[Any]]:
    kept, dropped = select(pieces, frames, left_out, rules)
    chosen = [pieces[n] for n in kept]
    return kept, make_partition(chosen, [frames[n] for n in kept], name, rules), dropped


def _open(target: Path, arguments: argparse.Namespace, recordings: Recordings) -> None:
    """Start or resume in the target; settings that affect only the partition may change."""
    names = ["every", "max_frames", "min_frames", "quality", "range16"]
    options: dict[str, Any] = {name: getattr(arguments, name) for name in names}
    if arguments.videos is not None:
        options |= {"min_side": arguments.min_side, "first_frame": recordings.first_frame}
    open_target(target, {"digest": recordings.digest, "own": True, **options}, arguments.anew)
    if arguments.anew:
        shutil.rmtree(target / FOLDER, ignore_errors=True)
        (target / TRACKLETS).unlink(missing_ok=True)


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        arguments.target,
        home_of(arguments.videos) if arguments.videos else Path(),
        arguments.quality,
        tuple(arguments.range16) if arguments.range16 else None,
        arguments.min_side,
        arguments.min_frames,
        arguments.skip_damaged,
        arguments.workers,
        available_cores(),
    )


def _finish(
    arguments: argparse.Namespace,
    pieces: list[Piece],
    recordings: Recordings,
    work: Work,
    rules: Rules,
    cameras: dict[str, int],
) -> None:
    """Write the partition and the lists, and print the report."""
    target: Path = arguments.target
    frames = [made.frames for made in work.made]
    left_out = [made.left_out for made in work.made]
    kept, partition, dropped = _partition(pieces, frames, left_out, arguments.name, rules)
    used = [pieces[n] for n in kept]
    both = f"{recordings.digest}\n{work.digest}"
    source = {
        "digest": hashlib.sha256(both.encode()).hexdigest(),
        "tool": "datasets/prep/own.py",
        "version": __version__,
        "layout": recordings.layout,
        "counts": count_all(partition, [piece.is_known for piece in used]),
        "cameras": cameras,
        "left_out": work.left_out(),
        "damaged_images": len(work.damaged),
        "discard_lists": None,
        "dropped": [
            {"tracklet": d.tracklet, "frames": d.frames, "reason": d.reason} for d in dropped
        ],
    }
    partition = replace(partition, source=source)
    write_dropped(target / DROPPED, Dropped, dropped)
    write_tracklets(target / TRACKLETS, used, partition, recordings.first_frame)
    write_partition(target / PARTITION, partition)
    tell_result(partition, dropped, work.changed(), target)
    tell_sizes([work.made[n].size for n in kept])
    tell_next(partition, target)


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 done, 1 refused, 2 misuse, 130 stopped."""
    arguments = arguments_of(command)
    return status_of(lambda: run(arguments))
