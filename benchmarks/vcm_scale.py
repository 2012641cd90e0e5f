"""Measure datasets/prep/hitsz_vcm.py, and kill it, on generated data of HITSZ-VCM's size.

    python benchmarks/vcm_scale.py --result vcm_scale.json
    python benchmarks/vcm_scale.py --scale 0.05 --kills 20

Generates as many tracklets and frames of every kind as HITSZ-VCM has (21,863 and 463,259 at scale
1), with all frames linked to a few tiny JPEG files. Prepares them without interruption while
sampling the memory of all processes. Then starts again, ends the script with SIGKILL at a random
moment, compares the existing files, repeats the command and compares all checksums. Scale 1 takes
two or three minutes and less than 1 GB of disk, which is freed at the end. Memory is measured on
Linux only.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

SCRIPT = Path(__file__).resolve().parents[1] / "datasets" / "prep" / "hitsz_vcm.py"
INFRARED, VISIBLE = 1, 2
FOLDERS = {INFRARED: "ir", VISIBLE: "rgb"}
LONGEST, SHORTEST, STEP, CAMERAS, PICTURES = 24, 12, 5, 12, 64
HALVES = {"Train": (1, 500), "Test": (503, 427)}  # first identity, number of identities
# Half, modality, tracklets of at least 12 frames, their frames, shorter tracklets, their frames.
GROUPS = (
    ("Train", INFRARED, 4291, 98214, 628, 3710),
    ("Train", VISIBLE, 5460, 126543, 682, 4029),
    ("Test", INFRARED, 4584, 105979, 575, 3415),
    ("Test", VISIBLE, 5099, 118137, 544, 3232),
)
tell = partial(print, flush=True)
Put = Callable[[str, bytes], None]


class Run(NamedTuple):
    """One run of the script: seconds, memory peaks in MiB, processes left after a kill."""

    status: int
    seconds: float
    rss: float
    pss: float
    left_over: int


def lengths_of(count: int, frames: int, shortest: int, longest: int) -> list[int]:
    """Return ``count`` lengths that sum to ``frames``, with as many longest ones as possible."""
    spare, step = frames - count * shortest, longest - shortest
    return [shortest + min(step, max(0, spare - n * step)) for n in range(count)]


def tracklets_of(half: str, scale: float) -> list[tuple[int, int, int, int]]:
    """Return identity, modality, camera and length of the tracklets of a half, in order."""
    first, people = HALVES[half]
    people = max(4, round(people * scale))
    rows = []
    for _, modality, *numbers in (group for group in GROUPS if group[0] == half):
        kept, kept_frames, short, short_frames = (round(number * scale) for number in numbers)
        for count, frames, bounds in (
            (max(kept, people), kept_frames, (SHORTEST, LONGEST)),
            (short, short_frames, (1, SHORTEST - 1)),
        ):
            for number, length in enumerate(lengths_of(count, frames, *bounds)):
                person, walk = number % people, number // people
                rows.append((first + person, modality, (person + walk) % CAMERAS + 1, length))
    return sorted(rows)


def publish(half: str, scale: float, put: Put, pictures: Sequence[bytes]) -> dict[str, str]:
    """Pass every frame of a half to ``put``; return the lists of the half by name."""
    names: list[str] = []
    table, queries = [], []
    last: dict[str, int] = {}
    for number, (pid, modality, camera, length) in enumerate(tracklets_of(half, scale), 1):
        start = len(names) + 1
        folder = f"{pid:04d}/{FOLDERS[modality]}/D{camera}"
        for _ in range(length):
            frame = last.get(folder, 1 - STEP) + STEP
            last[folder] = frame
            put(f"{half}/{folder}/{frame}.jpg", pictures[len(names) % len(pictures)])
            names.append(f"{pid:04d}M{modality}D{camera}T{number}F{frame}.jpg")
        table.append(f"{modality} {start} {len(names)} {pid:04d} {camera}")
        queries += [str(number)] if modality == INFRARED else []
    word = half.lower()
    lists = {f"{word}_name.txt": "\n".join(names), f"track_{word}_info.txt": "\n".join(table)}
    return lists | ({"query_IDX.txt": " ".join(queries)} if half == "Test" else {})


def pictures_of(height: int, width: int) -> list[bytes]:
    """Return a few different JPEG images of this size in pixels."""
    small = (PICTURES, max(2, height // 8), max(2, width // 8), 3)
    images = np.random.default_rng(0).integers(0, 256, small).astype(np.uint8)
    grown = (cv2.resize(image, (width, height)) for image in images)
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in grown]


def write_source(root: Path, form: str, scale: float, pictures: Sequence[bytes]) -> None:
    """Write the published data as folders or as three archives."""
    lists: dict[str, str] = {}
    for part in (*HALVES, "info"):
        with _folder(root) if form == "folder" else _archive(root / f"{part}.{form}") as put:
            if part in HALVES:
                lists |= publish(part, scale, put, pictures)
            for name, text in lists.items() if part == "info" else ():
                put(f"info/{name}", f"{text}\n".encode())


@contextmanager
def _folder(root: Path) -> Iterator[Put]:
    """Yield a function that writes a file in a folder, or links to an equal one."""
    originals: dict[bytes, str] = {}

    def put(name: str, content: bytes) -> None:
        path = f"{root}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if content in originals:
            os.link(originals[content], path)
        else:
            Path(path).write_bytes(content)
            originals[content] = path

    yield put


@contextmanager
def _archive(path: Path) -> Iterator[Put]:
    """Open an archive for writing; yield a function that adds a member."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed_zip:
            yield packed_zip.writestr
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as packed:

        def put(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
            packed.members.clear()  # type: ignore[attr-defined]  # saves half a gigabyte

        yield put


def memory_of(pid: int) -> tuple[float, float]:
    """Return RSS and PSS of a process and its descendants in MiB; zeros without /proc."""
    rss = pss = 0.0
    for process in _family(pid):
        with suppress(OSError):  # it has just ended, or this is not Linux
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            found = dict(line.split(":") for line in text.splitlines()[1:])
            rss += int(found["Rss"].split()[0]) / 1024
            pss += int(found["Pss"].split()[0]) / 1024
    return rss, pss


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                yield from _family(int(child))


def prepare(command: Sequence[str], log: Path, kill_after: float | None = None) -> Run:
    """Run the script and sample its memory; end it with SIGKILL after ``kill_after`` seconds."""
    start, peak, family = time.monotonic(), (0.0, 0.0), set()
    with log.open("a") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            if kill_after is not None and time.monotonic() - start >= kill_after:
                family = {*_family(process.pid)} - {process.pid}
                process.kill()
                process.wait()
                break
            found = memory_of(process.pid)
            peak = max(peak[0], found[0]), max(peak[1], found[1])
            time.sleep(0.05)
    end = time.monotonic()
    while (left := [child for child in family if _lives(child)]) and time.monotonic() < end + 10.0:
        time.sleep(0.01)
    for child in left:
        os.kill(child, signal.SIGKILL)
    return Run(process.returncode, end - start, *peak, len(left))


def _lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}/exe")  # missing for a process that ended but was not reaped


