"""Names in the DinoGRL checkpoints that its authors published, and ours: the one place for both.

Source: the three files that belong to Yang et al., "DinoGRL: DINOv2-driven Gait Representation
Learning for Video-Based Visible-Infrared Person Re-Identification", ACM MM 2025,
https://doi.org/10.1145/3746027.3755413, and the mask branch file that belongs to Ye et al.,
"BigGait", CVPR 2024, https://arxiv.org/abs/2402.19122.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

# What a beginning of a published name is here. First match counts.
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
    "dinov2.Denoising_Branch.bn_s.": "sasg.gait_prior.0.",
    "dinov2.Denoising_Branch.down_sampling.0.": "sasg.gait_prior.1.",
    "dinov2.Denoising_Branch.down_sampling.1.": "sasg.gait_prior.2.",
    "dinov2.Denoising_Branch.down_sampling.3.": "sasg.gait_prior.4.",
    "dinov2.Appearance_Branch.bn_s.": "sasg.appearance_prior.0.",
    "dinov2.Appearance_Branch.down_sampling.": "sasg.appearance_prior.1.",
    "dinov2.Appearance_Branch.bn_t.": "sasg.appearance_prior.2.",
    **_below("dinov2.gait_net.", "", _GAIT_NET),
}

_UNUSED_NORM = "a second normalization that the network never calls"
_UNUSED_POOLING = "the power of a pooling that the network never calls"
_UNUSED_GRAPH = "graph modules that the network never calls"
IGNORED: Names = {
    "bn_t.": _UNUSED_NORM,  # of a mask branch by itself
    "dinov2.Mask_Branch.bn_t.": _UNUSED_NORM,
    "dinov2.Denoising_Branch.bn_t.": _UNUSED_NORM,
    "share_encoder.GAP.": _UNUSED_POOLING,
    "dinov2.gait_net.post_backbone.GAP.": _UNUSED_POOLING,
    "dinov2.gait_net.gcn_s.": _UNUSED_GRAPH,
    "dinov2.gait_net.gcn_a.": _UNUSED_GRAPH,
}
CLASSIFIER = "necks."  # of our names: used in training alone


class Translation(NamedTuple):
    """What becomes of the tensors of a published file."""

    weights: dict[str, Tensor]  # by our names
    origin: dict[str, str]  # our name -> theirs
    ignored: dict[str, str]  # their name -> why it is left out on purpose
    unknown: list[str]  # their names that are none of this file's


def translate(state: Mapping[str, Tensor], names: Names) -> Translation:
    """Gives published tensors by the names they have here.

    Args:
        state: A published state dict.
        names: ``APPEARANCE``, ``GAIT``, ``ATTENTION`` or ``MASK_BRANCH``, the kind of the file.
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
