"""What a user's tracklets are for: scores, searching, training; and what is told of them."""

from pathlib import Path

import pytest
from own_recordings import (
    HEADER,
    box_rows,
    prepare,
    write_images,
    write_lines,
    write_tree,
    write_video,
)

from opengait_ext.data.layout import DIRECTIONS, read_partition

PEOPLE = [f"p{number}" for number in range(10)]


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "people"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def partition_of(raw, out, *options):
    assert prepare("--source", raw, "--target", out, *options) == 0
    return read_partition(out / "partition.json")


def paths(partition, positions):
    return [partition.tracklets[position].path for position in positions]


def splits_of(partition):
    """The identities of each split."""
    splits = {}
    for tracklet in partition.tracklets:
        splits.setdefault(tracklet.split, set()).add(tracklet.pid)
    return splits


def test_known_people_query_each_other_and_unknown_ones_are_only_embedded(raw, out, capsys):
    write_tree(raw)
    write_images(raw / "unknown" / "rgb" / "cam1" / "x")
    partition = partition_of(raw, out)
    assert {t.split for t in partition.tracklets} == {"test"}
    assert set(partition.tasks) == {"test"}
    known = [n for n, t in enumerate(partition.tracklets) if not t.pid.startswith("unknown")]
    assert len(known) == 8
    for direction in DIRECTIONS:
        task = partition.tasks["test"][direction]
        for positions, modality in zip(
            (task.query, task.gallery), direction.split("_to_"), strict=True
        ):
            assert positions == [n for n in known if partition.tracklets[n].modality == modality]
    assert partition.protocol == {"name": "own", "ignore": "same_pid_camid", "min_frames": 1}
    told = capsys.readouterr().out
    assert "1 tracklets are of people without a pid; each recording is another person" in told
    assert partition.source["counts"]["tracklets_without_pid"] == 1
    assert partition.source["counts"]["test"]["visible"] == {
        "identities": 2,
        "tracklets": 5,
        "frames": 15,
    }


def test_unknown_people_may_stand_in_the_gallery(raw, out):
    write_tree(raw, ("anna",))
    write_images(raw / "unknown" / "rgb" / "cam1" / "x")
    write_images(raw / "unknown" / "ir" / "cam2" / "x")
    tasks = partition_of(raw, out, "--distractors").tasks["test"]
    assert [len(tasks[d].query) for d in DIRECTIONS] == [2, 2]
    assert [len(tasks[d].gallery) for d in DIRECTIONS] == [3, 3]


def test_one_modality_is_prepared_without_tasks(raw, out, capsys):
    for pid in ("anna", "ben"):
        write_images(raw / pid / "rgb" / "1" / "a")
    partition = partition_of(raw, out)
    assert partition.tasks == {}
    assert len(partition.tracklets) == 2
    assert (
        "there is nobody to score: that needs people with a pid in both" in capsys.readouterr().out
    )


def test_for_searching_nobody_is_scored(raw, out):
    write_tree(raw)
    partition = partition_of(raw, out, "--split", "search")
    assert partition.tasks == {}
    assert set(splits_of(partition)) == {"test"}


def test_all_people_seen_in_both_modalities_can_be_trained_on(raw, out, capsys):
    write_tree(raw, PEOPLE)
    write_images(raw / "one_sided" / "ir" / "cam2" / "a")
    write_images(raw / "unknown" / "ir" / "cam2" / "a")
    partition = partition_of(raw, out, "--split", "train", "--validation", "0.2")
    splits = splits_of(partition)
    assert {split: len(pids) for split, pids in splits.items()} == {"train": 8, "val": 2}
    assert set(partition.tasks) == {"val"}
    reasons = {d["tracklet"].split("/")[0]: d["reason"] for d in partition.source["dropped"]}
    assert reasons == {
        "one_sided": "one_sided is seen in infrared only, training needs both",
        "unknown-00042": "nobody known, training needs a pid",
    }
    told = capsys.readouterr().out
    assert f"{raw}" not in told
    assert "--phase train" in told
    assert "--set model_cfg.num_identities=8" in told
    assert "--phase test" not in told


