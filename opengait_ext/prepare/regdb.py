"""RegDB: images from a visible and a thermal camera side by side, in ten trials.

    RegDB/Visible/285/male_back_v_05528_285.bmp    Thermal/285/...
    RegDB/idx/train_visible_1.txt  train_thermal_1.txt  test_visible_1.txt  test_thermal_1.txt
              and so on to 10

A line of a list is a path and a label; labels start at 0 in each half. Every trial divides the
same images differently, and results are means over ten trials.

Source: Nguyen et al., "Person Recognition System Based on a Combination of Body Images from
Visible Light and Thermal Cameras", Sensors 2017.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from opengait_ext.data.layout import FOLDERS, INFRARED, VISIBLE, Partition, Task
from opengait_ext.evaluation.protocols import PROTOCOLS
from opengait_ext.prepare.faults import Faults, Kind
from opengait_ext.prepare.partition import cross_modality
from opengait_ext.prepare.pipeline import DataSet, run_script
from opengait_ext.prepare.places import Files, Place, check_labels, find_place, listed_images
from opengait_ext.prepare.published import Published, Row, numbered
from opengait_ext.prepare.sources import Sources

SIDES = {"visible": (VISIBLE, 1), "thermal": (INFRARED, 2)}  # modality and camid
TRIALS = range(1, 11)


class RegDB(DataSet):
    """Images as tracklets of one frame; both directions, no camera rule."""

    name = "RegDB"
    script = "datasets/prep/regdb.py"
    summary = "Prepare one trial of RegDB, pictures as tracklets of one frame."
    expected = """expected
  Visible/<identity>/<picture>.bmp, Thermal/, and idx/ with train_visible_<trial>.txt,
  train_thermal_<trial>.txt, test_visible_<trial>.txt, test_thermal_<trial>.txt
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the option for the trial."""
        parser.add_argument(
            "--trial",
            type=int,
            choices=TRIALS,
            default=1,
            metavar="N",
            help="1 to 10: which lists divide the identities; changes partition.json only "
            "(default: %(default)s)",
        )

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return one row per image."""
        names = {
            (half, side): f"{half}_{side}_{options.trial}.txt"
            for half in ("train", "test")
            for side in SIDES
        }
        lists = find_place(sources, (), tuple(names.values()), self.expected)
        home = find_place(sources, ("Visible", "Thermal"), (), self.expected)
        files = Files(home)
        rows: list[Row] = []
        labels: dict[str, dict[str, int]] = {"train": {}, "test": {}}
        for (half, side), name in names.items():
            rows += _rows(lists, name, half, side, files, labels[half], faults)
        for pid in sorted(labels["train"].keys() & labels["test"].keys()):
            faults.add(Kind.IN_TWO_PARTS, f"{lists}, identity {pid}", "train and test lists")
        layout = f"Visible and Thermal in {home}, lists of trial {options.trial} in {lists}"
        return Published(layout, numbered(rows))

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return the tasks of both directions."""
        return cross_modality(rows, members)

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the protocol with the number of its trial, one of ten."""
        return {**PROTOCOLS["regdb"], "division": options.trial}

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield the counts that hold for every trial."""
        for half in ("train", "test"):
            mine = [row for row in published.rows if row.half == half]
            yield f"{half} identities", 206, len({row.pid for row in mine})
            for modality in (VISIBLE, INFRARED):
                found = sum(row.modality == modality for row in mine)
                yield f"{half}, {modality} pictures", 2060, found


def _rows(
    lists: Place,
    name: str,
    half: str,
    side: str,
    files: Files,
    labels: dict[str, int],
    faults: Faults,
) -> Iterator[Row]:
    """Yield the images of a list."""
    modality, camid = SIDES[side]
    listed = listed_images(lists, name, faults)
    check_labels(lists, name, listed, labels, faults)
    for each in listed:
        image = files.find(each.path)
        if not each.path.lower().startswith(f"{side}/"):
            wanted = f"an image below {side.capitalize()}/"
            faults.add(Kind.MALFORMED, lists.named(name), each.path, wanted, each.line)
        elif image is None:
            faults.add(Kind.MISSING, files.home.named(each.path), name)
        else:
            path = f"{each.folder}/{FOLDERS[modality]}/D{camid}"
            yield Row(path, each.folder, camid, modality, half, (image,))


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    return run_script(RegDB(), command)
