"""Measure the cost of reading six frames in each possible form of prepared data.

    python benchmarks/forms.py --prepared data/synth_vvi

Takes tracklets of a prepared data set, resizes their frames to one size, and writes each tracklet
as raw pixels, as JPEG images packed into one file (the form in use), as single JPEG files, and as
OpenGait's pickle. Then reads six frames of each tracklet in random order with one thread, in
several rounds over all forms, and prints the medians. The files are in the page cache; on a cold or
shared disk, opening 6 files instead of 1 and reading 10 times the bytes cost more than here. All
files are removed at the end.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from opengait_ext.data.frames import decode, pick_frames
from opengait_ext.data.layout import (
    read_frames,
    read_partition,
    write_tracklet,
    write_tracklet_array,
)

FRAMES = 6
Pixels = list[np.ndarray]  # [h, w, 3] each


def write_raw(folder: Path, images: Sequence[bytes]) -> None:
    """Write the pixels of a tracklet, frame after frame."""
    folder.mkdir(parents=True)
    pixels = np.stack([decode(image) for image in images])
    with (folder / "frames.raw").open("wb") as file:
        np.array(pixels.shape, np.int64).tofile(file)
        pixels.tofile(file)


def read_raw(folder: Path, wanted: Sequence[int]) -> Pixels:
    """Read the pixels of chosen frames."""
    with (folder / "frames.raw").open("rb") as file:
        _, *shape = np.fromfile(file, np.int64, 4).tolist()
        size = int(np.prod(shape))
        found = []
        for index in wanted:
            file.seek(32 + index * size)
            found.append(np.fromfile(file, np.uint8, size).reshape(shape))
    return found


def write_single(folder: Path, images: Sequence[bytes]) -> None:
    """Write one file per image."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        (folder / f"{number:06d}.jpg").write_bytes(image)


def read_single(folder: Path, wanted: Sequence[int]) -> Pixels:
    """Read and decode the files of chosen frames."""
    return [decode((folder / f"{index:06d}.jpg").read_bytes()) for index in wanted]


def write_pickle(folder: Path, images: Sequence[bytes]) -> None:
    """Write OpenGait's array."""
    write_tracklet_array(folder, np.stack([decode(image).transpose(2, 0, 1) for image in images]))


def read_prepared(folder: Path, wanted: Sequence[int]) -> Pixels:
    """Read chosen frames like the data set, from either prepared form."""
    return [decode(image) for image in read_frames(folder, wanted)]


FORMS: dict[str, tuple[Callable[..., None], Callable[..., Pixels]]] = {
    "raw pixels": (write_raw, read_raw),
    "JPEG, packed": (write_tracklet, read_prepared),
    "JPEG, single files": (write_single, read_single),
    "OpenGait's pickle": (write_pickle, read_prepared),
}


def sample(arguments: argparse.Namespace) -> list[list[bytes]]:
    """Return the JPEG images of some tracklets, all of the same size."""
    root = Path(arguments.prepared)
    tracklets = read_partition(root / "partition.json").tracklets
    order = np.random.default_rng(0).permutation(len(tracklets))[: arguments.tracklets]
    found = []
    for place in order.tolist():
        count = tracklets[place].frames
        images = read_frames(root / tracklets[place].path, range(count))
        found.append([_encoded(decode(image), arguments) for image in images])
    return found


def _encoded(pixels: np.ndarray, arguments: argparse.Namespace) -> bytes:
    resized = cv2.resize(pixels, (arguments.width, arguments.height))
    quality = [cv2.IMWRITE_JPEG_QUALITY, arguments.quality]
    return cv2.imencode(".jpg", cv2.cvtColor(resized, cv2.COLOR_RGB2BGR), quality)[1].tobytes()


def bytes_read() -> int:
    """Return the bytes read by this process so far; 0 if the system does not report them."""
    try:
        text = Path("/proc/self/io").read_text()
    except OSError:
        return 0
    return int(text.split("rchar:")[1].split()[0])


def measure(read: Callable[..., Pixels], folders: Sequence[Path], counts: Sequence[int]) -> float:
    """Return the number of tracklets read per second in one round."""
    rng = np.random.default_rng(1)
    begin = time.perf_counter()
    for place in rng.permutation(len(folders)).tolist():
        wanted = pick_frames(counts[place], FRAMES, "random_in_run", rng)
        assert len(read(folders[place], wanted.tolist())) == FRAMES
    return len(folders) / (time.perf_counter() - begin)


def run(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Writes, reads and measures all forms."""
    tracklets = sample(arguments)
    counts = [len(images) for images in tracklets]
    rates: dict[str, list[float]] = {name: [] for name in FORMS}
    read_bytes: dict[str, float] = {}
    sizes: dict[str, tuple[int, int]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folders = {}
        for name, (write, _) in FORMS.items():
            home = Path(temporary, name)
            folders[name] = [home / str(number) for number in range(len(tracklets))]
            for folder, images in zip(folders[name], tracklets, strict=True):
                write(folder, images)
            files = [path for path in home.rglob("*") if path.is_file()]
            sizes[name] = sum(path.stat().st_blocks for path in files) * 512, len(files)
        for _ in range(arguments.rounds):
            for name, (_, read) in FORMS.items():  # in turn, for equal conditions
                before = bytes_read()
                rates[name].append(measure(read, folders[name], counts))
                read_bytes[name] = (bytes_read() - before) / len(tracklets)
    frames = sum(counts)
    return [
        {
            "form": name,
            "tracklets_per_second": round(statistics.median(rates[name])),
            "kib_read_per_tracklet": round(read_bytes[name] / 1024, 1),
            "kib_on_disk_per_frame": round(sizes[name][0] / 1024 / frames, 1),
            "files": sizes[name][1],
        }
        for name in FORMS
    ]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--prepared", required=True, help="folder of prepared data, packed form")
    add("--tracklets", type=int, default=300, help="how many (default: %(default)s)")
    add("--height", type=int, default=256, help="of the frames, in pixels")
    add("--width", type=int, default=128, help="of the frames, in pixels")
    add("--quality", type=int, default=92, help="of the JPEG images")
    add("--rounds", type=int, default=7, help="of which the median is taken")
    add("--folder", default=None, help="on the disk to be measured (default: the system's)")
    add("--json", default=None, help="file for the results")
    arguments = parser.parse_args()
    cv2.setNumThreads(0)
    results = run(arguments)
    titles = ("form", "tracklets/s/core", "KiB read a tracklet", "KiB on disk a frame", "files")
    print("  ".join(f"{title:>19}" for title in titles))
    for result in results:
        print("  ".join(f"{value!s:>19}" for value in result.values()))
    if arguments.json:
        about = {"arguments": vars(arguments), "cores": os.cpu_count(), "results": results}
        Path(arguments.json).write_text(json.dumps(about, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
