"""Attention over positions, and between two streams. Shape letters: see README, "Shapes"."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class NonLocal(nn.Module):
    """Non-local attention over the positions of a map; starts as the identity.

    The weight of a pair of positions is the inner product of their two embeddings divided by
    the number of positions (no softmax). The added map passes a batch normalization whose
    weight and bias start at zero. This is the block of AGW, with half the channels inside as
    in Wang et al. (AGW's own code has one channel inside: ``reduction = channels``).

    The product of three matrices is computed in the cheaper order; the result is the same.

    Source: Wang et al., "Non-local Neural Networks", CVPR 2018,
    https://arxiv.org/abs/1711.07971; Ye et al., "Deep Learning for Person Re-Identification:
    A Survey and Outlook", TPAMI 2022, https://arxiv.org/abs/2001.04193.

    Args:
        channels: Channels c of the map.
        reduction: The block works in ``channels // reduction`` channels.

    Shape:
        - Input and output: ``[n, c, h, w]``.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1, bias=False)  # the normalization has a bias
        self.bn = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Add the attended map to ``[n, c, h, w]``."""
        query = self.query(features).flatten(2)  # [n, inner, h * w]
        key = self.key(features).flatten(2)
        value = self.value(features).flatten(2)
        inner, positions = query.shape[1:]
        key = key / positions  # first, so that in half precision the sums do not overflow
        if positions < inner:
            found = value @ (key.transpose(1, 2) @ query)
        else:
            found = (value @ key.transpose(1, 2)) @ query
        found = found.unflatten(2, features.shape[2:])  # [n, inner, h, w]
        return features + self.bn(self.out(found))


class AttentionFusion(nn.Module):
    """Weighted sum of two maps; the weights of each channel and pixel add up to one.

    Three convolutions (1x1 down to ``channels // squeeze``, 3x3, 1x1 up) of both maps compute a
    score for each; the softmax over the two scores weights the two entries.

    Source: Fan et al., "SkeletonGait: Gait Recognition Using Skeleton Maps", AAAI 2024,
    https://arxiv.org/abs/2311.13444 (the attention fusion of SkeletonGait++).

    Args:
        channels: Channels c of each map.
        squeeze: The convolutions work in ``channels // squeeze`` channels.

    Shape:
        - first, second: ``[n, c, h, w]`` each.
        - Output: ``[n, c, h, w]``.
    """

    def __init__(self, channels: int, squeeze: int = 16) -> None:
        super().__init__()
        inner = max(channels // squeeze, 1)
        scores = nn.Conv2d(inner, 2 * channels, 1, bias=False)
        self.conv = nn.Sequential(
            *_look(2 * channels, inner, size=1), *_look(inner, inner, size=3), scores
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Mix two maps ``[n, c, h, w]`` into one."""
        scores = self.conv(torch.cat([first, second], dim=1))  # [n, 2 c, h, w]
        # Output 2 c + i is the score of channel c for stream i: the order of the released weights.
        weights = scores.unflatten(1, (-1, 2)).softmax(dim=2)  # [n, c, 2, h, w]
        return first * weights[:, :, 0] + second * weights[:, :, 1]


def _look(channels: int, width: int, size: int) -> Iterator[nn.Module]:
    """Yield a convolution without bias that keeps height and width, a normalization, a ReLU."""
    yield nn.Conv2d(channels, width, size, padding=size // 2, bias=False)
    yield nn.BatchNorm2d(width)
    yield nn.ReLU(inplace=True)
