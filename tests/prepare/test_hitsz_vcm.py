"""The preparation of HITSZ-VCM from published data to the prepared form."""

import csv
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from vcm_tree import (
    ROOT,
    WALKS,
    Walk,
    contents_of,
    edit,
    jpeg,
    people,
    prepare_tree,
    shorten,
    write_vcm_tree,
)

from opengait_ext.data.layout import DIRECTIONS, read_frames, read_partition

pytestmark = pytest.mark.slow


@pytest.fixture
def raw(tmp_path):
    write_vcm_tree(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def image_of(raw, number):
    """The path of the n-th training image, in the order of the lists."""
    folder, frame = divmod(number, 4)
    return raw / "Train" / "0001" / "ir" / ("D2", "D10")[folder] / f"{5 * frame + 1}.jpg"


def names_and_times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("0-frames.*")}


def test_images_are_copied_unchanged_in_the_order_of_the_list(raw, out):
    lists = raw / "info"
    edit(lists / "train_name.txt", "0001M1D2T1F1.jpg\n0001M1D2T1F6.jpg\n",
         "0001M1D2T1F6.jpg\n0001M1D2T1F1.jpg\n")  # fmt: skip
    assert prepare_tree(raw, out) == 0
    expected = [(raw / f"Train/0001/ir/D2/{n}.jpg").read_bytes() for n in (6, 1, 11, 16)]
    assert read_frames(out / "0001" / "ir" / "D2-T1", range(4)) == expected


def test_both_directions_hold_all_tracklets_of_their_split_and_modality(raw, out):
    prepare_tree(raw, out, "--validation", "0.4", "--name", "Tiny")
    partition = read_partition(out / "partition.json")
    assert partition.dataset == "Tiny"
    assert partition.protocol == {"name": "vcm", "ignore": "same_pid_camid", "min_frames": 3}
    assert set(partition.tasks) == {"val", "test"}
    for split, tasks in partition.tasks.items():
        for direction in DIRECTIONS:
            query, gallery = direction.split("_to_")
            for positions, modality in (
                (tasks[direction].query, query),
                (tasks[direction].gallery, gallery),
            ):
                assert positions == [
                    position
                    for position, t in enumerate(partition.tracklets)
                    if t.split == split and t.modality == modality
                ]


