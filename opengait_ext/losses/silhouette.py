"""Losses of DinoGRL's silhouettes and soft body parts: Eq. 5, 7 and 8.

Source: Yang et al., "DINOv2 Driven Gait Representation Learning for Video-Based
Visible-Infrared Person Re-Identification" (DinoGRL), ACM MM 2025,
https://doi.org/10.1145/3746027.3755413, Section 3.2. Letter: ``f`` frames.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from ..layers.morphology import Sobel
from .base import BaseLoss, Result, wide


class MaskLoss(BaseLoss):
    """Distance of the features decoded from the masks to the true ones (Eq. 5).

    The loss is the Euclidean length of a frame's difference over all its entries, averaged over
    the frames. In this form it grows with the number of entries: for 512 tokens of 384 channels
    it is 443 times the typical difference of one entry, and so is its weight in E_m against the
    identity losses. With ``normalized`` it is divided by the square root of that number, which
    makes it the root mean square difference of a frame: the scale of the mean squared error in
    the authors' published code, at any size of image or transformer.

    Args:
        loss_term_weight: Factor of this loss in the sum of all losses (lambda 1).
        normalized: Whether to divide; False is Eq. 5 taken literally.
        squared: Whether to square the (divided) length; with ``normalized`` this is the mean
            squared error of the published code.

    Shape:
        - reconstruction, target: ``[f, ...]``, of equal shape.

    Raises:
        ValueError: In ``forward``, if the two shapes differ.
    """

    def __init__(
        self, loss_term_weight: float = 1.0, normalized: bool = True, squared: bool = False
    ) -> None:
        super().__init__(loss_term_weight)
        self.normalized = normalized
        self.squared = squared

    def forward(self, reconstruction: Tensor, target: Tensor) -> Result:
        """Compare ``[f, ...]`` with its target."""
        if reconstruction.shape != target.shape:
            raise ValueError(
                f"reconstruction {list(reconstruction.shape)}, target {list(target.shape)}: "
                "expected equal shapes, frames first"
            )
        difference = (wide(reconstruction) - wide(target)).flatten(1)
        if self.squared:
            measure = difference.square().sum(1)  # [f]
        else:
            measure = torch.linalg.vector_norm(difference, dim=1)
        if self.normalized:
            entries = difference.shape[1]
            measure = measure / (entries if self.squared else math.sqrt(entries))
        loss = measure.mean()
        return loss, {"loss": loss.detach()}


class SmoothnessLoss(BaseLoss):
    """Mean change of maps from pixel to pixel (Eq. 7).

    The loss adds the absolute outputs of the two Sobel filters, per channel, and averages them
    over pixels and channels, then over frames. Outside the map its nearest pixel is repeated, so
    that the border of the image does not count as an edge. Eq. 7 does not say how the outputs of
    a frame become one number; if it means their sum, set ``normalized: false``.

    The published code differs twice: it sums the channels before it filters them (and still
    divides by their number), and it pads the map with zeros.

    Args:
        loss_term_weight: Factor of this loss in the sum of all losses (lambda 2).
        border: Padding outside the map, see :class:`~opengait_ext.layers.morphology.Sobel`.
        sum_channels: Whether to filter the sum of the channels instead of each of them.
        normalized: Whether to divide by the pixels and channels of a frame.

    Shape:
        - maps: ``[f, c, h, w]``.
    """

    def __init__(
        self,
        loss_term_weight: float = 1.0,
        border: Literal["replicate", "zeros"] = "replicate",
        sum_channels: bool = False,
        normalized: bool = True,
    ) -> None:
        super().__init__(loss_term_weight)
        self.sobel = Sobel(border)
        self.sum_channels = sum_channels
        self.normalized = normalized

    def forward(self, maps: Tensor) -> Result:
        """Measure the maps ``[f, c, h, w]``."""
        maps = wide(maps)
        filtered = maps.sum(1, keepdim=True) if self.sum_channels else maps
        with torch.autocast(maps.device.type, enabled=False):
            along_x, along_y = self.sobel(filtered)
        measured = maps.numel() if self.normalized else len(maps)
        loss = (along_x.abs().sum() + along_y.abs().sum()) / measured
        return loss, {"loss": loss.detach()}


class DiversityLoss(BaseLoss):
    """Unevenness of the use of a map's channels (Eq. 8).

    A channel's share is its sum over the frame divided by the sum of all channels. The loss is
    ``log2(c)`` minus the entropy of the shares in bits, per frame, averaged over the frames. It is
    0 if all channels are used equally, and ``log2(c)`` if only one channel is used, or none.

    Args:
        loss_term_weight: Factor of this loss in the sum of all losses (lambda 3).
        eps: Added to the sum and inside the logarithm; the value of the published code.

    Shape:
        - maps: ``[f, c, h, w]``, non-negative.

    Raises:
        ValueError: If ``eps`` is not above 0.
    """

    def __init__(self, loss_term_weight: float = 1.0, eps: float = 1e-6) -> None:
        super().__init__(loss_term_weight)
        if not eps > 0:
            raise ValueError(f"eps: expected above 0, found {eps}")
        self.eps = eps

    def forward(self, maps: Tensor) -> Result:
        """Measure the maps ``[f, c, h, w]``."""
        used = wide(maps).sum((2, 3))  # [f, c]
        shares = used / (used.sum(1, keepdim=True) + self.eps)
        entropy = -(shares * (shares + self.eps).log2()).sum(1)  # [f]
        loss = (math.log2(maps.shape[1]) - entropy).mean()
        return loss, {"loss": loss.detach()}
