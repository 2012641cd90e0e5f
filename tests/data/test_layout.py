"""``partition.json``: what is written is read back, and what contradicts itself is named."""

import json
from dataclasses import replace

import pytest

from opengait_ext.data import layout
from opengait_ext.data.layout import (
    LayoutError,
    Partition,
    Task,
    Tracklet,
    read_partition,
    write_partition,
)


def partition_of(**changes):
    tracklets = [
        Tracklet("0001/rgb/D3-T1", "0001", 3, "visible", 12, "train"),
        Tracklet("0001/ir/D2-T2", "0001", 2, "infrared", 13, "train"),
        Tracklet("0002/ir/D2-T3", "0002", 2, "infrared", 13, "val"),
        Tracklet("0503/ir/D2-T1", "0503", 2, "infrared", 14, "test"),
        Tracklet("0503/rgb/D10-T2", "0503", 10, "visible", 15, "test"),
    ]
    tasks = {"test": {"infrared_to_visible": Task([3], [4]), "visible_to_infrared": Task([4], [3])}}
    protocol = {"name": "vcm", "ignore": "same_pid_camid", "min_frames": 12}
    return replace(Partition("Tiny", tracklets, tasks, protocol, {"digest": "d"}), **changes)


def test_a_partition_comes_back_as_it_was_written(tmp_path):
    write_partition(tmp_path / "new" / "partition.json", partition_of())
    assert read_partition(tmp_path / "new" / "partition.json") == partition_of()


def test_a_partition_names_the_identities_for_opengait(tmp_path):
    write_partition(tmp_path / "p.json", partition_of())
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["format"] == "opengait_ext/partition/1"
    assert content["TRAIN_SET"] == ["0001", "0002"]
    assert content["TEST_SET"] == ["0503"]


def test_the_view_is_the_last_part_of_the_path():
    assert partition_of().tracklets[4].view == "D10-T2"


def test_a_gait_data_set_has_types_of_its_own(tmp_path):
    tracklets = [
        Tracklet("075/nm-01/000", "075", 0, "visible", 40, "test"),
        Tracklet("075/bg-01/over.avi", "075", 1, "visible", 40, "test"),
        Tracklet("001/00-nm/000-far", "001", 1, "visible", 40, "train"),
    ]
    partition = Partition("Gait", tracklets, {}, {"name": "gait_casia_b"}, {})
    write_partition(tmp_path / "p.json", partition)
    assert read_partition(tmp_path / "p.json") == partition
    assert [tracklet.type for tracklet in tracklets] == ["nm-01", "bg-01", "00-nm"]
    assert [tracklet.type for tracklet in partition_of().tracklets[:2]] == ["rgb", "ir"]


def test_a_task_within_the_visible_tracklets_may_have_a_condition(tmp_path):
    tracklets = [
        Tracklet("100/U0_D0/01_a", "100", 1, "visible", 40, "test"),
        Tracklet("100/U1_D1/02_a", "100", 2, "visible", 40, "test"),
        Tracklet("100/ir/02_a", "100", 2, "infrared", 40, "test"),
    ]
    tasks = {"test": {"CL visible_to_visible": Task([0], [1]), "visible_to_visible": Task([1], [])}}
    partition = Partition("Gait", tracklets, tasks, {"ignore": "none"}, {})
    write_partition(tmp_path / "p.json", partition)
    assert read_partition(tmp_path / "p.json") == partition
    for name, message in (
        ("CL visible_to_visible", "query: tracklet 2 is not visible or not of split"),
        ("CL sideways", "tasks.test.CL sideways: expected a split of"),
        ("infrared_to_infrared", "tasks.test.infrared_to_infrared: expected a split of"),
    ):
        wrong = replace(partition, tasks={"test": {name: Task([2], [1])}})
        with pytest.raises(LayoutError, match=message):
            write_partition(tmp_path / "p.json", wrong)


