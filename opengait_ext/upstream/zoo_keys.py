"""Schemas of ``model_cfg`` of OpenGait's models, which do not declare the keys they read.

A field without a default is required. Names and nesting follow OpenGait's config files. Other
models accept the keys that their file mentions, see ``zoo_survey``.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class BackboneKeys:
    """Keys of ``backbone_cfg``: ``ResNet9`` and ``Plain``, whose keys are checked later."""

    type: str
    block: str = "BasicBlock"
    channels: list[int] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    strides: list[int] = field(default_factory=list)
    maxpool: bool = True
    in_channel: int = 1
    layers_cfg: list[str] = field(default_factory=list)
    in_channels: int = 1


@dataclass(frozen=True)
class PartLayers:
    """Keys of a fully connected layer for each part."""

    parts_num: int
    in_channels: int
    out_channels: int
    norm: bool = False


@dataclass(frozen=True)
class PartNecks:
    """Keys of a neck and a classifier for each part."""

    parts_num: int
    in_channels: int
    class_num: int
    norm: bool = True
    parallel_BN1d: bool = True  # noqa: N815


@dataclass(frozen=True)
class Classes:
    """The only key read if the model defines its own widths."""

    class_num: int


@dataclass(frozen=True)
class GaitSet:
    """Keys of GaitSet."""

    in_channels: list[int]
    SeparateFCs: PartLayers
    bin_num: list[int]


@dataclass(frozen=True)
class GaitPart:
    """Keys of GaitPart."""

    backbone_cfg: BackboneKeys
    SeparateFCs: PartLayers
    bin_num: list[int]


@dataclass(frozen=True)
class GaitGL:
    """Keys of GaitGL; four channels select the wide variant of OUMVLP and GREW."""

    channels: list[int]
    class_num: int
    SeparateBNNecks: PartNecks | None = None


@dataclass(frozen=True)
class GLN:
    """Keys of GLN."""

    in_channels: list[int]
    bin_num: list[int]
    hidden_dim: int
    lateral_dim: int
    Lateral_pretraining: bool
    SeparateFCs: PartLayers
    dropout: float = 0.0
    class_num: int = 0


@dataclass(frozen=True)
class Baseline:
    """Keys of Baseline, which the paper calls GaitBase."""

    backbone_cfg: BackboneKeys
    SeparateFCs: PartLayers
    SeparateBNNecks: PartNecks
    bin_num: list[int]


@dataclass(frozen=True)
class DeepBackbone:
    """Keys of DeepGaitV2's ``Backbone``."""

    mode: Literal["2d", "p3d", "3d"]
    in_channels: int
    layers: list[int]
    channels: list[int]


@dataclass(frozen=True)
class DeepGaitV2:
    """Keys of DeepGaitV2."""

    Backbone: DeepBackbone
    SeparateBNNecks: Classes
    use_emb2: bool = False


@dataclass(frozen=True)
class MapBackbone:
    """Keys of SkeletonGait++'s ``Backbone``; ``C`` times 32 are the channels of its first layer."""

    in_channels: int
    blocks: list[int]
    C: int


@dataclass(frozen=True)
class SkeletonGaitPP:
    """Keys of SkeletonGait++."""

    Backbone: MapBackbone
    SeparateBNNecks: Classes
    use_emb2: bool = False


@dataclass(frozen=True)
class PartBackbone(MapBackbone):
    """Keys of MultiGait++'s ``Backbone``: the number of channels of each branch."""

    part1_channel: int
    part2_channel: int


@dataclass(frozen=True)
class MultiGaitpp:
    """Keys of MultiGait++."""

    Backbone: PartBackbone
    SeparateBNNecks: Classes


@dataclass(frozen=True)
class Branch:
    """Keys of a branch that distills DINOv2's features."""

    source_dim: int
    target_dim: int
    p: float
    softmax: bool
    Relu: bool
    Up: bool = True


@dataclass(frozen=True)
class Fusion:
    """Keys of BigGait's fusion of its two streams."""

    in_channels: int
    squeeze_ratio: int
    feat_len: int


@dataclass(frozen=True)
class BigGait:
    """Keys of BigGait; a ``pretrained_mask_branch`` without ``.pt`` in it means none."""

    pretrained_dinov2: str
    pretrained_mask_branch: str
    image_size: int
    sils_size: int
    Mask_Branch: Branch
    Denoising_Branch: Branch
    Appearance_Branch: Branch
    AttentionFusion: Fusion
    backbone_cfg: BackboneKeys
    SeparateFCs: PartLayers
    SeparateBNNecks: PartNecks
    bin_num: list[int]


KEYS: dict[str, type] = {
    "GaitSet": GaitSet,
    "GaitPart": GaitPart,
    "GaitGL": GaitGL,
    "GLN": GLN,
    "Baseline": Baseline,
    "DeepGaitV2": DeepGaitV2,
    "SkeletonGaitPP": SkeletonGaitPP,
    "MultiGaitpp": MultiGaitpp,
    "BigGait__Dinov2_Gaitbase": BigGait,
}
