import copy
import random

import pytest
import torch
from torch import nn
from torch.nn import functional

from opengait_ext.layers.foreground import black_out
from opengait_ext.losses import LOSSES
from opengait_ext.models.dinogrl_released import DinoGRLReleased

SIZES = {
    "embed_dim": 16,
    "depth": 4,
    "num_heads": 2,
    "patch_size": 14,
    "input_size": [56, 28],
    "pretrain_grid": 4,
    "taps": [0, 1, 2, 3],
}
SMALL = {
    "num_identities": 3,
    "image_size": [32, 16],
    "dinov2": SIZES,
    "dinov2_weights": None,
    "backbone": "resnet18",
    "backbone_weights": None,
    "map_size": [8, 4],
    "bins": [1, 2],
    "part_channels": 8,
}
PARTS = 4  # 3 of the pyramid, 1 enhanced


def make(**changes):
    torch.manual_seed(0)
    model = DinoGRLReleased()
    model.build_network({"model": "DinoGRLReleased", **SMALL, **changes})
    model.init_parameters()
    for enhance in (*model.pbmge.gait, *model.pbmge.appearance):
        nn.init.normal_(enhance.positive_norm.weight)
        nn.init.normal_(enhance.negative_norm.weight)
    return model


@pytest.fixture(scope="module")
def built():
    return make()


@pytest.fixture
def model(built):
    return copy.deepcopy(built)


def batch(types=("rgb", "rgb", "ir", "ir"), frames=3, size=(32, 16)):
    torch.manual_seed(1)
    n = len(types)
    images = torch.randn(n, frames, 3, *size)
    return [images], torch.arange(n) % 3, list(types), ["D1-T1"] * n, None


def trained(model, inputs):
    random.seed(0)
    return model.train()(inputs)["training_feat"]


def embeddings(model, inputs):
    with torch.no_grad():
        return model.eval()(inputs)["inference_feat"]["embeddings"]


@pytest.mark.slow
def test_it_gives_what_its_losses_compare(model):
    inputs = batch()
    features = trained(model, inputs)
    assert list(features) == [
        "mask", "mask_smoothness", "gait_smoothness", "diversity",
        "gait_id", "gait_triplet", "appearance_id", "appearance_triplet",
    ]  # fmt: skip
    for stream in ("gait", "appearance"):
        assert features[f"{stream}_id"]["logits"].shape == (4, 3, PARTS)
        assert features[f"{stream}_triplet"]["embeddings"].shape == (4, 8, PARTS)
        assert features[f"{stream}_id"]["labels"] is inputs[1]
    assert features["mask"]["reconstruction"].shape == (12, 32, 16)
    assert features["mask"]["target"].shape == (12, 32, 16)
    assert features["mask_smoothness"]["maps"].shape == (12, 2, 8, 4)
    assert features["gait_smoothness"]["maps"].shape == (12, 15, 8, 4)
    assert features["diversity"]["maps"].shape == (12, 16, 8, 4)


@pytest.mark.slow
def test_the_mask_is_smoothed_in_the_order_of_the_memory(model):
    seen = []
    model.sasg.mask.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    maps = trained(model, batch())["mask_smoothness"]["maps"]
    chances = seen[0].softmax(-1)
    for frame in range(12):
        for pixel in range(32):
            for kind in range(2):
                half, place = divmod(2 * pixel + kind, 32)
                row, column = divmod(place, 4)
                assert maps[frame, half, row, column] == chances[frame, pixel, kind]


@pytest.mark.slow
def test_the_gait_map_is_smoothed_without_its_last_channel(model):
    features = trained(model, batch())
    whole, part = features["diversity"]["maps"], features["gait_smoothness"]["maps"]
    assert torch.equal(part, whole[:, :15])


@pytest.mark.slow
def test_parts_are_the_pyramid_and_then_the_enhanced_vectors(model):
    seen = {}
    for name in ("gait_parts", "appearance_parts", "pbmge"):
        module = model.get_submodule(name)
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.setdefault(name, output)
        )
    found = embeddings(model, batch())
    assert found.shape == (4, 8, 2 * PARTS)
    for half, name in enumerate(("gait_parts", "appearance_parts")):
        parts = found[:, :, half * PARTS : (half + 1) * PARTS]
        assert torch.equal(parts[:, :, :3], seen[name])
        assert torch.equal(parts[:, :, 3], seen["pbmge"][half][:, :, 1])
        assert not torch.allclose(parts[:, :, 3], parts[:, :, 0])


@pytest.mark.slow
def test_a_fifth_of_the_tracklets_lose_a_map_in_training_alone(model):
    inputs = batch(("rgb", "ir") * 4, frames=2)
    seen = {}
    for name in ("gait_stem", "appearance_stem"):
        model.sasg.get_submodule(name).register_forward_hook(
            lambda _module, given, _output, name=name: seen.update({name: given[0]})
        )
    made = []
    model.sasg.register_forward_hook(lambda _module, _inputs, output: made.append(output))
    trained(model, inputs)
    random.seed(0)
    expected = black_out(made[0].gait, made[0].appearance, [2] * 8, 0.2)
    assert torch.equal(seen["gait_stem"], expected[0])
    assert torch.equal(seen["appearance_stem"], expected[1])
    assert not all(map(torch.equal, expected, made[0][:2]))
    embeddings(model, inputs)
    assert torch.equal(seen["gait_stem"], made[1].gait)
    assert torch.equal(seen["appearance_stem"], made[1].appearance)


