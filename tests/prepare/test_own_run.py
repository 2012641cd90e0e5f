"""Runs that are stopped, killed, repeated: nothing is lost and nothing is mixed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from own_recordings import (
    HEADER,
    ROOT,
    box_rows,
    kill_when,
    prepare,
    start_script,
    write_images,
    write_lines,
    write_tree,
    write_video,
)
from vcm_tree import contents_of

TRACKS, FRAMES = 40, 400


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def long_film(tmp_path):
    """A film in which somebody leaves the picture every few frames; gives the options."""
    write_video(tmp_path / "films" / "a.avi", frames=FRAMES)
    rows = []
    for number in range(TRACKS):
        frames = range(number, FRAMES - FRAMES // TRACKS * (TRACKS - number - 1))
        rows += [f"a.avi,{f},0,0,160,96,{number},p{number},1,rgb" for f in frames]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *rows)
    return "--videos", tmp_path / "films", "--boxes", boxes


def results_of(out):
    """Everything that others read; the notes for going on left out."""
    found = contents_of(out)
    return {name: digest for name, digest in found.items() if not name.startswith(".")}


def packed(out):
    return list(out.rglob("0-frames.zip"))


def times_of(out):
    return {path: path.stat().st_mtime_ns for path in packed(out)}


@pytest.mark.slow
def test_a_killed_cutting_goes_on_and_gives_the_same_files(long_film, out, tmp_path, capsys):
    kill_when(start_script(*long_film, "--target", out), lambda: len(packed(out)) >= 3)
    before = times_of(out)
    assert 3 <= len(before) < TRACKS
    assert not (out / "partition.json").exists()
    assert not list((out / ".own").glob("*tmp*"))
    assert prepare(*long_film, "--target", out) == 0
    assert " of 40 tracklets were prepared already" in capsys.readouterr().out
    kept = [path for path, moment in before.items() if times_of(out)[path] == moment]
    assert len(kept) >= len(before) - 1  # of the last one the note may be missing
    assert prepare(*long_film, "--target", tmp_path / "other") == 0
    assert results_of(out) == results_of(tmp_path / "other")


@pytest.mark.slow
def test_a_killed_packing_of_images_goes_on_and_gives_the_same_files(tmp_path, out):
    for number in range(60):
        write_images(tmp_path / "raw" / f"p{number}" / "rgb" / "1" / "a", 40, suffix=".png")
    command = ("--source", tmp_path / "raw")
    kill_when(start_script(*command, "--target", out), lambda: len(packed(out)) >= 3)
    before = times_of(out)
    assert 3 <= len(before) < 60
    assert prepare(*command, "--target", out) == 0
    assert prepare(*command, "--target", tmp_path / "other") == 0
    assert results_of(out) == results_of(tmp_path / "other")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups are those of POSIX")
def test_processes_of_a_killed_run_end(long_film, out):
    films = long_film[1]
    (films / "b.avi").write_bytes((films / "a.avi").read_bytes())
    with long_film[3].open("a") as file:
        for frame in range(FRAMES):
            file.write(f"b.avi,{frame},0,0,160,96,1,zoe,1,rgb\n")
    run = [sys.executable, "datasets/prep/own.py", *map(str, long_film), "--target", str(out)]
    process = subprocess.Popen(
        [*run, "--workers", "2"], cwd=ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not packed(out):
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    while is_alive(process.pid):  # to the end of the test's time, if its workers stay
        time.sleep(0.01)


def is_alive(group):
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_from_the_keyboard_is_quick_and_says_how_to_go_on(long_film, out, workers):
    films = long_film[1]
    (films / "b.avi").write_bytes((films / "a.avi").read_bytes())
    with long_film[3].open("a") as file:
        for frame in range(FRAMES):
            file.write(f"b.avi,{frame},0,0,160,96,1,zoe,1,rgb\n")
    process = start_script(*long_film, "--target", out, "--workers", workers)
    while not packed(out):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    told = process.communicate()[0]
    assert process.returncode == 130, told
    assert "stopped; the same command goes on from here" in told
    assert "Traceback" not in told
    assert len(packed(out)) < TRACKS


def test_a_finished_preparation_is_not_done_again(tmp_path, out, capsys):
    write_tree(tmp_path / "raw")
    assert prepare("--source", tmp_path / "raw", "--target", out) == 0
    first, moments = contents_of(out), times_of(out)
    capsys.readouterr()
    assert prepare("--source", tmp_path / "raw", "--target", out) == 0
    assert "8 of 8 tracklets were prepared already" in capsys.readouterr().out
    assert contents_of(out) == first
    assert times_of(out) == moments


def test_finished_videos_are_not_opened_again(tmp_path, out, monkeypatch):
    from opengait_ext.prepare.recordings import video as own_video

    write_video(tmp_path / "films" / "a.avi")
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *box_rows("a.avi"))
    command = ("--videos", tmp_path / "films", "--boxes", boxes, "--target", out)
    assert prepare(*command) == 0
    first = results_of(out)
    monkeypatch.setattr(own_video, "FrameReader", None)
    assert prepare(*command) == 0
    assert results_of(out) == first


def test_a_changed_image_and_a_damaged_tracklet_are_prepared_again(tmp_path, out):
    raw = tmp_path / "raw"
    write_tree(raw)
    assert prepare("--source", raw, "--target", out) == 0
    moments = times_of(out)
    image = raw / "anna" / "rgb" / "cam1" / "a" / "1.jpg"
    other = (raw / "ben" / "rgb" / "cam1" / "a" / "3.jpg").read_bytes()
    old = image.stat().st_mtime - 100.0
    image.write_bytes(other)
    os.utime(image, (old, old))  # older than what was prepared: still another file
    broken = out / "ben/ir/D2-T5/0-frames.zip"
    broken.write_bytes(broken.read_bytes()[:100])
    (out / "ben/ir/D2-T6/0-frames.zip").unlink()
    (out / "ben/ir/D2-T6/.0-frames.zip.99.tmp").write_bytes(b"half")
    assert prepare("--source", raw, "--target", out) == 0
    changed = {
        path.parent.name for path, moment in times_of(out).items() if moments[path] != moment
    }
    assert changed == {"D1-T3", "D2-T5", "D2-T6"}
    assert prepare("--source", raw, "--target", tmp_path / "other") == 0
    assert results_of(out) == results_of(tmp_path / "other")
    assert not list(out.rglob("*.tmp"))


def test_a_tracklet_that_ends_before_the_others_can_be_cut_again(tmp_path, out):
    write_video(tmp_path / "films" / "a.avi")
    rows = [
        *box_rows("a.avi", 0, range(5)),
        *box_rows("a.avi", 1, track=2, about=("ben", "1", "ir")),
    ]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *rows)
    command = ("--videos", tmp_path / "films", "--boxes", boxes, "--target", out)
    assert prepare(*command) == 0
    first, moments = results_of(out), times_of(out)
    (out / "anna/rgb/D1-T1/0-frames.zip").unlink()
    assert prepare(*command) == 0
    assert results_of(out) == first
    kept = out / "ben/ir/D1-T2/0-frames.zip"
    assert times_of(out)[kept] == moments[kept]


def test_a_changed_video_is_cut_again(tmp_path, out):
    films = tmp_path / "films"
    write_video(films / "a.avi", ("red",))
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *box_rows("a.avi"))
    command = ("--videos", films, "--boxes", boxes, "--target", out)
    assert prepare(*command) == 0
    first = results_of(out)
    write_video(films / "a.avi", ("blue",))
    assert prepare(*command) == 0
    assert results_of(out)["anna/rgb/D1-T1/0-frames.zip"] != first["anna/rgb/D1-T1/0-frames.zip"]


def test_another_listing_or_option_is_refused_and_anew_removes_what_was_there(
    tmp_path, out, capsys
):
    raw = tmp_path / "raw"
    write_tree(raw)
    assert prepare("--source", raw, "--target", out) == 0
    before = contents_of(out)
    assert prepare("--source", raw, "--target", out, "--every", "2") == 1
    assert "every: 1 there, 2 now" in capsys.readouterr().err
    write_images(raw / "zoe" / "rgb" / "cam1" / "a")
    assert prepare("--source", raw, "--target", out) == 1
    message = capsys.readouterr().err
    assert "digest: " in message
    assert "add --anew" in message
    assert contents_of(out) == before
    (raw / "zoe" / "rgb" / "cam1" / "a").rename(raw / "zoe" / "rgb" / "cam1" / "0")
    (out / "mine.txt").write_text("mine")
    assert prepare("--source", raw, "--target", out, "--anew", "--every", "2") == 0
    assert (out / "mine.txt").read_text() == "mine"
    (out / "mine.txt").unlink()
    assert prepare("--source", raw, "--target", tmp_path / "other", "--every", "2") == 0
    assert contents_of(out) == contents_of(tmp_path / "other")


def test_a_folder_with_other_things_is_not_written_to(tmp_path, out, capsys):
    write_tree(tmp_path / "raw")
    write_lines(out / "thesis.tex", "all of it")
    assert prepare("--source", tmp_path / "raw", "--target", out) == 1
    assert "is not empty and was not made by this script" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_several_processes_give_the_same_files_as_one(tmp_path):
    write_tree(tmp_path / "raw", [f"p{n}" for n in range(4)])
    assert prepare("--source", tmp_path / "raw", "--target", tmp_path / "one") == 0
    command = ("--source", tmp_path / "raw", "--target", tmp_path / "two", "--workers", "2")
    assert prepare(*command) == 0
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_a_tracklet_that_cannot_be_written_is_named(tmp_path, out, capsys):
    write_tree(tmp_path / "raw")
    assert prepare("--source", tmp_path / "raw", "--target", out) == 0
    (out / "anna/rgb/D1-T3/0-frames.zip").unlink()
    (out / "anna/rgb/D1-T3").rmdir()
    (out / "anna/rgb/D1-T3").write_text("a file where the folder should be")
    assert prepare("--source", tmp_path / "raw", "--target", out) == 1
    message = capsys.readouterr().err
    assert "1 tracklets could not be prepared" in message
    assert f"{out / 'anna/rgb/D1-T3'}: FileExistsError" in message
    assert not (out / "partition.json").exists()


@pytest.mark.slow
def test_the_script_needs_no_torch(tmp_path, out):
    write_tree(tmp_path / "raw")
    program = (
        "import runpy, sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['own.py', '--source', {str(tmp_path / 'raw')!r}, '--target', {str(out)!r}]\n"
        "runpy.run_path('datasets/prep/own.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "24/24" in done.stderr
    assert (out / "partition.json").is_file()
