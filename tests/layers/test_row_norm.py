"""The normalization of rows against torch's in float64."""

import pytest
import torch
from torch import nn

from opengait_ext.layers.row_norm import RowNorm


def exact(rows, weights):
    """The result, its gradient and the running statistics of torch's layer in float64."""
    norm = nn.BatchNorm1d(rows.shape[1], affine=False).double().train()
    wide = rows.detach().double().requires_grad_()
    result = norm(wide)
    (result * weights).sum().backward()
    return result.detach(), wide.grad, norm.state_dict()


@pytest.mark.parametrize(("count", "mean"), [(16, 0.0), (700, 0.0), (60_000, 3.0)])
def test_rows_are_normalized_to_the_rounding_of_a_number_however_many_there_are(count, mean):
    rows = (torch.randn(count, 5) + mean).requires_grad_()
    weights = torch.randn(count, 5)
    norm = RowNorm(5).train()
    result = norm(rows)
    (result * weights).sum().backward()
    expected, gradient, state = exact(rows, weights)
    scale = gradient.abs().max()
    assert float((result.detach() - expected).square().mean().sqrt()) < 1e-6  # torch's own: 3e-5
    assert float((rows.grad - gradient).abs().max() / scale) < 1e-4
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(value.double(), state[name].double(), rtol=1e-6, atol=1e-6)


def test_other_precisions_and_eval_mode_are_torchs_own():
    rows = torch.randn(9, 4, dtype=torch.float64)
    ours, theirs = RowNorm(4).double(), nn.BatchNorm1d(4, affine=False).double()
    assert torch.equal(ours(rows), theirs(rows))
    assert torch.equal(ours.eval()(rows), theirs.eval()(rows))
    ours, theirs = ours.float(), theirs.float()
    assert torch.equal(ours(rows.float()), theirs(rows.float()))


def test_a_single_row_is_refused_in_training():
    with pytest.raises(ValueError, match="more than 1 value"):
        RowNorm(3).train()(torch.randn(1, 3))
