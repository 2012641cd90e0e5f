"""What a host may expect of every model."""

import copy
from pathlib import Path

import pytest
import torch

from opengait_ext.config import build, load_config
from opengait_ext.losses import LOSSES
from opengait_ext.models import MODELS

CONFIGS = Path(__file__).parent.parent / "configs"
CONFIG_OF = {
    "AGW": "agw_synth.yaml",
    "BigGait": "biggait_synth.yaml",
    "DinoGRL": "dinogrl_synth.yaml",
    "DinoGRLReleased": "dinogrl_released_synth.yaml",
}
SMALL = {
    "DinoGRL": {
        "image_size": [64, 32],
        "dinov2": {
            "embed_dim": 16,
            "depth": 4,
            "num_heads": 2,
            "patch_size": 14,
            "input_size": [112, 56],
            "pretrain_grid": 4,
            "taps": [0, 1, 2, 3],
        },
        "dinov2_weights": None,
        "mask_weights": None,
        "bins": [1, 2, 4],
        "part_channels": 8,
    },
    "AGW": {"image_size": [64, 32]},
}
SMALL["DinoGRLReleased"] = {**SMALL["DinoGRL"], "map_size": [16, 8]}
SMALL["BigGait"] = {**SMALL["DinoGRLReleased"], "bins": [1, 4]}


def test_every_model_has_a_config_to_be_tried_with():
    assert set(CONFIG_OF) == set(MODELS) == set(SMALL)


@pytest.fixture(scope="module", params=sorted(CONFIG_OF))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def config(name):
    config = load_config(CONFIGS / CONFIG_OF[name])
    config["model_cfg"] |= {"num_identities": 3, **SMALL[name]}
    return config


@pytest.fixture(scope="module")
def model(config):
    torch.manual_seed(0)
    model = MODELS[config["model_cfg"]["model"]]()
    model.build_network(config["model_cfg"])
    model.init_parameters()
    return model


def batch(types, frames=2, lengths=None, size=(64, 32)):
    n = len(types)
    if lengths is None:
        images = torch.randn(n, frames, 3, *size)
    else:
        images = torch.randn(1, sum(lengths), 3, *size)
        lengths = torch.tensor([lengths], dtype=torch.int32)
    views = [f"D{place}-T{place}" for place in range(n)]
    return [images], torch.arange(n) // 2 % 3, list(types), views, lengths


@pytest.mark.slow
def test_training_feat_names_losses_of_the_config_or_scalars(model, config):
    output = model.train()(batch(["rgb", "ir"] * 3))
    prefixes = {section["log_prefix"] for section in config["loss_cfg"]}
    assert prefixes <= set(output["training_feat"])
    for key, value in output["training_feat"].items():
        assert key in prefixes or (torch.is_tensor(value) and value.ndim == 0)


@pytest.mark.slow
def test_a_gradient_reaches_every_parameter_that_asks_for_one(model, config):
    model = copy.deepcopy(model).train()
    for parameter in model.parameters():  # zero weights would hide what is behind them
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    features = model(batch(["rgb", "ir"] * 3))["training_feat"]
    total = 0.0
    for section in config["loss_cfg"]:
        settings = {key: value for key, value in section.items() if key != "log_prefix"}
        loss = build(LOSSES, settings, where="loss_cfg")
        total = total + loss(**features[section["log_prefix"]])[0]
    total.backward()
    asking = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert asking
    assert [key for key, value in asking.items() if value.grad is None] == []
    assert all(value.grad.isfinite().all() for value in asking.values())


@pytest.mark.slow
def test_embeddings_are_tracklets_by_channels_by_parts(model):
    with torch.no_grad():
        output = model.eval()(batch(["rgb", "ir", "ir"]))
    embeddings = output["inference_feat"]["embeddings"]
    assert embeddings.ndim == 3
    assert embeddings.shape[0] == 3
    assert output["training_feat"] == {}


@pytest.mark.slow
def test_a_tracklet_is_embedded_alike_alone_and_in_company(model):
    inputs = batch(["rgb", "ir", "rgb"])
    model.eval()
    with torch.no_grad():
        together = model(inputs)["inference_feat"]["embeddings"]
        for place in range(3):
            pick = slice(place, place + 1)
            alone = ([inputs[0][0][pick]], inputs[1][pick], inputs[2][pick], inputs[3][pick], None)
            torch.testing.assert_close(
                model(alone)["inference_feat"]["embeddings"],
                together[pick],
                rtol=1e-4,
                atol=1e-5,
            )


@pytest.mark.slow
def test_tracklets_of_unequal_length_share_a_batch(model):
    inputs = batch(["rgb", "ir", "ir"], lengths=[1, 3, 2])
    model.eval()
    with torch.no_grad():
        together = model(inputs)["inference_feat"]["embeddings"]
        start = 0
        for place, length in enumerate((1, 3, 2)):
            frames = inputs[0][0][:, start : start + length]
            pick = slice(place, place + 1)
            alone = model(([frames], inputs[1][pick], inputs[2][pick], inputs[3][pick], None))
            torch.testing.assert_close(
                alone["inference_feat"]["embeddings"], together[pick], rtol=1e-4, atol=1e-5
            )
            start += length


@pytest.mark.slow
def test_pictures_are_between_0_and_1_and_few(model):
    with torch.no_grad():
        pictures = model.eval()(batch(["rgb", "ir"] * 6))["visual_summary"]
    images = {key: value for key, value in pictures.items() if key.startswith("image/")}
    assert "image/input" in images
    for image in images.values():
        assert image.ndim == 4
        assert len(image) <= 16
        assert image.min() >= 0
        assert image.max() <= 1


@pytest.mark.slow
def test_a_state_dict_survives_a_round_trip(model, config):
    other = MODELS[config["model_cfg"]["model"]]()
    other.build_network(config["model_cfg"])
    other.load_state_dict(model.state_dict())
    inputs = batch(["rgb", "ir"])
    with torch.no_grad():
        torch.testing.assert_close(
            other.eval()(inputs)["inference_feat"], model.eval()(inputs)["inference_feat"]
        )


def test_frozen_parts_stay_in_eval_mode_and_out_of_training(model):
    for module in model.train().modules():
        frozen = [parameter for parameter in module.parameters() if not parameter.requires_grad]
        if frozen and len(frozen) == len(list(module.parameters())):
            assert not module.training
