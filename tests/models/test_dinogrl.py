import copy
import logging

import pytest
import torch
from torch import nn

from opengait_ext.errors import UserError
from opengait_ext.models.dinogrl import DinoGRL, DINOv2

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
    "non_local": [0, 0, 0, 0],
    "bins": [1, 2],
    "part_channels": 8,
}
IDENTITY = ("gait_id", "gait_triplet", "appearance_id", "appearance_triplet")


def make(**changes):
    torch.manual_seed(0)
    model = DinoGRL()
    model.build_network({"model": "DinoGRL", **SMALL, **changes})
    model.init_parameters()
    return model


@pytest.fixture(scope="module")
def built():
    return make()


@pytest.fixture
def model(built):
    return copy.deepcopy(built)


def batch(types=("rgb", "ir", "rgb", "ir"), frames=2, lengths=None):
    torch.manual_seed(1)
    n = len(types)
    images = torch.randn(n, frames, 3, 32, 16)
    if lengths is not None:
        images = torch.randn(1, sum(lengths), 3, 32, 16)
        lengths = torch.tensor([lengths], dtype=torch.int32)
    return [images], torch.arange(n) % 3, list(types), ["D1-T1"] * n, lengths


def embeddings(model, inputs):
    with torch.no_grad():
        return model.eval()(inputs)["inference_feat"]["embeddings"]


@pytest.mark.slow
def test_dinogrl_gives_what_its_losses_compare(model):
    inputs = batch()
    features = model(inputs)["training_feat"]
    assert set(features) == {*IDENTITY, "mask", "smoothness", "diversity"}
    for stream in ("gait", "appearance"):
        assert features[f"{stream}_id"]["logits"].shape == (4, 3, 2)
        assert features[f"{stream}_triplet"]["embeddings"].shape == (4, 8, 2)
        assert features[f"{stream}_id"]["labels"] is inputs[1]
    assert features["mask"]["reconstruction"].shape == (8, 16, 4, 2)
    assert features["mask"]["target"].shape == (8, 16, 4, 2)
    assert features["smoothness"]["maps"].shape == (8, 16, 8, 4)


@pytest.mark.slow
def test_the_target_of_the_mask_loss_is_the_last_tokens_where_they_stood(model):
    inputs = batch()
    target = model(inputs)["training_feat"]["mask"]["target"]
    last, _ = model.dinov2(inputs[0][0].flatten(0, 1))
    torch.testing.assert_close(target[5, :, 2, 1], last[5, 2 * 2 + 1])


def test_before_training_the_enhanced_vectors_equal_the_global_ones(model):
    vectors = model(batch())["training_feat"]["gait_triplet"]["embeddings"]
    torch.testing.assert_close(vectors[..., 0], vectors[..., 1])


def test_gait_strips_enhance_appearance_and_appearance_strips_gait(model):
    nn.init.ones_(model.pbmge.gait[0].positive_norm.weight)
    features = model(batch())["training_feat"]
    gait, appearance = (features[f"{s}_triplet"]["embeddings"] for s in ("gait", "appearance"))
    assert not torch.allclose(gait[..., 0], gait[..., 1])
    torch.testing.assert_close(appearance[..., 0], appearance[..., 1])
    linears = [model.gait_parts.linear.weight, model.appearance_parts.linear.weight]
    # Behind a normalization over the batch a plain sum would have no gradient but by rounding.
    weighed = gait[..., 1] * torch.randn_like(gait[..., 1])
    slopes = torch.autograd.grad(weighed.sum(), linears)
    parts = [slope.abs().sum((1, 2)).gt(0).tolist() for slope in slopes]  # parts that count
    assert parts == [[True, False, False], [False, True, True]]


@pytest.mark.slow
def test_dinogrl_compares_the_normalized_global_vectors_of_gait_then_appearance(model):
    seen = []
    for neck in model.necks.values():
        neck.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0]))
    found = embeddings(model, batch())
    assert found.shape == (4, 8, 4)
    torch.testing.assert_close(found, nn.functional.normalize(torch.cat(seen, dim=2), dim=1))
    model.normalize = False
    torch.testing.assert_close(embeddings(model, batch()), torch.cat(seen[:2], dim=2))