def test_a_share_of_the_people_can_be_trained_on_and_all_others_tested(raw, out, capsys):
    write_tree(raw, PEOPLE)
    write_images(raw / "one_sided" / "ir" / "cam2" / "a")
    partition = partition_of(raw, out, "--train", "0.6")
    splits = splits_of(partition)
    assert {split: len(pids) for split, pids in splits.items()} == {"train": 5, "val": 1, "test": 5}
    assert "one_sided" in splits["test"]
    assert set(partition.tasks) == {"val", "test"}
    told = capsys.readouterr().out
    assert "--set model_cfg.num_identities=5" in told
    assert "--cfgs dinogrl_synth --phase test" in told
    again = partition_of(raw, out, "--train", "0.6", "--validation", "0")
    assert splits_of(again)["test"] == splits["test"]
    assert set(again.tasks) == {"test"}


@pytest.mark.parametrize(
    ("options", "least"), [(("--split", "train"), "at least 1"), (("--train", "0.5"), "at least 2")]
)
def test_training_on_nobody_is_refused_before_anything_is_written(raw, out, capsys, options, least):
    write_images(raw / "anna" / "rgb" / "1" / "a")
    assert prepare("--source", raw, "--target", out, *options) == 1
    assert not out.exists()
    message = capsys.readouterr().err
    assert (
        f"people with a pid who are seen in both modalities, {least}; here there are 0" in message
    )


def test_what_decides_the_partition_only_may_change_from_run_to_run(raw, out):
    write_tree(raw)
    assert partition_of(raw, out).protocol["ignore"] == "same_pid_camid"
    times = {path: path.stat().st_mtime_ns for path in out.rglob("0-frames.zip")}
    partition = partition_of(raw, out, "--camera-rule", "none", "--train", "0.5", "--name", "My")
    assert partition.protocol["ignore"] == "none"
    assert partition.dataset == "My"
    assert {path: path.stat().st_mtime_ns for path in out.rglob("0-frames.zip")} == times


def test_queries_that_the_camera_rule_leaves_without_a_match_are_told(raw, out, capsys):
    for word in ("rgb", "ir"):
        for pid in ("anna", "ben"):
            write_images(raw / pid / word / "hall" / "a")
    partition_of(raw, out)
    told = capsys.readouterr().out
    assert "test infrared_to_visible: 2 of 2 queries have no match in the gallery" in told
    assert (
        "if one name stands for two cameras, a visible and an infrared one: --camera-rule none"
        in told
    )
    partition = partition_of(raw, out, "--camera-rule", "none")
    assert "no match" not in capsys.readouterr().out
    assert set(partition.source["counts"]["queries_without_match"].values()) == {0}


def test_people_without_a_match_in_the_other_modality_are_counted(raw, out, capsys):
    write_tree(raw, ("anna", "ben"))
    write_images(raw / "cleo" / "ir" / "cam2" / "a")
    partition = partition_of(raw, out, "--camera-rule", "none")
    assert partition.source["counts"]["queries_without_match"] == {
        "test infrared_to_visible": 1,
        "test visible_to_infrared": 0,
    }
    assert "(tracklets of the same person" not in capsys.readouterr().out


def test_what_comes_next_names_files_that_are_there(raw, out, tmp_path, monkeypatch, capsys):
    from opengait_ext.prepare.recordings.report import _CONFIG
    from opengait_ext.shipped import config_file

    monkeypatch.chdir(tmp_path)
    write_tree(raw)
    partition_of(raw, out)
    told = capsys.readouterr().out
    assert Path(config_file(_CONFIG)).is_file()
    assert f"opengait-ext check {out}\n" in told
    assert f"--cfgs {_CONFIG}   # a first model: minutes, nothing to download" in told
    assert "opengait-ext embed output/SynthVVI/DinoGRL/dinogrl --data" in told
    for iteration in ("00100", "00200"):
        path = tmp_path / f"output/SynthVVI/DinoGRL/dinogrl/checkpoints/dinogrl-{iteration}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    partition_of(raw, out)
    told = capsys.readouterr().out
    assert "restore_hint=output/SynthVVI/DinoGRL/dinogrl/checkpoints/dinogrl-00200.pt" in told
    assert "a first model" not in told


