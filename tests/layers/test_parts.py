import math

import pytest
import torch

from opengait_ext.layers.parts import PartBNNeck, PartLinear


def test_part_linear_equals_one_matrix_product_a_part():
    torch.manual_seed(0)
    layer = PartLinear(3, 4, 2)
    x = torch.randn(5, 4, 3)
    expected = torch.stack([x[:, :, part] @ layer.weight[part] for part in range(3)], dim=2)
    torch.testing.assert_close(layer(x), expected)


def test_part_linear_starts_within_the_bound_of_each_matrix():
    weight = PartLinear(31, 64, 8).weight
    bound = math.sqrt(6 / (64 + 8))
    for matrix in weight:
        assert bound * 0.9 < matrix.abs().max() <= bound


def neck_and_input():
    torch.manual_seed(0)
    neck = PartBNNeck(3, 4, 5)
    torch.nn.init.normal_(neck.bn.weight)
    torch.nn.init.normal_(neck.bn.bias)
    return neck, torch.randn(6, 4, 3)


def test_part_bn_neck_equals_a_loop_over_channels_and_parts():
    neck, x = neck_and_input()
    normal = torch.zeros_like(x)
    for channel in range(4):
        for part in range(3):
            entry = x[:, channel, part]
            standard = (entry - entry.mean()) / (entry.var(correction=0) + 1e-5).sqrt()
            index = channel * 3 + part
            normal[:, channel, part] = standard * neck.bn.weight[index] + neck.bn.bias[index]
    logits = torch.zeros(6, 5, 3)
    for n in range(6):
        for part in range(3):
            for identity in range(5):
                logits[n, identity, part] = torch.cosine_similarity(
                    normal[n, :, part], neck.weight[part, :, identity], dim=0
                )
    features, cosines = neck(x)
    torch.testing.assert_close(features, normal / normal.norm(dim=1, keepdim=True))
    torch.testing.assert_close(cosines, logits)


def test_part_bn_neck_gives_a_gradient_to_every_parameter():
    neck, x = neck_and_input()
    neck(x)[1].square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in neck.parameters())


def test_part_bn_neck_takes_one_tracklet_in_eval_mode():
    neck, x = neck_and_input()
    neck.eval()
    whole, one = neck(x), neck(x[:1])
    torch.testing.assert_close(one[0], whole[0][:1])
    torch.testing.assert_close(one[1], whole[1][:1])


def test_part_bn_neck_says_why_it_cannot_train_on_one_tracklet():
    neck, x = neck_and_input()
    with pytest.raises(ValueError, match=r"a batch of 1 tracklet in training.*at least 2"):
        neck(x[:1])