@pytest.mark.slow
def test_all_parts_can_be_compared(built):
    model = make(embedding_parts="all", normalize_embeddings=False)
    model.load_state_dict(built.state_dict())
    few, many = embeddings(copy.deepcopy(built), batch()), embeddings(model, batch())
    assert many.shape == (4, 8, 2 * (3 + 2))  # of each stream, the pyramid and the globals
    picked = nn.functional.normalize(many[:, :, [3, 4, 8, 9]], dim=1)
    torch.testing.assert_close(picked, few)


@pytest.mark.slow
def test_without_enhancement_one_global_vector_a_stream_is_left():
    model = make(enhancement=False)
    assert model(batch())["training_feat"]["gait_id"]["logits"].shape == (4, 3, 1)
    assert embeddings(model, batch()).shape == (4, 8, 2)
    assert not list(model.pbmge.parameters())


def test_there_are_no_training_features_in_eval_mode(model):
    assert model.eval()(batch())["training_feat"] == {}


def identity_gradients(model):
    features = model(batch())["training_feat"]
    loss = sum(
        features[f"{s}_triplet"]["embeddings"].square().sum() for s in ("gait", "appearance")
    )
    loss.backward()
    branches = ("mask", "gait_prior", "appearance_prior", "fusion")
    return {
        name: any(
            parameter.grad is not None and parameter.grad.any()
            for parameter in model.sasg.get_submodule(name).parameters()
        )
        for name in branches
    }


@pytest.mark.slow
def test_the_identity_losses_reach_sasg_in_joint_learning_only(model):
    names = ("mask", "gait_prior", "appearance_prior", "fusion")
    assert identity_gradients(model) == dict.fromkeys(names, True)
    apart = identity_gradients(make(joint_learning=False))
    assert apart == {**dict.fromkeys(names, False), "fusion": True}


def test_dinov2_runs_once_and_is_never_trained(model):
    calls = []
    model.dinov2.register_forward_hook(lambda _module, inputs, output: calls.append(output))
    model.train()
    model(batch())
    assert len(calls) == 1
    assert not any(tokens.requires_grad for tokens in calls[0])
    assert not model.dinov2.training
    assert not any(parameter.requires_grad for parameter in model.dinov2.parameters())


@pytest.mark.slow
def test_each_modality_goes_through_its_own_stem(model):
    visible, infrared = batch(("rgb",)), batch(("ir",))
    assert not torch.allclose(embeddings(model, visible), embeddings(model, infrared))
    model.appearance_encoder.infrared_stem.load_state_dict(
        model.appearance_encoder.visible_stem.state_dict()
    )
    torch.testing.assert_close(embeddings(model, visible), embeddings(model, infrared))


@pytest.mark.slow
def test_with_visible_frames_alone_it_is_the_same_network_without_the_infrared_stem(built):
    model = make(modalities=["visible"])
    state = built.state_dict()
    unused = {name for name in state if "infrared_stem" in name}
    assert set(model.state_dict()) == set(state) - unused
    assert unused
    model.load_state_dict({name: state[name] for name in state if name not in unused})
    inputs = batch(("nm-01", "bg-01", "U0_D0"))  # types of gait data
    assert torch.equal(embeddings(model, inputs), embeddings(copy.deepcopy(built), inputs))


@pytest.mark.slow
def test_with_visible_frames_alone_every_weight_is_trained():
    model = make(modalities=["visible"], non_local=[0, 1, 0, 0])
    for parameter in model.parameters():  # zero weights would hide what is behind them
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    features = model(batch(("nm-01",) * 4))["training_feat"]
    (
        sum(features[f"{stream}_id"]["logits"].square().sum() for stream in ("gait", "appearance"))
        + features["mask"]["reconstruction"].square().sum()
    ).backward()
    asking = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert [key for key, value in asking.items() if value.grad is None] == []


