"""Values that contradict each other are refused, and values without effect are told."""

import math
from pathlib import Path

import pytest
import torch
from engine_parts import CATALOG, changed, make_config, weights
from torch.optim.lr_scheduler import OneCycleLR

from opengait_ext.config import ConfigError
from opengait_ext.engine import run
from opengait_ext.engine.effects import of_several_processes, without_effect
from opengait_ext.engine.sections import check
from opengait_ext.engine.shaping import training_differences
from opengait_ext.engine.trained import OtherRunError

CONFIG = make_config(Path("data"), {"trainer_cfg.save_iter": 6})
CYCLE = {"scheduler": "OneCycleLR", "max_lr": 0.01}


def cycle(**changes):
    return {"scheduler_cfg": {**CYCLE, **changes}}


def train(config):
    return run(config, "train", "cpu", False, [], CATALOG)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (cycle(total_steps=5), r"ends after 5 iterations \(total_steps: 5\), but .* is 6: leave"),
        (
            cycle(epochs=2, steps_per_epoch=2),
            r"ends after 4 iterations \(epochs: 2, steps_per_epoch: 2\), but trainer_cfg.total_ite",
        ),
        (cycle(max_lr=0.1), r"optimizer_cfg.lr is 0.01, but has no effect under OneCycleLR"),
        (cycle(max_lr=[0.1]), r"sets the rate from scheduler_cfg.max_lr \(0.1\): write the same"),
        (cycle(last_epoch=3), "unknown key 'last_epoch'"),
        (
            {"scheduler_cfg": {"scheduler": "StepLR", "step_size": 2, "last_epoch": 3}},
            "unknown key 'last_epoch'",
        ),
        (
            {**cycle(pct_start=0.5), "trainer_cfg.total_iter": 1},
            "scheduler_cfg.pct_start: of 2 iterations it makes a rise of one",
        ),
        (cycle(epochs=2), "You must define either total_steps OR"),
        (
            {"trainer_cfg.sampler": CONFIG["evaluator_cfg"]["sampler"]},
            "trainer_cfg.sampler: OrderedSampler goes through the tracklets once and ends",
        ),
        (
            {"evaluator_cfg.sampler": CONFIG["trainer_cfg"]["sampler"]},
            "evaluator_cfg.sampler: IdentitySampler draws batches without end",
        ),
    ],
)
def test_what_no_training_can_follow_is_refused_before_data_are_touched(changes, message):
    with pytest.raises(ConfigError, match=message):
        check(changed(CONFIG, changes), CATALOG)


def test_a_config_of_the_past_may_still_be_read():
    stored = changed(CONFIG, cycle(max_lr=0.1, total_steps=5))
    for phase in ("stored", "test"):
        assert check(stored, CATALOG, phase).trainer.total_iter == 6


