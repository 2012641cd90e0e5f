"""What several processes learn from a batch that they share is what one learns from all of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import shared_batch
import torch
from shared_batch import MODEL_CFG, STEPS, make, trained

from opengait_ext.engine.distributed import Group

PROGRAM = Path(shared_batch.__file__)
# By the number of processes: model, way, and whether the shares are of unequal size.
JOBS = {
    2: [
        *((name, way, False) for name in MODEL_CFG for way in ("running", "pieces")),
        ("BigGait", "batch", True),
        ("AGW", "batch", True),
    ],
    4: [("BigGait", "pieces", False), ("DinoGRL", "batch", False)],
}
ALL = [(size, *job) for size, jobs in JOBS.items() for job in jobs]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def alone():
    """What one process finds, by model and way."""
    return {
        pair: trained(*pair, Group())
        for pair in {job[:2] for jobs in JOBS.values() for job in jobs}
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the processes of each number of them leave what they found."""
    folder = tmp_path_factory.mktemp("shared")
    for size, jobs in JOBS.items():
        commands = [
            [sys.executable, str(PROGRAM), json.dumps([jobs, str(folder), rank, size])]
            for rank in range(size)
        ]
        processes = [
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands
        ]
        for process in processes:
            messages = process.communicate(timeout=280)[1]
            assert process.returncode == 0, messages
    return folder


@pytest.mark.parametrize(("size", "name", "way", "uneven"), ALL)
def test_losses_and_weights_are_those_of_one_process(alone, folder, size, name, way, uneven):
    expected, start = alone[name, way], make(name).state_dict()
    moved = max(
        float((value - start[key]).abs().max()) for key, value in expected["state"].items()
        if value.is_floating_point()
    )  # fmt: skip
    assert moved > 1e-5
    for rank in (0, size - 1):
        found = torch.load(folder / f"{name}-{way}-{uneven}-{size}-{rank}.pt", weights_only=True)
        assert len(found["losses"]) == STEPS
        for losses, wanted in zip(found["losses"], expected["losses"], strict=True):
            assert losses.keys() == wanted.keys()
            for key, value in wanted.items():
                torch.testing.assert_close(losses[key].double(), value.double(), msg=key)
        assert found["state"].keys() == expected["state"].keys()
        for key, value in expected["state"].items():
            torch.testing.assert_close(found["state"][key], value, rtol=1e-8, atol=1e-9, msg=key)
        assert found["drawn"] == expected["drawn"]
