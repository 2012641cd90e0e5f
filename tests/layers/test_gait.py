import pytest
import torch
from torch import nn
from torch.nn import functional

from opengait_ext.layers.gait import (
    SASG,
    AppearancePriorEncoder,
    CentralChannel,
    GaitPriorEncoder,
    MaskBranch,
)

GRID, SIZE = (4, 2), (8, 4)


def body(top=2, bottom=14, left=3, right=5, size=(16, 8), inside=0.9):
    """Two masks that add up to one; the first is high inside a box."""
    first = torch.full(size, 1 - inside)
    first[top:bottom, left:right] = inside
    return torch.stack([first, 1 - first])[None]


def slow_norm(tokens, eps=1e-5):
    """Batch normalization without weights over all tokens of all frames."""
    rows = tokens.reshape(-1, tokens.shape[-1])
    mean, variance = rows.mean(0), rows.var(0, unbiased=False)
    return ((rows - mean) / (variance + eps).sqrt()).view(tokens.shape)


def linear(tokens, layer):
    return torch.stack([layer.weight @ token + layer.bias for token in tokens.flatten(0, 1)])


def test_normalizations_that_processes_share_see_tokens_as_samples_too():
    encoder, tokens = GaitPriorEncoder(6, 4), torch.randn(3, 8, 6)
    expected = encoder(tokens)
    shared = nn.SyncBatchNorm.convert_sync_batchnorm(encoder)
    assert isinstance(shared[0], nn.SyncBatchNorm)
    torch.testing.assert_close(shared(tokens), expected)
    assert not list(shared[0].parameters())


def test_the_mask_branch_is_a_normalization_and_a_linear_layer():
    branch, tokens = MaskBranch(6), torch.randn(3, 8, 6)
    scores = branch(tokens)
    torch.testing.assert_close(
        scores, linear(slow_norm(tokens), branch.encoder).view(3, 8, 2), rtol=1e-4, atol=1e-5
    )
    shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
    torch.testing.assert_close(
        branch.decode(scores), linear(shares, branch.decoder).view(3, 8, 6), rtol=1e-4, atol=1e-5
    )


def test_the_mask_branch_is_saved_under_three_names():
    names = {name.split(".")[0] for name in MaskBranch(6).state_dict()}
    assert names == {"norm", "encoder", "decoder"}


def test_the_gait_prior_is_a_perceptron_of_half_the_width():
    encoder, tokens = GaitPriorEncoder(6, 4), torch.randn(3, 8, 6)
    hidden = slow_norm(linear(slow_norm(tokens), encoder[1]).view(3, 8, 3))
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))  # GELU
    expected = linear(hidden, encoder[4]).view(3, 8, 4)
    torch.testing.assert_close(encoder(tokens), expected, rtol=1e-4, atol=1e-5)


def test_the_appearance_prior_is_a_linear_layer_between_two_normalizations():
    encoder, tokens = AppearancePriorEncoder(6, 4), torch.randn(3, 8, 6)
    expected = slow_norm(linear(slow_norm(tokens), encoder[1]).view(3, 8, 4))
    torch.testing.assert_close(encoder(tokens), expected, rtol=1e-4, atol=1e-5)


def test_centrality_is_the_mean_near_the_center_line_minus_the_mean_on_the_border():
    height, width = 6, 4
    mask = torch.rand(height, width)
    near = border = near_weight = border_weight = 0.0
    for y in range(height):
        for x in range(width):
            weight = 1 - abs(2 * (x + 0.5) / width - 1)
            near, near_weight = near + weight * mask[y, x], near_weight + weight
            if y in (0, height - 1) or x in (0, width - 1):
                border, border_weight = border + mask[y, x], border_weight + 1
    expected = near / near_weight - border / border_weight
    found = CentralChannel((height, width)).centrality(mask[None, None])
    torch.testing.assert_close(found[0, 0], expected)


BODIES = {
    "in the middle": {},
    "cut at the feet": {"bottom": 16},
    "cut at head and feet": {"top": 0, "bottom": 16},
    "wide, to both sides": {"top": 4, "bottom": 12, "left": 0, "right": 8},
    "cut at one side": {"left": 0, "right": 4},
    "hardly told apart": {"inside": 0.501},
}


@pytest.mark.parametrize("box", BODIES.values(), ids=BODIES)
def test_the_pedestrian_is_found_in_either_channel_and_in_mirrored_frames(box):
    masks = body(**box)
    variants = [masks, masks.flip(1), masks.flip(3), masks.flip(1, 3)]
    central = CentralChannel((16, 8))
    expected_of = [masks, masks, masks.flip(3), masks.flip(3)]
    for variant, expected in zip(variants, expected_of, strict=True):
        torch.testing.assert_close(central(variant), expected[:, :1])
    torch.testing.assert_close(central.centrality(masks), central.centrality(masks.flip(3)))


