import copy

import pytest
import torch
from torch import nn

from opengait_ext.layers.gaitbase import ResNet9Stages, TwoStreamGaitBase, start_as_opengait
from opengait_ext.vision import torchvision


def make(**changes):
    torch.manual_seed(0)
    sizes = {"channels": (8, 8, 16, 16), "bins": (1, 4), "part_channels": 6, **changes}
    return TwoStreamGaitBase(inputs=3, classes=5, **sizes)


def maps(frames=6):
    torch.manual_seed(1)
    return torch.randn(frames, 3, 16, 8), torch.randn(frames, 3, 16, 8)


@pytest.mark.slow
def test_the_stages_are_those_of_torchvision_with_a_last_stride_of_one():
    torch.manual_seed(0)
    whole = torchvision.models.resnet.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    stages = ResNet9Stages((64, 128, 256, 512)).eval()
    whole.layer4[0].conv1.stride = whole.layer4[0].downsample[0].stride = (1, 1)
    names = stages.state_dict()
    state = {name: value for name, value in whole.state_dict().items() if name in names}
    stages.load_state_dict(state)
    whole.eval()
    frames = torch.randn(2, 64, 8, 4)
    with torch.no_grad():
        expected = whole.layer4(whole.layer3(whole.layer2(frames)))
        assert torch.equal(stages(frames), expected)
    assert expected.shape == (2, 512, 2, 1)


def test_more_blocks_keep_the_size_of_the_map():
    stages = ResNet9Stages((4, 4, 8, 8), (2, 1, 3))
    assert [len(stage) for stage in stages] == [2, 1, 3]
    assert stages(torch.randn(2, 4, 8, 8)).shape == (2, 8, 2, 2)


def test_each_strip_has_the_matrix_and_the_classifier_of_its_own():
    network = make().eval()
    first, second = maps()
    seen = {}
    network.stages.register_forward_hook(lambda _m, _i, output: seen.update(maps=output))
    with torch.no_grad():
        found = network(first, second, [4, 2])
    assert found.embeddings.shape == (2, 6, 5)
    assert found.logits.shape == (2, 5, 5)
    pooled = torch.stack([part.amax(0) for part in seen["maps"].split([4, 2])])  # [n, 16, 4, 2]
    for tracklet in range(2):
        rows = [pooled[tracklet], *pooled[tracklet].split(1, dim=1)]
        for strip, pixels in enumerate(rows):
            vector = pixels.flatten(1).mean(1) + pixels.flatten(1).amax(1)  # [16]
            expected = vector @ network.linear.weight[strip]
            torch.testing.assert_close(found.embeddings[tracklet, :, strip], expected)
            unit = nn.functional.normalize(expected, dim=0)
            # The fresh normalization changes nothing but the length, which a cosine forgets.
            prototypes = nn.functional.normalize(network.neck.weight[strip], dim=0)
            torch.testing.assert_close(found.logits[tracklet, :, strip], unit @ prototypes)


def test_the_two_streams_have_stems_of_their_own_and_are_mixed():
    network = make().eval()
    first, second = maps()
    fused = network.fusion(network.gait_stem(first), network.appearance_stem(second))
    seen = []
    network.stages.register_forward_pre_hook(lambda _m, given: seen.append(given[0]))
    network(first, second, [3, 3])
    assert torch.equal(seen[0], fused)
    network(second, first, [3, 3])
    assert not torch.allclose(seen[1], fused)


def test_every_weight_is_trained():
    network = make()
    found = network(*maps(), [3, 3])
    (found.logits.square().sum() + found.embeddings.sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_one_tracklet_cannot_be_trained_on():
    with pytest.raises(ValueError, match="a batch of 1 tracklet in training"):
        make()(*maps(), [6])


def test_the_start_of_opengait_leaves_what_has_no_rule():
    network = nn.ModuleDict(
        {
            "conv": nn.Conv2d(16, 32, 3),
            "linear": nn.Linear(400, 200),
            "norm": nn.BatchNorm1d(5000),
            "plain": nn.BatchNorm1d(4, affine=False),
            "layer": nn.LayerNorm(4),
            "net": make(part_channels=64),
        }
    )
    layer = copy.deepcopy(network["layer"].state_dict())
    start_as_opengait(network)
    bounds = {
        network["conv"]: (6 / ((16 + 32) * 9)) ** 0.5,
        network["linear"]: (6 / (400 + 200)) ** 0.5,
        network["net"].linear: (6 / ((5 + 16) * 64)) ** 0.5,  # [5, 16, 64] as one array
        network["net"].neck: (6 / ((5 + 64) * 5)) ** 0.5,
    }
    for module, bound in bounds.items():
        assert 0.95 * bound < float(module.weight.detach().abs().max()) <= bound
    assert not network["conv"].bias.any()
    assert not network["linear"].bias.any()
    factors = network["norm"].weight.detach()
    assert abs(float(factors.mean()) - 1) < 0.002
    assert float(factors.std()) == pytest.approx(0.02, rel=0.1)
    assert not network["norm"].bias.any()
    for name, value in network["layer"].state_dict().items():
        assert torch.equal(value, layer[name])
