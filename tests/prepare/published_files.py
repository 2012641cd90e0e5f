"""Stand-ins for published checkpoints: their names and shapes, and one number for each tensor.

A tensor repeats its number without holding it more than once, so a state dict of 110 million
values is small in memory and on disk, and what became of a tensor can be told by its number.

Written from the published names alone: nothing here knows the names of this project.
"""

import os
from itertools import count
from pathlib import Path

import torch

from opengait_ext.pretrained.run import main

ROOT = Path(__file__).parents[2]

NAMES = {"model": "best_model.pth", "attention": "best_model2.pth", "shape": "best_shape.pth"}
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # inner channels and blocks of a ResNet-50
_numbers = count(1)


def filled(shapes):
    """A state dict of these shapes by name; each tensor has a number of its own."""
    state = {}
    for name, shape in shapes.items():
        whole = name.endswith("num_batches_tracked")
        value = torch.tensor(next(_numbers), dtype=torch.int64 if whole else torch.float32)
        state[name] = value.expand(shape)
    return state


def below(prefix, shapes):
    return {prefix + name: shape for name, shape in shapes.items()}


def statistics(channels):
    moments = {"running_mean": [channels], "running_var": [channels]}
    return moments | {"num_batches_tracked": []}


def norm(channels):
    return {"weight": [channels], "bias": [channels]} | statistics(channels)


def linear(outputs, inputs, *kernel):
    return {"weight": [outputs, inputs, *kernel], "bias": [outputs]}


def resnet_stages():
    """A ResNet-50's four stages, numbered from 0."""
    shapes, inputs = {}, 64
    for stage, (inner, blocks) in enumerate(STAGES):
        for number in range(blocks):
            block = f"{stage}.{number}."
            sizes = ((inner, inputs, 1), (inner, inner, 3), (4 * inner, inner, 1))
            for layer, (outer, entering, side) in enumerate(sizes, start=1):
                shapes[f"{block}conv{layer}.weight"] = [outer, entering, side, side]
                shapes |= below(f"{block}bn{layer}.", norm(outer))
            if number == 0:
                shapes[f"{block}downsample.0.weight"] = [4 * inner, inputs, 1, 1]
                shapes |= below(f"{block}downsample.1.", norm(4 * inner))
            inputs = 4 * inner
    return shapes


def head(classes):
    """Of either stream: part-wise matrices, and the classifier behind its normalization."""
    shapes = {"FCs.fc_bin": [31, 2048, 256], "BNNecks.fc_bin": [35, 256, classes]}
    return shapes | below("BNNecks.bn1d.", norm(35 * 256))


def vit(width=384, depth=12, grid=37):
    """A DINOv2 as Meta names it."""
    shapes = {"cls_token": [1, 1, width], "pos_embed": [1, 1 + grid**2, width]}
    shapes |= {"mask_token": [1, width]} | below("patch_embed.proj.", linear(width, 3, 14, 14))
    for number in range(depth):
        block = {}
        for layer in ("norm1", "norm2", "attn.proj", "mlp.fc2"):
            block[f"{layer}.bias"] = block[f"{layer}.weight"] = [width]
        block |= {"ls1.gamma": [width], "ls2.gamma": [width]}
        block |= below("attn.qkv.", linear(3 * width, width))
        block |= below("attn.proj.", linear(width, width))
        block |= below("mlp.fc1.", linear(4 * width, width))
        block |= below("mlp.fc2.", linear(width, 4 * width))
        shapes |= below(f"blocks.{number}.", block)
    return shapes | {"norm.weight": [width], "norm.bias": [width]}


def mask_branch(width=384):
    """BigGait's mask branch."""
    shapes = below("bn_s.", statistics(width)) | below("bn_t.", statistics(2))
    shapes |= below("down_sampling.", linear(2, width))
    return shapes | below("up_sampling.", linear(width, 2))


def best_model(classes=500):
    shapes = {}
    for stem in ("image_encoder1.", "image_encoder2."):
        shapes[f"{stem}resnet_conv.0.weight"] = [64, 3, 7, 7]
        shapes |= below(f"{stem}resnet_conv.1.", norm(64))
    shapes |= below("share_encoder.resnet_conv.", resnet_stages())
    return shapes | {"share_encoder.GAP.p": [1]} | head(classes)


def best_model2():
    one = {}
    for layer in ("g.0.", "theta.", "phi."):
        one |= below(layer, linear(256, 1, 1))
    for layer in ("W1.", "W2."):
        one |= below(f"{layer}0.", linear(1, 256, 1)) | below(f"{layer}1.", norm(1))
    return below("enhance_app_net_3.", one) | below("enhance_shape_net_3.", one)


def gait_net(classes):
    shapes = {}
    for stem in ("pre_part.forward_block.", "pre_rgb.forward_block."):
        shapes[f"{stem}conv1.conv.weight"] = [64, 16, 3, 3]
        shapes |= below(f"{stem}bn1.", norm(64))
        for layer in (1, 2):
            shapes[f"{stem}layer1.0.conv{layer}.weight"] = [64, 64, 3, 3]
            shapes |= below(f"{stem}layer1.0.bn{layer}.", norm(64))
    fusion = "fusion.conv.forward_block."
    shapes |= {f"{fusion}0.weight": [4, 128, 1, 1], f"{fusion}3.weight": [4, 4, 3, 3]}
    shapes |= {f"{fusion}6.weight": [128, 4, 1, 1]}
    shapes |= below(f"{fusion}1.", norm(4)) | below(f"{fusion}4.", norm(4))
    shapes |= below("post_backbone.resnet_conv.", resnet_stages())
    shapes |= {"post_backbone.GAP.p": [1]} | head(classes)
    for graph in ("gcn_s.stgc_p2p.", "gcn_a.stgc_p2p."):
        shapes[f"{graph}A_res"] = [155, 31]
        shapes |= below(f"{graph}mlp.layers.0.", linear(2048, 10240, 1))
        shapes |= below(f"{graph}mlp.layers.1.", norm(2048))
    return shapes


def best_shape(classes=500, width=384, depth=12):
    joined = 4 * width
    shapes = below("dinov2.", vit(width, depth)) | below("Mask_Branch.", mask_branch(width))
    gait = below("bn_s.", statistics(joined)) | below("bn_t.", statistics(16))
    gait |= below("down_sampling.0.", linear(joined // 2, joined))
    gait |= below("down_sampling.1.", statistics(joined // 2))
    gait |= below("down_sampling.3.", linear(16, joined // 2))
    appearance = below("bn_s.", statistics(joined)) | below("bn_t.", statistics(16))
    appearance |= below("down_sampling.", linear(16, joined))
    shapes |= below("Denoising_Branch.", gait) | below("Appearance_Branch.", appearance)
    return below("dinov2.", shapes | below("gait_net.", gait_net(classes)))


def published():
    """The three checkpoints of DinoGRL's authors, by the option that takes them."""
    shapes = {"model": best_model(), "attention": best_model2(), "shape": best_shape()}
    return {option: filled(each) for option, each in shapes.items()}


def write_published(folder, states):
    """Writes the checkpoints under their published names; gives the options of the import."""
    command = ["import-dinogrl"]
    for option, state in states.items():
        torch.save(state, folder / NAMES[option])
        command += [f"--{option}", str(folder / NAMES[option])]
    return [*command, "--target", str(folder / "out.pt")]


def refused(command, capsys):
    """What a refused import says; it has written nothing."""
    target = command[command.index("--target") + 1]
    assert main(command) == 1
    assert not os.path.exists(target)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)