def test_a_missing_partition_says_what_to_do(tmp_path):
    with pytest.raises(LayoutError, match=r"p\.json: cannot be read .*prepare the data first"):
        read_partition(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not a partition file .JSONDecodeError"),
        (b"[]", "not a partition file .TypeError"),
        (b"[" * 99_999, "not a partition file .RecursionError"),
        (b'{"format": ' + b"9" * 9_999 + b"}", "not a partition file .ValueError"),
        (b'{"TRAIN_SET": [], "TEST_SET": []}', "not a partition file .KeyError: 'format'"),
        (b'{"format": "other/1"}', "format is 'other/1', expected 'opengait_ext/partition/1'"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_file_that_is_no_partition_is_refused(tmp_path, content, reason):
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(LayoutError, match=rf"p\.json: {reason}"):
        read_partition(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("number", "change", "reason"),
    [
        (0, {"modality": "thermal"}, r"tracklets\[0\] '0001/rgb/D3-T1': modality 'thermal'"),
        (
            0,
            {"path": "/etc/rgb/D3-T1"},
            "path should be '<pid>/<rgb|ir>/<view>', here '0001",
        ),
        (0, {"path": "../rgb/D3-T1", "pid": ".."}, "the path should be"),
        (0, {"pid": 1, "path": "1/rgb/D3-T1"}, "pid 1, expected text"),
        (0, {"path": "0001/ir/D3-T1"}, "path should be '<pid>/<rgb|ir>/<view>', here '0001/rgb/"),
        (1, {"path": "0001/nm-01/D2-T2"}, "path should be '<pid>/<rgb|ir>/<view>', here '0001/ir"),
        (0, {"path": "0001/../D3-T1"}, "the path should be"),
        (0, {"split": "dev"}, "split 'dev', expected one of"),
        (0, {"frames": 0}, "frames 0, expected at least 1"),
        (0, {"camid": "3"}, "camid '3', expected a whole number"),
        (1, {"path": "0001/rgb/D3-T1", "modality": "visible"}, "is listed twice"),
        (1, {"split": "val"}, "identity '0001' is both in 'train' and in 'val'"),
    ],
)
def test_a_tracklet_that_contradicts_itself_is_named(tmp_path, number, change, reason):
    tracklets = list(partition_of().tracklets)
    tracklets[number] = replace(tracklets[number], **change)
    with pytest.raises(LayoutError, match=r"p\.json: contradicts itself") as error:
        write_partition(tmp_path / "p.json", partition_of(tracklets=tracklets))
    assert reason.replace("\\", "") in str(error.value)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ({"test": {"infrared_to_visible": Task([3], [9])}}, "gallery: position 9, there are 5"),
        ({"test": {"infrared_to_visible": Task([-1], [4])}}, "query: position -1, there are 5"),
        ({"test": {"infrared_to_visible": Task([4], [3])}}, "tracklet 4 is not infrared or not"),
        ({"test": {"infrared_to_visible": Task([2], [4])}}, "tracklet 2 is not infrared or not"),
        ({"test": {"infrared_to_visible": Task([3, 3], [4])}}, "query: lists a tracklet twice"),
        ({"test": {"t2v": Task([3], [4])}}, "tasks.test.t2v: expected a split of"),
    ],
)
def test_a_task_that_does_not_fit_the_tracklets_is_named(tmp_path, tasks, reason):
    write_partition(tmp_path / "p.json", partition_of(tasks={}))
    content = json.loads((tmp_path / "p.json").read_text())
    content["tasks"] = {s: {d: vars(t) for d, t in by.items()} for s, by in tasks.items()}
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(LayoutError, match=r"p\.json: contradicts itself") as error:
        read_partition(tmp_path / "p.json")
    assert reason in str(error.value)


def test_many_contradictions_are_counted(tmp_path):
    tracklets = [replace(t, frames=0) for t in partition_of().tracklets] * 4
    with pytest.raises(LayoutError, match="and 25 more"):
        write_partition(tmp_path / "p.json", partition_of(tracklets=tracklets))