@pytest.mark.slow
def test_a_map_that_is_blacked_out_still_counts_in_its_own_losses(model):
    torch.manual_seed(0)
    made = []
    model.sasg.register_forward_hook(lambda _module, _inputs, output: made.append(output))
    model.blackout = 1.0
    features = trained(model, batch())
    assert torch.equal(features["diversity"]["maps"], made[0].gait)


def test_the_published_start_of_the_part_layers(built):
    for layer in (built.gait_parts.linear, built.necks["gait"]):
        parts, rows, columns = layer.weight.shape
        bound = (6 / ((parts + rows) * columns)) ** 0.5
        assert bound * 0.9 < float(layer.weight.detach().abs().max()) <= bound


@pytest.mark.slow
@pytest.mark.parametrize("size", [[32, 32], [64, 16], [48, 48]])
def test_frames_of_another_shape_are_brought_to_that_of_the_maps_for_the_transformer(size):
    model = make(image_size=size, bins=[1])
    seen = []
    model.dinov2.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    inputs = batch(size=size)
    assert embeddings(model, inputs).shape == (4, 8, 2)
    frames = inputs[0][0].flatten(0, 1)
    expected = functional.interpolate(frames, (32, 16), mode="bilinear")
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.slow
def test_frames_of_the_maps_shape_go_to_the_transformer_as_they_are():
    model = make(image_size=[64, 32])
    seen = []
    model.dinov2.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    inputs = batch(size=(64, 32))
    embeddings(model, inputs)
    assert torch.equal(seen[0], inputs[0][0].flatten(0, 1))


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_one_tracklet_of_any_number_of_frames_is_embedded(model, frames):
    assert embeddings(model, batch(("ir",), frames)).shape == (1, 8, 2 * PARTS)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_training_step_is_finite_in_every_precision(model, dtype):
    with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        features = trained(model, batch())
    losses = {
        "mask": "MaskLoss",
        "mask_smoothness": "SmoothnessLoss",
        "gait_smoothness": "SmoothnessLoss",
        "diversity": "DiversityLoss",
        "gait_id": "CrossEntropyLoss",
        "gait_triplet": "TripletLoss",
        "appearance_id": "CrossEntropyLoss",
        "appearance_triplet": "TripletLoss",
    }
    total = sum(LOSSES[kind]()(**features[key])[0] for key, kind in losses.items())
    total.backward()
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(parameter.grad.isfinite().all() for parameter in asking)
    with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        assert embeddings(model, batch()).isfinite().all()


@pytest.mark.slow
def test_no_identity_loss_reaches_the_mask_branch_and_no_other_the_appearance_map(model):
    features = trained(model, batch())
    for names, reached in (
        (("gait_id", "gait_triplet", "appearance_id"), {"gait_prior", "appearance_prior"}),
        (("mask", "mask_smoothness"), {"mask"}),
        (("gait_smoothness", "diversity"), {"gait_prior"}),
    ):
        model.zero_grad()
        outputs = [
            value.square().sum()
            for name in names
            for value in features[name].values()
            if value.requires_grad
        ]
        sum(outputs).backward(retain_graph=True)
        found = {
            name
            for name in ("mask", "gait_prior", "appearance_prior")
            if any(
                parameter.grad is not None and parameter.grad.any()
                for parameter in model.sasg.get_submodule(name).parameters()
            )
        }
        assert found == reached


@pytest.mark.slow
def test_pbmge_has_one_set_of_weights_a_stream_and_counts_every_strip(model):
    trained(model, batch())
    assert len(model.pbmge.gait) == len(model.pbmge.appearance) == 1
    assert int(model.pbmge.gait[0].positive_norm.num_batches_tracked) == 2


@pytest.mark.slow
def test_dinov2_is_never_trained(model):
    trained(model, batch())
    assert not model.dinov2.training
    assert not any(parameter.requires_grad for parameter in model.dinov2.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": [40, 16]}, r"image_size \[40, 16\]: expected .*multiples of 16"),
        ({"map_size": [8]}, r"map_size \[8\]: expected height and width .*multiples of 4"),
        ({"bins": [1, 3]}, r"image_size \[32, 16\] makes a feature map of 2 pixels, .* \[3\]"),
        ({"map_size": [12, 4], "bins": [1, 2]}, r"map_size \[12, 4\] makes .* 3 pixels"),
        ({"bins": [2]}, "expected 1, the global part"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        make(**changes)


@pytest.mark.slow
def test_one_tracklet_cannot_be_trained_on(model):
    with pytest.raises(ValueError, match="a batch of 1 tracklet in training"):
        trained(model, batch(("rgb",)))
