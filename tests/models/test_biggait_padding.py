import copy

import pytest
import torch
from biggait_parts import batch, embeddings, make, trained
from torch.nn import functional


@pytest.fixture(scope="module")
def built():
    return make()


@pytest.fixture
def model(built):
    return copy.deepcopy(built)


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
