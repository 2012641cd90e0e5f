"""Pooling over space and over the frames of a tracklet. Shape letters: see README, "Shapes"."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Statistic = Literal["max", "mean", "attention"]


class HorizontalPyramid(nn.Module):
    """Pooling of a feature map into horizontal stripes of several heights.

    A level of ``b`` bins cuts the map into ``b`` stripes of equal height; each stripe
    becomes one part, the sum of its mean and its maximum.

    Source: Fu et al., "Horizontal Pyramid Matching for Person Re-identification",
    AAAI 2019, https://arxiv.org/abs/1804.05275.

    Args:
        bins: Stripes per level; the parts come out in this order.
        whole_rows: False lets a stripe start within a row, as OpenGait's pooling does: then only
            the number of pixels must be divisible.

    Shape:
        - Input: ``[n, c, h, w]``; every number of bins divides ``h``, or ``h * w``.
        - Output: ``[n, c, p]`` with ``p = sum(bins)``.

    Raises:
        ValueError: If a number of bins is below 1 or, in ``forward``, does not divide ``h``.
    """

    def __init__(self, bins: Sequence[int] = (1, 2, 4, 8, 16), whole_rows: bool = True) -> None:
        super().__init__()
        self.bins = tuple(bins)
        self.whole_rows = whole_rows
        if not self.bins or min(self.bins) < 1:
            raise ValueError(
                f"bins {list(self.bins)}: expected numbers of stripes, at least 1 each"
            )

    def forward(self, features: Tensor) -> Tensor:
        """Pool ``[n, c, h, w]`` into ``[n, c, p]``."""
        n, c, h, w = features.shape
        uneven = [bins for bins in self.bins if (h if self.whole_rows else h * w) % bins]
        if uneven:
            raise ValueError(
                f"a feature map of {h} rows and {w} columns has no {uneven} equal stripes; "
                "choose bins that divide its height, or another image height"
            )
        levels = [features.reshape(n, c, bins, -1) for bins in self.bins]
        return torch.cat([level.mean(-1) + level.amax(-1) for level in levels], dim=-1)


class GeneralizedMean(nn.Module):
    """Generalized mean with a learnable power (GeM): pools a feature map into a vector.

    ``mean(x ** p) ** (1 / p)`` over the pixels: the mean for p = 1, near the maximum for
    large p. It is computed with logarithms, in float32 at least, so that no power of a small or
    large activation underflows or overflows.

    Source: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation",
    TPAMI 2019, https://arxiv.org/abs/1711.02512.

    Args:
        p: Initial power.
        eps: Lower bound to which activations are clamped.

    Shape:
        - Input: ``[n, c, h, w]``, non-negative activations.
        - Output: ``[n, c]``.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([float(p)]))
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """Pool ``[n, c, h, w]`` into ``[n, c]``."""
        wide = features.flatten(2).to(torch.promote_types(features.dtype, torch.float32))
        sums = torch.logsumexp(wide.clamp(min=self.eps).log() * self.p, dim=-1)  # [n, c]
        return ((sums - math.log(wide.shape[-1])) / self.p).exp()


class SetPooling(nn.Module):
    """Pooling of the frames of each tracklet into one feature, whatever their order and number.

    ``attention`` weights every entry of every frame, given the maximum, mean and median of the set,
    adds the weighted features to the features, and takes the maximum over the frames.

    Source: Chao et al., "GaitSet: Regarding Gait as a Set for Cross-View Gait Recognition",
    AAAI 2019, https://arxiv.org/abs/1811.06186.

    Args:
        statistic: Statistic over the frames: ``max``, ``mean`` or ``attention``.
        channels: Channels c of a frame's feature; only needed for ``attention``.

    Shape:
        - features: ``[f, c, ...]``, the frames of all tracklets in a row.
        - lengths: n numbers of frames, whose sum is ``f``.
        - Output: ``[n, c, ...]``.

    Raises:
        ValueError: If ``statistic`` is unknown, ``attention`` has no ``channels``, or, in
            ``forward``, the lengths do not add up to the frames or one is below 1.
    """

    def __init__(self, statistic: Statistic = "max", channels: int = 0) -> None:
        super().__init__()
        if statistic not in ("max", "mean", "attention"):
            raise ValueError(f"set pooling {statistic!r}: expected max, mean or attention")
        if statistic == "attention" and channels < 1:
            raise ValueError(f"set pooling by attention needs its channels, got {channels}")
        self.statistic = statistic
        if statistic == "attention":
            # One 1x1 convolution of (frame, max, mean, median), split in two: the half that
            # sees the set is computed once per set, not once per frame.
            self.of_frame = nn.Conv1d(channels, channels, 1)
            self.of_set = nn.Conv1d(3 * channels, channels, 1, bias=False)

    def forward(self, features: Tensor, lengths: Sequence[int]) -> Tensor:
        """Pool ``[f, c, ...]`` into ``[n, c, ...]``."""
        frames = features.shape[0]
        if not lengths or sum(lengths) != frames or min(lengths) < 1:
            raise ValueError(
                f"tracklets of {list(lengths)} frames in a batch of {frames} frames: expected "
                "lengths of at least 1 that add up to the batch"
            )
        if len(set(lengths)) == 1:
            return self._pool(features.unflatten(0, (len(lengths), lengths[0])))
        pieces = features.split(list(lengths))
        return torch.cat([self._pool(piece.unsqueeze(0)) for piece in pieces])

    def _pool(self, sets: Tensor) -> Tensor:
        """Pool sets of equal size: ``[n, s, c, ...]`` into ``[n, c, ...]``."""
        if self.statistic == "mean":
            return sets.mean(1)
        if self.statistic == "attention":
            sets = self._attend(sets)
        return sets.amax(1)

    def _attend(self, sets: Tensor) -> Tensor:
        """Weight the frames of each set: ``[n, s, c, ...]`` in and out."""
        n, s, c = sets.shape[:3]
        flat = sets.reshape(n, s, c, -1)  # [n, s, c, pixels]
        statistics = (flat.amax(1), flat.mean(1), flat.median(1).values)
        context = self.of_set(torch.cat(statistics, dim=1))  # [n, c, pixels]
        scores = self.of_frame(flat.flatten(0, 1)).view(n, s, c, -1) + context.unsqueeze(1)
        return (flat + flat * scores.sigmoid()).reshape(sets.shape)