def test_each_frame_chooses_for_itself_and_a_tie_takes_the_first_channel():
    masks = torch.cat([body(), body().flip(1), torch.full((1, 2, 16, 8), 0.5)])
    chosen = CentralChannel((16, 8))(masks)
    expected = torch.cat([masks[:1, :1], masks[1:2, 1:], masks[2:, :1]])
    torch.testing.assert_close(chosen, expected)


def test_the_chosen_mask_has_a_gradient_and_the_choice_has_none():
    masks = body().requires_grad_()
    CentralChannel((16, 8))(masks).sum().backward()
    assert masks.grad[:, 0].eq(1).all()
    assert masks.grad[:, 1].eq(0).all()


def sasg(**changes):
    torch.manual_seed(0)
    arguments = {"channels": 6, "levels": 2, "token_grid": GRID, "map_size": SIZE}
    return SASG(**arguments, prior_channels=4, map_channels=8, **changes)


def tokens(frames=3):
    return torch.randn(frames, 8, 6), torch.randn(frames, 8, 12)


def test_the_map_is_the_silhouette_times_the_fused_priors():
    module, (last, joined) = sasg().eval(), tokens()
    made = module(last, joined)
    assert made.maps.shape == (3, 8, *SIZE)
    assert made.silhouettes.shape == (3, 1, *SIZE)
    assert made.reconstruction.shape == (3, 6, *GRID)
    torch.testing.assert_close(made.gait_prior.sum(1), torch.ones(3, *SIZE))
    appearance = module.appearance_prior(joined).transpose(1, 2).view(3, 4, *GRID)
    appearance = functional.interpolate(appearance, SIZE, mode="bilinear").sigmoid()
    fused = module.fusion(module.gait_stem(made.gait_prior), module.appearance_stem(appearance))
    for frame in range(3):
        for channel in range(8):
            torch.testing.assert_close(
                made.maps[frame, channel], made.silhouettes[frame, 0] * fused[frame, channel]
            )


def test_masks_of_tokens_equal_masks_of_finer_features_outside_training():
    module, (last, joined) = sasg().eval(), tokens()
    module.mask.norm.running_mean.normal_()
    finer = last.transpose(1, 2).view(3, 6, *GRID)
    finer = functional.interpolate(finer, SIZE, mode="bilinear").flatten(2).transpose(1, 2)
    expected = module.mask(finer).softmax(-1).transpose(1, 2).view(3, 2, *SIZE)
    silhouettes = module(last, joined).silhouettes
    torch.testing.assert_close(silhouettes, module.central(expected))


def test_tokens_keep_their_place_in_the_frame():
    module, (last, joined) = sasg().eval(), tokens(1)
    reconstruction = module(last, joined).reconstruction
    expected = module.mask.decode(module.mask(last))
    torch.testing.assert_close(reconstruction[0, :, 3, 1], expected[0, 3 * GRID[1] + 1])


def gradients(module, loss):
    branches = ("mask.encoder", "gait_prior", "appearance_prior", "gait_stem", "fusion")
    parameters = {name: next(module.get_submodule(name).parameters()) for name in branches}
    asking = {name: value for name, value in parameters.items() if value.requires_grad}
    found = torch.autograd.grad(loss, asking.values(), allow_unused=True)
    return {
        name
        for name, slope in zip(asking, found, strict=True)
        if slope is not None and slope.abs().sum() > 0
    }


def test_joint_learning_brings_the_gradient_of_the_map_to_all_three_encoders():
    module = sasg()
    reached = gradients(module, module(*tokens()).maps.square().sum())
    assert reached == {"mask.encoder", "gait_prior", "appearance_prior", "gait_stem", "fusion"}


def test_without_joint_learning_only_the_regularizers_reach_the_encoders():
    module = sasg(joint_learning=False)
    made = module(*tokens())
    assert gradients(module, made.maps.square().sum()) == {"gait_stem", "fusion"}
    made = module(*tokens())
    regularizers = made.reconstruction.square().sum() + made.gait_prior.square().sum()
    assert gradients(module, regularizers) == {"mask.encoder", "gait_prior"}
    assert not any(value.requires_grad for value in module.appearance_prior.parameters())


def test_joint_learning_changes_no_value():
    inputs = tokens()
    for one, other in zip(sasg()(*inputs), sasg(joint_learning=False)(*inputs), strict=True):
        torch.testing.assert_close(one, other)
