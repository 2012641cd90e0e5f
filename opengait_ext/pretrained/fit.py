"""Comparison of published weights with the tensors that their network needs."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from opengait_ext.dinov2_names import heads_of
from opengait_ext.escaping import escaped
from opengait_ext.layers.gait import MaskBranch
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.models import MODELS
from opengait_ext.pretrained.files import is_finite
from opengait_ext.released import Names, Translation

MODEL = "DinoGRLReleased"
# Sizes used if a file does not determine them: those of the published files.
WIDTH, DEPTH, PATCH, GRID, PARTS, CLASSES = 384, 12, 14, 37, 256, 500
_LARGEST = 1 << 16  # a larger size means a damaged file

Tensors = Mapping[str, Tensor]


def vit_sizes(state: Tensors, prefix: str = "") -> dict[str, int]:
    """Return the sizes of a DINOv2, read from its tensors.

    Args:
        state: Tensors by Meta's names.
        prefix: Prefix of these names.
    """
    numbered = re.compile(re.escape(prefix) + r"blocks\.(\d+)\.")
    blocks = {match[1] for name in state if (match := numbered.match(name))}
    tellers = ("cls_token", "mask_token", "norm.weight", "norm.bias", "patch_embed.proj.bias")
    rows = _size(state, [prefix + "pos_embed"], 1 + GRID**2, axis=-2)
    width = _size(state, [prefix + name for name in tellers], WIDTH)
    return {
        "embed_dim": width,
        "depth": len(blocks) or DEPTH,
        "num_heads": heads_of(width),  # no tensor shape shows it
        "patch_size": _size(state, [prefix + "patch_embed.proj.weight"], PATCH),
        "pretrain_grid": max(round((rows - 1) ** 0.5), 1),
    }


def expected_vit(sizes: Mapping[str, int]) -> Tensors:
    """Return the tensors of a DINOv2 of these sizes, without values."""
    side = sizes["patch_size"]
    with torch.device("meta"):
        vit = VisionTransformer(**sizes, image_size=(side, side), taps=(0,))
    return vit.state_dict()


def expected_mask(state: Tensors) -> Tensors:
    """Return the tensors of a mask branch as wide as the published one, without values."""
    width = _size(state, ["bn_s.running_mean", "bn_s.running_var", "down_sampling.weight"], WIDTH)
    with torch.device("meta"):
        return MaskBranch(width).state_dict()


def expected_network(appearance: Tensors, gait: Tensors, classes: int) -> Tensors:
    """Return the tensors of the released DinoGRL, without values.

    Args:
        appearance: The tensors of ``best_model.pth``; some sizes are read from them.
        gait: The tensors of ``best_shape.pth``.
        classes: Number of identities of both classifiers.
    """
    sizes = vit_sizes(gait, "dinov2.dinov2.")
    branches = ("Denoising_Branch.bn_s.running_mean", "Appearance_Branch.bn_s.running_mean")
    joined = _size(gait, [f"dinov2.{name}" for name in branches], 4 * sizes["embed_dim"])
    levels = min(max(joined // sizes["embed_dim"], 1), sizes["depth"])
    parts = _size({**gait, **appearance}, ["FCs.fc_bin", "dinov2.gait_net.FCs.fc_bin"], PARTS)
    side = sizes["patch_size"]
    dinov2: dict[str, Any] = {**sizes, "input_size": [32 * side, 16 * side]}
    with torch.device("meta"):
        model = MODELS[MODEL]()
        model.build(
            num_identities=classes,
            image_size=[256, 128],
            dinov2=dinov2 | {"taps": list(range(levels))},
            dinov2_weights=None,
            backbone_weights=None,
            part_channels=parts,
        )
    return model.state_dict()


def expected_biggait(state: Tensors) -> Tensors:
    """Return the tensors of BigGait as built by OpenGait's config, without values.

    Args:
        state: Published tensors; the sizes of the transformer and the number of identities are
            read from them.
    """
    sizes = vit_sizes(state, "backbone.")
    side = sizes["patch_size"]
    dinov2: dict[str, Any] = {**sizes, "input_size": [32 * side, 16 * side]}
    with torch.device("meta"):
        model = MODELS["BigGait"]()
        model.build(
            num_identities=_size(state, ["gait_net.BNNecks.fc_bin"], CLASSES),
            image_size=[256, 128],
            dinov2=dinov2 | {"taps": list(range(min(4, sizes["depth"])))},
            dinov2_weights=None,
        )
    return model.state_dict()


def _size(state: Tensors, names: Iterable[str], usual: int, axis: int = -1) -> int:
    """Return the size of most of these tensors, so a damaged one is reported as the misfit."""
    shapes = [state[name].shape for name in names if name in state]
    sizes = [shape[axis] for shape in shapes if len(shape) >= -axis]
    counts = Counter(size for size in sizes if 1 <= size <= _LARGEST)
    return counts.most_common(1)[0][0] if counts else usual


def misfits(state: Tensors, found: Translation, expected: Tensors, names: Names) -> list[str]:
    """Return a line for each tensor that does not fit the network, by its published name.

    Args:
        state: The published tensors.
        found: Their translation.
        expected: The tensors the network needs, from this file and possibly others.
        names: The names of this file.
    """
    lines = [
        f"{escaped(name)}: {_shape(state[name])} in the file, no such tensor expected"
        for name in [*found.unknown, *_surplus(found, expected)]
    ]
    for ours, value in expected.items():
        published = published_name(ours, names)
        if published is None:
            continue
        if ours not in found.weights:
            lines.append(f"{published}: not in the file, {_shape(value)} expected")
        elif found.weights[ours].shape != value.shape:
            shapes = f"{_shape(found.weights[ours])} in the file, {_shape(value)} expected"
            lines.append(f"{published}: {shapes}")
        elif not is_finite(found.weights[ours]):
            lines.append(f"{published}: holds NaN or infinity, or no plain numbers")
    return lines


def published_name(ours: str, names: Names) -> str | None:
    """Return the published name of one of our tensors; None if these names lack it."""
    for there, here in names.items():
        if ours.startswith(here):
            return there + ours[len(here) :]
    return None


def _surplus(found: Translation, expected: Tensors) -> Iterator[str]:
    return (found.origin[ours] for ours in found.weights if ours not in expected)


def _shape(value: Tensor) -> str:
    return str(list(value.shape))
