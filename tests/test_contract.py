"""What a host may expect of every model."""

import copy
from pathlib import Path

import pytest
import torch
import yaml

from opengait_ext.config import build, load_config
from opengait_ext.losses import LOSSES
from opengait_ext.models import MODELS

TESTS = Path(__file__).parent
CONFIGS = TESTS.parent / "configs"
TINY = TESTS / "models" / "tiny"


def config_of(name):
    """The first shipped config of a model on SynthVVI, in the sizes of its file in TINY."""
    found = (load_config(path) for path in sorted(CONFIGS.glob("*_synth.yaml")))
    config = next(each for each in found if each["model_cfg"]["model"] == name)
    config["model_cfg"] |= yaml.safe_load((TINY / f"{name}.yaml").read_text())
    return config


def test_every_model_has_a_config_and_sizes_to_be_tried_with():
    assert set(MODELS) == {path.stem for path in TINY.glob("*.yaml")}
    for name in MODELS:
        assert config_of(name)["model_cfg"]["model"] == name


@pytest.fixture(scope="module", params=sorted(MODELS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def config(name):
    config = config_of(name)
    config["model_cfg"]["num_identities"] = 3
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
