"""Measure the preparation against the limit set by decoding JPEG images.

    python benchmarks/prep.py --source data/synth_vvi_raw

Every image is decoded once to find damaged ones, so nothing can be faster than that. Both sides run
in turn over the same images with the same number of processes: decoding alone, from the page cache,
and the whole script hitsz_vcm.py with lists, checks, packing and atomic writes. The times exclude
the start of Python, which is measured separately.
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
_CHUNK = 200  # images per task of a process


def _decode(paths: list[str]) -> int:
    for path in paths:
        with open(path, "rb") as file:
            simplejpeg.decode_jpeg(file.read(), "BGR")
    return len(paths)


def _warm(_number: int) -> None:
    time.sleep(0.2)  # long enough for every process of the pool to start


def decode_only(paths: list[str], workers: int) -> float:
    """Return the images per second of decoding alone, in running processes."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_warm, range(workers)))
        begin = time.perf_counter()
        done = sum(pool.map(_decode, chunks))
        return done / (time.perf_counter() - begin)


def whole_script(source: str, workers: int, target: Path) -> tuple[float, float]:
    """Return the images per second of the script's preparation, and of its whole run."""
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
    """Run the benchmark."""
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
    # Files of a round stay until the end: after many removals, ext4 searches long for a free inode,
    # which does not happen in a single preparation.
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for number in range(arguments.rounds):  # in turn, for equal conditions
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
