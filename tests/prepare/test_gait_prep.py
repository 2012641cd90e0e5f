"""Gait data sets in OpenGait's form: read where they are, split, tasked, trained on and tested."""

import json

import numpy as np
import pytest
from gait_trees import TREES, prepare, rgbs, write_files, write_tree
from vcm_tree import contents_of

from opengait_ext.data.dataset import TrackletDataset
from opengait_ext.data.layout import read_partition
from opengait_ext.evaluation import EVALUATORS
from opengait_ext.upstream.evaluators import by_names

pytestmark = pytest.mark.slow


@pytest.fixture
def made(tmp_path):
    """Writes and prepares a data set; gives folder and partition."""

    def make(benchmark, *options):
        source = write_tree(tmp_path, benchmark)
        assert prepare(benchmark, source, *options) == 0
        return source, read_partition(source / "partition.json")

    return make


def names_of(partition, places):
    return [partition.tracklets[place].path for place in places]


@pytest.mark.parametrize("benchmark", TREES)
def test_every_data_set_is_read_where_it_lies_and_no_pickle_changes(tmp_path, benchmark):
    title, train, test, types, views, _ = TREES[benchmark]
    source = write_tree(tmp_path, benchmark)
    before = contents_of(tmp_path)
    assert prepare(benchmark, source, "--validation", 0) == 0
    after = contents_of(tmp_path)
    new = set(after) - set(before)
    assert new == {f"{source.name}/partition.json"}
    assert {name: after[name] for name in before} == before
    partition = read_partition(source / "partition.json")
    assert partition.dataset == title
    expected = {
        f"{pid}/{kind}/{view}": split
        for split, pids in (("train", train), ("test", test))
        for pid in pids
        for kind in types
        for view in views
    }
    assert {each.path: each.split for each in partition.tracklets} == expected
    data = TrackletDataset(str(source), partition, ["test"], [], 0, "uniform",
                           stream=partition.source["stream"])  # fmt: skip
    for place, tracklet in enumerate(data.tracklets):
        assert len(data[place, 0].frames) == tracklet.frames
        assert data[place, 0].type == tracklet.path.split("/")[1]


@pytest.mark.parametrize(
    ("benchmark", "kind", "stream", "shape"),
    [
        ("casia_b", None, "{view}", (1, 8, 8)),
        ("ccpg", None, "{view}-rgbs", (3, 8, 4)),
        ("ccpg", "silhouettes", "{view}-aligned-sils", (1, 8, 8)),
        ("sustech1k", "rgb", "05-*", (3, 8, 8)),
        ("sustech1k", "silhouettes", "06-*", (1, 8, 8)),
        ("ccgr_mini", "rgb", "001-*", (3, 8, 8)),
        ("ccgr_mini", "silhouettes", "002-*", (1, 8, 8)),
    ],
)
def test_the_kind_of_picture_decides_which_file_is_read(made, benchmark, kind, stream, shape):
    source, partition = made(benchmark, *(["--kind", kind] if kind else []))
    assert partition.source["stream"] == stream
    data = TrackletDataset(str(source), partition, ["train"], [], 2, "uniform", stream=stream)
    assert data[0, 0].frames.shape == (2, *shape)


def test_rgb_frames_of_256_rows_come_before_squashed_ones(tmp_path):
    source = write_tree(tmp_path, "ccpg")
    for folder in source.glob("*/*/*"):
        write_files(folder, {f"{folder.name}-aligned-rgbs": rgbs(3, 16, 8)})
    assert prepare("ccpg", source) == 0
    partition = read_partition(source / "partition.json")
    assert partition.source["stream"] == "{view}-aligned-rgbs"
    assert {tracklet.frames for tracklet in partition.tracklets} == {3}
    assert prepare("ccpg", source, "--stream", "{view}-sils") == 0
    assert read_partition(source / "partition.json").source["stream"] == "{view}-sils"


