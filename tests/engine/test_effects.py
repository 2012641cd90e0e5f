"""Values that contradict each other are refused, and values without effect are told."""

import math
from pathlib import Path

import pytest
import torch
from engine_parts import CATALOG, changed, make_config, weights
from torch.optim.lr_scheduler import OneCycleLR

from opengait_ext.config import ConfigError
from opengait_ext.engine import run
from opengait_ext.engine.effects import without_effect
from opengait_ext.engine.idle import idle_here, idle_in_test
from opengait_ext.engine.sections import check
from opengait_ext.engine.shaping import training_differences
from opengait_ext.engine.trained import OtherRunError

CONFIG = make_config(Path("data"), {"trainer_cfg.save_iter": 6})
FLIP = {"type": "HorizontalFlip"}
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
        ({"evaluator_cfg.rerank": {"type": "temporal", "k9": 1}}, "evaluator_cfg.rerank.k9 is unk"),
        ({"evaluator_cfg.ranks": []}, r"evaluator_cfg.ranks: expected numbers from 1"),
        ({"evaluator_cfg.tar_at_far": [0.1, 2.0]}, "tar_at_far: expected rates from 0 to 1, fou"),
        ({"data_cfg.train_splits": ["train", "train"]}, "train_splits: 'train' stands there more"),
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
        ({"trainer_cfg.transform.1.padding": 0}, "transform[1]: PadCrop of padding 0 does nothing"),
        (
            {"trainer_cfg.transform.1": {"type": "CutSides", "columns": 0}},
            "trainer_cfg.transform[1]: CutSides of columns 0 does nothing",
        ),
        (
            {"trainer_cfg.transform.2": {**FLIP, "probability": 1, "per_frame": True}},
            "trainer_cfg.transform[2].per_frame: without effect, every frame is mirrored",
        ),
        (
            {"trainer_cfg.transform.3.modality": "infrared", "trainer_cfg.sampler.infrared": 0},
            "transform[3]: ChannelErasing without effect, it changes infrared tracklets alone",
        ),
        (
            {"trainer_cfg.sampler.visible": 1, "trainer_cfg.sampler.infrared": 0},
            "loss_cfg[1]: triplet without effect, a batch has one tracklet of each identity",
        ),
        ({"trainer_cfg.sampler.identities": 1}, "triplet without effect, a batch has one identity"),
        ({"model_cfg.num_identities": 1}, "id without effect, there is one identity to choose"),
        ({"optimizer_cfg.lr": 0}, "optimizer_cfg.lr: 0: what it trains stays as it is"),
        (
            {"optimizer_cfg.decoupled_weight_decay": True, "optimizer_cfg.weight_decay": 0},
            "optimizer_cfg.decoupled_weight_decay: without effect, weight_decay is 0",
        ),
        ({"scheduler_cfg.warmup": 0}, "scheduler_cfg.warmup_factor: without effect, warmup is 0"),
        ({"scheduler_cfg.warmup_factor": 1}, "warmup: without effect, warmup_factor is 1"),
        ({"scheduler_cfg.milestones": []}, "gamma: without effect, there are no milestones"),
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
    settings = check(changed(CONFIG, changes), CATALOG)
    assert not list(without_effect(check(CONFIG, CATALOG), epoch=2))
    assert message in "\n".join(without_effect(settings, epoch=2))


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
    config = changed(CONFIG, {"scheduler_cfg": schedule, "optimizer_cfg.lr": 0.01})
    assert not list(without_effect(check(config, CATALOG), epoch=2))


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
    assert list(idle_here(config, 1)) == lines
    assert not list(idle_here(config, 2))
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
                check(changed(shipped, {"model_cfg.enhancement": enhancement}), own_catalog()),
                epoch=2,
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


def test_gray_of_probability_0_still_copies_channels_and_is_told_nothing_about():
    entry = {"type": "ChannelAdaptiveGray", "probability": 0.0}
    config = changed(CONFIG, {"trainer_cfg.transform.3": entry})
    assert not list(without_effect(check(config, CATALOG), epoch=2))


