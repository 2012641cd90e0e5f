"""BUPTCampus from published data to the prepared form: splits, pairs, tasks, official counts."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bupt_tree import (
    TEST,
    TRAINING,
    Walk,
    image_of,
    prepare_tree,
    shorten,
    write_bupt_tree,
)
from vcm_tree import ROOT

from opengait_ext.data.layout import DIRECTIONS, FOLDERS, read_frames, read_partition

pytestmark = pytest.mark.slow

CAMIDS = {"TSG1": 4, "TSG2": 5, "CQ1": 2, "W4": 3, "LS3": 0, "G25": 1}
MODALITIES = {"RGB": "visible", "IR": "infrared"}


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


def path_of(walk, code):
    folder = FOLDERS[MODALITIES[code]]
    return f"{walk.pid}/{folder}/D{CAMIDS[walk.camera]}-T{walk.number}"


def test_images_are_copied_unchanged_in_the_order_of_the_index(raw, out):
    prepared(raw, out)
    for code, folder in (("RGB", "rgb"), ("IR", "ir")):
        expected = [image_of(raw, 1, code, "CQ1", 1, n).read_bytes() for n in range(12)]
        assert read_frames(out / "1" / folder / "D2-T1", range(12)) == expected
        assert len(set(expected)) == 12


def test_every_listed_tracklet_and_no_other_is_prepared_once_by_its_published_number(raw, out):
    partition = prepared(raw, out)
    walks = [walk for walk in (*TRAINING, *TEST) if walk.part != "auxiliary"]
    expected = {
        path_of(walk, code): (str(walk.pid), CAMIDS[walk.camera], MODALITIES[code], walk.frames)
        for walk in walks
        for code in walk.codes
    }
    found = {t.path: (t.pid, t.camid, t.modality, t.frames) for t in partition.tracklets}
    assert found == expected
    files = {p.parent.relative_to(out).as_posix() for p in out.rglob("0-frames.zip")}
    assert files == set(expected)
    assert "1912/ir/D1-T1" in expected  # of the query, whose visible half is in no list
    assert "1912/rgb/D1-T1" not in expected


def test_both_tracklets_of_a_training_line_are_a_pair_of_one_view(raw, out):
    partition = prepared(raw, out, "--auxiliary")
    pairs = [tuple(partition.tracklets[p] for p in pair) for pair in partition.pairs]
    for visible, infrared in pairs:
        assert (visible.modality, infrared.modality) == ("visible", "infrared")
        assert (visible.pid, visible.view) == (infrared.pid, infrared.view)
        assert visible.frames == infrared.frames
    assert [visible.path for visible, _ in pairs] == [path_of(walk, "RGB") for walk in TRAINING]
    outside = {t.path for t in partition.tracklets} - {t.path for pair in pairs for t in pair}
    assert all(t.split == "test" for t in partition.tracklets if t.path in outside)
    assert partition.source["counts"]["pairs"] == 11


def test_tasks_hold_the_lists_of_one_modality_each_in_their_order(raw, out):
    partition = prepared(raw, out)
    for direction in DIRECTIONS:
        sides = dict(zip(("query", "gallery"), direction.split("_to_"), strict=True))
        task = partition.tasks["test"][direction]
        for name, positions in (("query", task.query), ("gallery", task.gallery)):
            assert [partition.tracklets[position].path for position in positions] == [
                path_of(walk, code)
                for walk in TEST
                if walk.part == name
                for code in walk.codes
                if MODALITIES[code] == sides[name]
            ]
    counts = partition.source["counts"]["queries_without_match"]
    assert set(counts) == {f"{split} {d}" for split in ("val", "test") for d in DIRECTIONS}


def test_a_tracklet_of_both_lists_is_prepared_once_and_stands_on_both_sides(raw, out):
    (raw / "query.txt").write_text((raw / "gallery.txt").read_text())
    partition = prepared(raw, out)
    for direction, task in partition.tasks["test"].items():
        other = partition.tasks["test"][DIRECTIONS[1 - DIRECTIONS.index(direction)]]
        assert task.query == other.gallery
    assert len({t.path for t in partition.tracklets}) == len(partition.tracklets)


def test_auxiliary_identities_are_trained_on_when_asked_for_and_that_is_said(raw, tmp_path, capsys):
    partitions = {}
    for name, options in (("without", []), ("with", ["--auxiliary"])):
        partitions[name] = prepared(raw, tmp_path / name, *options)
    splits = {t.pid: t.split for t in partitions["with"].tracklets}
    assert (splits["2830"], splits["2831"]) == ("train", "train")
    assert not {"2830", "2831"} & {t.pid for t in partitions["without"].tracklets}
    assert partitions["without"].source["auxiliary"] is None
    assert partitions["with"].source["auxiliary"] == "train_auxiliary.txt"
    assert partitions["with"].source["counts"]["auxiliary_identities"] == 2
    assert partitions["with"].source["digest"] != partitions["without"].source["digest"]
    assert "2 auxiliary identities among the training identities" in capsys.readouterr().out


@pytest.mark.parametrize(("share", "held_out"), [("0", 0), ("0.1", 1), ("0.5", 2), ("0.9", 2)])
def test_validation_holds_out_identities_of_two_cameras_and_asks_across_them(
    raw, out, share, held_out
):
    partition = prepared(raw, out, "--auxiliary", "--validation", share)
    pids = {t.pid for t in partition.tracklets if t.split == "val"}
    assert len(pids) == held_out
    assert pids <= {"1", "2", "3"}  # 10, 2830 and 2831 are seen by one camera
    assert ("val" in partition.tasks) == bool(held_out)
    for direction, task in partition.tasks.get("val", {}).items():
        query, gallery = direction.split("_to_")
        asked = [partition.tracklets[position] for position in task.query]
        offered = [partition.tracklets[position] for position in task.gallery]
        assert {t.modality for t in asked} == {query}
        assert {t.modality for t in offered} == {gallery}
        for pid in pids:
            cameras = {t.camid for t in asked if t.pid == pid}
            assert len(cameras) == 1
            others = {t.camid for t in offered if t.pid == pid}
            assert others
            assert not others & cameras
            assert cameras | others == {t.camid for t in partition.tracklets if t.pid == pid}


def test_an_auxiliary_identity_is_never_held_out(tmp_path, out):
    walks = [w for w in (*TRAINING, *TEST) if w.part != "auxiliary"]
    walks += [Walk("auxiliary", pid, camera, 1, 2) for pid in (50, 51) for camera in ("W4", "G25")]
    write_bupt_tree(tmp_path / "raw", walks)
    partition = prepared(tmp_path / "raw", out, "--auxiliary", "--validation", "0.9")
    assert {t.split for t in partition.tracklets if t.pid in ("50", "51")} == {"train"}


def test_single_frames_stay_and_are_counted_and_a_limit_drops_whole_pairs(raw, tmp_path, capsys):
    partition = prepared(raw, tmp_path / "all")
    assert {t.frames for t in partition.tracklets} == {1, 2, 3, 7, 12}
    assert partition.source["counts"]["single_frame_tracklets"] == 5
    assert "5 tracklets of a single frame; they stay" in capsys.readouterr().out
    partition = prepared(raw, tmp_path / "long", "--min-frames", "2")
    assert partition.protocol["min_frames"] == 2
    reasons = {d["tracklet"]: d["reason"] for d in partition.source["dropped"]}
    assert reasons == {
        "2/rgb/D4-T3": "1 frames, at least 2 needed",
        "2/ir/D4-T3": "1 frames, at least 2 needed",
        "1911/rgb/D0-T1": "1 frames, at least 2 needed",
        "1914/ir/D3-T1": "1 frames, at least 2 needed",
        "1917/rgb/D0-T1": "1 frames, at least 2 needed",
    }
    paths = {t.path for t in partition.tracklets}
    assert not paths & set(reasons)
    assert not list((tmp_path / "long" / "2" / "rgb").glob("D4*"))
    assert len(partition.pairs) == 8
    assert "5 tracklets dropped (10.2%)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("walks", "expected"),
    [
        (shorten((*TRAINING, *TEST), 1, part="train"), "no training tracklet of at least 2 frames"),
        (
            shorten((*TRAINING, *TEST), 1, part="query"),
            "no tracklet is left as query of infrared to visible; lower --min-frames",
        ),
        (
            [w for w in (*TRAINING, *TEST) if w.part != "gallery" or w.codes == ("RGB",)],
            "no tracklet is left as gallery of visible to infrared",
        ),
    ],
)
def test_data_that_leave_a_side_empty_are_refused_before_anything_is_written(
    tmp_path, out, capsys, walks, expected
):
    walks = [replace(w, codes=("RGB",)) if "gallery of" in expected and w.part == "gallery" else w
             for w in walks]  # fmt: skip
    write_bupt_tree(tmp_path / "raw", walks)
    assert prepare_tree(tmp_path / "raw", out, "--min-frames", "2") == 1
    assert expected in capsys.readouterr().err
    assert not out.exists()


def test_the_table_and_the_sizes_of_the_tasks_are_told(raw, out, capsys):
    prepared(raw, out, "--validation", "0", "--camera-rule", "same_pid_camid")
    told = capsys.readouterr().out
    for line in (
        "split   modality    identities   tracklets      frames",
        "train   infrared             4           9          42",
        "train   visible              4           9          42",
        "test    visible              7          15          36",
        "9 pairs of a visible and an infrared training tracklet, 0 auxiliary identities",
        "protocol: bupt_m3reid; camera rule: same_pid_camid",
        "test infrared_to_visible: 3 queries, 11 in the gallery",
        "test visible_to_infrared: 4 queries, 13 in the gallery",
    ):
        assert line in told


def test_queries_without_a_match_are_counted_under_the_camera_rule(tmp_path):
    gallery = [Walk("gallery", 5, "W4", 1, 2), Walk("gallery", 6, "LS3", 2, 2)]
    queries = [Walk("query", 5, "LS3", 1, 2, ("RGB",)), Walk("query", 6, "LS3", 1, 2, ("IR",))]
    queries += [Walk("query", 7, "LS3", 1, 2, ("IR",))]
    write_bupt_tree(tmp_path / "raw", [*TRAINING, *queries, *gallery])
    for rule, unmatched in (("none", (1, 0)), ("same_pid_camid", (2, 0))):
        partition = prepared(tmp_path / "raw", tmp_path / rule, "--camera-rule", rule)
        counts = partition.source["counts"]["queries_without_match"]
        assert tuple(counts[f"test {direction}"] for direction in DIRECTIONS) == unmatched


def test_the_script_needs_no_torch(raw, out):
    program = (
        "import runpy, sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['bupt_campus.py', '--source', {str(raw)!r}, '--target', {str(out)!r},\n"
        "            '--workers', '1']\n"
        "runpy.run_path('datasets/prep/bupt_campus.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "preparing: 100% 159/159" in done.stderr
    assert (out / "partition.json").is_file()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--validation", "1"), ("--min-frames", "0"), ("--official-drop", "0"), ("--workers", "a")],
)
def test_a_misused_option_names_the_value_and_what_is_expected(raw, out, capsys, option, value):
    with pytest.raises(SystemExit) as stop:
        prepare_tree(raw, out, option, value)
    assert stop.value.code == 2
    assert f"argument {option}: {value!r}, expected a" in capsys.readouterr().err


def test_official_counts_are_compared_only_with_data_of_that_size():
    from opengait_ext.prepare.bupt.folders import Published
    from opengait_ext.prepare.bupt.lists import Row
    from opengait_ext.prepare.bupt.run import official_counts

    rows = [
        Row(str(n % 1074), "W4", str(n), modality, "train", ("x",))
        for n in range(3574)
        for modality in ("visible", "infrared")
    ]
    sizes = (("visible", 540), ("infrared", 536), ("visible", 2422), ("infrared", 2421))
    places = []
    for modality, count in sizes:
        places.append(range(len(rows), len(rows) + count))
        rows += [Row(str(9000 + n), "W4", "1", modality, "test", ("x",)) for n in range(count)]
    query, gallery = [*places[0], *places[1]], [*places[2], *places[3]]
    published = Published("", Path(), rows, [], query, gallery, "", "", [])
    assert [tuple(count) for count in official_counts(published)] == [
        ("train.txt, identities", 1074, 1074),
        ("train.txt, lines", 3574, 3574),
        ("train.txt, images", 796138, 7148),
        ("query.txt, identities", 1076, 540),
        ("query.txt, lines", 1076, 1076),
        ("query.txt, images", 101938, 1076),
        ("query.txt, visible lines", 540, 540),
        ("gallery.txt, identities", 1076, 2422),
        ("gallery.txt, lines", 4844, 4843),
        ("gallery.txt, images", 597542, 4843),
        ("gallery.txt, visible lines", 2422, 2422),
    ]
    small = replace(published, rows=rows[:200], query=[0], gallery=[1])
    assert not list(official_counts(small))
