"""SYSU-MM01: folders of pictures, three lists, four galleries."""

import re
import shutil

import pytest
from published_trees import (
    faults_of,
    image,
    kinds_and_places,
    named,
    prepare_set,
    prepared,
    put,
    scored,
)
from vcm_tree import contents_of, files_below, pack_files

from opengait_ext.data.layout import read_frames
from opengait_ext.prepare.sysu import SysuMM01

pytestmark = pytest.mark.slow

TRAIN, VAL, TEST = (1, 2, 7), (3, 12), (6, 10, 25)
GAPS = {(2, 4), (10, 1), (25, 2)}  # identity, camera
PICTURES = 3


@pytest.fixture
def raw(tmp_path):
    return write_tree(tmp_path / "SYSU-MM01")


def write_tree(root, pictures=PICTURES):
    value = 0
    for pid in (*TRAIN, *VAL, *TEST):
        for camera in range(1, 7):
            for number in range(1, pictures + 1) if (pid, camera) not in GAPS else ():
                value += 1
                put(root / f"cam{camera}/{pid:04d}/{number:04d}.jpg", image(value))
    for name, pids in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        put(root / f"exp/{name}_id.txt", ",".join(map(str, pids)))
    put(root / "exp/available_id.txt", "1,2,3")
    return root


def test_pictures_become_tracklets_of_one_frame_with_unchanged_bytes(raw, tmp_path):
    out = tmp_path / "out"
    partition = prepared(SysuMM01(), raw, out)
    assert len(partition.tracklets) == len(list(raw.rglob("cam*/*/*.jpg")))
    for tracklet in partition.tracklets:
        camera, number = re.fullmatch(r"D(\d)-T(\d{4})", tracklet.view).groups()
        published = raw / f"cam{camera}/{tracklet.pid}/{number}.jpg"
        assert read_frames(out / tracklet.path, [0]) == [published.read_bytes()]
        assert (tracklet.camid, tracklet.frames) == (int(camera), 1)
        assert tracklet.modality == ("infrared" if camera in "36" else "visible")


def test_the_published_lists_decide_training_validation_and_test(raw, tmp_path):
    partition = prepared(SysuMM01(), raw, tmp_path / "out")
    found = {t.pid: t.split for t in partition.tracklets}
    assert found == {f"{pid:04d}": half for half, pids in
                     (("train", TRAIN), ("val", VAL), ("test", TEST)) for pid in pids}  # fmt: skip


def test_all_infrared_pictures_query_and_only_they(raw, tmp_path):
    partition = prepared(SysuMM01(), raw, tmp_path / "out")
    assert set(partition.tasks["test"]) == {"infrared_to_visible"}
    task = partition.tasks["test"]["infrared_to_visible"]
    assert len(task.query) == 2 * 3 * PICTURES
    assert {partition.tracklets[p].camid for p in task.query} == {3, 6}
    assert {partition.tracklets[p].camid for p in task.gallery} == {1, 2, 4, 5}


@pytest.mark.parametrize(
    ("options", "name", "cameras", "drawn"),
    [
        ((), "sysu_all_single", [1, 2, 4, 5], 1),
        (("--mode", "indoor"), "sysu_indoor_single", [1, 2], 1),
        (("--mode", "all", "--shots", "10"), "sysu_all_multi", [1, 2, 4, 5], 10),
        (("--mode", "indoor", "--shots", "10"), "sysu_indoor_multi", [1, 2], 10),
    ],
)
def test_each_published_gallery_is_an_option_and_changes_the_partition_alone(
    raw, tmp_path, options, name, cameras, drawn
):
    out = tmp_path / "out"
    prepared(SysuMM01(), raw, out)
    before = contents_of(out)
    partition = prepared(SysuMM01(), raw, out, *options)
    assert partition.protocol["name"] == name
    assert partition.protocol["gallery_cameras"] == cameras
    assert partition.protocol["trials"]["per_camera"] == drawn
    changed = {path for path, digest in contents_of(out).items() if before[path] != digest}
    assert changed <= {"partition.json"}


