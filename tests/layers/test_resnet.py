import copy

import pytest
import torch
from meeting import Meeting
from torch import nn

from opengait_ext.errors import UserError
from opengait_ext.layers.resnet import ResNetStages, TwoStreamResNet, resnet_stem
from opengait_ext.layers.synchronized import share_batches
from opengait_ext.vision import torchvision

INFRARED = torch.tensor([False, True, True, False, True])


def frames():
    torch.manual_seed(1)
    return torch.randn(5, 3, 32, 16)


def network(**changes):
    torch.manual_seed(0)
    return TwoStreamResNet(**{"name": "resnet18", **changes})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_stem_and_stages_with_the_original_stride_are_torchvisions_network(name):
    torch.manual_seed(0)
    whole = getattr(torchvision.models, name)(weights=None).eval()
    stem, stages = resnet_stem().eval(), ResNetStages(name, last_stride=2).eval()
    stem.load_state_dict(whole.state_dict(), strict=False)
    stages.load_state_dict({k: v for k, v in whole.state_dict().items() if k.startswith("layer")})
    with torch.no_grad():
        maps = stages(stem(frames()))
        expected = whole(frames())
        torch.testing.assert_close(whole.fc(maps.mean((2, 3))), expected)
    assert maps.shape[1] == stages.channels == whole.fc.in_features


@pytest.mark.slow
def test_a_last_stride_of_one_keeps_a_sixteenth_of_the_frame():
    assert network()(frames(), INFRARED).shape == (5, 512, 2, 1)
    assert network(last_stride=2)(torch.zeros(2, 3, 64, 32), INFRARED[:2]).shape == (2, 512, 2, 1)
    stages = ResNetStages("resnet50")
    assert stages.layer4[0].conv2.stride == stages.layer4[0].downsample[0].stride == (1, 1)


def test_a_stem_without_its_relu_takes_the_maximum_of_negative_values_too():
    torch.manual_seed(0)
    assert (resnet_stem(relu=False)(frames()) < 0).any()
    assert not (resnet_stem()(frames()) < 0).any()


@pytest.mark.slow
def test_non_local_blocks_follow_the_last_blocks_of_their_stage():
    torch.manual_seed(0)
    stages = ResNetStages("resnet18", non_local=[0, 1, 2, 0])
    order = []
    for name, module in stages.named_modules():
        if name.count(".") == 1:
            module.register_forward_hook(lambda _m, _i, _o, name=name: order.append(name))
    stages(torch.randn(1, 64, 8, 4))
    assert order == [
        *("layer1.0", "layer1.1", "layer2.0", "layer2.1", "non_local.0"),
        *("layer3.0", "non_local.1", "layer3.1", "non_local.2", "layer4.0", "layer4.1"),
    ]


@pytest.mark.slow
def test_the_two_stream_network_keeps_the_order_of_the_frames():
    net = network().eval()
    whole = net(frames(), INFRARED)
    for number in range(5):
        one = net(frames()[number : number + 1], INFRARED[number : number + 1])
        torch.testing.assert_close(whole[number : number + 1], one)


@pytest.mark.slow
def test_each_modality_has_a_stem_and_both_share_the_stages():
    net = network().eval()
    stages = list(net.stages.parameters())
    for infrared, used, unused in (
        (False, net.visible_stem, net.infrared_stem),
        (True, net.infrared_stem, net.visible_stem),
    ):
        net.zero_grad()
        net(frames(), torch.full((5,), infrared)).sum().backward()
        assert all(parameter.grad.any() for parameter in [*used.parameters(), *stages])
        assert all(parameter.grad is None for parameter in unused.parameters())
    one = frames()[:1]
    assert not torch.equal(net(one, INFRARED[:1]), net(one, INFRARED[1:2]))


@pytest.mark.slow
def test_training_normalizes_stems_by_modality_and_stages_together():
    net, stems = network(), network()
    seen = []
    net.stages.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    net(frames(), INFRARED)
    (maps,) = seen  # one call for all frames
    torch.testing.assert_close(maps[~INFRARED], stems.visible_stem(frames()[~INFRARED]))
    torch.testing.assert_close(maps[INFRARED], stems.infrared_stem(frames()[INFRARED]))


@pytest.mark.slow
def test_training_works_on_a_batch_of_one_modality():
    net = network()
    assert net(frames(), torch.zeros(5, dtype=torch.bool)).isfinite().all()
    assert net.visible_stem.bn1.num_batches_tracked == 1
    assert net.infrared_stem.bn1.num_batches_tracked == 0


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["visible", "infrared"])
def test_a_network_of_one_modality_is_the_part_of_the_other_that_its_frames_go_through(modality):
    both, one = network().eval(), network(modalities=[modality]).eval()
    other = {"visible": "infrared", "infrared": "visible"}[modality]
    state = {k: v for k, v in both.state_dict().items() if not k.startswith(f"{other}_stem.")}
    one.load_state_dict(state)
    here = torch.full((5,), modality == "infrared")
    assert torch.equal(one(frames(), here), both(frames(), here))
    one.train()(frames(), here).sum().backward()
    assert all(parameter.grad is not None for parameter in one.parameters())


@pytest.mark.slow
def test_frames_of_a_modality_without_a_stem_are_refused():
    net = network(modalities=["visible"])
    with pytest.raises(ValueError, match=r"3 infrared frames, .*\['visible'\] .*modalities"):
        net(frames(), INFRARED)
    with pytest.raises(ValueError, match="2 visible frames"):
        network(modalities=["infrared"])(frames(), INFRARED)


@pytest.mark.parametrize("modalities", [[], ["thermal"]])
def test_modalities_that_do_not_exist_are_refused(modalities):
    with pytest.raises(ValueError, match=r"expected some of \['visible', 'infrared'\]"):
        network(modalities=modalities)


