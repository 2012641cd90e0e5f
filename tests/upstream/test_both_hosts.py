"""The same config in OpenGait's engine (the stand-in's) and in ours."""

import json
import multiprocessing
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from engine_parts import changed, weights
from upstream_parts import (
    OUTPUT,
    ROOT,
    embedded,
    environment,
    git,
    messages,
    plain_config,
    upstream,
)

from opengait_ext.upstream.guest import _our_name

QUIET = {"model_cfg.dropout": 0.0, "trainer_cfg.save_iter": 3}


def embeddings_in(folder):
    with np.load(folder / OUTPUT / "test" / "embeddings.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.slow
def test_a_config_trains_and_tests_alike_in_both_hosts(toy_root, checkout, work, monkeypatch):
    config = plain_config(toy_root)
    upstream(checkout, config, command=["main.py", "--cfgs", "toy.yaml"])
    other = work / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    expected = embedded(config)
    assert weights(work, 6)["iteration"] == 6
    torch.testing.assert_close(
        weights(work, 6)["model"], weights(other, 6)["model"], rtol=1e-5, atol=1e-7
    )
    found, wanted = embeddings_in(work), embeddings_in(other)
    assert found["path"].tolist() == wanted["path"].tolist()
    np.testing.assert_allclose(found["embeddings"], wanted["embeddings"], rtol=1e-5, atol=1e-7)
    record = json.loads((work / OUTPUT / "test" / "metrics.json").read_text())
    assert record["result"] == expected["result"]
    assert (record["selection"], record["iteration"]) == ("last", 6)
    assert record["command"] == ["main.py", "--cfgs", "toy.yaml"]
    assert record["host"] == f"OpenGait {git(checkout, 'rev-parse', 'HEAD').strip()}"
    assert expected["host"] == "embedded"


@pytest.mark.slow
def test_the_losses_of_each_iteration_are_those_of_our_engine(
    toy_root, checkout, work, monkeypatch
):
    config = plain_config(toy_root, {"trainer_cfg.log_iter": 1})
    upstream(checkout, config, "train")
    (work / "other").mkdir()
    monkeypatch.chdir(work / "other")
    embedded(config, "train")
    ours = [json.loads(line) for line in (OUTPUT / "metrics.jsonl").read_text().splitlines()]
    theirs = [line for line in messages(work) if "scalar/id/loss" in line]
    assert len(ours) == len(theirs) == 6
    for our, their in zip(ours, theirs, strict=True):
        assert their["scalar/id/loss"] == pytest.approx(our["id/loss"], rel=1e-5)
        assert their["scalar/triplet/loss"] == pytest.approx(our["triplet/loss"], rel=1e-5)
        assert their["scalar/decay"] == pytest.approx(our["loss/decay"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["upstream", "embedded"])
def test_a_run_that_changes_its_host_goes_on_as_if_it_had_not(toy_root, checkout, work, first):
    whole = plain_config(toy_root, QUIET)
    half = changed(whole, {"trainer_cfg.total_iter": 3})
    embedded(whole, "train")
    expected = weights(work, 6)
    shutil.rmtree("output")
    if first == "upstream":
        upstream(checkout, half, "train")
        embedded(whole, "train")
    else:
        embedded(half, "train")
        upstream(checkout, whole, "train")
    found = weights(work, 6)
    torch.testing.assert_close(found["model"], expected["model"], rtol=1e-5, atol=1e-7)
    assert found["scheduler"] == expected["scheduler"]


@pytest.mark.slow
def test_several_entries_of_the_optimizer_train_alike_whichever_host_begins(
    toy_root, checkout, work
):
    entries = [
        {"solver": "SGD", "lr": 0.01, "momentum": 0.9, "match": ["convolution."]},
        {"solver": "Adam", "lr": 0.02},
    ]
    whole = plain_config(toy_root, {**QUIET, "optimizer_cfg": entries})
    embedded(whole, "train")
    expected = weights(work, 6)
    shutil.rmtree("output")
    upstream(checkout, changed(whole, {"trainer_cfg.total_iter": 3}), "train")
    embedded(whole, "train")
    found = weights(work, 6)
    torch.testing.assert_close(found["model"], expected["model"], rtol=1e-5, atol=1e-7)
    assert found["optimizer"]["names"] == expected["optimizer"]["names"]
    shutil.rmtree("output")
    upstream(checkout, whole, "train")
    torch.testing.assert_close(weights(work, 6)["model"], expected["model"], rtol=1e-5, atol=1e-7)


def test_a_loss_that_openGait_wraps_keeps_the_names_of_its_parameters():
    assert _our_name("loss_aggregator.losses.center.module.points") == "loss_cfg.center.points"
    assert _our_name("loss_aggregator.losses.center.net.weight") == "loss_cfg.center.net.weight"
    assert _our_name("encoder.layer1.weight") == "encoder.layer1.weight"


@pytest.mark.slow
def test_weights_of_another_run_are_a_start_at_iteration_0(toy_root, checkout, work):
    embedded(plain_config(toy_root, QUIET), "train")
    other = work / "weights.pt"
    bare = {f"module.{key}": value for key, value in weights(work, 6)["model"].items()}
    torch.save(bare, other)
    shutil.rmtree("output")
    changes = {"trainer_cfg.restore_hint": "weights.pt", "trainer_cfg.total_iter": 1}
    config = plain_config(toy_root, {**QUIET, **changes})
    embedded(config, "train")
    expected = weights(work, 1)["model"]
    shutil.rmtree("output")
    upstream(checkout, config, "train")
    torch.testing.assert_close(weights(work, 1)["model"], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_the_validation_split_is_tested_when_the_run_saves(toy_root, checkout, work):
    changes = {"trainer_cfg.save_iter": 3, "trainer_cfg.eval_iter": 3}
    upstream(checkout, plain_config(toy_root, changes), "train")
    trained_alone = weights(work, 6)["model"]
    points = [line for line in messages(work) if any(key.startswith("test") for key in line)]
    assert len(points) == 2
    ours = embedded(plain_config(toy_root, {**changes, "evaluator_cfg.split": "val"}), "test")
    mean = ours["result"]["directions"]["infrared_to_visible"]["mAP"]
    assert points[1]["test scalar/infrared_to_visible/mAP"] == pytest.approx(mean)
    shutil.rmtree("output")
    upstream(checkout, plain_config(toy_root, {"trainer_cfg.save_iter": 3}), "train")
    torch.testing.assert_close(weights(work, 6)["model"], trained_alone, rtol=0, atol=0)


@pytest.mark.slow
def test_a_finished_training_is_left_alone(toy_root, checkout, work):
    config = plain_config(toy_root)
    upstream(checkout, config, "train")
    before = sorted(path.stat().st_mtime_ns for path in (OUTPUT / "checkpoints").iterdir())
    upstream(checkout, config, "train")
    after = sorted(path.stat().st_mtime_ns for path in (OUTPUT / "checkpoints").iterdir())
    assert before == after


@pytest.mark.slow
def test_checkpoints_of_an_earlier_run_do_not_mix_with_those_of_a_new_one(toy_root, checkout, work):
    upstream(checkout, plain_config(toy_root), "train")
    changes = {"trainer_cfg.restore_hint": 0, "trainer_cfg.total_iter": 2}
    upstream(checkout, plain_config(toy_root, changes))
    assert [path.name for path in (OUTPUT / "checkpoints").iterdir()] == ["toy-00002.pt"]
    record = json.loads((OUTPUT / "test" / "metrics.json").read_text())
    assert record["iteration"] == 2


@pytest.mark.slow
def test_reading_processes_that_are_spawned_do_not_run_openGait(toy_root, checkout, work):
    config = plain_config(toy_root, {"trainer_cfg.total_iter": 2})
    upstream(checkout, config, "train")
    expected = weights(work, 2)["model"]
    shutil.rmtree("output")
    method = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    config["data_cfg"]["num_workers"] = 1
    try:
        upstream(checkout, config, "train")
    finally:
        multiprocessing.set_start_method(method, force=True)
    torch.testing.assert_close(weights(work, 2)["model"], expected, rtol=0, atol=0)


@pytest.mark.slow
def test_two_processes_train_and_test_as_one_does(toy_root, checkout, work):
    from test_two_processes import free_port

    changes = {
        "model_cfg.normalize": False,
        "model_cfg.dropout": 0.0,
        "optimizer_cfg": {"solver": "SGD", "lr": 0.1},
        "trainer_cfg.total_iter": 3,
        "trainer_cfg.log_iter": 1,
    }
    config = plain_config(toy_root, changes)
    program = ROOT / "tests" / "upstream" / "upstream_parts.py"
    port = free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, str(program), str(checkout), json.dumps(config)],
            env=environment(rank, 2, port),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    found = weights(work, 3)["model"]
    embeddings = embeddings_in(work)["embeddings"]
    record = json.loads((OUTPUT / "test" / "metrics.json").read_text())
    assert record["processes"] == 2
    told = [line["scalar/triplet/loss"] for line in messages(work) if "scalar/id/loss" in line]
    shutil.rmtree("output")
    embedded(config)
    torch.testing.assert_close(found, weights(work, 3)["model"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(embeddings, embeddings_in(work)["embeddings"], rtol=0, atol=1e-5)
    lines = [json.loads(line) for line in (OUTPUT / "metrics.jsonl").read_text().splitlines()]
    assert told == pytest.approx([line["triplet/loss"] for line in lines], rel=1e-4)
