"""MARS: name lists, MATLAB tables, junk and distractors, queries that are in the gallery."""

import shutil

import numpy as np
import pytest
from matlab_files import mat_file
from published_trees import (
    faults_of,
    image,
    kinds_and_places,
    prepare_set,
    prepared,
    put,
    scored,
)
from vcm_tree import contents_of, edit

from opengait_ext.data.layout import read_frames
from opengait_ext.prepare.mars import MARS

pytestmark = pytest.mark.slow

# Identity, camera, tracklet, frames.
TRAIN = [(1, 1, 1, 3), (1, 2, 1, 2), (3, 1, 1, 2), (3, 2, 1, 2), (3, 2, 2, 4), (8, 4, 1, 2),
         (9, 1, 1, 1), (9, 6, 1, 2)]  # fmt: skip
TEST = [(-1, 1, 1, 2), (-1, 3, 2, 2), (0, 1, 1, 3), (0, 2, 1, 2),
        (2, 1, 1, 3), (2, 1, 2, 2), (2, 3, 1, 2),   # 2: a query of camera 1, one of camera 3
        (4, 1, 1, 2), (4, 2, 1, 2)]  # fmt: skip    # 4: its only other camera is a query itself
QUERIES = [5, 7, 8, 9]  # from 1


def text_of(pid):
    return "00-1" if pid == -1 else f"{pid:04d}"


@pytest.fixture
def raw(tmp_path):
    return write_tree(tmp_path / "MARS")


def write_tree(root):
    value = 0
    for half, walks in (("train", TRAIN), ("test", TEST)):
        names, rows = [], []
        for pid, camera, tracklet, frames in walks:
            rows.append([len(names) + 1, len(names) + frames, pid, camera])
            for frame in range(1, frames + 1):
                value += 1
                name = f"{text_of(pid)}C{camera}T{tracklet:04d}F{frame:03d}.jpg"
                put(root / f"bbox_{half}/{text_of(pid)}/{name}", image(value))
                names.append(name)
        put(root / f"info/{half}_name.txt", "\n".join(names) + "\n")
        tables(root, half, rows)
    queries(root, QUERIES)
    return root


def tables(root, half, rows):
    content = mat_file({f"track_{half}_info": np.array(rows, np.float64)})
    put(root / f"info/tracks_{half}_info.mat", content)


def queries(root, numbers):
    put(root / "info/query_IDX.mat", mat_file({"query_IDX": np.array([numbers], np.uint16)}))


def rows_of(walks):
    ends = np.cumsum([frames for *_, frames in walks])
    return [[end - frames + 1, end, pid, camera]
            for end, (pid, camera, _, frames) in zip(ends, walks, strict=True)]  # fmt: skip