@pytest.mark.slow
@pytest.mark.parametrize("length", [None, 7])
def test_a_cycle_fits_the_training_if_it_does_not_say_how_long_it_is(toy_root, work, length):
    trained = make_config(toy_root, {**cycle(total_steps=length), "trainer_cfg.log_iter": 1})
    train(trained)
    schedule = weights(work, 6)["scheduler"]
    assert schedule["total_steps"] == 7
    reference = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    expected = OneCycleLR(reference, max_lr=0.01, total_steps=7)
    for _ in range(6):
        reference.step()
        expected.step()
    assert schedule["_last_lr"] == expected.get_last_lr()
    assert schedule["_last_lr"][0] < 1e-4 * 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer_cfg.save_iter": 7}, "trainer_cfg.save_iter: 7: the only checkpoint comes at"),
        ({"trainer_cfg.log_iter": 9}, "trainer_cfg.log_iter: 9: the only log line comes at the en"),
        ({"trainer_cfg.eval_iter": 8}, "trainer_cfg.eval_iter: 8: the only test comes at the end"),
        (
            {"trainer_cfg.restore_hint": 0, "trainer_cfg.restore_strict": False},
            "trainer_cfg.restore_strict: without effect, restore_hint 0 loads nothing",
        ),
        (
            {"trainer_cfg.transform.2.probability": 0},
            "trainer_cfg.transform[2]: HorizontalFlip of probability 0 does nothing",
        ),
        ({"loss_cfg.1.loss_term_weight": 0}, "loss_cfg[1]: triplet has the weight 0 and is not"),
        (cycle(total_steps=9), "OneCycleLR takes 9 iterations (total_steps: 9), the training ends"),
        (cycle(total_steps=7, epochs=2), "epochs and steps_per_epoch are without effect beside"),
        (
            cycle(cycle_momentum=False, max_momentum=0.9),
            "scheduler_cfg.max_momentum: without effect, cycle_momentum is false",
        ),
        (
            {**cycle(), "optimizer_cfg": {"solver": "SGD", "lr": 0.01, "momentum": 0.9}},
            "optimizer_cfg.momentum: without effect, OneCycleLR moves it between base_momentum",
        ),
        (
            {**cycle(), "optimizer_cfg.betas": [0.9, 0.99]},
            "optimizer_cfg.betas: its first number is without effect, OneCycleLR moves it",
        ),
        (
            {"optimizer_cfg": {"solver": "SGD", "lr": 0.01, "dampening": 0.5}},
            "optimizer_cfg.dampening: without effect, momentum is 0",
        ),
        ({"scheduler_cfg.milestones": [3, 6, 9]}, "scheduler_cfg.milestones: 6, 9: without effect"),
        (
            {"scheduler_cfg.unit": "epoch"},
            "scheduler_cfg.milestones: 4 (epochs of 2 iterations): without effect, the training",
        ),
        ({"scheduler_cfg.warmup": 6}, "scheduler_cfg.warmup: 6 iterations: the training ends at"),
        (
            {"scheduler_cfg.iterations_per_epoch": 3},
            "scheduler_cfg.iterations_per_epoch: without effect, unit is iteration",
        ),
        ({"scheduler_cfg.gamma": 1.0}, "scheduler_cfg.gamma: 1: the rate never decays"),
        (
            {"scheduler_cfg": {"scheduler": "MultiStepLR", "milestones": [2, 8]}},
            "scheduler_cfg.milestones: 8: without effect, the training ends at iteration 6",
        ),
        (
            {"scheduler_cfg": {"scheduler": "StepLR", "step_size": 6}},
            "scheduler_cfg.step_size: 6: the rate never decays",
        ),
        (
            {"scheduler_cfg": {"scheduler": "ExponentialLR", "gamma": 1.0}},
            "scheduler_cfg.gamma: 1: the rate never decays",
        ),
        (
            {"scheduler_cfg": {"scheduler": "CosineAnnealingLR", "T_max": 8}},
            "scheduler_cfg.T_max: 8: the training ends at iteration 6, before the rate has come",
        ),
        (
            {"scheduler_cfg": {"scheduler": "CosineAnnealingLR", "T_max": 4}},
            "scheduler_cfg.T_max: 4: the rate rises again from there on, up to iteration 6",
        ),
    ],
)
def test_a_value_without_effect_is_told(changes, message):
    config = check(changed(CONFIG, changes), CATALOG).config
    assert not list(without_effect(CONFIG, CATALOG, epoch=2))
    assert message in "\n".join(without_effect(config, CATALOG, epoch=2))


@pytest.mark.parametrize(
    "schedule",
    [
        {**CYCLE, "total_steps": None},
        {**CYCLE, "total_steps": 7},
        {"scheduler": "CosineAnnealingLR", "T_max": 6},
        {"scheduler": "MultiStepLR", "milestones": [3]},
        {"scheduler": "StepLR", "step_size": 3},
        {"scheduler": "ExponentialLR", "gamma": 0.5},
    ],
)
def test_a_schedule_that_fits_is_told_nothing_about(schedule):
    assert not list(without_effect(changed(CONFIG, {"scheduler_cfg": schedule}), CATALOG, epoch=2))


def test_values_without_effect_stand_in_the_log_of_a_training(toy_root, work, caplog):
    changes = {"trainer_cfg.total_iter": 1, "scheduler_cfg.milestones": [4]}
    train(make_config(toy_root, changes))
    assert "scheduler_cfg.milestones: 4: without effect, the training ends at iteration 1" in (
        caplog.messages
    )


def test_what_only_several_processes_need_is_no_warning(toy_root, work, caplog):
    keys = ("sync_batch_norm", "find_unused_parameters")
    config = changed(CONFIG, {f"trainer_cfg.{key}": True for key in keys})
    lines = [f"trainer_cfg.{key}: without effect in a single process" for key in keys]
    assert list(of_several_processes(config, 1)) == lines
    assert not list(of_several_processes(config, 2))
    changes = {f"trainer_cfg.{key}": True for key in keys}
    with caplog.at_level("INFO"):
        train(make_config(toy_root, {**changes, "trainer_cfg.total_iter": 1}))
    levels = {each.message: each.levelname for each in caplog.records}
    assert [levels[line] for line in lines] == ["INFO", "INFO"]


