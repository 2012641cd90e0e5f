"""Translation of the tensor names of published checkpoints to ours.

Source: the three files published with Yang et al., "DINOv2 Driven Gait Representation
Learning for Video-Based Visible-Infrared Person Re-Identification", ACM MM 2025,
https://doi.org/10.1145/3746027.3755413, and the mask branch file and the checkpoints published
with Ye et al., "BigGait", CVPR 2024, https://arxiv.org/abs/2402.19122, as OpenGait writes them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

# Our prefix for each prefix of a published name. The first match counts.
Names = Mapping[str, str]

_STAGES = {f"resnet_conv.{number}.": f"layer{number + 1}." for number in range(4)}
_STEM = {"resnet_conv.0.": "conv1.", "resnet_conv.1.": "bn1."}
_ENHANCEMENT = {
    "theta.": "query.",
    "phi.": "key.",
    "g.0.": "value.",
    "W1.0.": "positive.",
    "W1.1.": "positive_norm.",
    "W2.0.": "negative.",
    "W2.1.": "negative_norm.",
}
_DENOISING_BRANCH = {
    "bn_s.": "0.",
    "down_sampling.0.": "1.",
    "down_sampling.1.": "2.",
    "down_sampling.3.": "4.",
}
_APPEARANCE_BRANCH = {"bn_s.": "0.", "down_sampling.": "1.", "bn_t.": "2."}
_PRIOR_STEM = {"conv1.conv.": "0.", "bn1.": "1.", "layer1.0.": "3."}
_CLASSIFIER = {"fc_bin": "weight", "bn1d.": "bn."}


def _below(there: str, here: str, names: Names) -> dict[str, str]:
    return {there + theirs: here + ours for theirs, ours in names.items()}


MASK_BRANCH: Names = {
    "bn_s.": "norm.",
    "down_sampling.": "encoder.",
    "up_sampling.": "decoder.",
}
APPEARANCE: Names = {
    **_below("image_encoder1.", "appearance_encoder.visible_stem.", _STEM),
    **_below("image_encoder2.", "appearance_encoder.infrared_stem.", _STEM),
    **_below("share_encoder.", "appearance_encoder.stages.", _STAGES),
    "FCs.fc_bin": "appearance_parts.linear.weight",
    **_below("BNNecks.", "necks.appearance.", _CLASSIFIER),
}
ATTENTION: Names = {
    **_below("enhance_app_net_3.", "pbmge.appearance.0.", _ENHANCEMENT),
    **_below("enhance_shape_net_3.", "pbmge.gait.0.", _ENHANCEMENT),
}
_GAIT_NET: Names = {
    **_below("pre_part.forward_block.", "sasg.gait_stem.", _PRIOR_STEM),
    **_below("pre_rgb.forward_block.", "sasg.appearance_stem.", _PRIOR_STEM),
    "fusion.conv.forward_block.": "sasg.fusion.conv.",
    **_below("post_backbone.", "gait_encoder.", _STAGES),
    "FCs.fc_bin": "gait_parts.linear.weight",
    **_below("BNNecks.", "necks.gait.", _CLASSIFIER),
}
GAIT: Names = {
    "dinov2.dinov2.": "dinov2.",
    **_below("dinov2.Mask_Branch.", "sasg.mask.", MASK_BRANCH),
    **_below("dinov2.Denoising_Branch.", "sasg.gait_prior.", _DENOISING_BRANCH),
    **_below("dinov2.Appearance_Branch.", "sasg.appearance_prior.", _APPEARANCE_BRANCH),
    **_below("dinov2.gait_net.", "", _GAIT_NET),
}

_BIGGAIT_NET: Names = {
    **_below("pre_part.forward_block.", "gait_stem.", _PRIOR_STEM),
    **_below("pre_rgb.forward_block.", "appearance_stem.", _PRIOR_STEM),
    "fusion.conv.forward_block.": "fusion.conv.",
    "post_backbone.forward_block.": "stages.",
    "FCs.fc_bin": "linear.weight",
    **_below("BNNecks.", "neck.", _CLASSIFIER),
}
BIGGAIT: Names = {
    "backbone.": "dinov2.",
    **_below("Mask_Branch.", "branches.mask.", MASK_BRANCH),
    **_below("Denoising_Branch.", "branches.gait_prior.", _DENOISING_BRANCH),
    **_below("Appearance_Branch.", "branches.appearance_prior.", _APPEARANCE_BRANCH),
    **_below("gait_net.", "gait_net.", _BIGGAIT_NET),
}

_UNUSED_NORM = "a second normalization that the network never calls"
_UNUSED_POOLING = "the power of a pooling that the network never calls"
_UNUSED_GRAPH = "graph modules that the network never calls"
IGNORED: Names = {
    "bn_t.": _UNUSED_NORM,  # in a file of a mask branch alone
    "dinov2.Mask_Branch.bn_t.": _UNUSED_NORM,
    "dinov2.Denoising_Branch.bn_t.": _UNUSED_NORM,
    "Mask_Branch.bn_t.": _UNUSED_NORM,  # in a checkpoint of BigGait
    "Denoising_Branch.bn_t.": _UNUSED_NORM,
    "share_encoder.GAP.": _UNUSED_POOLING,
    "dinov2.gait_net.post_backbone.GAP.": _UNUSED_POOLING,
    "dinov2.gait_net.gcn_s.": _UNUSED_GRAPH,
    "dinov2.gait_net.gcn_a.": _UNUSED_GRAPH,
}
CLASSIFIER = "necks."  # prefix of our names that only training uses


class Translation(NamedTuple):
    """Translated tensors of a published file, and what happened to the names."""

    weights: dict[str, Tensor]  # by our names
    origin: dict[str, str]  # our name -> theirs
    ignored: dict[str, str]  # their name -> why it is left out on purpose
    unknown: list[str]  # their names that do not belong in such a file


def translate(state: Mapping[str, Tensor], names: Names) -> Translation:
    """Return published tensors under our names.

    Args:
        state: A published state dict.
        names: Prefixes for the kind of file: ``APPEARANCE``, ``GAIT``, ``ATTENTION``,
            ``MASK_BRANCH`` or ``BIGGAIT``.
    """
    weights: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    ignored: dict[str, str] = {}
    unknown: list[str] = []
    for name, value in state.items():
        here = _first(name, names)
        reason = _first(name, IGNORED)
        if here is not None:
            ours = names[here] + name[len(here) :]
            weights[ours], origin[ours] = value, name
        elif reason is not None:
            ignored[name] = IGNORED[reason]
        else:
            unknown.append(name)
    return Translation(weights, origin, ignored, unknown)


def _first(name: str, beginnings: Names) -> str | None:
    return next((beginning for beginning in beginnings if name.startswith(beginning)), None)