def test_ranges_are_counted_from_1_and_their_last_line_belongs_to_them(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(MARS(), raw, out)
    assert [t.frames for t in partition.tracklets] == [walk[3] for walk in (*TRAIN, *TEST)]
    for tracklet, (pid, camera, number, frames) in zip(
        partition.tracklets, (*TRAIN, *TEST), strict=True
    ):
        assert (tracklet.pid, tracklet.camid) == (text_of(pid), camera)
        folder = raw / f"bbox_{'test' if tracklet.split == 'test' else 'train'}" / tracklet.pid
        stem = f"{tracklet.pid}C{camera}T{number:04d}F"
        expected = [(folder / f"{stem}{n:03d}.jpg").read_bytes() for n in range(1, frames + 1)]
        assert read_frames(out / tracklet.path, range(frames)) == expected


def test_junk_and_distractors_are_in_the_gallery_and_the_queries_are_too(raw, tmp_path):
    partition = prepared(MARS(), raw, tmp_path / "out")
    task = partition.tasks["test"]["visible_to_visible"]
    first = len(TRAIN)
    assert task.gallery == list(range(first, first + len(TEST)))
    assert task.query == [first + number - 1 for number in QUERIES]
    assert partition.protocol["junk"] == ["-1", "00-1"]
    assert partition.source["counts"]["queries_without_match"]["test visible_to_visible"] == 0


@pytest.mark.parametrize(
    ("rules", "name", "without_match"),
    [("official", "mars", 0), ("hits", "mars_hits", 0), ("torchreid", "mars_torchreid", 3)],
)
def test_each_convention_of_the_gallery_is_named_and_tells_its_queries_without_a_match(
    raw, tmp_path, rules, name, without_match
):
    out = tmp_path / "out"
    prepared(MARS(), raw, out)
    before = contents_of(out)
    partition = prepared(MARS(), raw, out, "--rules", rules)
    changed = {path for path, digest in contents_of(out).items() if before[path] != digest}
    assert changed <= {"partition.json"}
    counts = partition.source["counts"]["queries_without_match"]
    assert partition.protocol["name"] == name
    assert counts["test visible_to_visible"] == without_match
    result = scored(partition)
    found = result["visible_to_visible"]
    assert (found.queries, len(found.dropped)) == (4, without_match)
    gallery = len(TEST) - 2 - (4 if rules == "torchreid" else 0)  # junk is counted nowhere
    assert found.gallery == gallery


def test_validation_takes_identities_of_two_cameras_and_a_query_of_each(raw, tmp_path):
    partition = prepared(MARS(), raw, tmp_path / "out", "--validation", "0.9")
    task = partition.tasks["val"]["visible_to_visible"]
    pids = {partition.tracklets[place].pid for place in task.gallery}
    assert pids == {"0001", "0003"} or pids <= {"0001", "0003", "0009"} and len(pids) == 2
    asked = [(partition.tracklets[p].pid, partition.tracklets[p].camid) for p in task.query]
    assert len(asked) == len(set(asked)) == 2 * len(pids)
    assert partition.source["counts"]["queries_without_match"]["val visible_to_visible"] == 0


def test_names_that_say_another_identity_or_camera_than_their_row_are_refused(raw):
    rows = rows_of(TEST)
    rows[4][3] = 2
    rows[7][2] = 5
    tables(raw, "test", rows)
    found = faults_of(MARS(), raw)
    assert kinds_and_places(found) == [("CONTRADICTION", "/info/tracks_test_info.mat")] * 2
    assert [fault.line for _, _, fault in found] == [5, 8]


def test_faults_are_named_by_kind_and_place(raw):
    rows = rows_of(TRAIN)
    rows[0][1] += 1
    rows[-1][1] += 1
    tables(raw, "train", rows)
    queries(raw, [5, 5, 40])
    put(raw / "info/test_name.txt", (raw / "info/test_name.txt").read_text() + "x.jpg\n")
    (raw / "bbox_test/0002/0002C1T0001F002.jpg").unlink()
    assert set(kinds_and_places(faults_of(MARS(), raw))) == {
        ("LISTED_TWICE", "/info/query_IDX.mat"),
        ("OUT_OF_RANGE", "/info/query_IDX.mat"),
        ("OUT_OF_RANGE", "/info/tracks_train_info.mat"),
        ("CONTRADICTION", "/info/tracks_train_info.mat"),
        ("UNUSED_NAMES", "/info/train_name.txt"),
        ("UNUSED_NAMES", "/info/test_name.txt"),
        ("MISSING", "/bbox_test/0002/0002C1T0001F002.jpg"),
    }


def test_an_identity_of_both_halves_is_refused(raw):
    shutil.copytree(raw / "bbox_train/0009", raw / "bbox_test/0009")
    name = "0009C1T0001F001.jpg"
    edit(raw / "info/test_name.txt", "0000C1T0001F001.jpg", name)
    rows = rows_of(TEST)
    rows[2] = [rows[2][0], rows[2][0], 9, 1]
    tables(raw, "test", rows)
    assert ("IN_TWO_PARTS", "/info, identity 0009") in kinds_and_places(faults_of(MARS(), raw))


def test_a_table_of_another_form_is_refused_with_its_place(raw, tmp_path, capsys):
    put(raw / "info/query_IDX.mat", b"\x89HDF\r\n\x1a\n" + bytes(600))
    assert prepare_set(MARS(), raw, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "info/query_IDX.mat: is of MATLAB 7.3" in said
    assert not list((tmp_path / "out").glob("*/rgb"))


def test_the_table_shows_the_one_modality_there_is(raw, tmp_path, capsys):
    prepared(MARS(), raw, tmp_path / "out")
    told = capsys.readouterr().out
    assert "infrared" not in told
    assert "one modality only" not in told
