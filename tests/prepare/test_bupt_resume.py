"""A preparation of BUPTCampus that is stopped, damaged or repeated; frames stay in step."""

import os
import signal
import subprocess
import sys
from zipfile import ZipFile

import pytest
from bupt_tree import (
    contents_of,
    edit,
    longer,
    prepare_tree,
    walks_of,
    write_bupt_tree,
)
from vcm_tree import ROOT

from opengait_ext.data.layout import read_partition

pytestmark = pytest.mark.slow


@pytest.fixture
def raw(tmp_path):
    write_bupt_tree(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def names_and_times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("[01]-*.*")}


FORMS = {"packed": (), "opengait": ("--form", "opengait", "--height", "8", "--width", "4")}


@pytest.mark.parametrize("form", FORMS)
def test_a_stopped_run_goes_on_to_the_same_files(raw, out, form):
    options = (*FORMS[form], "--fake-ir")
    assert prepare_tree(raw, out, *options) == 0
    expected = contents_of(out)
    made = sorted(out.rglob("[01]-*.*"))
    assert {path.name.split(".")[0] for path in made} == {"0-frames", "1-fake_ir"}
    for path in made[::3]:
        path.unlink()
    for path in made[1::3]:
        path.write_bytes(path.read_bytes()[:50])
    made[0].with_name(f".{made[0].name}.123.tmp").write_bytes(b"half a file")
    (out / ".partition.json.123.tmp").write_bytes(b"{")
    (out / "partition.json").unlink()
    kept = {path: path.stat().st_mtime_ns for path in made[2::3]}
    assert prepare_tree(raw, out, *options) == 0
    assert contents_of(out) == expected
    assert kept.items() <= names_and_times(out).items()


KILLED = """
import os, signal, sys
renamed = 0
replace = os.replace
def stop(one, other):
    global renamed
    renamed += 1
    if renamed == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(one, other)
os.replace = stop
from opengait_ext.prepare.bupt import run as bupt_campus
sys.exit(bupt_campus.main({command!r}))
"""


@pytest.mark.parametrize("place", [1, 2, 3, 25, 40, 73, 74, 75, 76])
def test_a_run_killed_before_any_of_its_renamings_leaves_whole_files_and_goes_on(
    raw, tmp_path, place
):
    """1: the note; to 74: both streams; 75: what was dropped; 76: the partition."""
    assert prepare_tree(raw, tmp_path / "whole", "--fake-ir") == 0
    expected = contents_of(tmp_path / "whole")
    out = tmp_path / "out"
    command = ["--source", str(raw), "--target", str(out), "--workers", "1", "--fake-ir"]
    program = KILLED.format(number=place, command=command)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    for path in out.rglob("*.zip"):
        with ZipFile(path) as archive:
            assert archive.testzip() is None
    assert not (out / "partition.json").exists()
    assert prepare_tree(raw, out, "--fake-ir") == 0
    assert contents_of(out) == expected


def test_a_run_killed_from_outside_goes_on_with_what_is_there(tmp_path, out, capsys):
    raw = tmp_path / "raw"
    write_bupt_tree(raw, [*walks_of(3), *longer(60)[6:]])
    command = ["--source", str(raw), "--target", str(out), "--workers", "2", "--fake-ir"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "datasets/prep/bupt_campus.py"), *command],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and not list(out.rglob("*.zip")):
        pass
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    there = {path: path.stat().st_mtime_ns for path in out.rglob("0-frames.zip")}
    assert there
    assert not (out / "partition.json").exists()
    assert prepare_tree(raw, out, "--fake-ir") == 0
    assert "files were prepared already" in capsys.readouterr().out
    after = {path.stat().st_mtime_ns for path in out.rglob("*.zip")}
    assert set(there.values()) <= after
    assert prepare_tree(raw, tmp_path / "whole", "--fake-ir") == 0
    assert contents_of(out) == contents_of(tmp_path / "whole")


