"""The one run of all published data sets, with the smallest data set there can be."""

import csv
import os
import signal
import subprocess
import sys

import pytest
import test_sysu
from published_trees import image, prepare_set, prepared, put
from vcm_tree import ROOT, contents_of

from opengait_ext.data.layout import FOLDERS, count_frames, read_array
from opengait_ext.lock import locked
from opengait_ext.prepare.partition import cross_modality
from opengait_ext.prepare.pipeline import DataSet
from opengait_ext.prepare.places import Place
from opengait_ext.prepare.published import Published, Row
from opengait_ext.prepare.target import LOCK

pytestmark = pytest.mark.slow


class Toy(DataSet):
    """Folders <half>/<pid>/<rgb|ir>/<camera>: what a data set needs, and no more."""

    name, script, summary, expected = "Toy", "datasets/prep/toy.py", "Prepare a toy.", "folders"
    min_frames = 2

    def read(self, sources, options, faults):
        rows = []
        (tree,) = sources
        for half in ("train", "test"):
            for pid in (home := Place(tree, half)).folders():
                for modality, folder in FOLDERS.items():
                    for camera in (side := home.below(f"{pid}/{folder}")).folders():
                        place = side.below(camera)
                        images = tuple(map(place.image, place.images()))
                        path = f"{pid}/{folder}/D{camera}-T1"
                        rows.append(Row(path, pid, int(camera), modality, half, images))
        return Published("folders", rows)

    def tasks(self, rows, members, options):
        return cross_modality(rows, members)

    def protocol(self, options):
        return {"name": "toy", "ignore": "same_pid_camid"}


HALVES = {"train": ("a", "b", "c"), "test": ("d", "e")}


@pytest.fixture
def raw(tmp_path):
    value = 0
    for half, pids in HALVES.items():
        for pid in pids:
            for folder in FOLDERS.values():
                for camera in (1, 2):
                    for frame in (1, 2, 10):
                        value += 1
                        home = tmp_path / f"raw/{half}/{pid}/{folder}/{camera}"
                        put(home / f"{frame}.jpg", image(value))
    return tmp_path / "raw"


def reasons_in(out):
    with (out / "dropped.csv").open(newline="") as file:
        return {row["tracklet"]: row["reason"] for row in csv.DictReader(file)}


