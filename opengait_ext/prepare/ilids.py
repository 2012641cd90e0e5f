"""iLIDS-VID: one tracklet of each person in each of two visible cameras, in ten splits.

    i-LIDS-VID/sequences/cam1/person001/cam1_person001_00317.png    cam2/...
    train-test people splits/train_test_splits_ilidsvid.mat         ls_set, 10 x 300

A row of ``ls_set`` holds positions (from 1) in the sorted list of the person folders, whose numbers
have gaps. The first half is the test split, the second the training split. Results are means over
ten splits.

Source: Wang et al., "Person Re-Identification by Video Ranking", ECCV 2014.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import Any

from opengait_ext.data.layout import VISIBLE, WITHIN_VISIBLE, Partition, Task
from opengait_ext.prepare.faults import Faults, Kind, SourceError
from opengait_ext.prepare.matlab import read_table
from opengait_ext.prepare.pipeline import DataSet, run_script
from opengait_ext.prepare.places import Place, find_place
from opengait_ext.prepare.published import Published, Row
from opengait_ext.prepare.sources import Sources

LIST, TABLE = "train_test_splits_ilidsvid.mat", "ls_set"
PERSON = re.compile(r"person([0-9]{1,6})")
CAMERAS = (1, 2)
SPLITS = range(1, 11)


class ILIDSVID(DataSet):
    """Tracklets of visible frames; camera 1 queries camera 2."""

    name = "iLIDS-VID"
    script = "datasets/prep/ilids_vid.py"
    summary = "Prepare one split of iLIDS-VID."
    expected = f"""expected
  sequences/cam1/person001/cam1_person001_00317.png, sequences/cam2/, and {LIST}
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""
    modalities = (VISIBLE,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the option for the split."""
        parser.add_argument(
            "--split",
            type=int,
            choices=SPLITS,
            default=1,
            metavar="N",
            help="1 to 10: which row of the list divides the persons; changes partition.json only "
            "(default: %(default)s)",
        )

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return one row per person and camera."""
        lists = find_place(sources, (), (LIST,), self.expected)
        sequences = find_place(sources, ("sequences",), (), self.expected).below("sequences")
        there = {camid: _persons(sequences.below(f"cam{camid}"), faults) for camid in CAMERAS}
        for camid, other in ((1, 2), (2, 1)):
            for person in sorted(set(there[other]) - set(there[camid])):
                place = sequences.below(f"cam{camid}").named(person)
                faults.add(Kind.MISSING, place, f"cam{other}")
        persons = sorted(set(there[1]) & set(there[2]))
        tested = _tested(lists, options.split, len(persons))
        rows: list[Row] = []
        for position, person in enumerate(persons, 1):
            half = "test" if position in tested else "train"
            pid = PERSON.fullmatch(person)[1]  # type: ignore[index]
            for camid in CAMERAS:
                images = tuple(there[camid][person])
                if not images:
                    place = sequences.below(f"cam{camid}").named(person)
                    faults.add(Kind.NO_IMAGES, place, expected="the frames of a person")
                rows.append(Row(f"{pid}/rgb/D{camid}-T1", pid, camid, VISIBLE, half, images))
        rows.sort(key=lambda row: (row.half == "test", row.pid, row.camid))
        return Published(f"persons in {sequences}, split {options.split} of {lists}", rows)

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return the task with camera 1 as query and camera 2 as gallery."""
        sides = ([place for place in members if rows[place].camid == camid] for camid in CAMERAS)
        return {WITHIN_VISIBLE: Task(*sides)}

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the protocol with the number of its split, one of ten."""
        return {"name": "ilids_vid", "ignore": "none", "division": options.split}

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield the counts of the published data."""
        yield "tracklets", 600, len(published.rows)
        for half in ("train", "test"):
            found = {row.pid for row in published.rows if row.half == half}
            yield f"{half} identities", 150, len(found)


def _persons(camera: Place, faults: Faults) -> dict[str, list[Any]]:
    """Return the frames of each person in one camera, in the order of the frame numbers."""
    persons = {}
    for folder in camera.folders():
        if PERSON.fullmatch(folder) is None:
            faults.add(Kind.MALFORMED, str(camera), folder, "person001 and so on")
            continue
        place = camera.below(folder)
        persons[folder] = [place.image(name) for name in place.images()]
    return persons


def _tested(lists: Place, split: int, persons: int) -> set[int]:
    """Return the positions (from 1) of the test identities of a split."""
    place = lists.named(LIST)
    table = read_table(lists.read(LIST), TABLE, place)
    if len(table) < split:
        raise SourceError(f"{place}: {TABLE} has {len(table)} rows, --split {split} asks for more")
    row = table[split - 1].tolist()
    if sorted(row) != list(range(1, persons + 1)):
        raise SourceError(
            f"{place}: row {split} of {TABLE} holds {len(row)} numbers from {min(row, default=0)} "
            f"to {max(row, default=0)}, expected each of 1 to {persons} once, the persons that "
            "both cameras show; get the missing ones, or the list, again"
        )
    return set(row[: persons // 2])


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    return run_script(ILIDSVID(), command)
