import pytest
import torch

from opengait_ext.engine.schedule import SCHEDULES, WarmupSteps


def make(lr=2.0, **changes):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    arguments = {"unit": "iteration", "warmup": 4, "warmup_factor": 0.2, "milestones": [6, 8]}
    return optimizer, WarmupSteps(optimizer, **{**arguments, "gamma": 0.1, **changes})


def rates(optimizer, schedule, count):
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_rate_rises_linearly_and_falls_at_the_milestones():
    expected = [0.4, 0.8, 1.2, 1.6, 2.0, 2.0, 0.2, 0.2, 0.02, 0.02]
    assert rates(*make(), 10) == pytest.approx(expected)


def test_the_warm_up_by_epochs_is_that_of_released_code():
    optimizer, schedule = make(
        lr=1.0, unit="epoch", warmup=10, warmup_factor=0.01, milestones=[40, 70],
        iterations_per_epoch=3,
    )  # fmt: skip
    found = rates(optimizer, schedule, 3 * 75)
    for epoch in range(75):
        if epoch < 10:
            expected = 0.01 * (1 - epoch / 10) + epoch / 10
        else:
            expected = 1.0 if epoch < 40 else 0.1 if epoch < 70 else 0.01
        assert found[3 * epoch : 3 * epoch + 3] == pytest.approx([expected] * 3)


def test_without_warm_up_the_rate_is_the_configured_one_at_once():
    assert rates(*make(warmup=0, milestones=[]), 2) == [2.0, 2.0]


def test_every_group_keeps_its_own_rate():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 4.0)]
    optimizer = torch.optim.SGD(groups)
    WarmupSteps(optimizer, "iteration", 2, 0.5, [], 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 2.0]


def test_the_state_is_the_iteration_alone():
    optimizer, schedule = make()
    expected = rates(optimizer, schedule, 10)
    again, other = make()
    other.load_state_dict({"last_epoch": 5})
    assert rates(again, other, 5) == pytest.approx(expected[5:])
    assert other.state_dict() == schedule.state_dict() == {"last_epoch": 10}


def test_epochs_of_unknown_length_are_refused():
    with pytest.raises(ValueError, match="iterations_per_epoch has to be 1 or more, found 0"):
        make(unit="epoch")


def test_schedules_of_torch_can_be_named_as_well():
    assert {"WarmupSteps", "MultiStepLR", "CosineAnnealingLR", "OneCycleLR"} <= set(SCHEDULES)
