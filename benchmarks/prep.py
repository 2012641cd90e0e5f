"""Measures the preparation against the limit that decoding JPEG images sets.

    python benchmarks/prep.py --source data/synth_vvi_raw

Every image is decoded once, so that a damaged one is found; nothing can be faster than that. Both
sides run in turn over the same images with the same number of processes: decoding alone, from the
page cache, and the whole script hitsz_vcm.py with all that it does besides (lists, checks, packing,
writing whole files). The times are those of the work itself: starting Python is measured apart.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import simplejpeg

SCRIPT = Path(__file__).parents[1] / "datasets" / "prep" / "hitsz_vcm.py"
_CHUNK = 200  # images handed to a process at once


def _decode(paths: list[str]) -> int:
    for path in paths:
        with open(path, "rb") as file:
            simplejpeg.decode_jpeg(file.read(), "BGR")
    return len(paths)


def _warm(_number: int) -> None:
    time.sleep(0.2)  # long enough that every process of the pool starts


def decode_only(paths: list[str], workers: int) -> float:
    """Gives the images per second of decoding alone, with processes that have started."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_warm, range(workers)))
        begin = time.perf_counter()
        done = sum(pool.map(_decode, chunks))
        return done / (time.perf_counter() - begin)


def whole_script(source: str, workers: int, target: Path) -> tuple[float, float]:
    """Gives the images per second of the script's preparing, and of its whole run."""
    command = [sys.executable, str(SCRIPT), "--source", source]
    command += ["--target", str(target), "--workers", str(workers)]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - begin
    frames, rate = re.findall(r"preparing\s+([\d,]+) of .*?, ([\d,]+) a second", done.stderr)[-1]
    return _number(rate), _number(frames) / whole


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--source", required=True, help="published data in the form of HITSZ-VCM")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    add("--rounds", type=int, default=5, help="of which the median is taken")
    add(
        "--folder",
        default=None,
        help="to write to, with room for all rounds (default: the system's)",
    )
    add("--json", default=None, help="file for the results")
    arguments = parser.parse_args()
    images = (
        path for half in ("Train", "Test") for path in Path(arguments.source, half).rglob("*")
    )
    paths = sorted(str(path) for path in images if path.suffix.lower() in (".jpg", ".jpeg"))
    sides: dict[str, list[float]] = {"decoding alone": [], "preparing": [], "whole run": []}
    # What a round wrote stays until the end: ext4 searches long for a free inode where many files
    # were removed a moment ago, which nobody meets who prepares once.
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for number in range(arguments.rounds):  # in turn: both sides see the same machine
            sides["decoding alone"].append(decode_only(paths, arguments.workers))
            target = Path(folder, str(number))
            preparing, whole = whole_script(arguments.source, arguments.workers, target)
            sides["preparing"].append(preparing)
            sides["whole run"].append(whole)
    medians = {name: statistics.median(rates) for name, rates in sides.items()}
    for name, rate in medians.items():
        share = rate / medians["decoding alone"]
        print(f"{name:<16}{rate:>10,.0f} images/s  {share:>6.0%} of decoding alone")
    if arguments.json:
        about = {"arguments": vars(arguments), "images": len(paths), "medians": medians}
        Path(arguments.json).write_text(json.dumps(about, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