def test_the_folders_are_those_of_the_contract():
    assert layout.FOLDERS == {"visible": "rgb", "infrared": "ir"}
    assert layout.DIRECTIONS == ("infrared_to_visible", "visible_to_infrared")


PAIRED = [
    Tracklet("7/rgb/D2-T1", "7", 2, "visible", 5, "train"),
    Tracklet("7/ir/D2-T1", "7", 2, "infrared", 5, "train"),
    Tracklet("7/ir/D2-T2", "7", 2, "infrared", 6, "train"),
    Tracklet("7/ir/D3-T1", "7", 3, "infrared", 5, "train"),
    Tracklet("8/ir/D2-T1", "8", 2, "infrared", 5, "train"),
    Tracklet("8/rgb/D2-T1", "8", 2, "visible", 5, "train"),
]


def test_pairs_come_back_as_they_were_written(tmp_path):
    partition = partition_of(tracklets=PAIRED, tasks={}, pairs=[(0, 1), (5, 4)])
    write_partition(tmp_path / "p.json", partition)
    assert read_partition(tmp_path / "p.json") == partition


def test_a_file_that_does_not_speak_of_pairs_has_none(tmp_path):
    write_partition(tmp_path / "p.json", partition_of())
    assert "pairs" not in json.loads((tmp_path / "p.json").read_text())
    assert read_partition(tmp_path / "p.json").pairs == []


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([[0, 6]], "pairs[0] [0, 6]: expected a visible and an infrared position below 6"),
        ([[-1, 1]], "pairs[0] [-1, 1]: expected a visible and an infrared position below 6"),
        ([[0]], "pairs[0] [0]: expected a visible and an infrared position below 6"),
        ([[0, "1"]], "pairs[0] [0, '1']: expected a visible and an infrared position below 6"),
        ([[1, 0]], "pairs[0] [1, 0]: is infrared and visible, expected visible and infrared"),
        ([[0, 4]], "7/rgb/D2-T1 and 8/ir/D2-T1: expected one identity and camera"),
        ([[0, 3]], "7/rgb/D2-T1 and 7/ir/D3-T1: expected one identity and camera"),
        ([[0, 2]], "7/rgb/D2-T1 has 5 frames and 7/ir/D2-T2 6: expected equally many"),
        ([[5, 4], [0, 1], [0, 1]], "pairs[2] [0, 1]: a tracklet of it is in another pair already"),
    ],
)
def test_a_pair_that_does_not_fit_the_tracklets_is_named(tmp_path, pairs, reason):
    write_partition(tmp_path / "p.json", partition_of(tracklets=PAIRED, tasks={}))
    content = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps({**content, "pairs": pairs}))
    with pytest.raises(LayoutError, match=r"p\.json: contradicts itself") as error:
        read_partition(tmp_path / "p.json")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"frames": 10**30}, "frames above 2,147,483,648, expected at least 1"),
        ({"frames": float("nan")}, "frames nan, expected at least 1"),
        ({"camid": -(10**30)}, "camid above 2,147,483,648, expected a whole number"),
        ({"camid": [0] * 999}, r"camid \[0, 0.*, expected a whole number"),
    ],
)
def test_numbers_that_nobody_counts_to_are_refused_in_a_short_line(tmp_path, change, reason):
    write_partition(tmp_path / "p.json", partition_of())
    content = json.loads((tmp_path / "p.json").read_text())
    content["tracklets"][0].update(change)
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(LayoutError, match=reason) as fault:
        read_partition(tmp_path / "p.json")
    assert len(str(fault.value)) < 400


def test_pairs_that_are_no_lists_are_refused(tmp_path):
    write_partition(tmp_path / "p.json", partition_of())
    content = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps({**content, "pairs": [1]}))
    with pytest.raises(LayoutError, match=r"p\.json: not a partition file .TypeError"):
        read_partition(tmp_path / "p.json")
