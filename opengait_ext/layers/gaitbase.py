"""GaitBase with two streams of maps, as in BigGait. Letters: see README, "Shapes".

Sources: Fan et al., "OpenGait: Revisiting Gait Recognition Toward Better Practicality", CVPR 2023,
https://arxiv.org/abs/2211.06597 (GaitBase); Ye et al., "BigGait: Learning Gait Representation You
Want by Large Vision Models", CVPR 2024, https://arxiv.org/abs/2402.19122 (its two streams).
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from ..vision import torchvision
from .attention import AttentionFusion
from .gait import prior_stem
from .parts import PartBNNeck, PartLinear
from .pooling import HorizontalPyramid, SetPooling

STRIDES = (2, 2, 1)  # of the three stages after the fusion


class ResNet9Stages(nn.Sequential):
    """The last three stages of GaitBase, made of residual blocks.

    The parameters have torchvision's names (``layer2.0.conv1.weight`` ...). As in torchvision, a
    stage that halves the map or changes the channels does so in its first block, whose shortcut
    then is a 1 x 1 convolution with a normalization.

    Args:
        channels: Channels of the input map, and after each of the three stages.
        blocks: Residual blocks of each of the three stages.

    Shape:
        - Input: ``[f, channels[0], h, w]``.
        - Output: ``[f, channels[3], h / 4, w / 4]``.
    """

    def __init__(self, channels: Sequence[int], blocks: Sequence[int] = (1, 1, 1)) -> None:
        super().__init__()
        widths = zip(channels[:-1], channels[1:], blocks, STRIDES, strict=True)
        for number, (before, after, count, stride) in enumerate(widths, start=2):
            stage = [_block(before, after, stride)]
            stage += [_block(after, after, 1) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))


class GaitParts(NamedTuple):
    """Output of :class:`TwoStreamGaitBase` for n tracklets."""

    embeddings: Tensor  # [n, d, p]
    logits: Tensor  # [n, k, p], cosines


class TwoStreamGaitBase(nn.Module):
    """Embeddings of horizontal stripes from two maps of the same frames.

    Each map passes a stem of its own (a convolution and a residual block at full size). An
    attention mixes both by channel and pixel, and three residual stages follow. Then come the
    maximum over the frames, a pyramid of stripes, and for each stripe a linear map, a
    normalization and a classifier of its own.

    Args:
        inputs: Channels of each of the two maps.
        classes: Training identities k.
        channels: Channels after the stems, and after each of the three stages.
        blocks: Residual blocks of each of the three stages.
        bins: Stripes per level; each divides a sixteenth of the pixels of a map.
        part_channels: Channels d of a stripe's embedding.

    Shape:
        - first, second: ``[f, inputs, h, w]``, the frames of all tracklets in a row.
        - lengths: n numbers of frames, whose sum is ``f``.
        - Output: :class:`GaitParts`, with ``p = sum(bins)``.

    Raises:
        ValueError: In ``forward``, when training on a batch of one tracklet.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        channels: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (1, 1, 1),
        bins: Sequence[int] = (16,),
        part_channels: int = 256,
    ) -> None:
        super().__init__()
        self.gait_stem = prior_stem(inputs, channels[0])
        self.appearance_stem = prior_stem(inputs, channels[0])
        self.fusion = AttentionFusion(channels[0])
        self.stages = ResNet9Stages(channels, blocks)
        self.set_pooling = SetPooling("max")
        self.pyramid = HorizontalPyramid(bins, whole_rows=False)
        self.linear = PartLinear(sum(bins), channels[-1], part_channels)
        self.neck = PartBNNeck(sum(bins), part_channels, classes)

    def forward(self, first: Tensor, second: Tensor, lengths: Sequence[int]) -> GaitParts:
        """Return embeddings and logits of n tracklets, computed from their two maps."""
        fused = self.fusion(self.gait_stem(first), self.appearance_stem(second))
        maps = self.set_pooling(self.stages(fused), lengths)  # [n, c, h / 4, w / 4]
        embeddings = self.linear(self.pyramid(maps))  # [n, d, p]
        return GaitParts(embeddings, self.neck(embeddings)[1])


def start_as_opengait(network: nn.Module) -> None:
    """Initialize all weights of a network as OpenGait does.

    Convolutions and linear layers: Xavier uniform weights, zero biases. Batch normalizations:
    weights around one (standard deviation 0.02), zero biases. Matrices of all stripes: Xavier
    uniform over the whole array, which makes them far smaller than matrix by matrix (see
    :class:`~opengait_ext.layers.parts.PartLinear`).

    Args:
        network: Changed in place.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, (PartLinear, PartBNNeck)):
            nn.init.xavier_uniform_(module.weight)


def _block(before: int, after: int, stride: int) -> nn.Module:
    """Return a residual block of two 3 x 3 convolutions, ``before`` to ``after`` channels."""
    around = None
    if stride != 1 or before != after:
        around = nn.Sequential(
            nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
        )
    return torchvision.models.resnet.BasicBlock(before, after, stride, around)
