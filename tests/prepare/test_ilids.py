"""iLIDS-VID: folders of persons in two cameras, positions in a sorted list as splits."""

import numpy as np
import pytest
from matlab_files import mat_file
from published_trees import faults_of, image, kinds_and_places, prepare_set, prepared, put
from vcm_tree import contents_of

from opengait_ext.data.layout import read_frames
from opengait_ext.prepare.ilids import ILIDSVID

pytestmark = pytest.mark.slow

PERSONS = (1, 2, 9, 10, 119, 319)  # their numbers have gaps
SPLITS = [[6, 1, 3, 2, 4, 5], [1, 2, 3, 4, 5, 6]] + [[4, 5, 6, 1, 2, 3]] * 8
FRAMES = (99, 100, 317)


@pytest.fixture
def raw(tmp_path):
    return write_tree(tmp_path / "ilids")


def write_tree(root):
    value = 0
    for camera in (1, 2):
        for person in PERSONS:
            for frame in FRAMES[: 2 + person % 2]:
                value += 1
                name = f"cam{camera}_person{person:03d}_{frame:05d}.png"
                folder = root / f"i-LIDS-VID/sequences/cam{camera}/person{person:03d}"
                put(folder / name, image(value, ".png"))
    splits(root, SPLITS)
    return root


def splits(root, rows):
    content = mat_file({"ls_set": np.array(rows, np.uint16)}, compressed=False)
    put(root / "train-test people splits/train_test_splits_ilidsvid.mat", content)


@pytest.mark.parametrize("split", [1, 2, 10])
def test_positions_count_from_1_in_the_sorted_persons_and_the_first_half_is_tested(
    raw, tmp_path, split
):
    partition = prepared(ILIDSVID(), raw, tmp_path / "out", "--split", split)
    tested = {f"{PERSONS[place - 1]:03d}" for place in SPLITS[split - 1][:3]}
    assert {t.pid for t in partition.tracklets if t.split == "test"} == tested
    assert partition.protocol["division"] == split


def test_another_split_changes_the_partition_alone(raw, tmp_path):
    out = tmp_path / "out"
    prepared(ILIDSVID(), raw, out)
    before = contents_of(out)
    prepared(ILIDSVID(), raw, out, "--split", "2")
    changed = {path for path, digest in contents_of(out).items() if before[path] != digest}
    assert changed == {"partition.json"}


def test_frames_are_packed_as_png_in_the_order_of_their_numbers(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(ILIDSVID(), raw, out)
    for tracklet in partition.tracklets:
        home = raw / f"i-LIDS-VID/sequences/cam{tracklet.camid}/person{tracklet.pid}"
        expected = [path.read_bytes() for path in sorted(home.iterdir())]
        assert read_frames(out / tracklet.path, range(tracklet.frames)) == expected


def test_camera_1_asks_for_camera_2_in_test_and_validation(raw, tmp_path):
    partition = prepared(ILIDSVID(), raw, tmp_path / "out", "--validation", "0.5")
    for split, count in (("test", 3), ("val", 2)):
        task = partition.tasks[split]["visible_to_visible"]
        for places, camera in ((task.query, 1), (task.gallery, 2)):
            assert len(places) == count
            assert {partition.tracklets[place].camid for place in places} == {camera}
    assert set(partition.source["counts"]["queries_without_match"].values()) == {0}


def test_a_person_of_one_camera_an_empty_folder_and_another_name_are_named(raw):
    home = raw / "i-LIDS-VID/sequences"
    put(home / "cam2/person400/cam2_person400_00001.png", image(1, ".png"))
    put(home / "cam1/someone/a.png", image(1, ".png"))
    for path in (home / "cam1/person002").iterdir():
        path.unlink()
    assert kinds_and_places(faults_of(ILIDSVID(), raw)) == [
        ("MALFORMED", "/i-LIDS-VID/sequences/cam1"),
        ("MISSING", "/i-LIDS-VID/sequences/cam1/person400"),
        ("NO_IMAGES", "/i-LIDS-VID/sequences/cam1/person002"),
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[0, 1, 2, 3, 4, 5]] * 10, "holds 6 numbers from 0 to 5, expected each of 1 to 6 once"),
        ([[1, 2, 3, 4, 5, 6, 7, 8]] * 10, "holds 8 numbers from 1 to 8"),
        ([[1, 1, 2, 3, 4, 5]] * 10, "expected each of 1 to 6 once"),
    ],
)
def test_a_split_that_does_not_fit_the_folders_is_refused(raw, tmp_path, capsys, rows, said):
    splits(raw, rows)
    assert prepare_set(ILIDSVID(), raw, tmp_path / "out") == 1
    assert said in capsys.readouterr().err


def test_a_split_that_the_list_does_not_have_is_refused(raw, tmp_path, capsys):
    splits(raw, SPLITS[:4])
    assert prepare_set(ILIDSVID(), raw, tmp_path / "out", "--split", "5") == 1
    assert "ls_set has 4 rows, --split 5 asks for more" in capsys.readouterr().err
