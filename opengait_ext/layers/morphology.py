"""Filters with fixed kernels over maps. Shape letters: see README, "Shapes"."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class Sobel(nn.Module):
    """Sobel filter: the change of a map along its width and along its height, per channel.

    The kernels are ``[1, 0, -1]`` along one axis times ``[1, 2, 1]`` along the other. For a ramp
    that rises by one per pixel the output is 8 in absolute value.

    Source: Sobel and Feldman, "A 3x3 Isotropic Gradient Operator for Image Processing", 1968.

    Args:
        border: Padding outside the map: ``replicate`` (the nearest pixel, so that a constant map
            has no change) or ``zeros``.

    Shape:
        - Input: ``[f, c, h, w]``.
        - Output: along x and along y, each ``[f, c, h, w]``.
    """

    kernels: Tensor

    def __init__(self, border: Literal["replicate", "zeros"] = "replicate") -> None:
        super().__init__()
        self.mode = "constant" if border == "zeros" else "replicate"
        along_x = torch.tensor([1.0, 2.0, 1.0])[:, None] * torch.tensor([1.0, 0.0, -1.0])
        kernels = torch.stack([along_x, along_x.T])[:, None]  # [2, 1, 3, 3]
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Filter ``[f, c, h, w]`` along x and along y."""
        channels = maps.shape[1]
        kernels = self.kernels.to(maps.dtype).repeat(channels, 1, 1, 1)  # [2 c, 1, 3, 3]
        framed = functional.pad(maps, (1, 1, 1, 1), mode=self.mode)
        changes = functional.conv2d(framed, kernels, groups=channels)  # [f, 2 c, h, w]
        along_x, along_y = changes.unflatten(1, (channels, 2)).unbind(2)
        return along_x, along_y


def closed(masks: Tensor) -> Tensor:
    """Close the gaps of soft masks: 1 inside, the probability in a seam, and 0 outside.

    The likely body (the rounded mask) is dilated by 3 x 3 pixels. The inside is what an erosion of
    that by 5 x 5 leaves, the seam what it removes. Pixels outside the frame never count.

    Args:
        masks: ``[f, 1, h, w]``, from 0 to 1.

    Returns:
        ``[f, 1, h, w]``.
    """
    dilated = functional.max_pool2d(masks.round(), 3, stride=1, padding=1)
    inside = -functional.max_pool2d(-dilated, 5, stride=1, padding=2)
    return torch.where(inside == 1, inside, dilated * masks)
