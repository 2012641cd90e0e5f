"""Products by oneDNN against torch's own, in value and gradient."""

import pytest
import torch
from torch.nn import functional

from opengait_ext import products
from opengait_ext.products import Linear, linear


def random_layer(bias=True):
    torch.manual_seed(0)
    return torch.randn(5, 7, 40), torch.randn(24, 40), torch.randn(24) if bias else None


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gradient", [True, False])
def test_a_product_and_its_gradient_are_those_of_torch(bias, gradient):
    results = []
    for function in (linear, functional.linear):
        given = [x if x is None else x.requires_grad_(gradient) for x in random_layer(bias)]
        found = [function(*given)]
        if gradient:
            found += torch.autograd.grad(
                found[0].square().sum(), [x for x in given if x is not None]
            )
        results.append(found)
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-3)


def test_only_the_gradients_that_are_wanted_are_made():
    x, weight, bias = random_layer()
    found = linear(x, weight.requires_grad_(), bias)
    found.sum().backward()
    assert weight.grad is not None
    assert x.grad is None
    assert bias.grad is None


@pytest.mark.parametrize(
    "weight", [torch.randn(24, 3, 40)[:, 1], torch.randn(40, 24).t(), torch.randn(24, 80)[:, ::2]]
)
def test_weights_may_lie_anyhow_in_memory(weight):
    x = random_layer()[0]
    torch.testing.assert_close(
        linear(x, weight), functional.linear(x, weight), rtol=1e-5, atol=1e-4
    )
    some = x.transpose(0, 1)[:, ::2]
    expected = functional.linear(some, weight)
    torch.testing.assert_close(linear(some, weight), expected, rtol=1e-5, atol=1e-4)


def test_no_rows_give_no_rows():
    x, weight, bias = random_layer()
    assert linear(x[:0], weight, bias).shape == (0, 7, 24)
    weight.requires_grad_()
    linear(x[:0], weight, bias).sum().backward()
    assert not weight.grad.any()


@pytest.mark.parametrize("gradient", [True, False])
def test_a_gelu_behind_the_product_is_the_exact_one(gradient):
    results = []
    for function in (
        lambda x, weight, bias: linear(x, weight, bias, gelu=True),
        lambda *given: functional.gelu(functional.linear(*given)),
    ):
        given = [x.requires_grad_(gradient) for x in random_layer()]
        found = [function(*given)]
        if gradient:
            found += torch.autograd.grad(found[0].sum(), given)
        results.append(found)
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("gelu", [True, False])
@pytest.mark.parametrize("trained", [True, False])
def test_autocast_computes_in_its_precision(gelu, trained):
    torch.manual_seed(0)
    layer = Linear(40, 24).requires_grad_(trained)
    x = torch.randn(3, 40)
    exact = layer(x, gelu)
    with torch.autocast("cpu", torch.bfloat16):
        for given in (x, x.bfloat16()):
            found = layer(given, gelu)
            assert found.dtype == torch.bfloat16
            torch.testing.assert_close(found.float(), exact, rtol=0.02, atol=0.02)


def test_doubles_are_left_to_torch():
    layer = Linear(40, 24).double()
    x = torch.randn(3, 40, dtype=torch.float64)
    assert torch.equal(layer(x), functional.linear(x, layer.weight, layer.bias))


@pytest.mark.parametrize("missing", [True, False])
def test_a_torch_without_the_operator_computes_by_its_own(monkeypatch, missing):
    given = random_layer()
    operators = type("Operators", (), {})()
    if not missing:  # but another one of that name
        operators._linear_pointwise = lambda x, weight, *_: functional.linear(x, weight)
    monkeypatch.setattr(products.torch.ops, "mkldnn", operators)
    products._onednn.cache_clear()
    try:
        assert products._onednn(torch.float32) is None
        assert products._onednn(torch.bfloat16) is None
        assert torch.equal(linear(*given), functional.linear(*given))
    finally:
        monkeypatch.undo()
        products._onednn.cache_clear()
