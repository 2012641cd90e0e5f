"""Several processes of one run: what one of them is refused, all hear."""

import os

import pytest
import torch
from engine_parts import CATALOG, make_config, start, weights
from test_two_processes import free_port

from opengait_ext.engine import run
from opengait_ext.errors import UserError
from opengait_ext.lock import locked

FOLDER = "output/Toy/Tiny/toy"
OFF = {"type": "CrossEntropyLoss", "log_prefix": "second", "scale": 4.0, "loss_term_weight": 0}
CHANGES = {
    "model_cfg.normalize": False,
    "model_cfg.dropout": 0.0,
    "model_cfg.second": True,
    "optimizer_cfg": {"solver": "SGD", "lr": 0.1, "weight_decay": 0.1},
    "trainer_cfg.total_iter": 3,
    "trainer_cfg.save_iter": 1,
    "trainer_cfg.keep_checkpoints": 0,
    "trainer_cfg.clip_grad_norm": 0.0,
}


def in_two_processes(config, folder):
    port = free_port()
    processes = [start([config], "train", folder, rank, [port]) for rank in range(2)]
    messages = [process.communicate(timeout=120)[1] for process in processes]
    return [process.returncode for process in processes], messages


@pytest.mark.slow
def test_a_loss_of_weight_0_moves_no_weights_in_one_process_or_in_two(toy_root, work):
    config = make_config(toy_root, CHANGES)
    config["loss_cfg"].append(OFF)
    run(config, "train", "cpu", False, [], CATALOG)
    alone = weights(work, 3)["model"]
    together = work / "together"
    together.mkdir()
    codes, messages = in_two_processes(config, together)
    assert codes == [0, 0], messages
    found = weights(together, 3)["model"]
    torch.testing.assert_close(found, alone, rtol=0, atol=2e-6)
    first = weights(together, 1)["model"]
    assert torch.equal(found["second.weight"], first["second.weight"])
    assert not torch.equal(found["classifier.weight"], first["classifier.weight"])


@pytest.mark.slow
def test_all_processes_hear_of_a_folder_in_use_and_of_other_values(toy_root, work):
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    with locked(work / FOLDER / ".run.lock"):
        codes, messages = in_two_processes(config, work)
        assert codes == [1, 1]
        said = (
            f"{FOLDER}: another run trains or tests in this folder, in use by process {os.getpid()}"
        )
        assert all(said in message for message in messages)
        with pytest.raises(UserError, match="another run trains or tests in this folder"):
            run(config, "train", "cpu", False, [], CATALOG)
    run(config, "train", "cpu", False, [], CATALOG)
    config["optimizer_cfg"]["lr"] = 0.5
    codes, messages = in_two_processes(config, work)
    assert codes == [1, 1]
    assert all("optimizer_cfg.lr: 0.01 -> 0.5" in message for message in messages)
