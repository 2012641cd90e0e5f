import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from opengait_ext.layers.frozen import freeze
from opengait_ext.layers.vit import VisionTransformer

SIZES = {"embed_dim": 8, "depth": 3, "num_heads": 2, "image_size": (12, 8), "patch_size": 4}
SIZES |= {"pretrain_grid": 4, "taps": (0, 2)}


def vit(**changes):
    torch.manual_seed(0)
    model = VisionTransformer(**(SIZES | changes))
    for weight in model.parameters():  # no zeros or ones that would hide a term
        nn.init.normal_(weight, std=0.5)
    return model


def normalized(tokens, weight=None, bias=None):
    centered = tokens - tokens.mean(-1, keepdim=True)
    unit = centered / (centered.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    return unit if weight is None else unit * weight + bias


def reference_attention(tokens, block):
    heads, d = block.attn.num_heads, tokens.shape[-1]
    size = d // heads
    qkv = tokens @ block.attn.qkv.weight.T + block.attn.qkv.bias
    out = torch.zeros_like(tokens)
    for head in range(heads):
        first = head * size
        query = qkv[:, :, first : first + size]
        key = qkv[:, :, d + first : d + first + size]
        value = qkv[:, :, 2 * d + first : 2 * d + first + size]
        weights = (query @ key.transpose(1, 2) / math.sqrt(size)).softmax(-1)
        out[:, :, first : first + size] = weights @ value
    return out @ block.attn.proj.weight.T + block.attn.proj.bias


def reference_block(tokens, block):
    normal = normalized(tokens, block.norm1.weight, block.norm1.bias)
    tokens = tokens + block.ls1.gamma * reference_attention(normal, block)
    normal = normalized(tokens, block.norm2.weight, block.norm2.bias)
    hidden = normal @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return tokens + block.ls2.gamma * (hidden @ block.mlp.fc2.weight.T + block.mlp.fc2.bias)


def reference_positions(table, grid):
    """DINOv2's resampling, one output token at a time, with the cubic kernel of A = -0.75."""
    side = math.isqrt(table.shape[1] - 1)
    patches = table[0, 1:].reshape(side, side, -1)

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.25 * x**3 - 2.25 * x**2 + 1
        return -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3 if x < 2 else 0.0

    rows = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            y = (row + 0.5) * side / (grid[0] + 0.1) - 0.5
            x = (column + 0.5) * side / (grid[1] + 0.1) - 0.5
            value = torch.zeros(patches.shape[-1])
            for i in range(math.floor(y) - 1, math.floor(y) + 3):
                for j in range(math.floor(x) - 1, math.floor(x) + 3):
                    inside = patches[min(max(i, 0), side - 1), min(max(j, 0), side - 1)]
                    value += kernel(y - i) * kernel(x - j) * inside
            rows.append(value)
    return torch.stack([table[0, 0], *rows])[None]


def reference(model, frames):
    rows, columns = frames.shape[2] // 4, frames.shape[3] // 4
    tokens = []
    for row in range(rows):
        for column in range(columns):
            patch = frames[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten(1)
            weight = model.patch_embed.proj.weight.flatten(1)
            tokens.append(patch @ weight.T + model.patch_embed.proj.bias)
    tokens = torch.stack([model.cls_token[0].expand_as(tokens[0]), *tokens], dim=1)
    tokens = tokens + reference_positions(model.pos_embed, (rows, columns))
    states = []
    for block in model.blocks:
        tokens = reference_block(tokens, block)
        states.append(tokens)
    mid = normalized(torch.cat([states[tap][:, 1:] for tap in model.taps], -1))
    return normalized(tokens, model.norm.weight, model.norm.bias), mid


@torch.no_grad()
def test_tokens_equal_a_slow_transformer_with_a_loop_over_patches_and_heads():
    model, frames = vit(), torch.randn(2, 3, 12, 8)
    last, mid = model(frames)
    wanted_last, wanted_mid = reference(model, frames)
    assert last.shape == (2, 6, 8)
    assert mid.shape == (2, 6, 16)
    torch.testing.assert_close(last, wanted_last[:, 1:], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mid, wanted_mid, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.encode(frames), wanted_last, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_chosen_blocks_come_in_the_order_in_which_they_are_named():
    frames = torch.randn(1, 3, 12, 8)
    model, turned = vit(), vit(taps=(2, 0))
    turned.load_state_dict(model.state_dict())
    mid = model(frames)[1]
    torch.testing.assert_close(turned(frames)[1], torch.cat([mid[..., 8:], mid[..., :8]], -1))


def test_every_weight_has_the_name_and_shape_of_the_file_of_dinov2_small():
    with torch.device("meta"):
        state = VisionTransformer().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert len(shapes) == 5 + 14 * 12 + 2
    assert sum(value.numel() for value in state.values()) == 22_056_576
    wanted = {
        "cls_token": (1, 1, 384),
        "pos_embed": (1, 1370, 384),
        "mask_token": (1, 384),
        "patch_embed.proj.weight": (384, 3, 14, 14),
        "patch_embed.proj.bias": (384,),
        "norm.weight": (384,),
        "norm.bias": (384,),
    }
    block = {"norm1.weight": (384,), "norm1.bias": (384,), "norm2.weight": (384,)}
    block |= {"norm2.bias": (384,), "ls1.gamma": (384,), "ls2.gamma": (384,)}
    block |= {"attn.qkv.weight": (1152, 384), "attn.qkv.bias": (1152,)}
    block |= {"attn.proj.weight": (384, 384), "attn.proj.bias": (384,)}
    block |= {"mlp.fc1.weight": (1536, 384), "mlp.fc1.bias": (1536,)}
    block |= {"mlp.fc2.weight": (384, 1536), "mlp.fc2.bias": (384,)}
    for i in range(12):
        wanted |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    assert shapes == wanted


@torch.no_grad()
def test_frames_of_another_size_are_resized_first():
    model, frames = vit(), torch.randn(2, 3, 9, 7)
    resized = functional.interpolate(frames, (12, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(model(frames)[0], model(resized)[0])


@torch.no_grad()
def test_the_position_table_is_taken_as_it_is_for_a_grid_of_its_own_size():
    model = vit(image_size=(16, 16))
    assert torch.equal(model.positions((4, 4)), model.pos_embed)


def test_a_frozen_table_is_resampled_once_and_again_after_every_change():
    model = freeze(vit())
    first = model.positions((3, 2))
    assert model.positions((3, 2)) is first
    model.load_state_dict({k: v + 1 for k, v in model.state_dict().items()})
    torch.testing.assert_close(model.positions((3, 2)), first + 1)
    model.pos_embed.mul_(2)
    torch.testing.assert_close(model.positions((3, 2)), 2 * (first + 1))
    assert copy.deepcopy(model).double().positions((3, 2)).dtype == torch.float64


def test_a_trained_table_gets_its_gradient():
    model = vit()
    last = model(torch.randn(1, 3, 12, 8))[0]
    (last * torch.randn_like(last)).sum().backward()  # normalized: its squares add up to a constant
    assert model.pos_embed.grad.abs().sum() > 1e-3
    assert {n for n, p in model.named_parameters() if p.grad is None} == {"mask_token"}


@torch.no_grad()
def test_a_masked_patch_is_not_seen():
    model = vit()
    frames, masked = torch.randn(1, 3, 12, 8), torch.zeros(1, 6, dtype=torch.bool)
    masked[0, 3] = True  # the second patch of the second row
    changed = frames.clone()
    changed[:, :, 4:8, 4:8] = 0
    torch.testing.assert_close(model.encode(frames, masked), model.encode(changed, masked))
    assert not torch.allclose(model.encode(frames, masked), model.encode(frames))


def test_a_frozen_module_stays_in_eval_mode_and_has_no_gradient():
    model = nn.Sequential(freeze(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))), nn.Linear(2, 1))
    for network in (model.train(), copy.deepcopy(model).train()):
        assert network.training
        assert not any(module.training for module in network[0].modules())
        assert [p.requires_grad for p in network.parameters()] == [False, False, True, True]
        names = ["0.0.weight", "0.0.bias", "1.weight", "1.bias"]
        assert list(network.state_dict()) == names


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_heads": 3}, "embed_dim 8 does not divide by num_heads 3"),
        ({"image_size": (12, 9)}, r"image_size \[12, 9\]: .* multiples of the patch of 4"),
        ({"image_size": (0, 8)}, r"image_size \[0, 8\]"),
        ({"taps": (0, 3)}, r"taps \[0, 3\]: expected blocks of a ViT with depth 3, 0 to 2"),
        ({"taps": ()}, r"taps \[\]"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, said):
    with pytest.raises(ValueError, match=said):
        VisionTransformer(**(SIZES | changes))
