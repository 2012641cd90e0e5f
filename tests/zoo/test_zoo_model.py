"""A foreign model as a model of our engine."""

import copy

import pytest
import torch
from torch import nn
from zoo_parts import MODEL_CFG

from opengait_ext.config import ConfigError
from opengait_ext.engine.devices import DEVIATION, MEAN, Computation
from opengait_ext.upstream.zoo_model import streams_of


@pytest.fixture
def model(models):
    model = models["MiniGait"]()
    model.build_network(MODEL_CFG)
    model.init_parameters()
    return model


def inputs_of(n, frames=3, lengths=None, channels=1):
    shape = (n, frames) if lengths is None else (1, sum(lengths))
    clips = torch.rand(*shape, channels, 8, 6)
    lengths = None if lengths is None else torch.tensor([lengths], dtype=torch.int32)
    return [clips], torch.arange(n) % 4, ["rgb"] * n, [f"D{i}" for i in range(n)], lengths


def test_training_gives_keyword_arguments_of_losses_and_few_pictures(model):
    output = model.train()(inputs_of(4, frames=5))
    assert set(output["training_feat"]) == {"triplet", "softmax"}
    assert output["training_feat"]["softmax"]["logits"].shape == (4, 4, 2)
    assert output["visual_summary"]["image/sils"].shape == (8, 1, 8, 6)
    assert not output["visual_summary"]["image/sils"].requires_grad


def test_a_test_gives_embeddings_and_nothing_to_minimize(model):
    with torch.no_grad():
        output = model.eval()(inputs_of(4))
    assert output["training_feat"] == {}
    assert output["inference_feat"]["embeddings"].shape == (4, 6, 2)


@pytest.mark.parametrize("name", ["MiniGait", "OddGait"])
def test_a_tracklet_is_embedded_alike_alone_and_in_company(models, name):
    model = models[name]()
    model.build_network({**MODEL_CFG, "model": name})
    model.alone = name == "OddGait"  # it refuses more than one
    model.eval()
    lengths = [1, 4, 2]
    inputs = inputs_of(3, lengths=lengths)
    with torch.no_grad():
        together = model(inputs)["inference_feat"]["embeddings"]
        start = 0
        for place, length in enumerate(lengths):
            clip = [inputs[0][0][:, start : start + length]]
            pick = slice(place, place + 1)
            alone = model((clip, inputs[1][pick], inputs[2][pick], inputs[3][pick], None))
            torch.testing.assert_close(alone["inference_feat"]["embeddings"], together[pick])
            start += length


def test_a_model_that_refuses_company_is_given_tracklets_of_equal_length_one_by_one(models):
    model = models["OddGait"]()
    model.build_network(MODEL_CFG)
    model.eval()
    with pytest.raises(ValueError, match="one at a time"):
        model(inputs_of(2))
    model.alone = True
    assert model(inputs_of(2))["inference_feat"]["embeddings"].shape == (2, 6, 2)


def test_names_of_weights_are_those_of_the_foreign_model(model):
    assert {key.split(".")[0] for key in model.state_dict()} == {"Backbone", "Necks"}


def test_weights_are_drawn_once_and_as_opengait_does(models):
    torch.manual_seed(3)
    model = models["MiniGait"]()
    model.build_network(MODEL_CFG)
    before = copy.deepcopy(model.state_dict())
    model.init_parameters()  # the engine's call
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    # Glorot: uniform up to sqrt(6 / (fan_in + fan_out)), 9 = 3 x 3 taps.
    bound = (6 / (9 * 1 + 9 * 6)) ** 0.5
    weight = model.Backbone.conv.weight
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.8 * bound
    assert not model.Backbone.conv.bias.any()
    assert model.Necks.norm.weight.std() > 0
    assert (model.Necks.norm.weight - 1).abs().max() < 0.1


def test_the_config_of_the_run_is_not_changed_by_the_model(models):
    section = copy.deepcopy(MODEL_CFG)
    models["MiniGait"]().build_network(section)
    assert section == MODEL_CFG


def build(models, **changes):
    section = {key: value for key, value in {**MODEL_CFG, **changes}.items() if value is not None}
    models["MiniGait"]().build_network(section)


def test_a_key_that_the_model_does_not_read_is_an_error(models):
    with pytest.raises(ConfigError, match=r"unknown keys: thrid - .*it reads: Necks, backbone_cfg"):
        build(models, thrid=1)
    build(models, second=True)


def test_a_key_that_the_model_misses_is_named_with_its_place(models):
    with pytest.raises(ConfigError, match=r"model_cfg \(MiniGait\): missing key 'Necks'"):
        build(models, Necks=None)
    with pytest.raises(ConfigError, match=r"missing key 'backbone_cfg\.type'"):
        build(models, backbone_cfg={"width": 6})


def test_a_key_that_upstream_would_drop_is_an_error(models):
    with pytest.raises(ConfigError, match="unknown keys widht - Tiny accepts: width, in_channels"):
        build(models, backbone_cfg={"type": "Tiny", "width": 6, "widht": 1})


def test_a_key_that_a_layer_refuses_is_an_error_with_its_words(models):
    with pytest.raises(ConfigError, match=r"the model refuses it: TypeError: .*'depth'"):
        build(models, Necks={"width": 6, "class_num": 4, "depth": 1})


def test_silhouettes_are_given_without_a_channel():
    frames = torch.rand(2, 3, 1, 8, 6)
    (silhouettes,) = streams_of(frames, "")
    torch.testing.assert_close(silhouettes, frames[:, :, 0])


def test_maps_are_the_bytes_that_were_normalized():
    stored = torch.randint(0, 256, (2, 3, 3, 8, 6), dtype=torch.uint8)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    (maps,) = streams_of((stored / 255 - mean) / deviation, "maps")
    torch.testing.assert_close(maps, stored / 255, rtol=0, atol=0)


def test_the_ratio_of_a_frame_is_its_width_by_its_height():
    frames = torch.randn(2, 3, 3, 8, 6)
    images, ratios = streams_of(frames, "ratio")
    torch.testing.assert_close(images, frames)
    torch.testing.assert_close(ratios, torch.full((2, 3), 0.75))


def test_a_gradient_is_that_of_the_values_before_they_were_overwritten(models):
    class Blacking(nn.Module):
        def __init__(self, cfgs, training):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(2.0))

        def forward(self, inputs):
            maps = inputs[0][0] * self.weight
            loss = maps.square().sum()
            maps[0] = 0
            feat = {"embeddings": maps.flatten(2)}
            return {"training_feat": {"early": loss}, "inference_feat": feat}

    hosted = models["MiniGait"].__mro__[1]
    model = type("Blacking", (hosted, Blacking), {"overwrites": True})()
    Blacking.__init__(model, {}, True)
    clips = torch.tensor([[3.0], [1.0]])[..., None, None, None]
    model.train()(([clips], torch.tensor([0, 1]), [], [], None))["training_feat"][
        "early"
    ].backward()
    assert model.weight.grad == 2 * 2.0 * (9 + 1)


def test_five_dimensional_kernels_can_be_placed_on_a_device(models):
    model = models["MiniGait"]()
    model.build_network(MODEL_CFG)
    model.solid = nn.Conv3d(1, 2, 3)
    placed = Computation(torch.device("cpu")).place(model)
    assert placed.solid.weight.is_contiguous()
