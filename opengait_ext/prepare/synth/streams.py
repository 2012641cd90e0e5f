"""Gait streams of SynthVVI: true silhouettes, and maps of limbs and joints.

    python datasets/prep/synth_streams.py --source data/synth_vvi_raw --prepared data/synth_vvi
        --target data/synth_vvi_gait

Tracklets, frames, splits and tasks are those of the prepared frames, so silhouette models and frame
models can be compared in one table. The form is OpenGait's:

    <target>/partition.json
    <target>/<pid>/<rgb|ir>/<view>/0-silhouettes.pkl   uint8 [s, 64, 44]
                                   1-maps.pkl          uint8 [s, 3, 64, 44]: limbs, joints,
                                                       silhouette

Needs numpy and OpenCV, no torch.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from opengait_ext.data.layout import (
    Tracklet,
    read_partition,
    write_partition,
    write_tracklet_array,
)
from opengait_ext.errors import UserError
from opengait_ext.prepare.faults import Faults
from opengait_ext.prepare.options import status_of
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.sources import UNPACKED, Sources
from opengait_ext.prepare.synth.align import HEIGHT, WIDTH, align, draw_maps
from opengait_ext.prepare.target import PARTITION, flush_disks, open_target, sole_run
from opengait_ext.prepare.vcm.folders import EXPECTED, read_published
from opengait_ext.prepare.vcm.lists import NAME, file_of

SILHOUETTES, MAPS = "0-silhouettes", "1-maps"


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Write silhouettes and maps of SynthVVI.")
    add = parser.add_argument
    add("--source", type=Path, required=True, help="what synth_vvi.py wrote")
    add("--prepared", type=Path, required=True, help="what hitsz_vcm.py made of it")
    add("--target", type=Path, required=True, help="folder for the streams")
    add("--anew", action="store_true", help="remove what an earlier run wrote in --target")
    return parser.parse_args(command)


def run(arguments: argparse.Namespace) -> None:
    """Write both streams, then the partition.

    Args:
        arguments: As returned by `arguments_of`.

    Raises:
        UserError: If one of the three folders is wrong, or they do not agree.
    """
    target: Path = arguments.target
    path = arguments.prepared / PARTITION
    partition = read_partition(path)
    with sole_run(target):
        if arguments.anew:
            for stream in (SILHOUETTES, MAPS):
                for file in target.glob(f"*/*/*/{stream}.pkl"):
                    file.unlink()
        open_target(target, {"partition": _digest(path)}, arguments.anew)
        files = _files(arguments.source)
        empty = _write(partition.tracklets, files, arguments.source / "truth", target)
        flush_disks()
        source = {**partition.source, "streams": [SILHOUETTES, MAPS]}
        write_partition(target / PARTITION, replace(partition, source=source))
    frames = sum(tracklet.frames for tracklet in partition.tracklets)
    print(
        f"{target}: {len(partition.tracklets)} tracklets, {frames} silhouettes and maps of "
        f"{HEIGHT} x {WIDTH} pixels; without a body, all zero: {empty}"
    )


def _write(
    tracklets: Sequence[Tracklet],
    files: dict[str, tuple[str, ...]],
    truth: Path,
    target: Path,
) -> int:
    """Write the streams of all tracklets; return the number of frames without a person."""
    empty = 0
    known: tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]] = ("", {})
    with Progress(len(tracklets), "streams", "tracklets") as progress:
        for tracklet in tracklets:
            if known[0] != tracklet.pid:
                known = (tracklet.pid, _truth_of(truth, tracklet.pid))
            names = files.get(tracklet.path, ())
            if len(names) != tracklet.frames or not all(name in known[1] for name in names):
                raise UserError(
                    f"{tracklet.path}: {tracklet.frames} frames are prepared, the lists of "
                    f"--source have {len(names)}, and truth/ has to know all of them; give the "
                    "--source that --prepared was made of, without discarded images"
                )
            silhouettes, maps = [], []
            for name in names:
                body, keypoints = known[1][name]
                aligned, place = align(body)
                empty += not aligned.any()
                silhouettes.append(aligned)
                maps.append(np.stack([*draw_maps(keypoints, place), aligned]))
            folder = target / tracklet.path
            write_tracklet_array(folder, np.stack(silhouettes), False, SILHOUETTES)
            write_tracklet_array(folder, np.stack(maps), False, MAPS)
            progress.add(1)
    return empty


def _files(source: Path) -> dict[str, tuple[str, ...]]:
    """Return the image names of every tracklet, by the path of its prepared form."""
    _, lists, _ = read_published(Sources([source], source / UNPACKED, EXPECTED), Faults())
    return {row.path: row.files for row in lists.rows}


def _truth_of(folder: Path, pid: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the silhouette, uint8 ``[h, w]`` (0 or 255), and key points of each frame of a person.

    Raises:
        UserError: If there is no truth file of this person.
    """
    files = sorted(folder.glob(f"*/{pid}.npz"))
    if not files:
        raise UserError(f"{folder}: no */{pid}.npz; make the data again with synth_vvi.py")
    frames = {}
    for file in files:
        with np.load(file) as truth:
            height, width = (int(side) for side in truth["shape"])
            bodies = np.unpackbits(truth["silhouettes"], axis=1)[:, : height * width]
            bodies = bodies.reshape(-1, height, width) * np.uint8(255)
            names = [NAME.fullmatch(str(name)) for name in truth["names"]]
            for name, body, points in zip(names, bodies, truth["keypoints"], strict=True):
                if name is None:
                    raise UserError(f"{file}: a name is none of SynthVVI's; make the data again")
                frames[file_of(name)] = (body, points)
    return frames


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 done, 1 refused, 2 misuse, 130 interrupted."""
    arguments = arguments_of(command)
    return status_of(lambda: run(arguments))
