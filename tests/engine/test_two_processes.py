import json
import socket

import numpy as np
import pytest
import torch
from engine_parts import CATALOG, make_config, same, start

from opengait_ext.engine import run
from opengait_ext.engine.distributed import Group, process_group

# By the name of a run: pieces of a batch, and processes.
RUNS = {"whole": (1, 2), "pieces": (2, 2), "four": (1, 4)}


pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def folders(toy_root, tmp_path_factory):
    """One config trained and tested by one process, and by two, whole and in pieces, and four."""
    changes = {
        "model_cfg.num_identities": 4,
        "optimizer_cfg": {"solver": "SGD", "lr": 0.1},
        "trainer_cfg.total_iter": 3,
        "trainer_cfg.log_iter": 1,
        "trainer_cfg.sampler.identities": 4,
        "trainer_cfg.clip_grad_norm": 0.0,
        "trainer_cfg.eval_iter": 3,
        "trainer_cfg.keep": "best",
    }
    config = make_config(toy_root, changes)
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    configs = {name: named(config, name, pieces) for name, (pieces, _) in RUNS.items()}
    for size in (2, 4):
        shared = [configs[name] for name, (_, processes) in RUNS.items() if processes == size]
        ports = [free_port() for _ in shared]
        processes = [start(shared, "both", together, rank, ports, size) for rank in range(size)]
        for process in processes:
            messages = process.communicate(timeout=280)[1]
            assert process.returncode == 0, messages
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(alone)
        for pieces in (1, 2):
            run(named(config, f"alone-{pieces}", pieces), "both", "cpu", False, [], CATALOG)
    return alone, together


def named(config, name, pieces):
    sections = {"trainer_cfg": config["trainer_cfg"] | {"save_name": name}}
    sections["trainer_cfg"] |= {"accumulate": pieces, "restore_hint": 0}
    sections["evaluator_cfg"] = config["evaluator_cfg"] | {"save_name": name}
    return {**config, **sections}


def written(folder, name, file):
    return folder / "output" / "Toy" / "Tiny" / name / file


@pytest.fixture(params=RUNS)
def pair(request, folders):
    """Return where a file of a run of several processes is, and that of one process."""
    alone, together = folders
    reference = f"alone-{RUNS[request.param][0]}"

    def files(file):
        return [
            written(folder, name, file.format(name))
            for folder, name in ((together, request.param), (alone, reference))
        ]

    files.processes = RUNS[request.param][1]
    return files


def test_several_processes_move_the_weights_as_one_does(pair):
    found, expected = (
        torch.load(path, weights_only=True)["model"] for path in pair("checkpoints/{}-00003.pt")
    )
    assert float(expected["classifier.weight"].abs().max()) > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_several_processes_tell_the_losses_of_the_whole_batch(pair):
    found, expected = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in pair("metrics.jsonl")
    )
    assert len(found) == len(expected) > 3
    names = ("loss/", "id/", "triplet/", "val/")
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            if key.startswith(names):
                assert one[key] == pytest.approx(other[key], abs=1e-4), key


def test_several_processes_give_the_result_of_one(pair):
    found, expected = (np.load(path) for path in pair("test/embeddings.npz"))
    with found, expected:
        assert found["path"].tolist() == expected["path"].tolist()
        np.testing.assert_allclose(found["embeddings"], expected["embeddings"], atol=1e-4)
    found, expected = (json.loads(path.read_text()) for path in pair("test/metrics.json"))
    assert found["result"]["directions"] == expected["result"]["directions"]
    assert (found["processes"], expected["processes"]) == (pair.processes, 1)
    assert found["selection"] == "best on validation"


def test_only_the_first_process_writes_and_all_random_states_are_those_of_one(folders):
    alone, together = folders
    assert len(list(together.rglob("events.out*"))) == len(RUNS)
    for name, (pieces, processes) in RUNS.items():
        found = torch.load(
            written(together, name, f"checkpoints/{name}-00003.pt"), weights_only=True
        )
        reference = f"alone-{pieces}"
        expected = torch.load(
            written(alone, reference, f"checkpoints/{reference}-00003.pt"), weights_only=True
        )
        assert len(found["rng"]) == processes
        assert all(same(state, expected["rng"][0]) for state in found["rng"])


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
