"""RegDB: lists of ten trials over the same pictures, which are BMP files."""

import pytest
from published_trees import (
    faults_of,
    image,
    kinds_and_places,
    named,
    prepare_set,
    prepared,
    put,
)
from vcm_tree import contents_of, edit

from opengait_ext.data.layout import read_frames
from opengait_ext.prepare.regdb import RegDB

pytestmark = pytest.mark.slow

PIDS = (1, 2, 10, 285, 286, 411)
SIDES = (("Visible", "v"), ("Thermal", "t"))
HALVES = {1: (PIDS[:3], PIDS[3:]), 2: (PIDS[::2], PIDS[1::2])}  # trial: train, test


@pytest.fixture
def raw(tmp_path):
    return write_tree(tmp_path / "RegDB")


def write_tree(root):
    value = 0
    for pid in PIDS:
        for folder, letter in SIDES:
            for number in (5528, 5600):
                value += 1
                put(root / name_of(folder, letter, pid, number), image(value, ".bmp"))
    for trial, halves in HALVES.items():
        for half, pids in zip(("train", "test"), halves, strict=True):
            for folder, letter in SIDES:
                lines = [
                    f"{name_of(folder, letter, pid, number)} {label}\n"
                    for label, pid in enumerate(pids)
                    for number in (5528, 5600)
                ]
                put(root / f"idx/{half}_{folder.lower()}_{trial}.txt", "".join(lines))
    return root


def name_of(folder, letter, pid, number):
    return f"{folder}/{pid}/male_back_{letter}_{number:05d}_{pid}.bmp"


def test_bmp_pictures_keep_their_bytes_and_the_order_of_their_names(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(RegDB(), raw, out)
    assert len(partition.tracklets) == 6 * 2 * 2
    for tracklet in partition.tracklets:
        folder = {"visible": "Visible", "infrared": "Thermal"}[tracklet.modality]
        names = sorted((raw / folder / tracklet.pid).iterdir(), key=lambda path: path.name)
        published = names[int(tracklet.view.partition("-T")[2]) - 1]
        assert read_frames(out / tracklet.path, [0]) == [published.read_bytes()]


def test_both_directions_ask_for_every_picture_without_a_camera_rule(raw, tmp_path):
    partition = prepared(RegDB(), raw, tmp_path / "out")
    assert partition.protocol == {"name": "regdb", "ignore": "none", "division": 1, "min_frames": 1}
    tasks = partition.tasks["test"]
    visible, infrared = (
        [p for p, t in enumerate(partition.tracklets) if (t.split, t.modality) == ("test", each)]
        for each in ("visible", "infrared")
    )
    assert (tasks["infrared_to_visible"].query, tasks["infrared_to_visible"].gallery) == (
        infrared, visible)  # fmt: skip
    assert (tasks["visible_to_infrared"].query, tasks["visible_to_infrared"].gallery) == (
        visible, infrared)  # fmt: skip
    assert set(partition.source["counts"]["queries_without_match"].values()) == {0}


@pytest.mark.parametrize("trial", [1, 2])
def test_a_trial_is_an_option_and_changes_the_partition_alone(raw, tmp_path, trial, capsys):
    out = tmp_path / "out"
    prepared(RegDB(), raw, out)
    before = contents_of(out)
    capsys.readouterr()
    partition = prepared(RegDB(), raw, out, "--trial", trial, "--validation", "0")
    assert "24 of 24 tracklets were prepared already" in capsys.readouterr().out
    assert partition.protocol["division"] == trial
    for pids, split in zip(HALVES[trial], ("train", "test"), strict=True):
        assert {t.pid for t in partition.tracklets if t.split == split} == set(map(str, pids))
    changed = {path for path, digest in contents_of(out).items() if before[path] != digest}
    assert changed <= {"partition.json"}


def test_a_trial_that_does_not_exist_is_misuse(raw, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        prepare_set(RegDB(), raw, tmp_path / "out", "--trial", "11")
    assert "--trial" in capsys.readouterr().err


def test_lists_with_crlf_a_byte_order_mark_backslashes_and_other_letters_are_read(raw, tmp_path):
    path = raw / "idx/train_thermal_1.txt"
    text = path.read_text().replace("/", "\\").replace("\n", "\r\n").replace(".bmp", ".BMP")
    expected = prepared(RegDB(), raw, tmp_path / "plain")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    assert prepared(RegDB(), raw, tmp_path / "out").tracklets == expected.tracklets


def test_faults_are_named_by_kind_and_place(raw):
    (raw / "Thermal/1/male_back_t_05600_1.bmp").unlink()
    edit(raw / "idx/train_visible_1.txt", "_2.bmp 1", "_2.bmp 2")
    edit(
        raw / "idx/test_visible_1.txt",
        "Visible/285/male_back_v_05528_285.bmp 0\n",
        "Visible/10/male_back_v_05528_10.bmp 0\nThermal/285/male_back_t_05528_285.bmp 0\n",
    )
    edit(raw / "idx/test_thermal_1.txt", "Thermal/285/male_back_t_05600_285.bmp 0",
         "Thermal/285/male_back_t_05528_285.bmp 0\n285.bmp")  # fmt: skip
    found = kinds_and_places(faults_of(RegDB(), raw))
    assert set(found) == {
        ("CONTRADICTION", "/idx/train_visible_1.txt"),
        ("CONTRADICTION", "/idx/test_visible_1.txt"),
        ("CONTRADICTION", "/idx/train_thermal_1.txt"),
        ("MALFORMED", "/idx/test_visible_1.txt"),
        ("MISSING", "/Thermal/1/male_back_t_05600_1.bmp"),
        ("LISTED_TWICE", "/idx/test_thermal_1.txt"),
        ("MALFORMED", "/idx/test_thermal_1.txt"),
        ("IN_TWO_PARTS", "/idx, identity 10"),
    }


def test_a_bmp_that_is_cut_off_is_refused(raw, tmp_path, capsys):
    path = raw / "Visible/285/male_back_v_05528_285.bmp"
    put(path, path.read_bytes()[:-40])
    assert prepare_set(RegDB(), raw, tmp_path / "out") == 1
    assert "male_back_v_05528_285.bmp: cut off" in capsys.readouterr().err


def test_validation_identities_come_out_of_training(raw, tmp_path):
    partition = prepared(RegDB(), raw, tmp_path / "out", "--validation", "0.4")
    task = partition.tasks["val"]["visible_to_infrared"]
    pids = {partition.tracklets[p].pid for p in task.query}
    assert len(pids) == 1
    assert pids < set(map(str, HALVES[1][0]))
    assert len(named(partition, task.gallery)) == 2