@pytest.mark.slow
def test_infrared_frames_are_refused_without_their_stem():
    with pytest.raises(ValueError, match=r"6 infrared frames, .*add infrared to model_cfg\.modali"):
        make(modalities=["visible"])(batch(("rgb", "ir", "ir", "ir")))


@pytest.mark.slow
def test_tracklets_of_unequal_length_share_a_batch(model):
    inputs = batch(("rgb", "ir"), lengths=[3, 1])
    together = embeddings(model, inputs)
    frames = inputs[0][0]
    alone = ([frames[:, 3:]], inputs[1][1:], ["ir"], inputs[3][1:], None)
    torch.testing.assert_close(embeddings(model, alone), together[1:], rtol=1e-4, atol=1e-5)


def test_pictures_are_few_and_between_0_and_1(model):
    pictures = model(batch(frames=3))["visual_summary"]
    shapes = {name: tuple(picture.shape) for name, picture in pictures.items()}
    assert shapes == {
        "image/input": (8, 3, 32, 16),
        "image/silhouette": (8, 1, 8, 4),
        "image/gait_map": (8, 3, 8, 4),
    }
    for picture in pictures.values():
        assert picture.min() >= 0
        assert picture.max() <= 1.000001
        assert not picture.requires_grad


def test_masks_of_frames_are_the_silhouettes_of_the_forward_pass(model):
    inputs = batch()
    shown = model.eval()(inputs)["visual_summary"]["image/silhouette"]
    torch.testing.assert_close(model.sasg_maps(inputs[0][0].flatten(0, 1)).silhouettes, shown)


@pytest.mark.slow
def test_sizes_of_dinov2_may_come_as_a_dataclass(built):
    assert make(dinov2=DINOv2(**SIZES)).state_dict().keys() == built.state_dict().keys()


@pytest.mark.slow
def test_weights_of_dinov2_and_of_the_mask_branch_are_loaded_from_files(built, tmp_path):
    for name, module in (("vit", built.dinov2), ("mask", built.sasg.mask)):
        torch.save({k: v + 1 for k, v in module.state_dict().items()}, tmp_path / f"{name}.pt")
    model = make(dinov2_weights=str(tmp_path / "vit.pt"), mask_weights=str(tmp_path / "mask.pt"))
    for ours, theirs in ((model.dinov2, built.dinov2), (model.sasg.mask, built.sasg.mask)):
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value + 1)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["dinov2_weights", "mask_weights"])
def test_a_missing_weight_file_is_named_with_its_key_and_a_way_out(key):
    with pytest.raises(UserError, match=rf"model_cfg\.{key}: no file at lost\.pt .*ive null"):
        make(**{key: "lost.pt"})


@pytest.mark.slow
def test_random_weights_are_said(caplog):
    with caplog.at_level(logging.WARNING):
        make()
    assert "model_cfg.dinov2_weights is null: VisionTransformer is random" in caplog.text
    assert "model_cfg.mask_weights is null: MaskBranch is random" in caplog.text


def test_bins_that_do_not_divide_the_rows_are_refused_before_anything_is_built():
    with pytest.raises(
        ValueError, match=r"32 pixels high has a feature map of 2 rows, .* \[3, 4\]"
    ):
        make(bins=[1, 2, 3, 4])


@pytest.mark.parametrize("size", [[32], [40, 16]])
def test_an_image_size_of_another_form_is_refused(size):
    with pytest.raises(ValueError, match=r"image_size .*height and width in pixels, multiples"):
        make(image_size=size)


def test_frames_of_another_size_are_refused(model):
    inputs = batch()
    inputs[0][0] = inputs[0][0][..., :8]
    with pytest.raises(
        ValueError, match=r"frames of 32 x 8 pixels, .* \[32, 16\]: make the Resize"
    ):
        model(inputs)
