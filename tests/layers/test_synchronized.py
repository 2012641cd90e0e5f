import copy

import pytest
import torch
from meeting import Meeting
from torch import nn

from opengait_ext.layers.frozen import freeze
from opengait_ext.layers.synchronized import (
    SharedDropout,
    SynchronizedBatchNorm,
    pooled_moments,
    share_batches,
)


class Alone:
    """One process of several whose rows stand behind those of the others."""

    def __init__(self, before, of_all):
        self.before, self.of_all = before, of_all

    def place(self, rows, device):
        return self.before, self.of_all


def normalized(norm, shares, weights):
    """Outputs, gradients and states of a normalization on the shares of several processes."""

    def work(member):
        own = SynchronizedBatchNorm(copy.deepcopy(norm), member)
        values = shares[member.rank].clone().requires_grad_()
        result = own(values)
        (result.double() * weights[member.rank]).sum().backward()
        return result.detach(), values.grad, [p.grad for p in own.parameters()], own.state_dict()

    return Meeting(len(shares)).run(work)


@pytest.mark.parametrize("counts", [(4, 4), (5, 1, 2), (3, 0, 2)])
@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d(3), (3,)),
        (nn.BatchNorm1d(3, affine=False), (3, 5)),
        (nn.BatchNorm2d(3, momentum=None), (3, 4, 2)),
        (nn.BatchNorm2d(3, track_running_stats=False, eps=0.1), (3, 4, 2)),
    ],
    ids=["rows", "without weights", "cumulative", "without statistics"],
)
def test_shares_are_normalized_as_the_whole_batch_is(norm, shape, counts):
    torch.manual_seed(0)
    norm = copy.deepcopy(norm).double()
    for parameter in norm.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    whole = (torch.randn(sum(counts), *shape).double() * 2 + 3).requires_grad_()
    weight = torch.randn_like(whole)
    shares, weights = whole.detach().split(counts), weight.split(counts)
    found = normalized(norm, shares, weights)
    expected = norm(whole)
    (expected * weight).sum().backward()
    torch.testing.assert_close(torch.cat([one[0] for one in found]), expected)
    torch.testing.assert_close(torch.cat([one[1] for one in found]), whole.grad)
    for place, parameter in enumerate(norm.parameters()):
        torch.testing.assert_close(sum(one[2][place] for one in found), parameter.grad)
    for *_, state in found:
        assert state.keys() == norm.state_dict().keys()
        for name, value in norm.state_dict().items():
            torch.testing.assert_close(state[name], value)


def test_a_large_mean_costs_no_digits():
    torch.manual_seed(0)
    whole = torch.randn(64, 2) + 1e4
    found = normalized(nn.BatchNorm1d(2), whole.split(16), torch.ones(4, 16, 2).double())
    exact = nn.BatchNorm1d(2).double()(whole.double()).detach()
    difference = torch.cat([one[0] for one in found]).double() - exact
    assert float(difference.square().mean().sqrt()) < 2e-3  # float32 holds 1e4 to 5e-4


def test_half_precision_is_normalized_in_float32():
    torch.manual_seed(0)
    whole = torch.randn(8, 2).bfloat16()
    found = normalized(nn.BatchNorm1d(2), whole.split(4), torch.ones(2, 4, 2).double())
    assert found[0][0].dtype == found[0][1].dtype == torch.bfloat16
    expected = nn.BatchNorm1d(2)(whole.float()).bfloat16()
    torch.testing.assert_close(torch.cat([one[0] for one in found]), expected)


def test_one_value_in_all_processes_has_no_variance():
    errors = normalized(nn.BatchNorm1d(2), torch.randn(1, 2).split((1, 0)), [0.0, 0.0])
    for error in errors:
        assert str(error) == (
            "a batch of 1 values a channel in all processes: batch normalization needs at least 2 "
            "in training"
        )


def test_moments_of_a_process_without_samples_do_not_count():
    torch.manual_seed(0)
    samples = torch.randn(6, 3)

    def work(member):
        own = (samples[:4], samples[4:4], samples[4:])[member.rank]
        mean = own.mean(0)
        return pooled_moments(mean, (own - mean).square().mean(0), len(own), member)

    for mean, variance, count in Meeting(3).run(work):
        torch.testing.assert_close(mean, samples.mean(0))
        torch.testing.assert_close(variance, samples.var(0, unbiased=False))
        assert count == 6


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout1d, nn.Dropout2d])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_process_drops_what_one_process_would_drop_of_its_rows(kind, transposed):
    whole = torch.arange(1.0, 5 * 3 * 4 * 2 + 1).view(5, 3, 4, 2)
    whole = whole if kind is nn.Dropout2d else whole[..., 0].contiguous()
    whole = whole.transpose(1, 2) if transposed else whole
    torch.manual_seed(3)
    expected = kind(0.5)(whole)
    assert 0 < int((expected == 0).sum()) < expected.numel()
    for first, after in ((0, 2), (2, 3), (3, 5)):
        torch.manual_seed(3)
        shared = SharedDropout(kind(0.5), Alone(first, 5))
        torch.testing.assert_close(shared(whole[first:after]), expected[first:after])
        assert torch.equal(shared.eval()(whole), whole)


def test_only_what_is_trained_is_made_to_share_and_no_key_changes():
    frozen = freeze(nn.Sequential(nn.BatchNorm1d(2)))
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), frozen)
    keys = list(model.state_dict())
    plain = share_batches(copy.deepcopy(model), Alone(0, 1), norms=False)
    assert [type(layer).__name__ for layer in plain] == [
        "Linear", "BatchNorm1d", "SharedDropout", "Sequential",
    ]  # fmt: skip
    shared = share_batches(model, Alone(0, 1), norms=True)
    assert type(shared[1]) is SynchronizedBatchNorm
    assert type(shared[3][0]) is nn.BatchNorm1d
    assert not shared.train()[3].training
    assert list(shared.state_dict()) == keys
    values = torch.randn(3, 2)
    torch.testing.assert_close(shared.eval()(values), copy.deepcopy(plain).eval()(values))
