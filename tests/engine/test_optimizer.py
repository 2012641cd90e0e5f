import json
import logging
import re
from pathlib import Path

import pytest
import torch
from engine_parts import CATALOG, changed, make_config, same, weights
from torch import nn

from opengait_ext.config import ConfigError
from opengait_ext.engine import run
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.objective import Objective
from opengait_ext.engine.optimizer import (
    JointOptimizer,
    bind_optimizer,
    build_optimizer,
    load_optimizer,
    named_parameters,
    shared_out,
)
from opengait_ext.engine.schedule import bind_schedule
from opengait_ext.engine.sections import check
from opengait_ext.errors import UserError

SLOW = {"solver": "SGD", "lr": 0.01, "momentum": 0.9, "match": ["encoder."]}
REST = {"solver": "SGD", "lr": 0.1}
# Of the tiny model: a solver of its own for what would be pre-trained.
TWO = [
    {"solver": "SGD", "lr": 0.01, "momentum": 0.9, "match": ["convolution.", "normalization."]},
    {"solver": "AdamW", "lr": 0.02, "weight_decay": 0.1},
]


def numbers():
    torch.manual_seed(0)
    parameters = {"a": nn.Parameter(torch.randn(5, 3)), "b": nn.Parameter(torch.randn(4))}
    for parameter in parameters.values():
        parameter.grad = torch.randn_like(parameter)
    return parameters


def built(section, named):
    """Return the optimizer of an ``optimizer_cfg``."""
    return build_optimizer(bind_optimizer(section), named)


def network():
    """An encoder with a frozen part, a neck and a classifier."""
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "encoder": nn.ModuleDict({"first": nn.Linear(3, 4), "second": nn.Linear(4, 4)}),
            "frozen": nn.Linear(3, 3).requires_grad_(False),
            "neck": nn.BatchNorm1d(4),
            "classifier": nn.Linear(4, 2),
        }
    )
    return dict(model.named_parameters())