def test_a_reader_and_a_protocol_are_a_data_set(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(Toy(), raw, out)
    assert partition.dataset == "Toy"
    assert partition.protocol == {"name": "toy", "ignore": "same_pid_camid", "min_frames": 2}
    assert set(partition.tasks) == {"val", "test"}
    assert {t.pid for t in partition.tracklets if t.split == "test"} == set(HALVES["test"])
    assert sum(t.split == "val" for t in partition.tracklets) == 4  # one identity
    assert partition.source["tool"] == "datasets/prep/toy.py"
    assert all(count_frames(out / t.path) == t.frames == 3 for t in partition.tracklets)


def test_several_processes_write_the_same_bytes_as_one(raw, tmp_path):
    prepared(Toy(), raw, tmp_path / "one")
    prepared(Toy(), raw, tmp_path / "two", "--workers", "2")
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_a_second_run_finds_everything_prepared_and_changes_nothing(raw, tmp_path, capsys):
    prepared(Toy(), raw, tmp_path / "out")
    before = contents_of(tmp_path / "out")
    prepared(Toy(), raw, tmp_path / "out")
    assert "20 of 20 tracklets were prepared already" in capsys.readouterr().out
    assert contents_of(tmp_path / "out") == before


def test_short_tracklets_and_one_sided_training_identities_are_dropped_with_reasons(raw, tmp_path):
    for path in ("train/a/ir/1", "train/a/ir/2", "test/d/ir/1"):
        (raw / path / "2.jpg").unlink()
        (raw / path / "10.jpg").unlink()
    partition = prepared(Toy(), raw, tmp_path / "out")
    few = "1 frames, at least 2 needed"
    alone = "training identity a is left with visible only"
    assert reasons_in(tmp_path / "out") == {
        "a/ir/D1-T1": few, "a/ir/D2-T1": few, "a/rgb/D1-T1": alone, "a/rgb/D2-T1": alone,
        "d/ir/D1-T1": few,
    }  # fmt: skip
    assert len(partition.tracklets) == 15


def test_other_data_or_options_are_refused_until_anew_is_asked_for(raw, tmp_path, capsys):
    out = tmp_path / "out"
    prepared(Toy(), raw, out)
    put(raw / "test/d/ir/1/11.jpg", image(999))
    assert prepare_set(Toy(), raw, out) == 1
    assert "was begun with other data or options\n  files: " in capsys.readouterr().err
    assert prepare_set(Toy(), raw, out, "--anew", "--form", "opengait", "--height", "8",
                       "--width", "4") == 0  # fmt: skip
    assert not list(out.rglob("0-frames.zip"))
    assert read_array(out / "d/ir/D1-T1/0-frames.pkl").shape == (4, 3, 8, 4)


def test_damaged_frames_are_all_named_and_left_out_on_request_alone(raw, tmp_path, capsys):
    out = tmp_path / "out"
    prepared(Toy(), raw, out)
    for path in ("test/d/ir/1/1.jpg", "test/e/rgb/2/10.jpg"):
        put(raw / path, (raw / path).read_bytes()[:-9])
        os.utime(raw / path)
    assert prepare_set(Toy(), raw, out) == 1
    said = capsys.readouterr().err
    assert "2 damaged images" in said
    assert "d/ir/1/1.jpg: cut off" in said
    assert not (out / "partition.json").exists()
    assert len((out / "damaged.txt").read_text().splitlines()) == 2
    partition = prepared(Toy(), raw, out, "--skip-damaged")
    assert partition.source["damaged_images"] == 2
    assert sorted(t.frames for t in partition.tracklets)[:3] == [2, 2, 3]


def test_an_empty_split_is_refused_before_anything_is_written(raw, tmp_path, capsys):
    assert prepare_set(Toy(), raw, tmp_path / "out", "--min-frames", "4") == 1
    said = capsys.readouterr().err
    assert "no tracklet of at least 4 frames is left for train" in said
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_a_side_of_a_task_that_is_empty_is_named(raw, tmp_path, capsys):
    for pid in HALVES["test"]:
        for path in (raw / f"test/{pid}/ir").rglob("*.jpg"):
            path.unlink()
    assert prepare_set(Toy(), raw, tmp_path / "out", "--validation", "0") == 1
    assert "test, infrared to visible: no tracklet is left as query" in capsys.readouterr().err


def test_a_second_run_beside_one_at_work_is_refused(raw, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    with locked(out / LOCK):
        assert prepare_set(Toy(), raw, out) == 1
    assert "another preparation is at work" in capsys.readouterr().err


def test_a_folder_with_other_things_is_not_written_to(raw, tmp_path, capsys):
    put(tmp_path / "out/thesis.txt", "all of it")
    assert prepare_set(Toy(), raw, tmp_path / "out") == 1
    assert "was not made by this script" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/thesis.txt"]


# Ends itself at a certain replacement of a file; without one, counts them.
KILLED = """
import os, signal, sys
from opengait_ext.prepare.sysu import main
moment, calls = int(sys.argv[1]), 0
replace = os.replace
def watched(*names):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*names)
os.replace = watched
status = main(sys.argv[2:])
print("calls", calls)
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_killed_run_leaves_whole_files_and_the_same_command_goes_on(tmp_path):
    raw = test_sysu.write_tree(tmp_path / "raw", pictures=1)

    def prepare(out, moment):
        words = ["--source", str(raw), "--target", str(out), "--workers", "1"]
        command = [sys.executable, "-c", KILLED, str(moment), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = prepare(tmp_path / "whole", 0)
    assert done.returncode == 0, done.stderr
    calls = int(done.stdout.split()[-1])
    expected = contents_of(tmp_path / "whole")
    for moment in (1, 2, calls // 2, calls - 1, calls):
        out = tmp_path / str(moment)
        assert prepare(out, moment).returncode == -signal.SIGKILL
        left = {n: d for n, d in contents_of(out).items() if not n.endswith((".tmp", ".holder"))}
        assert left.items() <= expected.items()
        assert "partition.json" not in left
        assert prepare(out, 0).returncode == 0
        assert contents_of(out) == expected