def test_casia_b_has_its_conditions_as_tasks_and_as_rules(made):
    _, partition = made("casia_b")
    tasks = partition.tasks["test"]
    assert list(tasks) == [f"{name} visible_to_visible" for name in ("NM", "BG", "CL")]
    probes = names_of(partition, tasks["BG visible_to_visible"].query)
    assert probes == [
        f"{pid}/bg-0{number}/{view}"
        for pid in ("075", "076")
        for number in (1, 2)
        for view in ("000", "018", "090")
    ]
    gallery = names_of(partition, tasks["CL visible_to_visible"].gallery)
    assert {path.split("/")[1] for path in gallery} == {"nm-01", "nm-02", "nm-03", "nm-04"}
    assert len(gallery) == 24
    assert partition.protocol["name"] == "gait_casia_b"
    assert partition.protocol["ignore"] == "same_pid_camid"
    assert {t.camid for t in partition.tracklets} == {0, 18, 90}


def test_ccpg_takes_the_camera_out_of_the_view(made):
    _, partition = made("ccpg")
    assert {t.view: t.camid for t in partition.tracklets} == {"01_x": 1, "02_x": 2, "10_x": 10}
    tasks = partition.tasks["test"]
    gallery = names_of(partition, tasks["CL visible_to_visible"].gallery)
    assert {path.split("/")[1] for path in gallery} == {"U1_D1", "U2_D2", "U3_D3"}


def test_sustech1k_chooses_by_parts_of_types_and_numbers_views_that_are_no_numbers(made):
    _, partition = made("sustech1k")
    assert {t.view: t.camid for t in partition.tracklets} == {"000": 1, "000-far": 2, "045": 3}
    tasks = partition.tasks["test"]
    kinds = {
        name.split(" ")[0]: sorted({path.split("/")[1] for path in names_of(partition, task.query)})
        for name, task in tasks.items()
    }
    assert kinds["Umbrella"] == kinds["Carrying"] == ["03-cr-ub"]
    assert kinds["Occlusion"] == kinds["Uniform"] == ["02-uf-oc"]
    assert kinds["Overall"] == ["01-bg", "01-nm", "02-cl", "02-uf-oc", "03-cr-ub", "04-nt"]


def test_gait3d_and_ccgr_mini_take_probes_and_gallery_from_the_lists(made):
    _, partition = made("gait3d")
    task = partition.tasks["test"]["visible_to_visible"]
    assert names_of(partition, task.query) == [
        "0002/camid33_videoid2/seq0",
        "0007/camid33_videoid2/seq0",
    ]
    assert len(task.gallery) == 6
    assert {t.type: t.camid for t in partition.tracklets} == {
        "camid33_videoid2": 33,
        "camid9_videoid1": 9,
    }
    _, partition = made("ccgr_mini")
    task = partition.tasks["test"]["visible_to_visible"]
    assert {path.split("/")[2] for path in names_of(partition, task.gallery)} == {"over.avi"}
    assert {path.split("/")[2] for path in names_of(partition, task.query)} == {"0_1.avi"}
    assert partition.protocol == {"name": "ccgr_mini", "ignore": "none"}


def test_validation_identities_leave_training_and_have_tasks_of_their_own(made):
    for benchmark, wanted in (("casia_b", 3), ("gait3d", 1), ("ccgr_mini", 1)):
        _, partition = made(benchmark, "--validation", "0.4")
        by_split = {
            split: {t.pid for t in partition.tracklets if t.split == split}
            for split in ("train", "val", "test")
        }
        assert by_split["val"]
        assert by_split["train"] | by_split["val"] == set(TREES[benchmark][1])
        assert len(partition.tasks["val"]) == wanted
        for task in partition.tasks["val"].values():
            chosen = [partition.tracklets[place] for place in (*task.query, *task.gallery)]
            assert {tracklet.split for tracklet in chosen} == {"val"}
            assert not set(task.query) & set(task.gallery)


def test_the_partition_is_what_the_evaluator_reads(made):
    source, partition = made("ccpg", "--validation", "0.4")
    rng = np.random.default_rng(0)
    for split in ("val", "test"):
        chosen = [tracklet for tracklet in partition.tracklets if tracklet.split == split]
        data = {
            "embeddings": rng.random((len(chosen), 4, 2)),
            "labels": [tracklet.pid for tracklet in chosen],
            "types": [tracklet.type for tracklet in chosen],
            "views": [tracklet.view for tracklet in chosen],
        }
        place = str(source / "partition.json")
        result = by_names(EVALUATORS["evaluate_gait_views"])(
            data, "CCPG", partition=place, split=split
        )
        assert list(result.conditions) == ["CL", "UP", "DN", "BG"]
        assert result.conditions["CL"].probe_views == ["01", "02", "10"]