@pytest.mark.parametrize("solver", ["Adam", "AdamW", "SGD"])
def test_a_fused_step_moves_the_weights_as_the_plain_one_does(solver):
    section = {"solver": solver, "lr": 0.1, "weight_decay": 0.01}
    fused, plain = numbers(), numbers()
    chosen = built(section, fused)
    asked = built({**section, "foreach": False}, plain)
    assert chosen.param_groups[0]["fused"]
    assert not asked.param_groups[0]["fused"]
    for _ in range(3):
        chosen.step()
        asked.step()
    for one, other in zip(fused.values(), plain.values(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("solver", ["RMSprop", "RAdam"])
def test_solvers_that_torch_cannot_fuse_are_built_as_they_are(solver):
    optimizer = built({"solver": solver, "lr": 0.1}, numbers())
    optimizer.step()
    assert type(optimizer).__name__ == solver


def test_each_entry_trains_what_its_prefixes_match_and_one_takes_the_rest():
    shares = shared_out(bind_optimizer([SLOW, REST]), network())
    assert shares == [
        [
            "encoder.first.weight", "encoder.first.bias",
            "encoder.second.weight", "encoder.second.bias",
        ],
        ["neck.weight", "neck.bias", "classifier.weight", "classifier.bias"],
    ]  # fmt: skip


def test_one_entry_trains_all_that_is_not_frozen():
    named = network()
    optimizer = built(REST, named)
    assert type(optimizer) is torch.optim.SGD
    trained = [each for each in named.values() if each.requires_grad]
    assert [id(each) for each in optimizer.param_groups[0]["params"]] == list(map(id, trained))
    alone = built([REST], network())
    assert same(alone.state_dict(), built(REST, network()).state_dict())


def test_a_step_of_several_entries_is_the_step_of_each_solver_on_its_own_parameters():
    sections = [
        {"solver": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.1, "match": ["encoder."]},
        {"solver": "Adam", "lr": 0.1, "match": ["neck."]},
        {"solver": "RMSprop", "lr": 0.03},
    ]
    ours, theirs = network(), network()
    joint = built(sections, ours)
    assert isinstance(joint, JointOptimizer)

    def of(beginning):
        return [each for name, each in theirs.items() if name.startswith(beginning)]

    plain = [
        torch.optim.SGD(of("encoder."), lr=0.01, momentum=0.9, weight_decay=0.1),
        torch.optim.Adam(of("neck."), lr=0.1),
        torch.optim.RMSprop(of("classifier."), lr=0.03),
    ]
    for step in range(3):
        for one, other in zip(ours.values(), theirs.values(), strict=True):
            generator = torch.Generator().manual_seed(step)
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        joint.step()
        for optimizer in plain:
            optimizer.step()
    for name, parameter in ours.items():
        torch.testing.assert_close(parameter, theirs[name])
    assert torch.equal(ours["frozen.weight"], network()["frozen.weight"])
    joint.zero_grad()
    assert all(each.grad is None for each in ours.values() if each.requires_grad)


def test_a_closure_is_called_once_for_all_entries():
    named = numbers()
    sections = [{"solver": "SGD", "lr": 0.1, "match": ["a"]}, {"solver": "SGD", "lr": 0.1}]
    calls = []
    assert built(sections, named).step(lambda: calls.append(1) or 7.0) == 7.0
    assert calls == [1]


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (
            {"scheduler": "WarmupSteps", "unit": "iteration", "warmup": 0, "warmup_factor": 0.1,
             "milestones": [1], "gamma": 0.1},
            [0.001, 0.01],
        ),
        ({"scheduler": "MultiStepLR", "milestones": [1]}, [0.001, 0.01]),
        ({"scheduler": "StepLR", "step_size": 1, "gamma": 0.5}, [0.005, 0.05]),
        ({"scheduler": "ExponentialLR", "gamma": 0.5}, [0.005, 0.05]),
        ({"scheduler": "CosineAnnealingLR", "T_max": 2}, [0.005, 0.05]),
        (
            {"scheduler": "OneCycleLR", "max_lr": [0.01, 0.1], "total_steps": 3, "pct_start": 0.5,
             "cycle_momentum": False},
            None,
        ),
    ],
)  # fmt: skip
def test_every_schedule_acts_on_the_rate_of_every_entry(schedule, wanted):
    optimizer = built([SLOW, {**REST, "solver": "AdamW"}], network())
    plan = bind_schedule(schedule)(optimizer=optimizer, iterations_per_epoch=1)
    optimizer.step()
    plan.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates[1] == pytest.approx(10 * rates[0])
    if wanted:
        assert rates == pytest.approx(wanted)
    assert [part.param_groups[0]["lr"] for part in optimizer.parts] == rates


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            [{**SLOW, "match": ["encodr."]}, REST],
            "optimizer_cfg[0].match: no parameter begins with 'encodr.' - did you mean 'encoder.'?",
        ),
        (
            [{**SLOW, "match": ["zzz"]}, REST],
            "no parameter begins with 'zzz' - known: encoder., neck., classifier.",
        ),
        (
            [{**SLOW, "match": ["encoder.", "frozen."]}, REST],
            "optimizer_cfg[0].match: 'frozen.' matches frozen parameters alone",
        ),
        (
            [SLOW, {**REST, "match": ["encoder.second.", "neck."]}, REST],
            "encoder.second.weight: matched by optimizer_cfg[0] and optimizer_cfg[1]; one entry",
        ),
        (
            [SLOW, {**REST, "match": ["neck."]}],
            "no entry matches classifier.weight, classifier.bias: add to a match",
        ),
        ({**SLOW}, "no entry matches neck.weight, neck.bias, classifier.weight"),
        (
            [{**SLOW, "match": ["encoder.", "neck.", "classifier."]}, REST],
            "optimizer_cfg[1]: the others match every parameter: leave it out",
        ),
    ],
)
def test_entries_that_do_not_share_the_parameters_out_are_refused_by_name(sections, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        built(sections, network())
    assert "optimizer_cfg does not fit the model" in str(error.value)


def test_of_many_names_that_no_entry_matches_the_first_are_told():
    named = {f"part{number}.weight": nn.Parameter(torch.zeros(1)) for number in range(20)}
    with pytest.raises(ConfigError, match=r"part8.weight and 11 more: add to a match"):
        built({**SLOW, "match": ["part0."]}, named)
    twice = [{**SLOW, "match": ["part"]}, {**REST, "match": ["part1"]}]
    with pytest.raises(ConfigError, match=r"part16.weight: matched by .*\n  \.\.\. and 3 more"):
        built(twice, named)


def test_parameters_of_losses_are_named_after_their_log_prefix():
    centers = nn.Linear(2, 2, bias=False)
    named = named_parameters(nn.Linear(3, 3), Objective({"center": centers}, Group()))
    assert list(named) == ["weight", "bias", "loss_cfg.center.weight"]
    assert named["loss_cfg.center.weight"] is centers.weight


def faults(changes):
    with pytest.raises(ConfigError) as error:
        check(make_config(Path("data"), changes), CATALOG)
    return str(error.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (3, "optimizer_cfg: expected an entry with a solver, or a list of such, found 3"),
        ([], "optimizer_cfg: expected an entry with a solver, or a list of such, found []"),
        ([REST, 5], "optimizer_cfg[1]: expected keys and values, found 5"),
        ([SLOW, {"lr": 0.1}], "optimizer_cfg[1]: missing key 'solver'"),
        ([SLOW, REST, REST], "optimizer_cfg[2]: it has no match, as optimizer_cfg[1]: only one"),
        ([{**SLOW, "match": "encoder."}, REST], "optimizer_cfg[0].match: expected a list of begin"),
        ([{**SLOW, "match": []}, REST], "such as [encoder.], found []"),
        ([{**SLOW, "match": [""]}, REST], "such as [encoder.], found ['']"),
        ({**REST, "match": [3]}, "optimizer_cfg.match: expected a list of beginnings"),
        (
            [SLOW, {**REST, "momentun": 1}],
            "optimizer_cfg[1] (SGD):\n  unknown key 'momentun' - did",
        ),
        (
            [{**SLOW, "match": ["encoder.", "encoder.first."]}, REST],
            "optimizer_cfg[0].match: 'encoder.first.' is without effect beside 'encoder.': leave",
        ),
        ([{**SLOW, "match": ["encoder.", "encoder."]}, REST], "'encoder.' is without effect besi"),
        ({"solver": "Adam", "betas": [0.9]}, "optimizer_cfg.betas: expected two numbers, found"),
        ({"solver": "Adam", "foreach": True, "fused": True}, "cannot be `True` together"),
        ({"solver": "Adam", "capturable": True}, "capturable: expected false, found True: it is"),
        ({**REST, "differentiable": True}, "optimizer_cfg.differentiable: expected false, found"),
        ([SLOW, {**REST, "lr": -1.0}], "optimizer_cfg[1]: Invalid learning rate: -1.0"),
    ],
)
def test_faults_of_an_entry_are_named_with_its_place(section, message):
    assert message in faults({"optimizer_cfg": section})