def test_camera_2_vanishes_for_queries_of_camera_3_and_the_gallery_is_drawn(raw, tmp_path):
    partition = prepared(SysuMM01(), raw, tmp_path / "out")
    result = scored(partition)
    found = result["infrared_to_visible"]
    assert found.trials == 10
    assert (found.queries, found.gallery) == (18, 10)  # 3 identities x 4 cameras, 2 gaps
    assert found.ignored_pairs == 10 * 9 * 2  # 9 queries of camera 3; camera 2 shows two


def test_queries_without_a_match_are_counted_by_the_rule_of_the_place(raw, tmp_path, capsys):
    shutil.rmtree(raw / "cam4/0010")
    shutil.rmtree(raw / "cam5/0010")
    partition = prepared(SysuMM01(), raw, tmp_path / "out")
    # 0010 is left in camera 2 alone, which stands where camera 3 stands
    counts = partition.source["counts"]["queries_without_match"]
    assert counts["test infrared_to_visible"] == PICTURES
    assert "3 queries have no match there" in capsys.readouterr().out


def test_archives_wrapped_folders_and_junk_do_no_harm(raw, tmp_path):
    expected = prepared(SysuMM01(), raw, tmp_path / "plain")
    put(raw / "cam1/0001/._0001.jpg", b"junk")
    put(raw / "cam1/0001/Thumbs.db", b"junk")
    files = files_below(raw, "SYSU-MM01/")
    pack_files(files, tmp_path / "archives/sysu.zip")
    partition = prepared(SysuMM01(), tmp_path / "archives", tmp_path / "out")
    assert partition.tracklets == expected.tracklets
    assert partition.source["digest"] == expected.source["digest"]


def test_a_training_identity_of_one_modality_is_dropped_and_a_test_identity_stays(raw, tmp_path):
    for pid in ("0001", "0006"):
        for camera in ("cam3", "cam6"):
            shutil.rmtree(raw / camera / pid)
    partition = prepared(SysuMM01(), raw, tmp_path / "out")
    assert {d["reason"] for d in partition.source["dropped"]} == {
        "training identity 0001 is left with visible only"
    }
    assert "0006" in {t.pid for t in partition.tracklets}


def test_faults_are_named_by_kind_and_place(raw):
    put(raw / "exp/val_id.txt", "3,12,6")
    put(raw / "exp/train_id.txt", "1,2,7,99\nx\n")
    put(raw / "cam1/0001/front.jpg", image(1))
    put(raw / "cam1/0001/1.jpg", image(1))
    put(raw / "cam1/0500/0001.jpg", image(1))
    assert kinds_and_places(faults_of(SysuMM01(), raw)) == [
        ("MALFORMED", "/exp/train_id.txt"),
        ("IN_TWO_PARTS", "/exp, identity 6"),
        ("TWINS", "/cam1/0001/1.jpg"),
        ("MALFORMED", "/cam1/0001"),
        ("UNLISTED_FOLDERS", ""),
        ("MISSING", "cam1 to cam6/0099"),
    ]


def test_a_damaged_picture_is_refused_or_left_out(raw, tmp_path, capsys):
    whole = raw / "cam3/0006/0002.jpg"
    put(whole, whole.read_bytes()[:200])
    assert prepare_set(SysuMM01(), raw, tmp_path / "out") == 1
    assert "cam3/0006/0002.jpg: cut off" in capsys.readouterr().err
    assert not (tmp_path / "out/partition.json").exists()
    partition = prepared(SysuMM01(), raw, tmp_path / "out", "--skip-damaged")
    assert "0006/ir/D3-T0002" not in named(partition, range(len(partition.tracklets)))
    assert partition.source["damaged_images"] == 1


def test_what_is_no_sysu_is_refused_with_what_is_expected(tmp_path, capsys):
    put(tmp_path / "other/a.txt", "x")
    assert prepare_set(SysuMM01(), tmp_path / "other", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "no folder with train_id.txt, val_id.txt, test_id.txt (found: ['a.txt'])" in said
    assert "cam1/<identity>/<number>.jpg" in said
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*/*"))


def test_counts_are_compared_with_the_official_ones(raw, tmp_path, capsys):
    prepared(SysuMM01(), raw, tmp_path / "out")
    told = capsys.readouterr().out
    assert re.search(r"test identities +96 official +3 found   differs", told)
    assert "do not compare with published ones" in told
