"""Two runs never write into one folder."""

import os
import shutil
import signal

import engine_parts
import pytest
from engine_parts import CATALOG, changed, make_config, weights

from opengait_ext.engine import run
from opengait_ext.engine.holding import FolderInUseError
from opengait_ext.errors import UserError
from opengait_ext.lock import locked

FOLDER = "output/Toy/Tiny/toy"


def go(config, phase="train"):
    return run(config, phase, "cpu", False, [], CATALOG)


@pytest.mark.slow
def test_a_second_run_is_refused_until_the_first_was_killed(toy_root, work):
    endless = {"trainer_cfg.total_iter": 100000, "trainer_cfg.log_iter": 1}
    config = make_config(toy_root, {"data_cfg.num_workers": 1, "trainer_cfg.save_iter": 1})
    first = engine_parts.start([changed(config, endless)], "train", work)
    try:
        assert any("iteration 2/" in line for line in first.stderr)
        said = (
            f"{FOLDER}: another run trains or tests in this folder, in use by process {first.pid} "
        )
        for phase in ("train", "test", "both"):
            with pytest.raises(FolderInUseError, match=said):
                go(config, phase)
        other = {"trainer_cfg.save_name": "other", "evaluator_cfg.save_name": "other"}
        go(changed(config, {**other, "trainer_cfg.total_iter": 1}))
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    stands = max(int(path.stem[-5:]) for path in (work / FOLDER).rglob("*.pt"))
    assert go(changed(config, {"trainer_cfg.total_iter": stands + 1}))
    assert weights(work, stands + 1)["iteration"] == stands + 1


def test_a_refused_run_leaves_no_folder_and_a_finished_one_no_holder(toy_root, work):
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1, "model_cfg.num_identities": 5})
    with pytest.raises(UserError, match="num_identities is 5"):
        go(config)
    assert not (work / FOLDER).exists()
    go(changed(config, {"model_cfg.num_identities": 4}))
    assert (work / FOLDER / ".run.lock").exists()
    assert not (work / FOLDER / ".run.lock.holder").exists()
    with locked(work / FOLDER / ".run.lock"):
        pass


def test_an_output_that_is_no_folder_is_a_sentence(toy_root, work):
    (work / "output").write_text("a file")
    with pytest.raises(UserError, match="output: a file stands where a folder is needed"):
        go(make_config(toy_root))
    (work / "output").unlink()
    shutil.copytree(toy_root, work / "output/Toy")
    (work / "output/Toy/Tiny").write_text("a file")
    with pytest.raises(UserError, match="Tiny: a file stands where a folder is needed"):
        go(make_config(toy_root))


@pytest.mark.parametrize("name", ["checkpoints", "summary", "test"])
def test_a_file_in_the_place_of_a_runs_folder_is_named_before_the_training(toy_root, work, name):
    (work / FOLDER).mkdir(parents=True)
    (work / FOLDER / name).write_text("a file")
    with pytest.raises(UserError, match=f"{name}: a file stands where a folder is needed; rename"):
        go(make_config(toy_root))
