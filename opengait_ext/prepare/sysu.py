"""SYSU-MM01: images from four visible and two infrared cameras.

    SYSU-MM01/cam1/0001/0001.jpg ... cam6/
    SYSU-MM01/exp/train_id.txt  val_id.txt  test_id.txt       numbers of identities, comma separated

Cameras 3 and 6 are infrared. Published methods train on the train and the val identities; here the
val identities are the split ``val``. An identity may be missing in a camera.

Source: Wu et al., "RGB-Infrared Cross-Modality Person Re-Identification", ICCV 2017.
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
from opengait_ext.prepare.places import Place, find_place, numbers_in
from opengait_ext.prepare.published import Published, Row
from opengait_ext.prepare.sources import Sources

CAMERAS = {1: VISIBLE, 2: VISIBLE, 3: INFRARED, 4: VISIBLE, 5: VISIBLE, 6: INFRARED}
LISTS = {"train": "train_id.txt", "val": "val_id.txt", "test": "test_id.txt"}
SHOTS = {"1": "single", "10": "multi"}
NAME = re.compile(r"([0-9]{1,9})\.(?i:jpg|jpeg|png|bmp)")
_DIRECTION = "infrared_to_visible"  # the only one that is published


class SysuMM01(DataSet):
    """Images as tracklets of one frame; infrared queries, drawn visible galleries."""

    name = "SYSU-MM01"
    script = "datasets/prep/sysu_mm01.py"
    summary = "Prepare SYSU-MM01, pictures as tracklets of one frame."
    expected = """expected
  cam1/<identity>/<number>.jpg to cam6/, and exp/ with train_id.txt, val_id.txt, test_id.txt
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""
    share = None  # val_id.txt names the validation identities

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options for the gallery, one of four published ones."""
        group = parser.add_argument_group(
            "protocol", "These change partition.json only; repeat the command with others at will."
        )
        group.add_argument(
            "--mode",
            choices=("all", "indoor"),
            default="all",
            help="gallery of cameras 1, 2, 4, 5, or of 1 and 2 (default: %(default)s)",
        )
        group.add_argument(
            "--shots",
            choices=SHOTS,
            default="1",
            help="pictures drawn of an identity in a camera (default: %(default)s)",
        )

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return one row per image."""
        lists = find_place(sources, (), tuple(LISTS.values()), self.expected)
        home = find_place(sources, ("cam1",), (), self.expected)
        halves = _halves(lists, faults)
        rows: list[Row] = []
        strangers = 0
        for camid in CAMERAS:
            camera = home.below(f"cam{camid}")
            for folder in camera.folders():
                if folder.isdecimal() and int(folder) in halves:
                    rows += _pictures(camera.below(folder), camid, halves[int(folder)], faults)
                else:
                    strangers += bool(camera.below(folder).images())
        if strangers:
            faults.add(Kind.UNLISTED_FOLDERS, str(home), strangers)
        seen = {int(row.pid) for row in rows}
        for number, half in halves.items():
            if number not in seen:
                faults.add(Kind.MISSING, f"cam1 to cam6/{number:04d}", lists.named(LISTS[half]))
        rows.sort(key=lambda row: (row.half == "test", row.pid))
        return Published(f"cameras in {home}, lists in {lists}", rows)

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return infrared queries and all visible images; the protocol draws from these."""
        return {_DIRECTION: cross_modality(rows, members)[_DIRECTION]}

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the chosen protocol, one of four published ones."""
        return PROTOCOLS[f"sysu_{options.mode}_{SHOTS[options.shots]}"]

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield the counts of the published lists and folders."""
        for half, identities in (("train", 296), ("val", 99), ("test", 96)):
            found = {row.pid for row in published.rows if row.half == half}
            yield f"{half} identities", identities, len(found)
        for name, modality, official in (
            ("train and val, visible pictures", VISIBLE, 22_258),
            ("train and val, infrared pictures", INFRARED, 11_909),
        ):
            mine = [row for row in published.rows if row.half != "test"]
            yield name, official, sum(row.modality == modality for row in mine)
        for camid, official in zip(CAMERAS, (1374, 1565, 1883, 1918, 1918, 1920), strict=True):
            mine = [row for row in published.rows if row.half == "test" and row.camid == camid]
            yield f"test pictures of camera {camid}", official, len(mine)


def _halves(lists: Place, faults: Faults) -> dict[int, str]:
    """Return the half (train, val or test) of each listed identity."""
    halves: dict[int, str] = {}
    for half, name in LISTS.items():
        numbers = numbers_in(lists, name, faults)
        if not numbers:
            faults.add(Kind.EMPTY, lists.named(name))
        for number in numbers:
            before = halves.setdefault(number, half)
            if before != half:
                both = f"{LISTS[before]} and {name}"
                faults.add(Kind.IN_TWO_PARTS, f"{lists}, identity {number}", both)
    return halves


def _pictures(folder: Place, camid: int, half: str, faults: Faults) -> Iterator[Row]:
    """Yield the images of one identity in one camera."""
    pid = f"{int(folder.folder.rpartition('/')[2]):04d}"
    modality = CAMERAS[camid]
    taken: dict[int, str] = {}
    for name in folder.images():
        match = NAME.fullmatch(name)
        if match is None:
            faults.add(Kind.MALFORMED, str(folder), name, "a number: 0001.jpg")
            continue
        number = int(match[1])
        if number in taken:
            faults.add(Kind.TWINS, folder.named(name), taken[number], f"number {number}")
            continue
        taken[number] = name
        path = f"{pid}/{FOLDERS[modality]}/D{camid}-T{number:04d}"
        yield Row(path, pid, camid, modality, half, (folder.image(name),))


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    return run_script(SysuMM01(), command)
