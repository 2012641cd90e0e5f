import pytest
import torch
from meeting import Meeting
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


def test_what_the_config_has_and_the_model_does_not_offer_is_named_all_at_once():
    objective = Objective({"a": Square(), "b": Square(), "off": Square(0)}, Group())
    with pytest.raises(ConfigError) as error:
        objective({"a": torch.ones(()), "c": {"values": torch.ones(2)}})
    assert str(error.value) == (
        "loss_cfg does not fit the model:\n"
        "no output of the model addresses the loss 'b' (the model returns: a, c)\n"
        "no output of the model addresses the loss 'off' (the model returns: a, c)\n"
        "the model returns a tensor for the loss 'a', expected its keyword arguments"
    )


@pytest.mark.parametrize("weight", [0, 0.0])
def test_a_loss_of_weight_0_is_not_computed(weight):
    off = Square(weight)
    objective = Objective({"a": Square(), "off": off}, Group())
    values = torch.tensor([1.0, 3.0], requires_grad=True)
    spoilt = (values * float("nan")).detach().requires_grad_()
    terms = objective({"a": {"values": values}, "off": {"values": spoilt}})
    assert {name: float(loss) for name, loss in terms.losses.items()} == {"a": 5.0}
    assert set(terms.info) == {"a/largest", "a/count"}
    terms.total.backward()
    assert off.seen is None
    assert spoilt.grad is None
    torch.testing.assert_close(values.grad, values.detach())


def test_a_loss_that_the_config_leaves_out_is_not_computed_and_told_once(caplog):
    objective = Objective({"a": Square()}, Group())
    for _ in range(2):
        terms = objective({"a": {"values": torch.ones(2)}, "b": {"values": torch.ones(2)}})
        assert list(terms.losses) == ["a"]
    (told,) = caplog.messages
    assert told.endswith("losses that the model offers, so they are not computed: b")


def test_with_all_losses_off_there_is_nothing_to_minimize():
    offered = {"a": {"values": torch.ones(2)}, "b": {"values": torch.ones(2)}}
    with pytest.raises(
        ConfigError, match=r"switched off or left out, .*\(the model offers: a, b\)"
    ):
        Objective({"a": Square(0)}, Group())(offered)
    terms = Objective({"a": Square(0)}, Group())({"own": torch.ones(()), **offered})
    assert float(terms.total) == 1.0


def test_in_several_processes_a_loss_is_left_out_in_writing():
    offered = {"a": {"values": torch.ones(2)}, "b": {"values": torch.ones(2)}}
    with pytest.raises(
        ConfigError, match=r"\(b\)\. In several processes write it down with loss_t"
    ):
        Objective({"a": Square()}, Group(0, 2))(offered)


def test_what_only_an_unused_loss_needs_is_cut_from_the_graph():
    values = torch.ones(2, requires_grad=True)
    features = {"a": {"values": 2 * values}, "off": {"values": 3 * values, "names": ["x"]}}
    objective = Objective({"a": Square(), "off": Square(0)}, Group())
    output = {"training_feat": {**features, "own": values.sum()}, "inference_feat": {}}
    found = objective.used(objective, (), output)["training_feat"]
    assert found["a"]["values"].requires_grad
    assert found["own"].requires_grad
    assert not found["off"]["values"].requires_grad
    assert found["off"]["names"] == ["x"]
    assert objective.used(objective, (), {"training_feat": {}})["training_feat"] == {}


def test_a_model_that_returns_nothing_to_minimize_is_refused():
    with pytest.raises(ConfigError, match="returned no training_feat"):
        Objective({"a": Square()}, Group())({})


class Factor(nn.Module):
    """A loss with a parameter, a mean over rows."""

    def __init__(self, pairwise):
        super().__init__()
        self.pairwise = pairwise
        self.factor = nn.Parameter(torch.tensor(3.0))

    def forward(self, values):
        loss = (self.factor * values).square().mean()
        return loss, {"mean": values.detach().mean()}


@pytest.mark.parametrize("pairwise", [False, True])
def test_a_row_counts_alike_in_whichever_process_it_is(pairwise):
    whole = torch.tensor([1.0, 2.0, 4.0, 5.0, 7.0]).double()
    alone, values = Factor(pairwise), whole.clone().requires_grad_()
    expected = Objective({"a": alone}, Group())({"a": {"values": values}, "own": values})
    expected.total.backward()

    def work(member):
        loss, own = Factor(pairwise), whole.split((3, 0, 2))[member.rank].clone().requires_grad_()
        terms = Objective({"a": loss}, member)({"a": {"values": own}, "own": own})
        terms.total.backward()
        member.average_gradients(loss.parameters())
        return terms, own.grad / member.size, loss.factor.grad

    found = Meeting(3).run(work)
    torch.testing.assert_close(torch.cat([gradient for _, gradient, _ in found]), values.grad)
    for terms, _, of_factor in found:
        torch.testing.assert_close(terms.total, expected.total)
        torch.testing.assert_close(terms.losses, expected.losses)
        torch.testing.assert_close(terms.info["a/mean"], expected.info["a/mean"].double())
        torch.testing.assert_close(of_factor, alone.factor.grad)


def test_a_loss_that_is_not_finite_in_one_process_is_not_finite_in_any():
    def work(member):
        value = torch.tensor([float("nan"), 1.0][member.rank], requires_grad=True)
        return Objective({}, member)({"own": value}).total

    assert all(total.isnan() for total in Meeting(2).run(work))
