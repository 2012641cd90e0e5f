import pytest
import torch
from torch import nn

from opengait_ext.layers.attention import AttentionFusion, NonLocal


def trained(layer):
    """A layer whose zeros are replaced, in eval mode."""
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return layer.eval()


@pytest.mark.parametrize("height", [1, 4])  # fewer and more positions than inner channels
def test_non_local_equals_a_loop_over_pairs_of_positions(height):
    torch.manual_seed(0)
    layer = trained(NonLocal(8))
    x = torch.randn(2, 8, height, 3)
    query, key, value = layer.query(x), layer.key(x), layer.value(x)
    found = torch.zeros(2, 4, height, 3)
    places = [(row, column) for row in range(height) for column in range(3)]
    for n in range(2):
        for here in places:
            for there in places:
                affinity = query[n, :, here[0], here[1]] @ key[n, :, there[0], there[1]]
                found[n, :, here[0], here[1]] += affinity * value[n, :, there[0], there[1]]
    expected = x + layer.bn(layer.out(found / len(places)))
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_non_local_starts_as_the_identity():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(NonLocal(8)(x), x)


def test_non_local_gives_a_gradient_to_every_parameter():
    torch.manual_seed(0)
    layer = trained(NonLocal(8)).train()
    layer(torch.randn(2, 8, 3, 3)).pow(3).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_non_local_takes_a_reduction_down_to_one_channel():
    assert NonLocal(8, reduction=8).query.out_channels == 1
    assert NonLocal(8, reduction=100).query.out_channels == 1


def test_attention_fusion_equals_a_loop_over_channels_and_pixels():
    torch.manual_seed(0)
    layer = trained(AttentionFusion(4, squeeze=2))
    first, second = torch.randn(2, 2, 4, 3, 2).unbind()
    scores = layer.conv(torch.cat([first, second], dim=1))
    expected = torch.zeros_like(first)
    for n in range(2):
        for c in range(4):
            for row in range(3):
                for column in range(2):
                    pair = torch.stack([scores[n, 2 * c + i, row, column] for i in range(2)])
                    a, b = pair.softmax(0)
                    expected[n, c, row, column] = (
                        a * first[n, c, row, column] + b * second[n, c, row, column]
                    )
    torch.testing.assert_close(layer(first, second), expected)


def test_attention_fusion_of_a_map_with_itself_is_that_map():
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, 2)
    torch.testing.assert_close(AttentionFusion(4, squeeze=2)(x, x), x)


def test_attention_fusion_squeezes_its_convolutions():
    shapes = [tuple(m.weight.shape) for m in AttentionFusion(64).modules() if hasattr(m, "stride")]
    assert shapes == [(4, 128, 1, 1), (4, 4, 3, 3), (128, 4, 1, 1)]


def test_attention_fusion_gives_a_gradient_to_every_parameter_and_both_maps():
    torch.manual_seed(0)
    layer = AttentionFusion(4, squeeze=1)
    first, second = torch.randn(2, 4, 4, 3, 2).requires_grad_().unbind()
    first.retain_grad()
    second.retain_grad()
    layer(first, second).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
    assert (first.grad != 0).any()
    assert (second.grad != 0).any()
