import copy
import random
from pathlib import Path

import pytest
import torch
from biggait_parts import batch, embeddings, make, trained
from torch import nn

from opengait_ext.config import build, load_config
from opengait_ext.errors import UserError
from opengait_ext.layers.foreground import black_out
from opengait_ext.losses import LOSSES

CONFIG = Path(__file__).parents[2] / "configs" / "biggait_ccpg.yaml"


@pytest.fixture(scope="module")
def built():
    return make()


@pytest.fixture
def model(built):
    return copy.deepcopy(built)


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


@pytest.mark.slow
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