@pytest.mark.slow
def test_a_finished_run_is_prolonged_where_the_schedule_allows_it(toy_root, work):
    steps = {"scheduler_cfg": {"scheduler": "StepLR", "step_size": 2, "gamma": 0.5}}
    config = make_config(toy_root, {**steps, "trainer_cfg.total_iter": 3})
    train(config)
    assert train(changed(config, {"trainer_cfg.total_iter": 5})) == {"iteration": 5}
    assert math.isclose(weights(work, 5)["scheduler"]["_last_lr"][0], 0.01 * 0.25)


@pytest.mark.slow
def test_a_cycle_that_leaves_room_is_prolonged_up_to_its_end(toy_root, work):
    config = make_config(toy_root, {**cycle(total_steps=5), "trainer_cfg.total_iter": 3})
    train(config)
    assert train(changed(config, {"trainer_cfg.total_iter": 5})) == {"iteration": 5}
    with pytest.raises(ConfigError, match="OneCycleLR ends after 5 iterations"):
        train(changed(config, {"trainer_cfg.total_iter": 6}))


def test_a_cycle_that_fitted_its_training_is_not_prolonged_and_says_why(toy_root, work):
    config = make_config(toy_root, {**cycle(), "trainer_cfg.total_iter": 3})
    train(config)
    with pytest.raises(OtherRunError) as error:
        train(changed(config, {"trainer_cfg.total_iter": 5}))
    said = str(error.value)
    assert "  scheduler_cfg.total_steps: 4 -> 6" in said
    assert "OneCycleLR is laid over the whole training, so such a run cannot be prolonged" in said
    assert train(changed(config, {"scheduler_cfg.total_steps": 4})) == {"iteration": 3}


def test_values_that_a_cycle_sets_may_be_left_out_of_a_run_that_goes_on(toy_root, work):
    solver = {"optimizer_cfg": {"solver": "SGD", "lr": 0.01, "momentum": 0.9}}
    config = make_config(toy_root, {**cycle(total_steps=5), **solver, "trainer_cfg.total_iter": 2})
    train(config)
    left = {"optimizer_cfg": {"solver": "SGD"}, "trainer_cfg.total_iter": 3}
    assert train(changed(config, left)) == {"iteration": 3}
    fixed = {"scheduler_cfg.cycle_momentum": False}
    before, now = (changed(changed(config, change), fixed) for change in ({}, left))
    differences = {each.place: each for each in training_differences(before, now, CATALOG)}
    assert list(differences) == ["optimizer_cfg.momentum"]


def test_a_cycle_of_another_length_is_found_without_a_config_as_well(toy_root, work):
    config = make_config(toy_root, {**cycle(), "trainer_cfg.total_iter": 3})
    train(config)
    path = work / "output/Toy/Tiny/toy/checkpoints/toy-00003.pt"
    content = torch.load(path, weights_only=True)
    del content["config"]
    torch.save(content, path)
    with pytest.raises(
        ConfigError.__base__, match=r"laid over 4 iterations, this one over 6\. Set"
    ):
        train(changed(config, {"trainer_cfg.total_iter": 5}))


@pytest.mark.slow
def test_a_run_computes_its_steps_as_this_machine_does(toy_root, work):
    config = make_config(toy_root, {"optimizer_cfg.foreach": False, "trainer_cfg.total_iter": 1})
    train(config)
    assert not weights(work, 1)["optimizer"]["param_groups"][0]["fused"]
    train(changed(config, {"optimizer_cfg.foreach": ..., "trainer_cfg.total_iter": 2}))
    assert weights(work, 2)["optimizer"]["param_groups"][0]["fused"]


def test_keys_of_strips_are_told_if_a_model_has_none():
    from opengait_ext.config import load_config
    from opengait_ext.engine.catalog import own_catalog

    shipped = load_config(Path(__file__).parents[2] / "configs" / "dinogrl_synth.yaml")
    told = {
        enhancement: [
            line
            for line in without_effect(
                changed(shipped, {"model_cfg.enhancement": enhancement}), own_catalog(), epoch=2
            )
            if line.startswith("model_cfg")
        ]
        for enhancement in (True, False)
    }
    assert told[True] == []
    assert [line.split(":")[0] for line in told[False]] == [
        "model_cfg.bins",
        "model_cfg.share_granularities",
    ]