def test_short_tracklets_and_one_sided_training_identities_are_dropped_with_reasons(tmp_path, out):
    walks = shorten(WALKS, 2, pid=2, modality="visible")
    walks = shorten(walks, 1, pid=503, modality="visible")
    write_vcm_tree(tmp_path / "raw", shorten(walks, 2, pid=1, camera=10))
    assert prepare_tree(tmp_path / "raw", out) == 0
    with (out / "dropped.csv").open(newline="") as file:
        reasons = {row["tracklet"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons == {
        "0001/ir/D10-T2": "2 frames, at least 3 needed",
        "0002/ir/D2-T5": "training identity 0002 is left with infrared only",
        "0002/ir/D10-T6": "training identity 0002 is left with infrared only",
        "0002/rgb/D2-T7": "2 frames, at least 3 needed",
        "0002/rgb/D3-T8": "2 frames, at least 3 needed",
        "0503/rgb/D2-T3": "1 frames, at least 3 needed",
        "0503/rgb/D3-T4": "1 frames, at least 3 needed",
    }
    partition = read_partition(out / "partition.json")
    assert {d["tracklet"]: d["reason"] for d in partition.source["dropped"]} == reasons
    assert len(partition.tasks["test"]["infrared_to_visible"].query) == 4  # 503 stays
    counts = partition.source["counts"]
    assert counts["test_identities_in_one_modality"] == 1
    assert counts["queries_without_match"]["test infrared_to_visible"] == 2


def test_the_table_counts_identities_tracklets_and_frames(raw, out, capsys):
    prepare_tree(raw, out, "--validation", "0")
    told = capsys.readouterr().out
    for line in (
        "split   modality    identities   tracklets      frames",
        "train   infrared             3           6          24",
        "val     visible              0           0           0",
        "test    visible              2           4          16",
    ):
        assert line in told
    assert set(read_partition(out / "partition.json").tasks) == {"test"}


def test_too_short_data_are_refused_before_anything_is_written(raw, out, capsys):
    assert prepare_tree(raw, out, "--min-frames", "5") == 1
    assert "no tracklet of at least 5 frames is left for train" in capsys.readouterr().err
    assert not out.exists()


def test_twelve_frames_are_needed_by_default(tmp_path, out):
    from opengait_ext.prepare.vcm import run as hitsz_vcm

    walks = [Walk("Train", 1, "infrared", 2, 11)]
    walks += [Walk(w.half, w.pid, w.modality, w.camera, 12) for w in people("Train", (1, 2))]
    walks += [Walk(w.half, w.pid, w.modality, w.camera, 12) for w in people("Test", (503,))]
    write_vcm_tree(tmp_path / "raw", walks)
    command = ["--source", str(tmp_path / "raw"), "--target", str(out), "--workers", "1"]
    assert hitsz_vcm.main(command) == 0
    partition = read_partition(out / "partition.json")
    assert [d["tracklet"] for d in partition.source["dropped"]] == ["0001/ir/D2-T1"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda image: image[: len(image) * 2 // 3], "cut off after"),
        (lambda image: b"", "the file is empty"),
        (lambda image: b"<html>not found</html>", "not a JPEG file"),
        (lambda image: image[:2] + image[-2:], "cannot be decoded"),
    ],
)
def test_damaged_images_are_all_named_and_refused_and_nothing_is_lost(
    raw, out, capsys, damage, reason
):
    good = {number: image_of(raw, number).read_bytes() for number in (1, 5)}
    for number, image in good.items():
        image_of(raw, number).write_bytes(damage(image))
    assert prepare_tree(raw, out) == 1
    message = capsys.readouterr().err
    assert "2 damaged images" in message
    assert "--skip-damaged" in message
    for number in good:
        assert f"{image_of(raw, number)}: {reason}" in message
    assert not (out / "partition.json").exists()
    assert (out / "damaged.txt").read_text().count(reason) == 2
    before = names_and_times(out)
    assert len(before) == 18
    for number, image in good.items():
        image_of(raw, number).write_bytes(image)
    assert prepare_tree(raw, out) == 0
    assert before.items() <= names_and_times(out).items()
    assert not (out / "damaged.txt").exists()


def test_damaged_images_are_left_out_on_demand(raw, out, capsys):
    for number in (1, 4, 5):  # one of the first tracklet, two of the second
        image_of(raw, number).write_bytes(b"")
    assert prepare_tree(raw, out, "--skip-damaged") == 0
    assert "left out: 3 damaged images" in capsys.readouterr().out
    partition = read_partition(out / "partition.json")
    assert partition.source["damaged_images"] == 3
    assert partition.source["dropped"] == [
        {
            "tracklet": "0001/ir/D10-T2",
            "frames": 2,
            "reason": "2 frames (2 more are damaged), at least 3 needed",
        }
    ]
    assert {t.path: t.frames for t in partition.tracklets}["0001/ir/D2-T1"] == 3
    expected = [image_of(raw, number).read_bytes() for number in (0, 2, 3)]
    assert read_frames(out / "0001" / "ir" / "D2-T1", range(3)) == expected


def test_gray_images_of_one_channel_are_accepted_in_both_forms(raw, tmp_path):
    image_of(raw, 0).write_bytes(jpeg(100, gray=True))
    image_of(raw, 0).touch()
    options = ("--form", "opengait", "--height", "8", "--width", "4")
    assert prepare_tree(raw, tmp_path / "packed") == 0
    assert prepare_tree(raw, tmp_path / "opengait", *options) == 0
    view = "0001/ir/D2-T1"
    assert read_frames(tmp_path / "packed" / view, [0]) == [jpeg(100, gray=True)]
    (frame,) = read_frames(tmp_path / "opengait" / view, [0])
    assert frame.shape == (3, 8, 4)
    assert (frame[0] == frame[1]).all()
    assert (frame[0] == frame[2]).all()


def test_the_form_of_opengait_holds_red_first(raw, out):
    image = np.zeros((16, 8, 3), np.uint8)
    image[..., 2] = 200  # OpenCV's red
    image_of(raw, 0).write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    assert prepare_tree(raw, out, "--form", "opengait", "--height", "32", "--width", "16") == 0
    (frame,) = read_frames(out / "0001" / "ir" / "D2-T1", [0])
    assert frame[0].min() > 190
    assert frame[1:].max() < 10


@pytest.mark.parametrize("form", ["packed", "opengait"])
def test_a_stopped_run_goes_on_to_the_same_files(raw, out, form):
    options = ("--form", form, "--height", "8", "--width", "4")
    assert prepare_tree(raw, out, *options) == 0
    expected = contents_of(out)
    made = sorted(out.rglob("0-frames.*"))
    for path in made[::2]:
        path.unlink()
    made[0].with_name(f".{made[0].name}.123.tmp").write_bytes(b"half a file")
    made[1].write_bytes(made[1].read_bytes()[:50])
    (out / ".partition.json.123.tmp").write_bytes(b"{")
    (out / "partition.json").unlink()
    kept = {path: path.stat().st_mtime_ns for path in made[3::2]}
    assert prepare_tree(raw, out, *options) == 0
    assert contents_of(out) == expected
    assert kept.items() <= names_and_times(out).items()


@pytest.mark.parametrize("seconds", [1.0, -1000.0])
def test_an_image_of_another_time_or_size_is_prepared_again(raw, out, seconds):
    prepare_tree(raw, out)
    image = image_of(raw, 0)
    content = image.read_bytes()
    changed = image_of(raw, 1).read_bytes() if seconds > 0.0 else content + b"\0"
    image.write_bytes(changed)
    moment = (out / "0001" / "ir" / "D2-T1" / "0-frames.zip").stat().st_mtime + seconds
    os.utime(image, (moment, moment))
    assert prepare_tree(raw, out) == 0
    assert read_frames(out / "0001" / "ir" / "D2-T1", [0]) == [changed]


def test_several_processes_give_the_same_files_as_one(raw, tmp_path):
    assert prepare_tree(raw, tmp_path / "one") == 0
    assert prepare_tree(raw, tmp_path / "two", "--workers", "2") == 0
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_the_script_needs_no_torch(raw, out):
    program = (
        "import runpy, sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['hitsz_vcm.py', '--source', {str(raw)!r}, '--target', {str(out)!r},\n"
        "            '--min-frames', '3', '--workers', '1']\n"
        "runpy.run_path('datasets/prep/hitsz_vcm.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "preparing: 100% 80/80" in done.stderr
    assert (out / "partition.json").is_file()


@pytest.mark.parametrize(
    ("option", "value"), [("--validation", "1"), ("--min-frames", "0"), ("--validation", "a")]
)
def test_a_misused_option_names_the_value_and_what_is_expected(raw, out, capsys, option, value):
    with pytest.raises(SystemExit) as stop:
        prepare_tree(raw, out, option, value)
    assert stop.value.code == 2
    assert f"argument {option}: {value!r}, expected a" in capsys.readouterr().err


def test_a_stop_from_the_keyboard_says_how_to_go_on(raw, out, capsys, monkeypatch):
    from opengait_ext.prepare import pipeline

    def stop(dataset, options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run", stop)
    assert prepare_tree(raw, out) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
