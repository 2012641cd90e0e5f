"""A test needs no other weights than those of its checkpoint."""

import pytest
from engine_parts import CATALOG, Tiny, catalog_of, changed, make_config

from opengait_ext.engine import run
from opengait_ext.errors import UserError


class Dependent(Tiny):
    """Starts from a file that is not there."""

    def init_parameters(self):
        raise UserError("model_cfg.weights: no file at lost.pt")


Dependent.__name__ = "Tiny"


@pytest.fixture
def config(toy_root, work):
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    run(config, "train", "cpu", False, [], CATALOG)
    return config


def test_a_checkpoint_that_has_to_fit_is_tested_without_the_weights_training_starts_from(config):
    run(config, "test", "cpu", False, [], catalog_of(Dependent))


def test_a_checkpoint_of_which_parts_may_fit_is_loaded_over_these_weights(config):
    with pytest.raises(UserError, match="no file at lost.pt"):
        run(
            changed(config, {"evaluator_cfg.restore_strict": False}),
            "test", "cpu", False, [], catalog_of(Dependent),
        )  # fmt: skip
