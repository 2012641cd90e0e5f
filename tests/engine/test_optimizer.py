import pytest
import torch
from torch import nn

from opengait_ext.engine.catalog import build_optimizer


def numbers():
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(4))]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    return parameters


@pytest.mark.parametrize("solver", ["Adam", "AdamW", "SGD"])
def test_a_fused_step_moves_the_weights_as_the_plain_one_does(solver):
    section = {"solver": solver, "lr": 0.1, "weight_decay": 0.01}
    fused, plain = numbers(), numbers()
    chosen = build_optimizer(section, fused)
    asked = build_optimizer({**section, "foreach": False}, plain)
    assert chosen.param_groups[0]["fused"]
    assert not asked.param_groups[0]["fused"]
    for _ in range(3):
        chosen.step()
        asked.step()
    for one, other in zip(fused, plain, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("solver", ["RMSprop", "RAdam"])
def test_solvers_that_torch_cannot_fuse_are_built_as_they_are(solver):
    optimizer = build_optimizer({"solver": solver, "lr": 0.1}, numbers())
    optimizer.step()
    assert type(optimizer).__name__ == solver