def sums_of(root: Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder, except those with temporary names."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.name.endswith((".tmp", ".lock"))
    }


def disk_of(root: Path) -> float:
    """Return the disk usage of a folder in MiB; hard links count once."""
    return sum({s.st_ino: s.st_blocks for s in map(Path.lstat, root.rglob("*"))}.values()) / 2048


def kill_once(
    command: Sequence[str], target: Path, log: Path, moment: float, whole: dict[str, str]
) -> bool:
    """Kill the script at a moment and repeat it; return whether the result is undamaged."""
    killed = prepare(command, log, moment)
    found = {name: s for name, s in sums_of(target).items() if not name.startswith(".unpacked")}
    torn = [name for name, digest in found.items() if whole.get(name) != digest]
    again = prepare(command, log)
    same = sums_of(target) == whole and not again.status
    tell(
        f"  killed after {killed.seconds:.1f} s (status {killed.status}): {len(found):,} of "
        f"{len(whole):,} files there, {len(torn)} torn, {killed.left_over} processes left; "
        f"again {again.seconds:.1f} s, checksums {'equal' if same else 'DIFFER'}"
    )
    shutil.rmtree(target)
    return same and not torn and not killed.left_over


def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Generate the data, run everything, and print and return the results."""
    start = time.monotonic()
    source, target, log = folder / "source", folder / "target", folder / "log.txt"
    source.mkdir()
    write_source(source, options.source, options.scale, pictures_of(*options.image))
    lengths = [row[-1] for half in HALVES for row in tracklets_of(half, options.scale)]
    frames = sum(lengths)
    tell(f"{len(lengths):,} tracklets, {frames:,} frames in {time.monotonic() - start:.1f} s")
    command = [sys.executable, str(SCRIPT), "--source", str(source), "--target", str(target)]
    command += ["--workers", str(options.workers)]
    first = prepare(command, log)
    if first.status:
        raise SystemExit(f"the script ended with status {first.status}\n{log.read_text()}")
    whole = sums_of(target)
    again = prepare(command, log)
    results: dict[str, object] = {
        "tracklets": len(lengths),
        "frames": frames,
        "seconds": round(first.seconds, 1),
        "frames_per_second": round(frames / first.seconds),
        "seconds_repeated": round(again.seconds, 1),
        "peak_rss_mib": round(max(first.rss, again.rss), 1),
        "peak_pss_mib": round(max(first.pss, again.pss), 1),
        "disk_mib": round(disk_of(folder)),
    }
    tell("\n".join(f"  {name}: {value}" for name, value in results.items()))
    shutil.rmtree(target)
    chance, good = random.Random(options.seed), 0
    for _ in range(options.kills):
        good += kill_once(command, target, log, chance.uniform(0.0, first.seconds), whole)
    return results | {"kills_without_damage": good}


def main() -> int:
    """Run the benchmark; the status is 1 if a kill did damage or memory exceeds 1 GiB."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--result", type=Path, metavar="FILE", help="write the results there as JSON")
    add("--scale", type=float, default=1.0, help="share of the full size (default: 1)")
    add("--source", choices=("folder", "zip", "tar", "tar.gz"), default="folder", help="its form")
    add("--image", type=int, nargs=2, default=(16, 8), metavar=("H", "W"), help="pixels (16 8)")
    add("--workers", type=int, default=2, help="of the script (default: 2)")
    add("--kills", type=int, default=1, help="at random moments (default: 1)")
    add("--seed", type=int, default=0, help="of the moments (default: 0)")
    add("--folder", type=Path, help="where the data go (default: the system's temporary folder)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="vcm_scale_", dir=options.folder))
    try:
        results = measure(options, folder)
    finally:
        shutil.rmtree(folder)
    results |= {"command": sys.argv, "cores": os.cpu_count(), "python": platform.python_version()}
    if options.result:
        options.result.write_text(json.dumps(results, indent=2) + "\n")
    good, memory = results["kills_without_damage"], float(str(results["peak_rss_mib"]))
    tell(f"{good} of {options.kills} kills did no damage")
    return 0 if good == options.kills and memory < 1024 else 1


if __name__ == "__main__":
    sys.exit(main())
