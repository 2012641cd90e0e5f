"""A whole training step of DinoGRLReleased against the authors', all gradients included.

Left out of ``make test``: float64 needs 9.5 GiB of memory, float32 5.2 GiB. ``make test-large``
runs both; the names of the tests say in which precision.
"""

import pytest
import torch
from golden_step import (
    Step,
    check_blacked_out,
    check_gradients,
    check_losses,
    check_maps,
    check_statistics,
    check_triplets,
    golden_arrays,
)

pytestmark = [pytest.mark.timeout(1800), pytest.mark.large, pytest.mark.slow]


@pytest.fixture(scope="module")
def arrays():
    return golden_arrays()


@pytest.fixture(scope="module", params=["float64", "float32"])
def step(arrays, request):
    return Step(arrays, getattr(torch, request.param), whole=True)


def test_every_loss_is_that_of_the_authors(arrays, step):
    check_losses(arrays, step)


def test_the_maps_are_those_of_the_authors(arrays, step):
    check_maps(arrays, step)


def test_every_gradient_is_that_of_the_authors(arrays, step):
    assert check_gradients(arrays, step) == (50, 50)


def test_every_running_statistic_is_that_of_the_authors(arrays, step):
    check_statistics(arrays, step)


def test_the_triplet_loss_of_each_part_is_that_of_the_authors(arrays, step):
    check_triplets(arrays, step)


def test_a_map_blacked_out_gives_the_losses_of_the_authors(arrays, step):
    check_blacked_out(arrays, step)
