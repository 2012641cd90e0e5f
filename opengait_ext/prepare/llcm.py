"""LLCM: images from nine cameras, visible by day and near infrared in low light.

    LLCM/idx/train_vis.txt  train_nir.txt            a path and a label a line
    LLCM/idx/test_id.txt                             numbers of identities, comma separated
    LLCM/vis/0001/0001_c01_s185535_f7010_vis.jpg     nir/    what the training lists name
    LLCM/test_vis/cam1/0002/<picture>.jpg  ...cam9/  test_nir/, where camera 3 is missing

Source: Zhang and Wang, "Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark
for Visible-Infrared Person Re-identification", CVPR 2023.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import Any

from opengait_ext.data.layout import FOLDERS, INFRARED, VISIBLE, Partition, Task
from opengait_ext.evaluation.protocols import PROTOCOLS
from opengait_ext.prepare.faults import Faults, Kind
from opengait_ext.prepare.partition import cross_modality
from opengait_ext.prepare.pipeline import DataSet, run_script
from opengait_ext.prepare.places import (
    Files,
    Place,
    check_labels,
    find_place,
    listed_images,
    numbers_in,
)
from opengait_ext.prepare.published import Published, Row, numbered
from opengait_ext.prepare.sources import Image, Sources

SIDES = {"vis": VISIBLE, "nir": INFRARED}
LISTS = ("train_vis.txt", "train_nir.txt", "test_id.txt")
CAMERA = re.compile(r"(?:^|[/_])c(?:am)?0*(\d{1,2})(?=[/_])", re.IGNORECASE)  # cam3/, _c03_
FOLDER = re.compile(r"cam0*(\d{1,2})", re.IGNORECASE)


class LLCM(DataSet):
    """Images as tracklets of one frame; both directions, drawn galleries."""

    name = "LLCM"
    script = "datasets/prep/llcm.py"
    summary = "Prepare LLCM, pictures as tracklets of one frame."
    expected = """expected
  idx/ with train_vis.txt, train_nir.txt, test_id.txt, the images that the training lists name,
  test_vis/cam<number>/<identity>/<picture>.jpg, test_nir/
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the option for the reading of visible to infrared."""
        group = parser.add_argument_group(
            "protocol", "This changes partition.json only; repeat the command with the other."
        )
        group.add_argument(
            "--visible-to-infrared",
            choices=("paper_code", "strict"),
            default="paper_code",
            help="paper_code: infrared pictures are drawn and query all visible ones, as in the "
            "published code and its numbers; strict: all visible pictures query drawn infrared "
            "ones (default: %(default)s)",
        )

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return one row per image."""
        lists = find_place(sources, (), LISTS, self.expected)
        home = find_place(sources, ("test_vis", "test_nir"), (), self.expected)
        rows: list[Row] = []
        labels: dict[str, int] = {}
        for side in SIDES:
            rows += _training(lists, side, Files(home), labels, faults)
        numbers = numbers_in(lists, LISTS[2], faults)
        if not numbers:
            faults.add(Kind.EMPTY, lists.named(LISTS[2]))
        trained = {row.pid for row in rows}
        for number in numbers:
            if _pid(str(number)) in trained:
                both = f"a training list and {LISTS[2]}"
                faults.add(Kind.IN_TWO_PARTS, f"{lists}, identity {number}", both)
        for side in SIDES:
            rows += _testing(home.below(f"test_{side}"), side, set(numbers), faults)
        tested = {row.pid for row in rows if row.half == "test"}
        for number in sorted({*numbers}):
            if _pid(str(number)) not in tested:
                faults.add(Kind.MISSING, f"{home}, test identity {number}", LISTS[2])
        return Published(f"images in {home}, lists in {lists}", numbered(rows))

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return the tasks of both directions; the protocol draws from their galleries."""
        return cross_modality(rows, members)

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the protocol for the chosen reading of visible to infrared, one of two."""
        return PROTOCOLS[f"llcm_{options.visible_to_infrared}"]

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield the counts of the published data."""
        rows = published.rows
        yield "training identities", 713, len({row.pid for row in rows if row.half == "train"})
        yield "identities", 1064, len({row.pid for row in rows})
        yield "pictures", 46_767, len(rows)


def _training(
    lists: Place, side: str, files: Files, labels: dict[str, int], faults: Faults
) -> Iterator[Row]:
    """Yield the images of a training list."""
    name = f"train_{side}.txt"
    listed = listed_images(lists, name, faults)
    check_labels(lists, name, listed, labels, faults)
    for each in listed:
        camera = CAMERA.search(each.path)
        image = files.find(each.path)
        if not each.folder.isdecimal() or camera is None:
            wanted = "<folder>/<identity>/<picture> with a camera in it: 0001_c01_s1_f2_vis.jpg"
            faults.add(Kind.MALFORMED, lists.named(name), each.path, wanted, each.line)
        elif image is None:
            faults.add(Kind.MISSING, files.home.named(each.path), name)
        else:
            yield _row(each.folder, int(camera[1]), side, "train", image)


def _testing(home: Place, side: str, numbers: set[int], faults: Faults) -> Iterator[Row]:
    """Yield the images of the test identities; their folders name the camera."""
    strangers = 0
    for folder in home.folders():
        match = FOLDER.fullmatch(folder)
        camera = home.below(folder)
        if match is None:
            faults.add(Kind.MALFORMED, str(home), folder, "cam1 to cam9")
            continue
        for pid in camera.folders():
            place = camera.below(pid)
            if not pid.isdecimal() or int(pid) not in numbers:
                strangers += bool(place.images())
                continue
            for name in place.images():
                yield _row(pid, int(match[1]), side, "test", place.image(name))
    if strangers:
        faults.add(Kind.UNLISTED_FOLDERS, str(home), strangers)


def _row(pid: str, camid: int, side: str, half: str, image: Image) -> Row:
    modality = SIDES[side]
    path = f"{_pid(pid)}/{FOLDERS[modality]}/D{camid}"
    return Row(path, _pid(pid), camid, modality, half, (image,))


def _pid(text: str) -> str:
    return f"{int(text):04d}"


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    return run_script(LLCM(), command)