def test_counts_stand_beside_the_published_ones(made, capsys):
    _, partition = made("casia_b", "--validation", "0")
    told = capsys.readouterr().out
    assert "training identities: 3, published are 74" in told
    assert "test identities: 2, published are 50" in told
    assert "tracklets: 150, published are 13,640" in told
    counts = partition.source["counts"]
    assert counts["test"]["identities"] == 2
    assert counts["test"]["tracklets"] == 60
    frames = sum(t.frames for t in partition.tracklets if t.split == "test")
    assert counts["test"]["frames"] == frames
    assert counts["queries_without_match"]["test NM visible_to_visible"] == 0


def test_the_partition_can_stand_elsewhere_and_the_lists_too(tmp_path):
    source = write_tree(tmp_path, "casia_b")
    lists = tmp_path / "lists.json"
    (tmp_path / "CASIA-B.json").rename(lists)
    place = tmp_path / "elsewhere" / "casia.json"
    assert prepare("casia_b", source, "--lists", lists, "--partition", place) == 0
    assert read_partition(place).source["lists"] == "lists.json"
    assert not (source / "partition.json").exists()
    content = json.loads(place.read_text())
    assert content["TRAIN_SET"] == ["001", "002", "003"]
    assert content["TEST_SET"] == ["075", "076"]


def test_the_lists_of_a_checkout_are_found(tmp_path, monkeypatch):
    source = write_tree(tmp_path, "casia_b")
    home = tmp_path / "checkout" / "datasets" / "CASIA-B" / "CASIA-B.json"
    home.parent.mkdir(parents=True)
    (tmp_path / "CASIA-B.json").rename(home)
    monkeypatch.setenv("OPENGAIT_ROOT", str(tmp_path / "checkout"))
    assert prepare("casia_b", source) == 0


@pytest.mark.parametrize(
    ("benchmark", "kind", "stream"),
    [("sustech1k", "rgb", "05-*"), ("sustech1k", "silhouettes", "06-*"), ("ccpg", "rgb", None)],
)
def test_packed_tracklets_hold_one_stream_and_nothing_else(tmp_path, benchmark, kind, stream):
    source, target = write_tree(tmp_path, benchmark), tmp_path / "packed"
    assert prepare(benchmark, source, "--kind", kind, "--target", target) == 0
    partition = read_partition(target / "partition.json")
    assert partition.source["stream"] == "0-frames"
    assert partition.source["packed"] == (stream or "{view}-rgbs")
    plain = TrackletDataset(str(source), partition, ["test"], [], 0, "uniform",
                            stream=partition.source["packed"])  # fmt: skip
    packed = TrackletDataset(str(target), partition, ["test"], [], 0, "uniform")
    for place in range(len(packed)):
        assert bool((packed[place, 0].frames == plain[place, 0].frames).all())
    files = {path.name for path in target.rglob("*") if path.is_file()}
    assert files == {
        "0-frames.pkl",
        "partition.json",
        "dropped.csv",
        ".prepare.json",
        ".prepare.lock",
    }


def test_packing_goes_on_where_it_was_stopped_and_begins_anew_when_told(tmp_path, capsys):
    source, target = write_tree(tmp_path, "casia_b"), tmp_path / "packed"
    assert prepare("casia_b", source, "--target", target) == 0
    kept, lost = (target / f"075/nm-01/{view}/0-frames.pkl" for view in ("000", "018"))
    lost.unlink()
    before = kept.stat().st_mtime_ns
    assert prepare("casia_b", source, "--target", target) == 0
    assert "149 of 150 tracklets were packed already" in capsys.readouterr().out
    assert kept.stat().st_mtime_ns == before
    assert lost.is_file()
    assert prepare("casia_b", source, "--target", target, "--min-frames", "4") == 1
    assert "begun with other data or options" in capsys.readouterr().err
    assert prepare("casia_b", source, "--target", target, "--min-frames", "4", "--anew") == 0
    there = {path.parent.relative_to(target).as_posix() for path in target.rglob("0-frames.pkl")}
    assert there == {t.path for t in read_partition(target / "partition.json").tracklets}
    assert len(there) < 150
