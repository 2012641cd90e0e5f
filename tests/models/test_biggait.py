import copy
import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from opengait_ext.config import build, load_config
from opengait_ext.errors import UserError
from opengait_ext.layers.foreground import black_out
from opengait_ext.losses import LOSSES
from opengait_ext.models.biggait import BigGait

CONFIG = Path(__file__).parents[2] / "configs" / "biggait_ccpg.yaml"
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
    "map_size": [8, 4],
    "channels": [8, 8, 16, 16],
    "bins": [1, 2],
    "part_channels": 8,
}


def make(**changes):
    torch.manual_seed(0)
    model = BigGait()
    model.build_network({"model": "BigGait", **SMALL, **changes})
    model.init_parameters()
    return model


@pytest.fixture(scope="module")
def built():
    return make()


@pytest.fixture
def model(built):
    return copy.deepcopy(built)


def batch(n=4, frames=3, size=(32, 16), ratios=None):
    torch.manual_seed(1)
    images = torch.randn(n, frames, 3, *size)
    given = [images] if ratios is None else [images, torch.as_tensor(ratios)]
    return given, torch.arange(n) % 3, ["rgb", "ir"] * (n // 2) + ["rgb"] * (n % 2), ["v"] * n, None


def trained(model, inputs, iteration=0):
    model.iteration = iteration
    random.seed(0)
    return model.train()(inputs)["training_feat"]


def embeddings(model, inputs):
    with torch.no_grad():
        return model.eval()(inputs)["inference_feat"]["embeddings"]


def test_it_gives_what_its_losses_compare(model):
    inputs = batch()
    features = trained(model, inputs)
    shapes = {
        key: {name: tuple(value.shape) for name, value in part.items() if name != "labels"}
        for key, part in features.items()
    }
    assert shapes == {
        "shape_connect": {"maps": (12, 2, 8, 4)},
        "shape_mse": {"reconstruction": (12 * 32, 16), "target": (12 * 32, 16)},
        "part_connect": {"maps": (12, 15, 8, 4)},
        "part_diversity": {"maps": (12, 16, 8, 4)},
        "triplet": {"embeddings": (4, 8, 3)},
        "softmax": {"logits": (4, 3, 3)},
    }
    assert features["triplet"]["labels"] is features["softmax"]["labels"] is inputs[1]
    whole, part = features["part_diversity"]["maps"], features["part_connect"]["maps"]
    assert torch.equal(part, whole[:, :15])


def test_the_embeddings_compared_are_those_of_the_triplet_loss(model):
    model.eval()
    found = embeddings(model, batch())
    assert found.shape == (4, 8, 3)
    seen = []
    model.gait_net.neck.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    torch.testing.assert_close(embeddings(model, batch()), found)
    assert torch.equal(seen[0], found)


def test_a_modality_makes_no_difference(model):
    inputs = batch()
    others = (*inputs[:2], ["rgb"] * 4, *inputs[3:])
    assert torch.equal(embeddings(model, inputs), embeddings(model, others))


def test_a_fifth_of_the_tracklets_lose_a_map_in_training_alone(model):
    inputs = batch(8, 2)
    given, made = [], []
    model.gait_net.register_forward_pre_hook(lambda _module, maps: given.append(maps))
    model.branches.register_forward_hook(lambda _module, _inputs, output: made.append(output))
    trained(model, inputs)
    random.seed(0)
    expected = black_out(made[0].gait, made[0].appearance, [2] * 8, 0.2)
    assert all(map(torch.equal, given[0][:2], expected))
    assert not all(map(torch.equal, expected, made[0][:2]))
    embeddings(model, inputs)
    assert all(map(torch.equal, given[1][:2], made[1][:2]))


def mask_file(path, model, change=1.0):
    state = {name: value + change for name, value in model.branches.mask.state_dict().items()}
    torch.save(state, path)
    return state


def test_the_mask_branch_learns_then_takes_its_weights_and_rests(built, tmp_path):
    state = mask_file(tmp_path / "mask.pt", built)
    model = make(mask_weights=str(tmp_path / "mask.pt"), mask_iterations=3)
    start = copy.deepcopy(model.branches.mask.state_dict())
    features = trained(model, batch(), iteration=2)
    features["shape_mse"]["reconstruction"].sum().backward()
    assert model.branches.mask.encoder.weight.grad is not None
    assert torch.equal(model.branches.mask.decoder.bias, start["decoder.bias"])
    assert not torch.equal(model.branches.mask.norm.running_mean, start["norm.running_mean"])
    for iteration in (3, 4):
        features = trained(model, batch(), iteration)
        assert not features["shape_mse"]["reconstruction"].requires_grad
        assert features["softmax"]["logits"].requires_grad
        for name, value in model.branches.mask.state_dict().items():
            assert torch.equal(value, state[name])
    assert not model.branches.dropout.training


def test_the_weights_of_the_mask_branch_come_at_one_iteration_only(built, tmp_path):
    mask_file(tmp_path / "mask.pt", built)
    model = make(mask_weights=str(tmp_path / "mask.pt"), mask_iterations=3)
    before = copy.deepcopy(model.branches.mask.state_dict())
    embeddings(model, batch())
    model.iteration = 3
    embeddings(model, batch())  # a test takes what it has
    trained(model, batch(), iteration=4)  # so does a training that goes on later
    for name, value in model.branches.mask.state_dict().items():
        assert torch.equal(value, before[name])


def test_without_weights_the_mask_branch_rests_as_it_has_learned(model):
    model.mask_iterations = 0
    before = copy.deepcopy(model.branches.mask.state_dict())
    trained(model, batch())
    for name, value in model.branches.mask.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(parameter.requires_grad for parameter in model.branches.mask.parameters())


def test_weights_of_the_mask_branch_that_do_not_fit_are_refused_before_the_training(tmp_path):
    with pytest.raises(UserError, match=r"model_cfg\.mask_weights: no file at lost\.pt"):
        make(mask_weights="lost.pt")
    torch.save({"encoder.weight": torch.zeros(2, 16)}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="does not fit MaskBranch"):
        make(mask_weights=str(tmp_path / "other.pt"))


def test_before_the_training_the_mask_branch_stays_random(built, tmp_path):
    state = mask_file(tmp_path / "mask.pt", built)
    model = make(mask_weights=str(tmp_path / "mask.pt"))
    assert not torch.equal(model.branches.mask.encoder.weight, state["encoder.weight"])


def test_padding_is_background_and_unknown_to_the_mask_branch(model):
    ratios = torch.tensor([[0.25], [0.5], [1.0]])  # a half, all, and twice the width
    seen = []
    model.branches.mask.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    made = []
    model.branches.register_forward_hook(lambda _module, _inputs, output: made.append(output))
    features = trained(model, batch(3, 1, ratios=ratios))
    assert seen[0].shape == (1, 16 + 32 + 32, 16)
    assert features["shape_mse"]["target"].shape == (80, 16)
    chances = made[0].probabilities.view(3, 8, 4, 2)
    assert not chances[0][:, [0, 3]].any()
    shown = torch.cat([chances[0][:, 1:3].flatten(), chances[1:].flatten()])
    torch.testing.assert_close(shown.view(-1, 2).sum(1), torch.ones(80))


def test_black_sides_are_padding_where_that_is_said(model):
    widths = (8, 6, 16, 16)
    inputs = batch(4, 1)
    frames = inputs[0][0]
    black = -torch.tensor([0.485, 0.456, 0.406]) / torch.tensor([0.229, 0.224, 0.225])
    for number, width in enumerate(widths):
        left = (16 - width) // 2
        for column in (*range(left), *range(left + width, 16)):
            frames[number, 0, :, :, column] = black[:, None]
    frames[1, 0, :, :, 7] = black[:, None]  # within the picture
    frames[3] = black[:, None, None]  # nothing but black
    ratios = torch.tensor(widths)[:, None] / 32
    expected = embeddings(model, ([frames, ratios], *inputs[1:]))
    plain = embeddings(model, inputs)
    model.padding = "black"
    assert torch.equal(embeddings(model, inputs), expected)
    assert not torch.allclose(plain[:2], expected[:2])


def test_frames_of_another_shape_keep_their_ratio_if_it_is_known():
    model = make(image_size=[20, 20])
    seen = []
    model.dinov2.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    frames = batch(3, 1, (20, 20))[0][0].flatten(0, 1)
    embeddings(model, batch(3, 1, (20, 20)))
    expected = functional.interpolate(frames, (32, 16), mode="bilinear")
    torch.testing.assert_close(seen[0], expected)

    embeddings(model, batch(3, 1, (20, 20), ratios=torch.tensor([[0.25], [0.5], [1.0]])))
    narrow = functional.interpolate(frames[:1], (32, 8), mode="bilinear")
    torch.testing.assert_close(seen[1][:1], functional.pad(narrow, (4, 4)))
    torch.testing.assert_close(seen[1][1:2], expected[1:2])
    wide = functional.interpolate(frames[2:], (32, 32), mode="bilinear")
    torch.testing.assert_close(seen[1][2:], wide[..., 8:24])


def test_ratios_come_in_the_form_of_the_frames(model):
    ratios = torch.tensor([[0.5, 0.3, 0.4]])
    images = batch(1, 3)[0][0]
    lengths = torch.tensor([[2, 1]], dtype=torch.int32)
    inputs = ([images, ratios], torch.tensor([0, 1]), ["rgb"] * 2, ["v"] * 2, lengths)
    found = embeddings(model, inputs)
    alone = ([images[:, 2:], ratios[:, 2:]], torch.tensor([1]), ["rgb"], ["v"], None)
    torch.testing.assert_close(embeddings(model, alone), found[1:], rtol=1e-4, atol=1e-5)
    inputs[0][1] = ratios[:, :2]
    with pytest.raises(ValueError, match="2 ratios of width to height for 3 frames"):
        model(inputs)


def test_it_starts_with_opengaits_spread(model):
    """Xavier's rule, for the strips read as one array; factors of normalizations around one."""
    for layer in (model.gait_net.linear, model.gait_net.neck):
        parts, rows, columns = layer.weight.shape
        bound = (6 / ((parts + rows) * columns)) ** 0.5
        assert bound * 0.9 < float(layer.weight.detach().abs().max()) <= bound
    convolution = model.gait_net.stages.layer3[0].conv1.weight  # [16, 8, 3, 3]
    bound = (6 / ((16 + 8) * 9)) ** 0.5
    assert bound * 0.95 < float(convolution.detach().abs().max()) <= bound
    factors = torch.cat(
        [m.weight.data for m in model.gait_net.modules() if isinstance(m, nn.BatchNorm2d)]
    )
    assert 0.01 < float(factors.std()) < 0.03
    assert not model.branches.mask.encoder.bias.any()


def test_the_identity_losses_do_not_reach_the_mask_branch(model):
    features = trained(model, batch())
    features["triplet"]["embeddings"].square().sum().backward()
    assert all(p.grad is None for p in model.branches.mask.parameters())
    for name in ("branches.gait_prior", "branches.appearance_prior", "gait_net.stages"):
        assert all(p.grad is not None for p in model.get_submodule(name).parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("iteration", [0, 500])
def test_a_training_step_is_finite(model, dtype, iteration):
    with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
        features = trained(model, batch(ratios=torch.full((4, 3), 0.4)), iteration)
    total = 0.0
    for section in load_config(CONFIG)["loss_cfg"]:
        settings = {key: value for key, value in section.items() if key != "log_prefix"}
        loss = build(LOSSES, settings, where="loss_cfg")
        total = total + loss(**features[section["log_prefix"]])[0] * loss.loss_term_weight
    total.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_pictures_are_few_and_between_0_and_1(model):
    pictures = model(batch())["visual_summary"]
    assert {name: tuple(picture.shape) for name, picture in pictures.items()} == {
        "image/input": (8, 3, 32, 16),
        "image/silhouette": (8, 1, 8, 4),
        "image/gait_map": (8, 3, 8, 4),
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": [32]}, r"image_size \[32\]: expected height and width"),
        ({"map_size": [8, 6]}, r"map_size \[8, 6\]: .*multiples of 4"),
        ({"bins": [1, 3]}, r"feature map of 2 pixels, which has no \[3\] equal strips"),
        ({"bins": []}, r"bins \[\]"),
        ({"channels": [8, 8, 8]}, "expected four and three numbers"),
        ({"blocks": [1, 0, 1]}, "expected four and three numbers"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        make(**changes)


def test_frames_of_another_size_are_refused(model):
    with pytest.raises(ValueError, match=r"frames of 16 x 16 pixels, .* \[32, 16\]"):
        model(batch(size=(16, 16)))
