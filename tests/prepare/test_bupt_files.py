"""The files of BUPTCampus: FakeIR beside the frames, both forms, damage that leaves in step."""

import pickle
from zipfile import ZipFile

import numpy as np
import pytest
from bupt_tree import edit_index, image_of, jpeg, prepare_tree, write_bupt_tree

from opengait_ext.data.layout import FAKE_IR, read_frames, read_partition

pytestmark = pytest.mark.slow


@pytest.fixture
def raw(tmp_path):
    write_bupt_tree(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def prepared(raw, out, *options):
    assert prepare_tree(raw, out, *options) == 0
    return read_partition(out / "partition.json")


def names_and_times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("[01]-*.*")}


def test_fake_ir_lies_beside_the_frames_of_visible_tracklets_with_as_many_frames(raw, out):
    partition = prepared(raw, out, "--fake-ir", "--auxiliary")
    assert partition.source["fake_ir"] is True
    for tracklet in partition.tracklets:
        path = out / tracklet.path / "1-fake_ir.zip"
        assert path.exists() == (tracklet.modality == "visible")
        if path.exists():
            with ZipFile(path) as archive:
                assert archive.namelist() == [f"{n:06d}.jpg" for n in range(tracklet.frames)]
    with ZipFile(out / "1" / "rgb" / "D2-T1" / "1-fake_ir.zip") as archive:
        images = [archive.read(name) for name in archive.namelist()]
    assert images == [image_of(raw, 1, "FakeIR", "CQ1", 1, n).read_bytes() for n in range(12)]
    assert images == read_frames(out / "1" / "rgb" / "D2-T1", range(12), stream=FAKE_IR)
    assert images != read_frames(out / "1" / "rgb" / "D2-T1", range(12))
    assert not [
        path for path in out.rglob(".*") if path.name not in (".prepare.json", ".prepare.lock")
    ]


def test_both_streams_come_in_the_form_of_opengait(raw, out):
    options = ("--form", "opengait", "--height", "8", "--width", "4", "--fake-ir")
    partition = prepared(raw, out, *options)
    for tracklet in partition.tracklets:
        names = {path.name for path in (out / tracklet.path).iterdir()}
        fake = {"1-fake_ir.pkl"} if tracklet.modality == "visible" else set()
        assert names == {"0-frames.pkl", *fake}
        for name in names:
            frames = pickle.loads((out / tracklet.path / name).read_bytes())
            assert frames.shape == (tracklet.frames, 3, 8, 4)
            assert frames.dtype == np.uint8


def test_gray_images_and_upper_case_suffixes_are_accepted(raw, out):
    def upper(index):
        paths = index["1"]["IR"]["CQ1"]["1"]
        paths[0] = paths[0].replace(".jpg", ".JPG")

    edit_index(raw, upper)
    image = image_of(raw, 1, "IR", "CQ1", 1, 0)
    image.write_bytes(jpeg(100, gray=True))
    image.rename(image.with_suffix(".JPG"))
    prepared(raw, out)
    assert read_frames(out / "1" / "ir" / "D2-T1", [0]) == [jpeg(100, gray=True)]


def damage(path):
    path.write_bytes(path.read_bytes()[:-40])
    return path


def test_damaged_images_are_all_named_and_refused_and_nothing_is_lost(raw, out, capsys):
    places = [(1, "IR", "CQ1", 1, 4), (1, "FakeIR", "LS3", 1, 2), (1912, "IR", "G25", 1, 1)]
    good = {image_of(raw, *place): image_of(raw, *place).read_bytes() for place in places}
    for path in good:
        damage(path)
    assert prepare_tree(raw, out, "--fake-ir") == 1
    message = capsys.readouterr().err
    assert "3 damaged images" in message
    assert "--skip-damaged" in message
    for path in good:
        assert f"{path}: cut off after" in message
    assert not (out / "partition.json").exists()
    before = names_and_times(out)
    assert len(before) == 49 + 24 - 3  # frames, and FakeIR of the visible ones
    for path, content in good.items():
        path.write_bytes(content)
    assert prepare_tree(raw, out, "--fake-ir") == 0
    assert before.items() <= names_and_times(out).items()
    assert not (out / "damaged.txt").exists()


def test_a_damaged_frame_leaves_with_the_frames_beside_it(raw, out, capsys):
    damage(image_of(raw, 1, "IR", "CQ1", 1, 4))
    damage(image_of(raw, 1, "RGB", "CQ1", 1, 0))
    damage(image_of(raw, 1, "FakeIR", "CQ1", 1, 11))
    damage(image_of(raw, 3, "FakeIR", "W4", 1, 1))
    damage(image_of(raw, 1912, "IR", "G25", 1, 1))
    for _ in range(2):  # a second run finds and does the same
        assert prepare_tree(raw, out, "--fake-ir", "--skip-damaged") == 0
        assert (
            "left out, with the frames of the same number in their pair: 5 damaged"
            in capsys.readouterr().out
        )
        partition = read_partition(out / "partition.json")
        assert partition.source["damaged_images"] == 5
        frames = {t.path: t.frames for t in partition.tracklets}
        left = {"1/rgb/D2-T1": 9, "1/ir/D2-T1": 9, "3/rgb/D3-T1": 2, "3/ir/D3-T1": 2}
        left.update({"1912/ir/D1-T1": 1, "1/rgb/D0-T1": 7})
        assert left.items() <= frames.items()
        kept = [1, 2, 3, 5, 6, 7, 8, 9, 10]
        for code, folder in (("RGB", "rgb"), ("IR", "ir")):
            expected = [image_of(raw, 1, code, "CQ1", 1, n).read_bytes() for n in kept]
            assert read_frames(out / "1" / folder / "D2-T1", range(9)) == expected
        with ZipFile(out / "1" / "rgb" / "D2-T1" / "1-fake_ir.zip") as archive:
            fake = [archive.read(name) for name in archive.namelist()]
        assert fake == [image_of(raw, 1, "FakeIR", "CQ1", 1, n).read_bytes() for n in kept]


def test_a_pair_of_which_too_little_is_whole_goes_out_together(raw, out):
    damage(image_of(raw, 2, "IR", "TSG1", 3, 0))
    assert prepare_tree(raw, out, "--fake-ir", "--skip-damaged") == 0
    partition = read_partition(out / "partition.json")
    reason = "0 frames (1 more are damaged, here or beside it), at least 1 needed"
    assert partition.source["dropped"] == [
        {"tracklet": "2/rgb/D4-T3", "frames": 0, "reason": reason},
        {"tracklet": "2/ir/D4-T3", "frames": 0, "reason": reason},
    ]
    assert not list((out / "2").glob("*/D4-T3/*"))
    assert len(partition.pairs) == 8
    assert (out / "dropped.csv").read_text().count("here or beside it") == 2


def test_a_damaged_frame_that_is_listed_twice_leaves_twice(raw, out):
    def change(index):
        one = index["1"]["IR"]["CQ1"]["1"]
        one[1] = one[0]

    edit_index(raw, change)
    damage(image_of(raw, 1, "IR", "CQ1", 1, 0))
    assert prepare_tree(raw, out, "--skip-damaged") == 0
    frames = {t.path: t.frames for t in read_partition(out / "partition.json").tracklets}
    assert (frames["1/rgb/D2-T1"], frames["1/ir/D2-T1"]) == (10, 10)
