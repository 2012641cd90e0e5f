"""MARS: tracklets from six visible cameras.

    MARS/bbox_train/0001/0001C1T0001F001.jpg    bbox_test/0002/...  0000/  00-1/
    MARS/info/train_name.txt  test_name.txt     names of all frames, one a line
    MARS/info/tracks_train_info.mat             rows of first and last line, identity, camera
    MARS/info/tracks_test_info.mat  query_IDX.mat

Lines and rows are counted from 1; the last line of a row is included. ``0000`` are distractors.
``00-1`` (-1 in the tables) is junk, which no ranking counts.

Source: Zheng et al., "MARS: A Video Benchmark for Large-Scale Person Re-identification", ECCV 2016.
"""

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from opengait_ext.data.layout import VISIBLE, WITHIN_VISIBLE, Partition, Task
from opengait_ext.evaluation.protocols import PROTOCOLS
from opengait_ext.prepare.faults import Faults, Kind
from opengait_ext.prepare.matlab import read_table
from opengait_ext.prepare.pipeline import DataSet, run_script
from opengait_ext.prepare.places import Files, Place, find_place
from opengait_ext.prepare.published import Published, Row
from opengait_ext.prepare.sources import Sources

NAMES = {"train": "train_name.txt", "test": "test_name.txt"}
TABLES = {
    "train": ("tracks_train_info.mat", "track_train_info"),
    "test": ("tracks_test_info.mat", "track_test_info"),
}
QUERIES = ("query_IDX.mat", "query_IDX")
NAME = re.compile(r"(?P<pid>[0-9]{4}|00-1)C(?P<camera>[0-9])T[0-9]{4}F[0-9]{3,4}\.(?i:jpg)")
JUNK = "00-1"
_WORSE = {"ap": "hits", "unmatched": "skip"}
RULES = {
    "official": PROTOCOLS["mars"],
    "hits": {**PROTOCOLS["mars"], **_WORSE, "name": "mars_hits"},
    "torchreid": {**PROTOCOLS["mars"], **_WORSE, "name": "mars_torchreid"},
}
_Spans = list[tuple[int, int, str, int]]  # first name (from 0), end (exclusive), pid, camid


