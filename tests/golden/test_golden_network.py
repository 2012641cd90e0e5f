"""The whole of DinoGRLReleased against the authors' network: every stage, and a training step.

The step is in float64, as the authors' was; its gradients go back to the last block of the ResNets
alone, so that it needs 2 instead of 9.5 GiB. ``test_golden_whole_step.py`` takes all of it.
"""

import functools

import numpy as np
import pytest
import torch
from golden_step import (
    SEED,
    Step,
    check_blacked_out,
    check_gradients,
    check_losses,
    check_maps,
    check_statistics,
    check_triplets,
    golden_arrays,
    map_errors,
    weights_of,
)
from released_network import evaluated, golden_network

from opengait_ext.engine.devices import Computation

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

STAGES = 2e-4  # of the deviation of an output: what float32 may differ by in eval mode
CPU = Computation(torch.device("cpu"))


@pytest.fixture(scope="module")
def arrays():
    return golden_arrays()


def test_every_stage_in_eval_mode_is_that_of_the_authors_network(arrays):
    ours = evaluated(golden_network(weights_of(arrays)), SEED)
    names = [name for name in arrays if name.startswith("eval/")]
    assert len(names) > 25
    wrong = {}
    for name in names:
        expected, found = arrays[name], ours[name.removeprefix("eval/")]
        assert found.shape == expected.shape, name
        if expected.dtype.kind in "biu":
            assert np.array_equal(found, expected), name
            continue
        scale = _scale(arrays, name)
        difference = float(np.abs(found.astype(np.float64) - expected).max()) / scale
        if difference > STAGES:
            wrong[name] = difference
    assert wrong == {}


def _scale(arrays, name):
    """The deviation of an array's numbers; of statistics of an output, the output's deviation."""
    for end in ("_mean", "_chanmean", "_std"):
        stem = name.removesuffix(end)
        if name.endswith(end) and f"{stem}_std" in arrays:
            return float(np.mean(arrays[f"{stem}_std"]))
    deviation = float(np.std(arrays[name]))
    return deviation if deviation > 0 else 1.0


def test_a_float32_step_as_the_engine_places_it_is_as_exact_as_the_authors(arrays):
    place = functools.partial(CPU.place, training=True)
    taken = Step(arrays, torch.float32, backward=False, place=place)
    check_maps(arrays, taken)
    check_losses(arrays, taken)
    assert map_errors(arrays, taken)["gait"] < 2.2e-4  # of the authors' own modules in float32


@pytest.fixture(scope="module")
def step(arrays):
    return Step(arrays, torch.float64)


def test_every_loss_of_a_training_step_is_that_of_the_authors(arrays, step):
    check_losses(arrays, step)


def test_the_maps_of_a_training_step_are_those_of_the_authors(arrays, step):
    check_maps(arrays, step)


def test_gradients_behind_the_encoders_and_of_the_mask_branch_are_those_of_the_authors(
    arrays, step
):
    assert check_gradients(arrays, step) == (38, 50)


def test_every_running_statistic_after_a_training_step_is_that_of_the_authors(arrays, step):
    check_statistics(arrays, step)


def test_the_triplet_loss_of_each_part_is_that_of_the_authors(arrays, step):
    check_triplets(arrays, step)


def test_a_step_with_a_map_blacked_out_is_that_of_the_authors(arrays, step):
    check_blacked_out(arrays, step)