@pytest.mark.parametrize(
    ("settings", "metric", "message"),
    [
        ({"type": "k_reciprocal", "lambda": 1}, "euclidean", "k1 and k2 are without effect, lambd"),
        ({"type": "k_reciprocal", "squared": True}, "cosine", "squared: without effect, the metri"),
        ({"type": "temporal", "all": 0, "halves": 0}, "euclidean", "all and halves are 0: the dis"),
        ({"type": "temporal", "halves": 0}, "euclidean", "halves: 0: the halves of the tracklets"),
    ],
)
def test_a_value_without_effect_in_a_test_is_told(settings, metric, message):
    changes = {"evaluator_cfg.rerank": settings, "evaluator_cfg.metric": metric}
    assert message in "\n".join(idle_in_test(changed(CONFIG, changes)))
    fits = {"evaluator_cfg.rerank": {"type": settings["type"]}, "evaluator_cfg.metric": metric}
    assert not list(idle_in_test(changed(CONFIG, fits)))


def test_a_transform_of_a_test_that_does_nothing_is_told():
    config = changed(CONFIG, {"evaluator_cfg.transform": [{**FLIP, "probability": 0}]})
    lines = ["evaluator_cfg.transform[0]: HorizontalFlip of probability 0 does nothing"]
    assert list(idle_in_test(config)) == lines


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_cfg.loader_timeout": 9}, "data_cfg.loader_timeout: without effect, num_workers"),
        ({"evaluator_cfg.sampler.frames": 0}, "evaluator_cfg.sampler.frame_rule: without effect"),
        (
            {"trainer_cfg.sampler.frames": 1, "model_cfg.set_pooling": "max"},
            "model_cfg.set_pooling: without effect in training, a tracklet has one frame",
        ),
        (
            {"trainer_cfg.restore_hint": "a.pt", "model_cfg.backbone_weights": "imagenet"},
            "backbone_weights: without effect, all weights come from trainer_cfg.restore_hint (a.p",
        ),
    ],
)
def test_what_rests_in_this_run_alone_is_named(changes, message):
    assert not list(idle_here(CONFIG, 1))
    assert message in "\n".join(idle_here(changed(CONFIG, changes), 1))


def test_values_of_a_mask_branch_that_never_learns_or_never_rests_are_told():
    from opengait_ext.config import load_config
    from opengait_ext.engine.catalog import own_catalog

    shipped = load_config(Path(__file__).parents[2] / "configs" / "biggait_ccpg.yaml")

    def told(**values):
        config = changed(shipped, {f"model_cfg.{key}": each for key, each in values.items()})
        lines = list(without_effect(check(config, own_catalog()), epoch=2))
        return [line for line in lines if line.startswith(("model_cfg", "loss_cfg"))]

    total = shipped["trainer_cfg"]["total_iter"]
    assert told() == []
    (line,) = told(mask_weights="mask.pt", mask_iterations=total)
    assert line.startswith(f"model_cfg.mask_weights: without effect, the training ends at {total}")
    resting = " ".join(told(mask_iterations=0, mask_dropout=0.5))
    for name in ("model_cfg.mask_dropout", "shape_connect", "shape_mse"):
        assert f"{name}{': ' if '.' in name else ' '}without effect" in resting


def test_a_smoothness_that_is_0_everywhere_is_told():
    from opengait_ext.models import MODELS

    losses = {"smoothness": {"sum_channels": True}}
    assert "add up to 1" in MODELS["DinoGRL"].idle_losses({}, losses)["smoothness"]
    assert not MODELS["DinoGRL"].idle_losses({}, {"smoothness": {}})


def test_parameters_that_no_loss_reaches_are_named_once(toy_root, work, caplog):
    changes = {"model_cfg.second": True, "trainer_cfg.total_iter": 2}
    with caplog.at_level("INFO"):
        train(make_config(toy_root, changes))
    said = [each for each in caplog.messages if each.startswith("no loss reaches")]
    assert said == [
        "no loss reaches 2 of the trained parameters, which stay as they are: second.weight, "
        "second.bias"
    ]


def test_a_split_that_cannot_be_tested_is_refused_before_the_training(toy_root, work):
    config = make_config(toy_root, {"evaluator_cfg.split": "nope"})
    with pytest.raises(ConfigError, match="there is no retrieval task for the split 'nope'"):
        run(config, "both", "cpu", False, [], CATALOG)
    assert not list(work.rglob("*.pt"))
