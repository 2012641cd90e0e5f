import pytest
import torch
from torch import nn

from opengait_ext.models.agw import AGW


def model(**changes):
    torch.manual_seed(0)
    arguments = {
        "num_identities": 5,
        "image_size": [32, 16],
        "backbone": "resnet18",
        "backbone_weights": None,
        "non_local": [0, 1, 1, 0],
    }
    agw = AGW()
    agw.build_network({"model": "AGW", **arguments, **changes})
    agw.init_parameters()
    return agw


def batch(types=("rgb", "ir", "ir", "rgb"), frames=2):
    torch.manual_seed(1)
    n = len(types)
    ipts = [torch.randn(n, frames, 3, 32, 16)]
    return ipts, torch.arange(n) % 5, list(types), ["D1-T1"] * n, None


@pytest.mark.slow
def test_agw_gives_what_its_losses_compare():
    result = model()(batch())
    identity, triplet = (result["training_feat"][f"appearance_{key}"] for key in ("id", "triplet"))
    assert identity["logits"].shape == (4, 5, 1)
    assert triplet["embeddings"].shape == (4, 512, 1)
    assert identity["labels"].tolist() == triplet["labels"].tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_agw_gives_embeddings_of_unit_length_and_no_training_features_in_eval_mode():
    result = model().eval()(batch())
    assert result["training_feat"] == {}
    embeddings = result["inference_feat"]["embeddings"]
    assert embeddings.shape == (4, 512, 1)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4, 1))


@pytest.mark.slow
def test_agw_compares_at_the_test_what_stands_behind_the_normalization():
    agw = model().eval()
    seen = []
    agw.neck.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    embeddings = agw(batch())["inference_feat"]["embeddings"]
    torch.testing.assert_close(embeddings[:, :, 0], nn.functional.normalize(seen[0], dim=1))


@pytest.mark.slow
def test_agw_gives_a_gradient_to_every_parameter_that_asks_for_one():
    agw = model()
    for module in agw.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1)  # the non-local blocks start at zero
    features = agw(batch())["training_feat"]
    loss = features["appearance_id"]["logits"].square().sum()
    (loss + features["appearance_triplet"]["embeddings"].square().sum()).backward()
    silent = [
        name
        for name, parameter in agw.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert silent == []


def test_agw_never_shifts_its_normalization():
    agw = model()
    assert not agw.neck.bias.requires_grad
    assert not agw.neck.bias.any()


@pytest.mark.slow
def test_agw_gives_equal_features_after_a_round_trip_of_its_state():
    agw = model()
    agw(batch())  # moves the running statistics
    other = model(num_identities=5)
    nn.init.zeros_(other.classifier.weight)
    other.load_state_dict(agw.state_dict())
    first, second = (m.eval()(batch())["inference_feat"]["embeddings"] for m in (agw, other))
    assert torch.equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("set_pooling", ["max", "mean", "attention"])
def test_agw_takes_tracklets_of_unequal_length(set_pooling):
    agw = model(set_pooling=set_pooling).eval()
    (frames,), labels, types, views, _ = batch(frames=3)
    alone = [
        agw(([piece], labels[:1], [kind], views[:1], None))
        for piece, kind in zip((frames[:1], frames[1:2, :1]), types[:2], strict=True)
    ]
    row = torch.cat([frames[0], frames[1, :1]]).unsqueeze(0)
    together = agw(([row], labels[:2], types[:2], views[:2], torch.tensor([[3, 1]])))
    torch.testing.assert_close(
        together["inference_feat"]["embeddings"],
        torch.cat([result["inference_feat"]["embeddings"] for result in alone]),
    )


@pytest.mark.slow
def test_agw_trains_on_a_batch_of_one_modality():
    agw = model()
    logits = agw(batch(types=("ir", "ir")))["training_feat"]["appearance_id"]["logits"]
    (logits * torch.randn_like(logits)).sum().backward()  # normalized: their sum is a constant
    assert agw.encoder.visible_stem.conv1.weight.grad is None
    assert agw.encoder.infrared_stem.conv1.weight.grad.any()


@pytest.mark.slow
def test_agw_shows_its_first_frames_from_0_to_1():
    inputs = batch(frames=3)
    pictures = model()(inputs)["visual_summary"]["image/input"]
    assert pictures.shape == (8, 3, 32, 16)
    assert not pictures.requires_grad
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (inputs[0][0][0, 1, :, 4, 5] * std + mean).clamp(0, 1)
    torch.testing.assert_close(pictures[1, :, 4, 5], expected)


@pytest.mark.slow
def test_agw_places_the_non_local_blocks_of_the_paper_when_nothing_else_is_asked():
    agw = model(backbone="resnet50", non_local=None)
    assert agw.encoder.stages.non_local_counts == (0, 2, 3, 0)


def test_agw_says_when_frames_have_another_size_than_the_config():
    agw = model(image_size=[64, 32])
    with pytest.raises(ValueError, match=r"32 x 16 pixels, but model_cfg.image_size is \[64, 32\]"):
        agw(batch())


def test_agw_refuses_a_size_that_is_not_two_numbers():
    with pytest.raises(ValueError, match=r"image_size \[64\]: expected \[height, width\]"):
        model(image_size=[64])


@pytest.mark.slow
def test_agw_says_why_it_cannot_train_on_one_tracklet():
    with pytest.raises(ValueError, match="a batch of 1 tracklet in training"):
        model()(batch(types=("ir",)))


@pytest.mark.slow
def test_agw_for_visible_data_has_one_stem_and_needs_all_of_its_parameters():
    agw = model(modalities=["visible"])
    assert not any("infrared" in name for name, _ in agw.named_parameters())
    result = agw(batch(("rgb",) * 4, frames=1))["training_feat"]
    logits, embeddings = result["appearance_id"]["logits"], result["appearance_triplet"]
    (logits.sum() + embeddings["embeddings"].square().sum()).backward()
    assert [n for n, p in agw.named_parameters() if p.requires_grad and p.grad is None] == []