def test_an_unknown_backbone_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'resnet101': expected one of resnet18, resnet34"):
        ResNetStages("resnet101")


@pytest.mark.parametrize("non_local", [[0, 3, 0, 0], [0, 1, 1], [-1, 0, 0, 0]])
def test_non_local_blocks_that_a_stage_cannot_hold_are_refused(non_local):
    with pytest.raises(ValueError, match=r"expected four numbers.*\[2, 2, 2, 2\]"):
        ResNetStages("resnet18", non_local=non_local)


def saved_network(path, seed=7):
    torch.manual_seed(seed)
    whole = torchvision.models.resnet18(weights=None)
    torch.save(whole.state_dict(), path)
    return whole.eval()


def assert_holds(net, whole):
    """Both stems and the stages compute what the torchvision network computes."""
    with torch.no_grad():
        for infrared in (False, True):
            maps = net.eval()(frames(), torch.full((5,), infrared))
            torch.testing.assert_close(whole.fc(maps.mean((2, 3))), whole(frames()))


@pytest.mark.slow
def test_pretrained_weights_of_a_file_reach_both_stems_and_the_stages(tmp_path):
    whole = saved_network(tmp_path / "resnet18.pth")
    net = network(last_stride=2, non_local=[0, 1, 0, 0])
    net.load_pretrained(str(tmp_path / "resnet18.pth"), "model_cfg.backbone_weights")
    assert_holds(net, whole)
    assert not torch.equal(net.visible_stem.conv1.weight, network().visible_stem.conv1.weight)
    visible = network(last_stride=2, modalities=["visible"])
    visible.load_pretrained(str(tmp_path / "resnet18.pth"), "model_cfg.backbone_weights")
    assert torch.equal(visible.visible_stem.conv1.weight, whole.conv1.weight)
    alone = ResNetStages("resnet18", last_stride=2)
    alone.load_pretrained(str(tmp_path / "resnet18.pth"), "model_cfg.backbone_weights")
    assert torch.equal(alone.layer4[1].conv2.weight, whole.layer4[1].conv2.weight)


@pytest.mark.slow
def test_stems_that_were_loaded_from_one_file_are_still_two(tmp_path):
    saved_network(tmp_path / "resnet18.pth")
    net = network()
    net.load_pretrained(str(tmp_path / "resnet18.pth"), "model_cfg.backbone_weights")
    visible, infrared = net.visible_stem.conv1.weight, net.infrared_stem.conv1.weight
    assert torch.equal(visible, infrared)
    assert visible.data_ptr() != infrared.data_ptr()


@pytest.mark.slow
def test_imagenet_weights_are_taken_from_the_cache_of_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    whole = saved_network(folder / url.split("/")[-1])
    net = network(last_stride=2)
    net.load_pretrained("imagenet", "model_cfg.backbone_weights")
    assert_holds(net, whole)


@pytest.mark.slow
def test_imagenet_weights_that_cannot_be_had_are_named_with_their_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        UserError, match=r"backbone_weights: .* of resnet18 could not be loaded"
    ) as e:
        network().load_pretrained("imagenet", "model_cfg.backbone_weights")
    assert "https://download.pytorch.org/models/resnet18-" in str(e.value)
    assert str(tmp_path / "hub" / "checkpoints") in str(e.value)


@pytest.mark.slow
def test_no_weights_leave_the_random_start():
    net = network()
    net.load_pretrained(None, "model_cfg.backbone_weights")
    net.stages.load_pretrained(None, "model_cfg.backbone_weights")
    for name, value in network().state_dict().items():
        assert torch.equal(net.state_dict()[name], value)


@pytest.mark.slow
def test_weights_of_another_depth_are_refused(tmp_path):
    saved_network(tmp_path / "resnet18.pth")
    with pytest.raises(UserError, match=r"(?s)backbone_weights: .*does not fit.*layer1.2.conv1"):
        network(name="resnet34").load_pretrained(
            str(tmp_path / "resnet18.pth"), "model_cfg.backbone_weights"
        )


@pytest.mark.slow
def test_a_missing_file_of_weights_says_what_else_may_be_given():
    with pytest.raises(UserError, match="no file at nowhere.pth .*Give 'imagenet'"):
        network().load_pretrained("nowhere.pth", "model_cfg.backbone_weights")


@pytest.mark.slow
def test_a_process_without_a_modality_still_takes_part_in_its_statistics():
    torch.manual_seed(0)
    whole = nn.Module()
    whole.stem = TwoStreamResNet("resnet18")
    whole.stem.stages = nn.Identity()  # the stems are what is tested
    whole = whole.double()
    images = torch.randn(5, 3, 32, 16).double()
    infrared = torch.tensor([False, False, True, True, True])
    shares = ((0, 2), (2, 5))  # one modality each

    def work(member):
        own = share_batches(copy.deepcopy(whole), member, norms=True)
        first, end = shares[member.rank]
        maps = own.stem(images[first:end], infrared[first:end])
        (maps.square().sum()).backward()
        return maps.detach(), own.state_dict(), [p.grad for p in own.parameters()]

    found = Meeting(2).run(work)
    expected = whole.stem(images, infrared)
    expected.square().sum().backward()
    torch.testing.assert_close(torch.cat([maps for maps, *_ in found]), expected)
    for name, value in whole.state_dict().items():
        for _, state, _ in found:
            torch.testing.assert_close(state[name], value, msg=name)
    for place, parameter in enumerate(whole.parameters()):
        gradients = [gradient[place] for *_, gradient in found]
        torch.testing.assert_close(sum(gradients), parameter.grad)
