import json
import socket

import numpy as np
import pytest
import torch
from engine_parts import CATALOG, make_config, start, weights

from opengait_ext.engine import run
from opengait_ext.engine.distributed import Group, process_group

NAMES = ("whole", "pieces")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def folders(toy_root, tmp_path_factory):
    """One config trained and tested by one process, and by two, whole and in pieces."""
    changes = {
        "model_cfg.normalize": False,
        "model_cfg.dropout": 0.0,
        "model_cfg.num_identities": 4,
        "optimizer_cfg": {"solver": "SGD", "lr": 0.1},
        "trainer_cfg.total_iter": 3,
        "trainer_cfg.clip_grad_norm": 0.0,
        "trainer_cfg.eval_iter": 3,
        "trainer_cfg.keep": "best",
    }
    config = make_config(toy_root, changes)
    configs = []
    for pieces, name in enumerate(NAMES, start=1):
        sections = {"trainer_cfg": config["trainer_cfg"] | {"save_name": name}}
        sections["trainer_cfg"] |= {"accumulate": pieces, "restore_hint": 0}
        sections["evaluator_cfg"] = config["evaluator_cfg"] | {"save_name": name}
        configs.append({**config, **sections})
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    ports = [free_port() for _ in configs]
    processes = [start(configs, "both", together, rank, ports) for rank in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(alone)
        run(config, "both", "cpu", False, [], CATALOG)
    for process in processes:
        messages = process.communicate(timeout=120)[1]
        assert process.returncode == 0, messages
    return alone, together


def written(folder, name, file):
    return folder / "output" / "Toy" / "Tiny" / name / file


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_move_the_weights_as_one_does(folders, name):
    alone, together = folders
    path = written(together, name, f"checkpoints/{name}-00003.pt")
    found = torch.load(path, weights_only=True)["model"]
    expected = weights(alone, 3)["model"]
    assert float(expected["classifier.weight"].abs().max()) > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_give_the_result_of_one(folders, name):
    alone, together = folders
    with (
        np.load(written(alone, "toy", "test/embeddings.npz")) as expected,
        np.load(written(together, name, "test/embeddings.npz")) as found,
    ):
        assert found["path"].tolist() == expected["path"].tolist()
        np.testing.assert_allclose(found["embeddings"], expected["embeddings"], atol=1e-5)
    one = json.loads(written(alone, "toy", "test/metrics.json").read_text())
    two = json.loads(written(together, name, "test/metrics.json").read_text())
    assert one["result"]["directions"] == two["result"]["directions"]
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["selection"] == "best on validation"


def test_only_the_first_process_writes_and_both_random_states_are_kept(folders):
    _, together = folders
    assert len(list(together.rglob("events.out*"))) == len(NAMES)
    content = torch.load(
        written(together, "whole", "checkpoints/whole-00003.pt"), weights_only=True
    )
    assert len(content["rng"]) == 2
    assert not torch.equal(content["rng"][0]["torch"], content["rng"][1]["torch"])


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group("cpu") as group:
        assert group == Group(rank=0, size=1)
        assert group.leads
        assert group.gather("a") == group.collect("a") == ["a"]
        assert group.largest(3, torch.device("cpu")) == 3
        tensor = torch.ones(2)
        assert group.joined(tensor) is tensor
        group.barrier()
