"""LLCM: two training lists, folders of test pictures, two readings of visible to infrared."""

import random
import shutil

import pytest
from published_trees import faults_of, image, kinds_and_places, prepare_set, prepared, put, scored
from vcm_tree import contents_of, edit

from opengait_ext.data.layout import read_frames
from opengait_ext.prepare.llcm import LLCM

pytestmark = pytest.mark.slow

TRAIN, TEST = (1, 5, 9), (2, 30)
FRAMES = (7010, 12010, 990)  # not padded in the names


@pytest.fixture
def raw(tmp_path):
    return write_tree(tmp_path / "camille/LLCM")  # a path with "cam" in it


def write_tree(root):
    value = 0
    for side, cameras in (("vis", (1, 3)), ("nir", (1, 9))):
        lines = []
        for pid in (*TRAIN, *TEST):
            for camera in cameras:
                for frame in FRAMES:
                    value += 1
                    name = f"{pid:04d}_c{camera:02d}_s18_f{frame}_{side}.jpg"
                    if pid in TRAIN:
                        put(root / f"{side}/{pid:04d}/{name}", image(value))
                        lines.append(f"{side}/{pid:04d}/{name} {TRAIN.index(pid)}\n")
                    else:
                        put(root / f"test_{side}/cam{camera}/{pid:04d}/{name}", image(value))
        put(root / f"idx/train_{side}.txt", "".join(lines))
    put(root / "idx/test_id.txt", ",".join(map(str, TEST)) + "\n")
    return root


def test_identity_and_camera_are_read_below_the_data_whatever_the_path_above(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(LLCM(), raw, out)
    assert len(partition.tracklets) == 2 * 5 * 2 * len(FRAMES)
    for tracklet in partition.tracklets:
        side = {"visible": "vis", "infrared": "nir"}[tracklet.modality]
        home = raw / side / tracklet.pid
        if tracklet.split == "test":
            home = raw / f"test_{side}/cam{tracklet.camid}" / tracklet.pid
        names = sorted(home.glob(f"*_c{tracklet.camid:02d}_*"), key=lambda path: path.name)
        published = names[int(tracklet.view.partition("-T")[2]) - 1]
        assert read_frames(out / tracklet.path, [0]) == [published.read_bytes()]
    assert {t.pid for t in partition.tracklets if t.split == "test"} == {"0002", "0030"}


def test_the_missing_infrared_camera_3_is_no_fault(raw):
    assert faults_of(LLCM(), raw) == []


def test_galleries_are_drawn_from_names_in_the_order_of_texts(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(LLCM(), raw, out)
    generator = random.Random(0)  # of trial 0, as the published code draws
    drawn = []
    for pid in ("0002", "0030"):
        for camera in (1, 3):
            names = sorted(path.name for path in (raw / f"test_vis/cam{camera}/{pid}").iterdir())
            drawn.append(raw / f"test_vis/cam{camera}/{pid}" / generator.choice(names))
    from opengait_ext.evaluation.protocols import Trials, draw

    gallery = partition.tasks["test"]["infrared_to_visible"].gallery
    offered = [partition.tracklets[place] for place in gallery]
    chosen = draw([t.pid for t in offered], [t.camid for t in offered],
                  [t.path for t in offered], Trials(10, 1, 0), 0)  # fmt: skip
    contents = [read_frames(out / offered[place].path, [0])[0] for place in chosen]
    assert sorted(contents) == sorted(path.read_bytes() for path in drawn)


@pytest.mark.parametrize(
    ("option", "name", "queries", "gallery"),
    [("paper_code", "llcm_paper_code", 4, 12), ("strict", "llcm_strict", 12, 4)],
)
def test_both_readings_of_visible_to_infrared_are_named(
    raw, tmp_path, option, name, queries, gallery
):
    out = tmp_path / "out"
    prepared(LLCM(), raw, out)
    before = contents_of(out)
    partition = prepared(LLCM(), raw, out, "--visible-to-infrared", option)
    assert partition.protocol["name"] == name
    changed = {path for path, digest in contents_of(out).items() if before[path] != digest}
    assert changed <= {"partition.json"}
    result = scored(partition)
    found = result["visible_to_infrared"]
    assert (found.queries, found.gallery, found.trials) == (queries, gallery, 10)
    found = result["infrared_to_visible"]
    assert (found.queries, found.gallery) == (12, 4)


def test_faults_are_named_by_kind_and_place(raw):
    edit(raw / "idx/train_vis.txt", "vis/0001/0001_c01_s18_f7010_vis.jpg 0", "vis/0001/a.jpg 0")
    edit(raw / "idx/train_nir.txt", "nir/0005/0005_c01_s18_f990_nir.jpg 1",
         "nir/0005/0005_c01_s18_f990_nir.jpg 2")  # fmt: skip
    edit(raw / "idx/test_id.txt", "2,30", "2, 30, 9, 44")
    (raw / "nir/0009/0009_c09_s18_f990_nir.jpg").unlink()
    put(raw / "test_vis/cam1/0777/a.jpg", image(1))
    put(raw / "test_nir/other/0002/a.jpg", image(1))
    assert set(kinds_and_places(faults_of(LLCM(), raw))) == {
        ("MALFORMED", "/idx/train_vis.txt"),
        ("CONTRADICTION", "/idx/train_nir.txt"),
        ("MISSING", "/nir/0009/0009_c09_s18_f990_nir.jpg"),
        ("IN_TWO_PARTS", "/idx, identity 9"),
        ("UNLISTED_FOLDERS", "/test_vis"),
        ("MALFORMED", "/test_nir"),
        ("MISSING", ", test identity 9"),
        ("MISSING", ", test identity 44"),
    }


def test_a_picture_of_another_form_is_read_or_refused_by_what_it_is(raw, tmp_path, capsys):
    path = next((raw / "test_vis/cam1/0002").iterdir())
    put(path, image(3, ".png"))  # a PNG under the name of a JPEG
    put(path.with_suffix(".png"), image(4, ".png"))
    prepared(LLCM(), raw, tmp_path / "out")
    put(path, b"<html>not found</html>")
    assert prepare_set(LLCM(), raw, tmp_path / "out") == 1
    assert "not a JPEG file" in capsys.readouterr().err


def test_a_list_that_is_missing_is_named(raw, tmp_path, capsys):
    shutil.move(raw / "idx/test_id.txt", raw / "idx/test.txt")
    assert prepare_set(LLCM(), raw, tmp_path / "out") == 1
    assert "no folder with train_vis.txt, train_nir.txt, test_id.txt" in capsys.readouterr().err