class MARS(DataSet):
    """Tracklets of visible frames; the queries are also in the gallery."""

    name = "MARS"
    script = "datasets/prep/mars.py"
    summary = "Prepare MARS."
    expected = """expected
  bbox_train/<identity>/<identity>C<camera>T<tracklet>F<frame>.jpg, bbox_test/, and info/ with
  train_name.txt, test_name.txt, tracks_train_info.mat, tracks_test_info.mat, query_IDX.mat
in a folder, or in .zip, .tar, .tar.gz archives: give the folder that holds them, or all of them"""
    modalities = (VISIBLE,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options for the gallery and for the form of average precision."""
        group = parser.add_argument_group(
            "protocol", "This changes partition.json only; repeat the command with others at will."
        )
        group.add_argument(
            "--rules",
            choices=RULES,
            default="official",
            help="official: all test tracklets are the gallery, trapezoidal average precision; "
            "hits: the precision at hits, as most code has it; torchreid: precision at hits, and "
            "queries are not in the gallery, which leaves some without a match (default: "
            "%(default)s)",
        )

    def read(self, sources: Sources, options: argparse.Namespace, faults: Faults) -> Published:
        """Return one row per tracklet."""
        files = (*NAMES.values(), *(name for name, _ in TABLES.values()), QUERIES[0])
        lists = find_place(sources, (), files, self.expected)
        rows: list[Row] = []
        queries = _queries(lists, faults)
        for half, name in NAMES.items():
            home = find_place(sources, (f"bbox_{half}",), (), self.expected)
            names = [text for _, text in lists.lines(name)]
            spans = _spans(lists, half, len(names), faults)
            asking = queries if half == "test" else set()
            if asking and max(asking) >= len(spans):
                wanted = f"numbers of 1 to {len(spans)} rows"
                faults.add(Kind.OUT_OF_RANGE, lists.named(QUERIES[0]), max(asking) + 1, wanted)
            images = Files(home.below(f"bbox_{half}"))
            rows += _rows(lists, half, names, spans, asking, images, faults)
        both = {row.pid for row in rows if row.half == "train"}
        for pid in sorted(both & {row.pid for row in rows if row.half == "test"}):
            faults.add(Kind.IN_TWO_PARTS, f"{lists}, identity {pid}", "train and test tables")
        return Published(f"bbox_train and bbox_test in {home}, lists in {lists}", rows)

    def candidates(self, rows: Sequence[Row]) -> set[str]:
        """Return the training identities that at least two cameras see."""
        cameras: dict[str, set[int]] = {}
        for row in rows:
            cameras.setdefault(row.pid, set()).add(row.camid)
        return {pid for pid, seen in cameras.items() if len(seen) > 1}

    def tasks(
        self, rows: Sequence[Row], members: Sequence[int], options: argparse.Namespace
    ) -> dict[str, Task]:
        """Return the published queries; for validation, one query per identity and camera."""
        query = [place for place in members if rows[place].role == "query"]
        if rows[members[0]].half == "train":
            first: dict[tuple[str, int], int] = {}
            for place in members:
                first.setdefault((rows[place].pid, rows[place].camid), place)
            query = sorted(first.values())
        left_out = set(query) if options.rules == "torchreid" else set()
        return {WITHIN_VISIBLE: Task(query, [place for place in members if place not in left_out])}

    def protocol(self, options: argparse.Namespace) -> dict[str, Any]:
        """Return the protocol of the chosen convention, one of three."""
        return RULES[options.rules]

    def official(
        self, published: Published, partition: Partition, options: argparse.Namespace
    ) -> Iterator[tuple[str, int, int]]:
        """Yield the counts of the published tables."""
        for half, identities, tracklets, frames in (
            ("train", 625, 8298, 509_914),
            ("test", 636, 12_180, 681_089),
        ):
            mine = [row for row in published.rows if row.half == half]
            yield f"{half} identities, junk included", identities, len({row.pid for row in mine})
            yield f"{half} tracklets", tracklets, len(mine)
            yield f"{half} frames", frames, sum(len(row.images) for row in mine)
        yield "queries", 1980, sum(row.role == "query" for row in published.rows)
        yield "junk tracklets", 870, sum(row.pid == JUNK for row in published.rows)
        yield "distractors", 3248, sum(row.pid == "0000" for row in published.rows)


def _queries(lists: Place, faults: Faults) -> set[int]:
    """Return the rows (from 0) of the test table that are queries."""
    place = lists.named(QUERIES[0])
    numbers = read_table(lists.read(QUERIES[0]), QUERIES[1], place).ravel()
    if len(set(numbers.tolist())) < len(numbers):
        faults.add(Kind.LISTED_TWICE, place, f"one of {len(numbers)} queries")
    if len(numbers) and numbers.min() < 1:
        faults.add(Kind.OUT_OF_RANGE, place, int(numbers.min()), "rows counted from 1")
    return {int(number) - 1 for number in numbers}


def _spans(lists: Place, half: str, names: int, faults: Faults) -> _Spans:
    """Return the rows of a table: range of names, pid and camid."""
    file, key = TABLES[half]
    place = lists.named(file)
    table = read_table(lists.read(file), key, place)
    if table.shape[1] != 4:
        wanted = "4 columns: first and last line, identity, camera"
        faults.add(Kind.MALFORMED, place, f"{key} {list(table.shape)}", wanted)
        return []
    spans: _Spans = []
    covered = np.zeros(names + 1, np.int64)
    for number, (first, last, pid, camera) in enumerate(table.tolist(), 1):
        if not 1 <= first <= last <= names:
            wanted = f"lines of 1 to {names} in {NAMES[half]}, the last not before the first"
            faults.add(Kind.OUT_OF_RANGE, place, f"{first} to {last}", wanted, number)
            first, last = 1, 0
        covered[first - 1 : last] += 1
        spans.append((first - 1, last, JUNK if pid == -1 else f"{pid:04d}", camera))
    twice = np.flatnonzero(covered[:names] > 1)
    if len(twice):
        line = int(twice[0]) + 1
        said = f"line {line} of {NAMES[half]} belongs to two rows"
        faults.add(Kind.CONTRADICTION, place, said, "a frame is of one tracklet")
    unused = int((covered[:names] == 0).sum())
    if unused:
        faults.add(Kind.UNUSED_NAMES, lists.named(NAMES[half]), f"({unused:,} of them)", file)
    return spans


def _rows(
    lists: Place,
    half: str,
    names: Sequence[str],
    spans: _Spans,
    queries: set[int],
    files: Files,
    faults: Faults,
) -> Iterator[Row]:
    """Yield the tracklets of one half; note frame names that contradict their row as faults."""
    table = lists.named(TABLES[half][0])
    for number, (start, stop, pid, camera) in enumerate(spans):
        images = []
        for name in names[start:stop]:
            match = NAME.fullmatch(name)
            if match is None or (match["pid"], int(match["camera"])) != (pid, camera):
                wanted = f"identity {pid} and camera {camera} in its name"
                faults.add(Kind.CONTRADICTION, table, f"has {name}", wanted, number + 1)
                break
            image = files.find(f"{match['pid']}/{name}")
            if image is None:
                place = files.home.named(f"{match['pid']}/{name}")
                faults.add(Kind.MISSING, place, NAMES[half])
            else:
                images.append(image)
        role = "query" if number in queries else ""
        path = f"{pid}/rgb/D{camera}-T{number + 1:05d}"
        yield Row(path, pid, camera, VISIBLE, half, tuple(images), role)


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    return run_script(MARS(), command)