def test_too_short_tracklets_are_dropped_and_nothing_left_is_refused(raw, out, capsys):
    write_tree(raw)
    write_images(raw / "anna" / "ir" / "cam2" / "short", 2)
    partition = partition_of(raw, out, "--min-frames", "3")
    assert len(partition.tracklets) == 8
    (dropped,) = partition.source["dropped"]
    assert dropped["reason"] == "2 frames, at least 3 needed"
    assert "1 tracklets dropped\n  anna/ir/cam2/short: 2 frames" in capsys.readouterr().out
    assert prepare("--source", raw, "--target", out.parent / "x", "--min-frames", "4") == 1
    assert "no tracklet of at least 4 frames is left; lower --min-frames" in capsys.readouterr().err
    assert not (out.parent / "x").exists()


def test_a_trial_run_of_images_shows_the_plan_and_writes_nothing(raw, out, capsys):
    write_tree(raw)
    write_images(raw / "unknown" / "ir" / "cam3" / "x", 8)
    command = ("--source", raw, "--target", out, "--dry-run", "--max-frames", "5")
    assert prepare(*command) == 0
    told = capsys.readouterr().out
    assert "folders <pid>/<modality>/<camera>/<tracklet>/images; 9 recordings, 32 images" in told
    assert "cameras (3): cam1 = D1, cam2 = D2, cam3 = D3" in told
    assert (
        "infrared           2         1         2           6          20         3         4"
        in told
    )
    assert (
        "visible            2         0         1           4          12         3         3"
        in told
    )
    assert "  anna/ir/cam2/a -> anna/ir/D2-T1 (3 frames)\n" in told
    assert "and 5 more" in told
    assert "no faults found" in told
    assert not out.exists()
    assert prepare(*command, "--min-frames", "9") == 1
    assert "no tracklet of at least 9 frames is left" in capsys.readouterr().out


def test_the_digest_tells_other_pixels_apart_and_nothing_else(raw, out):
    write_tree(raw)
    first = partition_of(raw, out).source["digest"]
    assert partition_of(raw, out.parent / "again").source["digest"] == first
    write_images(raw / "anna" / "rgb" / "cam1" / "a", 3, first=50)
    assert partition_of(raw, out.parent / "other").source["digest"] != first


def test_the_prepared_form_is_read_and_scored_like_any_other(raw, out):
    import torch

    from opengait_ext.data.dataset import TrackletDataset
    from opengait_ext.data.transforms import Resize
    from opengait_ext.evaluation import EVALUATORS
    from opengait_ext.upstream.evaluators import by_names

    write_video(raw / "a.avi", ("red", "green"))
    write_video(raw / "b.avi", ("red", "green"))
    rows = []
    for name, camera, word in (("a.avi", "1", "rgb"), ("b.avi", "2", "ir")):
        for person, pid in enumerate(("anna", "ben")):
            rows += box_rows(name, person, track=person, about=(pid, camera, word))
    boxes = write_lines(raw.parent / "boxes.csv", HEADER, *rows)
    assert prepare("--videos", raw, "--boxes", boxes, "--target", out) == 0
    partition = read_partition(out / "partition.json")
    data = TrackletDataset(str(out), partition, ["test"], [Resize(32, 16)], 6, "uniform")
    samples = [data[position, 0] for position in range(len(data))]
    embeddings = torch.stack([s.frames.float().mean(dim=(0, 2, 3)) for s in samples])
    result = by_names(EVALUATORS["evaluate_cross_modality"])(
        {
            "embeddings": embeddings[:, :, None],
            "labels": [data.pids[s.label] for s in samples],
            "types": [s.type for s in samples],
            "views": [s.view for s in samples],
        },
        "own",
        partition=partition,
    )
    for direction in DIRECTIONS:
        assert result.directions[direction].cmc[1] == 1.0
