"""Layers with separate weights for each part. Shape letters: see README, "Shapes"."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .synchronized import is_synchronized


class PartLinear(nn.Module):
    """Linear map of each part's vector by a matrix of its own, without bias.

    Each matrix is initialized by Xavier's uniform rule. (OpenGait's and the released DinoGRL's
    part layers apply the rule to the whole ``[p, c, d]`` tensor, which torch takes for a
    convolution: a bound of 0.0034 instead of 0.051 for 31 parts and 2048 to 256 channels. An
    optimizer with steps of a fixed size, like Adam, then overwrites the layer in its first steps.)

    Source: Fu et al., "Horizontal Pyramid Matching for Person Re-identification",
    AAAI 2019, https://arxiv.org/abs/1804.05275.

    Args:
        parts: Number of parts p.
        in_channels: Input channels c of a part's vector.
        out_channels: Output channels d.

    Shape:
        - Input: ``[n, c, p]``.
        - Output: ``[n, d, p]``.
    """

    def __init__(self, parts: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(parts, in_channels, out_channels))
        start_each_matrix(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[n, c, p]`` to ``[n, d, p]``."""
        return _by_part(features, self.weight)


class PartBNNeck(nn.Module):
    """Batch normalization and classifier of each part (BNNeck).

    The ``d * p`` entries (index ``channel * p + part``) are normalized over the batch. Then comes
    either a linear classifier, as in AGW, with unbounded logits, or, with ``cosine``, the cosines
    to a prototype of each identity, which a loss multiplies by a scale (OpenGait's form).

    Source: Luo et al., "A Strong Baseline and Batch Normalization Neck for Deep Person
    Re-identification", TMM 2020, https://arxiv.org/abs/1906.08332; one neck per part as in
    Fan et al., "GaitPart", CVPR 2020.

    Args:
        parts: Number of parts p.
        channels: Channels d of a part's vector.
        classes: Number of training identities k.
        cosine: Whether logits are cosines.

    Shape:
        - Input: ``[n, d, p]``.
        - Output: features ``[n, d, p]``, with ``cosine`` of unit length over d, and logits
          ``[n, k, p]``.

    Raises:
        ValueError: In ``forward``, when training on a batch of one tracklet.
    """

    def __init__(self, parts: int, channels: int, classes: int, cosine: bool = True) -> None:
        super().__init__()
        self.cosine = cosine
        self.bn = nn.BatchNorm1d(channels * parts)
        self.weight = nn.Parameter(torch.empty(parts, channels, classes))
        if cosine:
            start_each_matrix(self.weight)
        else:  # as in AGW: no bias, so that the classifier's planes pass through the origin
            nn.init.normal_(self.weight, std=0.001)
            self.bn.bias.requires_grad_(False)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``[n, d, p]`` to features ``[n, d, p]`` and logits ``[n, k, p]``."""
        check_batch(embeddings, self)
        features = self.bn(embeddings.flatten(1)).view(embeddings.shape)  # [n, d, p]
        if not self.cosine:
            return features, _by_part(features, self.weight)
        features = functional.normalize(features, dim=1)
        return features, _by_part(features, functional.normalize(self.weight, dim=1))


def start_each_matrix(weight: Tensor) -> None:
    """Initialize each of the matrices ``[p, c, d]`` by Xavier's uniform rule, in place."""
    for matrix in weight:
        nn.init.xavier_uniform_(matrix)


def check_batch(embeddings: Tensor, neck: nn.Module) -> None:
    """Refuse to train a neck on one tracklet, because its variance over the batch is undefined.

    Raises:
        ValueError: If ``neck`` is in train mode and ``embeddings`` ``[n, ...]`` has n = 1.
    """
    if neck.training and embeddings.shape[0] == 1 and not any(map(is_synchronized, neck.modules())):
        raise ValueError(
            "a batch of 1 tracklet in training: batch normalization needs at least 2; "
            "raise the tracklets of the sampler, or call eval() first"
        )


def _by_part(features: Tensor, weight: Tensor) -> Tensor:
    """Multiply ``[n, c, p]`` by ``[p, c, d]``, part by part: ``[n, d, p]``."""
    return torch.bmm(features.permute(2, 0, 1), weight).permute(1, 2, 0)