@pytest.mark.parametrize(
    ("peak", "message"),
    [
        (0.1, "max_lr: it sets 0.1 for optimizer_cfg[0], whose lr is 0.01; write a rate for each "
              "entry, max_lr: [0.01, 0.1]"),
        ([0.01, 0.2], "it sets 0.2 for optimizer_cfg[1], whose lr is 0.1"),
        ([0.01], "scheduler_cfg.max_lr: expected 2 rates, one an entry, found [0.01]"),
    ],
)  # fmt: skip
def test_a_one_cycle_schedule_has_a_peak_for_each_entry(peak, message):
    cycle = {"scheduler": "OneCycleLR", "max_lr": peak, "total_steps": 7}
    sections = [SLOW, {**REST, "momentum": 0.9}]
    assert message in faults({"optimizer_cfg": sections, "scheduler_cfg": cycle})
    right = {"optimizer_cfg": sections, "scheduler_cfg": {**cycle, "max_lr": [0.01, 0.1]}}
    check(make_config(Path("data"), right), CATALOG)


def test_a_momentum_that_solvers_do_not_share_is_not_cycled():
    cycle = {"scheduler": "OneCycleLR", "max_lr": [0.01, 0.1], "total_steps": 7}
    sections = [SLOW, {"solver": "Adam", "lr": 0.1}]
    found = faults({"optimizer_cfg": sections, "scheduler_cfg": cycle})
    assert "scheduler_cfg: optimizer must support momentum or beta1 with `cycle_momentum`" in found


