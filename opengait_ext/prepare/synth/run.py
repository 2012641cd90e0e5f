"""Generate SynthVVI: people walking before visible and near-infrared cameras.

Written in the published form of HITSZ-VCM, so the preparation of the real data reads it:

    <target>/Train|Test/<pid>/<ir|rgb>/D<camera>/<frame>.jpg
    <target>/info/{train_name,track_train_info,test_name,track_test_info,query_IDX}.txt

and beside it the ground truth of the drawing:

    <target>/truth/identities.json             parameters of every identity, options of the run
    <target>/truth/Train|Test/<pid>.npz        names [f] str (as in the name lists), sizes [f] bytes
                                               of the JPEG, shape (h, w), silhouettes uint8
                                               [f, ceil(h w / 8)] (np.packbits), keypoints float32
                                               [f, 17, 3]: x, y in pixels, 2 visible / 1 hidden /
                                               0 outside the box, in the order of COCO

Usage: python datasets/prep/synth_vvi.py --target data/synth_vvi_raw --seed 0
"""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from opengait_ext.errors import UserError
from opengait_ext.prepare.options import status_of
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.synth.files import (
    SPLITS,
    Options,
    SynthError,
    claim_target,
    plan_identity,
    write_identity,
    write_lists,
)
from opengait_ext.prepare.work import LACK, Pool

Task = tuple[Path, Options, str, int]


def _work(task: Task) -> int:
    return write_identity(*task)


def _results(tasks: list[Task], workers: int) -> Iterator[int]:
    if workers == 1:
        yield from map(_work, tasks)
        return
    pool = Pool(min(workers, len(tasks)))
    try:
        futures = [pool.submit(_work, task) for task in tasks]
        yield from (future.result() for future in as_completed(futures))
    except BrokenProcessPool as error:
        raise UserError(LACK) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def generate(target: Path, options: Options, workers: int = 1) -> tuple[int, int]:
    """Generate the data set, or the missing part of it.

    Args:
        target: Folder to write.
        options: Options of the drawing.
        workers: Number of processes; the result does not depend on it.

    Returns:
        Numbers of tracklets and frames in the lists.

    Raises:
        SynthError: If the folder holds other data, or ``workers`` is below 1.
    """
    if workers < 1:
        raise SynthError(f"--workers is {workers}; expected 1 or more.")
    claim_target(target, options)
    tasks = [(target, options, split, pid) for split in SPLITS for pid in options.pids(split)]
    total = sum(plan.frames for task in tasks for plan in plan_identity(options, task[3]))
    with Progress(total, "SynthVVI", "frames") as progress:
        for frames in _results(tasks, workers):
            progress.add(frames)
    return write_lists(target, options)


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return the exit status."""
    default = Options()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", type=Path, required=True, help="folder to write")
    helps = {
        "seed": "of everything that is drawn",
        "train_identities": "people in Train",
        "test_identities": "people in Test",
        "tracklets": "most tracklets of a person in one camera and modality",
        "frames": "most frames of a tracklet; the protocol drops tracklets below 12",
        "height": "of a frame in pixels, even; the width is half of it",
    }
    for name, text in helps.items():
        value = getattr(default, name)
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=int, default=value, help=f"{text} (default {value})")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    given = vars(parser.parse_args(arguments))
    target, workers = given.pop("target"), given.pop("workers")

    def run() -> None:
        tracklets, frames = generate(target, Options(**given), workers)
        print(f"{target}: {tracklets} tracklets, {frames} frames")

    return status_of(run, misuse=(SynthError,))
