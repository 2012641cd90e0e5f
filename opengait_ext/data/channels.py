"""Copies and mixtures of color channels of uint8 frames, before or after normalization."""

import cv2
import numpy as np
import torch
from torch import Tensor

from ..vision import torchvision

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_GRAY = (0.2989, 0.5870, 0.1140)  # the weights of ITU-R BT.601


def channel_copied(frames: Tensor, channel: int, normalized: bool) -> Tensor:
    """Return frames with one channel copied to all three.

    Args:
        frames: uint8.
        channel: 0, 1 or 2.
        normalized: Make the channels equal after ImageNet normalization instead of before it.

    Shape:
        - Input and output: ``[s, 3, h, w]``.
    """
    if not normalized:
        return frames[:, channel : channel + 1].repeat(1, 3, 1, 1)
    plane = np.ascontiguousarray(frames[:, channel].numpy())  # [s, h, w]
    planes = [cv2.LUT(plane.reshape(-1), table) for table in _AS_CHANNEL[channel]]
    return torch.from_numpy(np.stack([each.reshape(plane.shape) for each in planes], axis=1))


def gray(frames: Tensor, normalized: bool) -> Tensor:
    """Return frames with the weighted mean of the three channels in each channel.

    Args:
        frames: uint8.
        normalized: Take the mean, and make the channels equal, after ImageNet normalization
            instead of before it.

    Shape:
        - Input and output: ``[s, 3, h, w]``.
    """
    if not normalized:
        transforms = torchvision.transforms.v2.functional
        return transforms.rgb_to_grayscale(frames, num_output_channels=3)
    planes = frames.contiguous().unbind(dim=1)  # 3 x [s, h, w]
    columns = zip(_GRAY, planes, IMAGENET_MEAN, IMAGENET_STD, strict=True)
    parts = [weight * (plane / 255 - mean) / std for weight, plane, mean, std in columns]
    mixed = torch.stack(parts).sum(dim=0)  # [s, h, w]
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((mixed[:, None] * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def _tables_between_channels() -> np.ndarray:
    """Return ``[i, j, 256]``: values of channel j that normalize to the same as channel i's."""
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    normalized = (np.arange(256) / 255 - mean[:, None]) / std[:, None]  # [i, 256]
    values = (normalized[:, None] * std[:, None] + mean[:, None]) * 255  # [i, j, 256]
    return values.round().clip(0, 255).astype(np.uint8)


_AS_CHANNEL = _tables_between_channels()