def test_several_processes_give_the_same_files_as_one(raw, tmp_path):
    assert prepare_tree(raw, tmp_path / "one", "--fake-ir") == 0
    assert prepare_tree(raw, tmp_path / "two", "--fake-ir", "--workers", "2") == 0
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_another_protocol_writes_the_partition_anew_and_nothing_else(raw, out, capsys):
    assert prepare_tree(raw, out) == 0
    before = names_and_times(out)
    options = ("--camera-rule", "same_pid_camid", "--official-drop", "3", "--validation", "0.5")
    assert prepare_tree(raw, out, *options) == 0
    assert "49 of 49 files were prepared already" in capsys.readouterr().out
    assert names_and_times(out) == before
    partition = read_partition(out / "partition.json")
    assert (partition.protocol["ignore"], partition.protocol["official_drop"]) == (
        "same_pid_camid",
        3,
    )
    assert prepare_tree(raw, out) == 0
    assert "official_drop" not in read_partition(out / "partition.json").protocol


def test_other_options_and_other_lists_are_noticed_and_nothing_is_touched(raw, out, capsys):
    assert prepare_tree(raw, out) == 0
    before = contents_of(out)
    options = ("--fake-ir", "--auxiliary", "--min-frames", "2", *FORMS["opengait"])
    assert prepare_tree(raw, out, *options) == 1
    message = capsys.readouterr().err
    for text in (
        "digest: ",
        "fake_ir: False there, True now",
        "auxiliary: False there, True now",
        "min_frames: 1 there, 2 now",
        "form: 'packed' there, 'opengait' now",
        "add --anew to remove what is prepared there",
    ):
        assert text in message
    edit(raw / "gallery.txt", "1912 RGB CQ1 1\n", "")
    assert prepare_tree(raw, out) == 1
    assert "digest: " in capsys.readouterr().err
    assert contents_of(out) == before


def test_anew_removes_both_streams_and_nothing_else(raw, out):
    assert prepare_tree(raw, out, "--fake-ir", "--auxiliary") == 0
    (out / "1" / "notes.txt").write_text("mine")
    (out / "1" / "rgb" / "D2-T1" / ".1-fake_ir.zip.123.tmp").write_bytes(b"begun")
    assert prepare_tree(raw, out, "--anew") == 0
    assert (out / "1" / "notes.txt").read_text() == "mine"
    assert not list(out.rglob("*fake_ir*"))
    assert not (out / "2830").exists()
    assert len(list(out.rglob("0-frames.zip"))) == 49


def test_a_folder_with_other_things_is_not_emptied(raw, out, capsys):
    view = out / "1" / "rgb" / "D2-T1"
    view.mkdir(parents=True)
    (view / "1-fake_ir.zip").write_bytes(b"mine")
    assert prepare_tree(raw, out, "--anew") == 1
    assert f"--target {out}: is not empty and was not made by" in capsys.readouterr().err
    assert (view / "1-fake_ir.zip").read_bytes() == b"mine"


def test_a_tracklet_that_cannot_be_written_is_named(raw, out, capsys):
    assert prepare_tree(raw, out, "--fake-ir") == 0
    view = out / "1" / "ir" / "D2-T1"
    (view / "0-frames.zip").unlink()
    view.rmdir()
    view.write_text("a file where the folder should be")
    assert prepare_tree(raw, out, "--fake-ir") == 1
    message = capsys.readouterr().err
    assert "1 tracklets could not be prepared" in message
    assert f"{view}/0-frames.zip: Not a directory" in message
    assert not (out / "partition.json").exists()
    assert (out / "1" / "rgb" / "D2-T1" / "1-fake_ir.zip").exists()


def test_preparation_stops_after_twenty_failures(raw, out, capsys, monkeypatch):
    from opengait_ext.prepare import pipeline
    from opengait_ext.prepare.packing import Prepared

    asked = []

    def fail(jobs, workers):
        for job in jobs:
            asked.append(job)
            yield Prepared(0, failure=f"{job.folder}: no space left")

    monkeypatch.setattr(pipeline, "prepare_all", fail)
    assert prepare_tree(raw, out) == 1
    assert "20 tracklets could not be prepared" in capsys.readouterr().err
    assert len(asked) == 20


def test_an_unwritable_target_is_told_without_a_traceback(raw, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert prepare_tree(raw, tmp_path / "file" / "out") == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_a_stop_from_the_keyboard_says_how_to_go_on(raw, out, capsys, monkeypatch):
    from opengait_ext.prepare.bupt import run as bupt_campus

    def stop(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(bupt_campus, "run", stop)
    assert prepare_tree(raw, out) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
