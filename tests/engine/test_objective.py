import pytest
import torch
from torch import nn

from opengait_ext.config import ConfigError
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.objective import Objective


class Square(nn.Module):
    def __init__(self, loss_term_weight=1.0):
        super().__init__()
        self.loss_term_weight = loss_term_weight
        self.seen = None

    def forward(self, values):
        self.seen = values
        return values.square(), {"largest": values.max(), "count": len(values)}


def test_losses_are_weighted_and_summed_and_a_models_own_loss_is_added():
    objective = Objective({"a": Square(0.5), "b": Square()}, Group())
    values = torch.tensor([1.0, 3.0], requires_grad=True)
    terms = objective({"a": {"values": values}, "b": {"values": 2 * values}, "own": values})
    assert {name: float(loss) for name, loss in terms.losses.items()} == {
        "a": 2.5,
        "b": 20.0,
        "own": 2.0,
    }
    assert float(terms.total.detach()) == 24.5
    assert {name: float(number) for name, number in terms.info.items()} == {
        "a/largest": 3.0,
        "a/count": 2.0,
        "b/largest": 6.0,
        "b/count": 2.0,
    }
    terms.total.backward()
    torch.testing.assert_close(values.grad, 0.5 * values.detach() + 4 * values.detach() + 0.5)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(torch.bfloat16, torch.float32), (torch.float32,) * 2, (torch.float64,) * 2],
)
def test_losses_are_computed_in_float32_or_wider(given, wanted):
    loss = Square()
    Objective({"a": loss}, Group())({"a": {"values": torch.ones(2, dtype=given)}})
    assert loss.seen.dtype is wanted


def test_whole_numbers_stay_what_they_are():
    class Labels(nn.Module):
        def forward(self, labels):
            assert labels.dtype is torch.int64
            return labels.float().mean(), {}

    assert Objective({"a": Labels()}, Group())({"a": {"labels": torch.tensor([2, 4])}}).total == 3


def test_what_model_and_config_address_differently_is_named_all_at_once():
    objective = Objective({"a": Square(), "b": Square()}, Group())
    with pytest.raises(ConfigError) as error:
        objective({"a": torch.ones(()), "c": {"values": torch.ones(2)}})
    assert str(error.value) == (
        "loss_cfg does not fit the model:\n"
        "the model addresses a loss 'c' that loss_cfg has not (log_prefix: a, b)\n"
        "no output of the model addresses the loss 'b' (the model returns: a, c)\n"
        "the model returns a tensor for the loss 'a', expected its keyword arguments"
    )


def test_a_model_that_returns_nothing_to_minimize_is_refused():
    with pytest.raises(ConfigError, match="returned no training_feat"):
        Objective({"a": Square()}, Group())({})