def train(config):
    return run(config, "train", "cpu", False, [], CATALOG)


@pytest.mark.slow
def test_a_run_with_two_solvers_stopped_and_resumed_is_the_unbroken_run(
    toy_root, tmp_path, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)
    config = make_config(toy_root, {"optimizer_cfg": TWO})
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    train(config)
    assert (
        "optimizer_cfg[0]: SGD with rate 0.01 trains 4 parameters (180 numbers): convolution., "
        "normalization."
    ) in caplog.messages
    assert "optimizer_cfg[1]: AdamW with rate 0.02 trains 2 parameters (28 numbers): the rest" in (
        caplog.messages
    )
    monkeypatch.chdir(tmp_path / "broken")
    train(changed(config, {"trainer_cfg.total_iter": 3}))
    train(config)
    whole, broken = weights(tmp_path / "whole", 6), weights(tmp_path / "broken", 6)
    for key in ("model", "optimizer", "scheduler", "rng"):
        assert same(whole[key], broken[key]), key
    assert "momentum_buffer" in whole["optimizer"]["parts"][0]["state"][0]
    assert "exp_avg" in whole["optimizer"]["parts"][1]["state"][0]
    lines = (tmp_path / "whole/output/Toy/Tiny/toy/metrics.jsonl").read_text().splitlines()
    curves = [json.loads(line) for line in lines]
    assert [line["learning_rate"] for line in curves] == pytest.approx([0.01, 0.001, 0.001])
    assert [line["learning_rate/1"] for line in curves] == pytest.approx([0.02, 0.002, 0.002])


@pytest.mark.slow
def test_a_clipped_gradient_is_that_of_all_entries(toy_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = [{**REST, "match": ["convolution.", "normalization."]}, REST]
    changes = {"trainer_cfg.total_iter": 2, "trainer_cfg.clip_grad_norm": 0.1}
    train(make_config(toy_root, {**changes, "optimizer_cfg": one}))
    found = weights(tmp_path, 2)["model"]
    train(make_config(toy_root, {**changes, "optimizer_cfg": REST, "trainer_cfg.restore_hint": 0}))
    torch.testing.assert_close(found, weights(tmp_path, 2)["model"])


def test_a_state_of_other_entries_is_not_loaded():
    joint, alone = built([SLOW, REST], network()), built(REST, network())
    with pytest.raises(ValueError, match="optimizer_cfg has 2 entries, and had 1 then"):
        load_optimizer(joint, alone.state_dict())
    with pytest.raises(ValueError, match="optimizer_cfg has 1 entries, and had 2 then"):
        load_optimizer(alone, joint.state_dict())
    other = built([{**SLOW, "match": ["encoder.first."]}, REST], network())
    with pytest.raises(ValueError, match=r"optimizer_cfg\[0\] matched other parameters then"):
        load_optimizer(joint, other.state_dict())


def test_a_run_does_not_go_on_with_other_entries(toy_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1})
    train(config)
    longer = changed(config, {"trainer_cfg.total_iter": 2, "optimizer_cfg": TWO})
    with pytest.raises(UserError, match="optimizer_cfg"):
        train(longer)
