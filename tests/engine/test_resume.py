import logging
import os
import signal
import time
from pathlib import Path

import engine_parts
import pytest
from engine_parts import CATALOG, changed, make_config, same, weights

from opengait_ext.engine import run
from opengait_ext.engine.interrupt import Stopped


def train(config):
    return run(config, "train", "cpu", False, [], CATALOG)


def same_training(first, second):
    """All that training changes, to the last bit; the random states, too."""
    keys = ("model", "optimizer", "scheduler", "scaler", "rng", "iteration", "sampler")
    return all(same(first[key], second[key]) for key in keys)


@pytest.fixture(scope="module")
def unbroken(toy_root, tmp_path_factory):
    """The last checkpoint of six iterations in one go, and the one after three."""
    folder = tmp_path_factory.mktemp("unbroken")
    before = Path.cwd()
    os.chdir(folder)
    try:
        train(make_config(toy_root, {"trainer_cfg.save_iter": 3}))
    finally:
        os.chdir(before)
    return weights(folder, 3), weights(folder, 6)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_stopped_at_its_third_iteration_and_resumed_is_the_unbroken_run(
    toy_root, work, unbroken, workers
):
    config = make_config(toy_root, {"data_cfg.num_workers": workers})
    assert train(changed(config, {"trainer_cfg.total_iter": 3})) == {"iteration": 3}
    assert same(weights(work, 3)["model"], unbroken[0]["model"])
    assert train(config) == {"iteration": 6}
    assert same_training(weights(work, 6), unbroken[1])
    assert not same(unbroken[0]["model"], unbroken[1]["model"])


@pytest.mark.slow
def test_tests_between_iterations_leave_the_training_as_it_is(toy_root, work, unbroken):
    train(make_config(toy_root, {"trainer_cfg.eval_iter": 2, "trainer_cfg.log_iter": 1}))
    assert same_training(weights(work, 6), unbroken[1])


def test_a_model_of_random_numbers_depends_on_the_seed_alone(toy_root, work, unbroken):
    train(make_config(toy_root, {"trainer_cfg.seed": 4}))
    assert not same(weights(work, 6)["model"], unbroken[1]["model"])


@pytest.mark.slow
def test_a_run_ended_by_sigterm_to_all_its_processes_goes_on_as_the_unbroken_run(toy_root, work):
    # The first run has iterations for hours; its reading process gets the signal, too.
    endless = {"trainer_cfg.total_iter": 100000, "trainer_cfg.log_iter": 1}
    config = make_config(toy_root, {"data_cfg.num_workers": 1})
    process = engine_parts.start([changed(config, endless)], "train", work)
    line = next(line for line in process.stderr if "iteration 1/" in line)
    assert "tracklets/s" in line
    os.killpg(process.pid, signal.SIGTERM)
    messages = process.communicate(timeout=240)[1]
    assert process.returncode == 143, messages
    assert "stopped by SIGTERM after iteration" in messages
    assert "the same command goes on" in messages
    stopped = int(messages.split("stopped by SIGTERM after iteration ")[1].split()[0])
    assert weights(work, stopped)["iteration"] == stopped
    longer = {"trainer_cfg.total_iter": stopped + 1, "trainer_cfg.keep_checkpoints": 0}
    train(changed(config, longer))
    anew = changed(config, {**longer, "trainer_cfg.restore_hint": 0})
    resumed = weights(work, stopped + 1)
    train(anew)
    assert same_training(weights(work, stopped + 1), resumed)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_after_the_iteration_and_ends_with_its_status(
    toy_root, work, unbroken, number, status
):
    catalog = engine_parts.catalog_of(engine_parts.signalling(number, iteration=2))
    config = make_config(toy_root)
    with pytest.raises(Stopped) as stop:
        run(config, "train", "cpu", False, [], catalog)
    assert stop.value.code == status
    assert weights(work, 3)["iteration"] == 3
    train(config)
    assert same_training(weights(work, 6), unbroken[1])


def test_a_second_signal_ends_the_run_at_once_and_unsaved(toy_root, work):
    catalog = engine_parts.catalog_of(engine_parts.signalling(signal.SIGTERM, 2, times=2))
    with pytest.raises(SystemExit) as stop:
        run(make_config(toy_root), "train", "cpu", False, [], catalog)
    assert stop.value.code == 143
    assert not list(work.rglob("*.pt"))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.slow
def test_hint_n_goes_back_and_moves_the_later_checkpoints_away(toy_root, work, unbroken, caplog):
    config = make_config(toy_root, {"trainer_cfg.save_iter": 3})
    train(config)
    train(changed(config, {"trainer_cfg.restore_hint": 3}))
    assert same_training(weights(work, 6), unbroken[1])
    folder = work / "output/Toy/Tiny/toy"
    kept = sorted(path.name for path in folder.glob("checkpoints-before-*/*"))
    assert kept == ["metrics.jsonl", "toy-00006.pt"]
    assert "were moved to" in caplog.text


@pytest.mark.slow
def test_hint_0_starts_anew_and_keeps_the_old_run_aside(toy_root, work, unbroken, caplog):
    config = make_config(toy_root, {"trainer_cfg.restore_hint": 0})
    run(changed(config, {"trainer_cfg.seed": 9}), "both", "cpu", True, [], CATALOG)
    folder = work / "output/Toy/Tiny/toy"
    old = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
    train(config)
    assert same_training(weights(work, 6), unbroken[1])
    assert "an earlier run of this name is kept in output/Toy/Tiny/toy.old-1" in caplog.messages
    aside = folder.with_name("toy.old-1")
    kept = {path.relative_to(aside): path.read_bytes() for path in aside.rglob("*.*")}
    left = {Path(".run.lock"), *(path for path in old if path.parts[0] == "logs")}
    assert kept == {path: content for path, content in old.items() if path not in left}
    assert {path.parts[0] for path in kept} == {"checkpoints", "summary", "metrics.jsonl", "test"}
    train(config)
    assert folder.with_name("toy.old-2").is_dir()


@pytest.mark.slow
def test_a_path_gives_the_weights_alone(toy_root, work, unbroken, caplog):
    caplog.set_level(logging.INFO)
    config = make_config(toy_root)
    train(config)
    path = work / "start.pt"
    (work / "output/Toy/Tiny/toy/checkpoints/toy-00006.pt").rename(path)
    train(changed(config, {"trainer_cfg.restore_hint": str(path), "trainer_cfg.total_iter": 1}))
    assert f"starting from the weights of {path}, at iteration 0" in caplog.text
    content = weights(work, 1)
    assert content["scheduler"] == {"last_epoch": 1}
    assert not same(content["model"], unbroken[1]["model"])


@pytest.mark.slow
def test_a_finished_training_is_left_as_it_is(toy_root, work):
    config = make_config(toy_root)
    train(config)
    path = work / "output/Toy/Tiny/toy/checkpoints/toy-00006.pt"
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    time.sleep(0.01)
    train(config)
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)
