"""Silhouettes that choose pixels: the front end of the released DinoGRL, which is BigGait's.

Sources: what Yang et al., "DinoGRL: DINOv2-driven Gait Representation Learning for Video-Based
Visible-Infrared Person Re-Identification", ACM MM 2025, https://doi.org/10.1145/3746027.3755413,
published with their paper; Ye et al., "BigGait: Learning Gait Representation You Want by Large
Vision Models", CVPR 2024, https://arxiv.org/abs/2402.19122.

Where :mod:`~opengait_ext.layers.gait` follows the paper, this module follows the released
network: the branches see the pixels of the finer grid, and the silhouette only tells which of
them. Letter: ``m`` pixels of a frame, ``m = h * w`` of the maps.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import AttentionFusion
from .gait import AppearancePriorEncoder, GaitPriorEncoder, MaskBranch, prior_stem

_EDGE = 5 / 64  # of the rows at the top, and at the bottom: 5 of the 64 of the released network
_CHUNK = 16  # frames whose joined tokens are brought to the finer grid at a time


def body_masks(probabilities: Tensor) -> Tensor:
    """Takes, in each frame, the first channel, or the second if the first is the background.

    The first is the background if it is the likelier class in more than half of the topmost and
    undermost rows (5 of 64 each). The columns at the left and right are not looked at.

    Args:
        probabilities: ``[f, 2, h, w]``, adding up to one.

    Returns:
        ``[f, 1, h, w]``.
    """
    first, second = probabilities.split(1, dim=1)
    height, width = first.shape[2:]
    rows = max(int(height * _EDGE), 1)
    rounded = first.round()  # of one half: 0
    edge = rounded[:, :, :rows].sum((1, 2, 3)) + rounded[:, :, -rows:].sum((1, 2, 3))  # [f]
    is_background = edge > rows * width
    return torch.where(is_background.view(-1, 1, 1, 1), second, first)


def closed(masks: Tensor) -> Tensor:
    """Closes the gaps of soft masks: 1 inside, the probability in a seam, and 0 outside.

    What is likely the body is dilated by 3 x 3 pixels; inside is what an erosion of that by
    5 x 5 leaves, the seam is what it takes away. What lies outside the frame never counts.

    Args:
        masks: ``[f, 1, h, w]``, from 0 to 1.

    Returns:
        ``[f, 1, h, w]``.
    """
    dilated = functional.max_pool2d(masks.round(), 3, stride=1, padding=1)
    inside = -functional.max_pool2d(-dilated, 5, stride=1, padding=2)
    return torch.where(inside == 1, inside, dilated * masks)


def fit_to_width(frames: Tensor, ratios: Tensor, size: Sequence[int]) -> Tensor:
    """Brings pictures to one size without changing the shape of what they show.

    A picture becomes as high as the size and ``int(height * ratio)`` wide, bilinear; if that is
    too narrow, zeros are put at its left and right, if too wide, its left part is kept.

    Args:
        frames: ``[f, c, h, w]``.
        ratios: ``[f]``, width by height of what each picture was cut from.
        size: Height and width to bring them to, in pixels.

    Returns:
        ``[f, c, *size]``.
    """
    height, width = size
    wide = (height * ratios).int().clamp(min=1)  # [f]
    fitted = frames.new_zeros(*frames.shape[:2], height, width)
    for each in wide.unique().tolist():  # one pass for all pictures of a width
        chosen = wide == each
        resized = functional.interpolate(frames[chosen], (height, each), mode="bilinear")
        left, kept = max(width - each, 0) // 2, min(each, width)
        fitted[chosen, :, :, left : left + kept] = resized[..., :kept]
    return fitted


def black_out(
    first: Tensor, second: Tensor, lengths: Sequence[int], share: float
) -> tuple[Tensor, Tensor]:
    """Sets one of two maps to zero in some tracklets, so that neither is relied on alone.

    ``round(share * n)`` of the n tracklets are drawn, then for each of them the map that is
    set to zero in all of its frames, by Python's generator, in this order.

    Args:
        first: ``[f, c, h, w]``.
        second: ``[f, c, h, w]``.
        lengths: Frames of each tracklet.
        share: Of the tracklets.

    Returns:
        Both maps; where they are kept, their gradient is kept as well.
    """
    tracklets = random.sample(range(len(lengths)), round(share * len(lengths)))
    kept = torch.ones(2, len(lengths))
    for tracklet in tracklets:
        kept[random.sample((0, 1), 1)[0], tracklet] = 0
    frames = kept.repeat_interleave(torch.tensor(lengths), dim=1).to(first)  # [2, f]
    return first * frames[0].view(-1, 1, 1, 1), second * frames[1].view(-1, 1, 1, 1)


class ForegroundMaps(NamedTuple):
    """What :class:`ForegroundSASG` gives, for f frames."""

    gait: Tensor  # [f, 16, h, w], E_g, adding up to one at each pixel of the foreground
    appearance: Tensor  # [f, 16, h, w], E_a, from 0 to 1; both are 0 in the background
    silhouettes: Tensor  # [f, 1, h, w], no gradient; the foreground is where they are not 0
    probabilities: Tensor  # [f, m, 2], of the two classes
    reconstruction: Tensor  # [f, m, d], decoded from the probabilities
    target: Tensor  # [f, m, d], the last tokens at the finer grid


class ForegroundSASG(nn.Module):
    """Makes silhouettes, and of the pixels within them what a frozen DINOv2 knows.

    The mask branch learns from its own losses alone: which pixels are taken has no gradient.
    A batch without foreground gives maps of zeros.

    Args:
        channels: Width d of the last tokens; the joined tokens have ``levels * d``.
        levels: Blocks of the transformer that are joined.
        token_grid: Rows and columns of the tokens.
        map_size: Rows h and columns w of the maps.
        mask_dropout: Share of the mask branch's inputs that is dropped in training.
        prior_channels: Channels of E_g and of E_a.
        map_channels: Channels of the fused map.

    Shape:
        - last: ``[f, t, d]``; joined: ``[f, t, levels * d]``.
        - Output: :class:`ForegroundMaps`.
    """

    def __init__(
        self,
        channels: int,
        levels: int,
        token_grid: Sequence[int],
        map_size: Sequence[int],
        mask_dropout: float = 0.5,
        prior_channels: int = 16,
        map_channels: int = 64,
    ) -> None:
        super().__init__()
        self.token_grid, self.map_size = tuple(token_grid), tuple(map_size)
        self.dropout = nn.Dropout(mask_dropout)
        self.mask = MaskBranch(channels)
        self.gait_prior = GaitPriorEncoder(levels * channels, prior_channels)
        self.appearance_prior = AppearancePriorEncoder(levels * channels, prior_channels)
        self.prior_channels = prior_channels
        self.gait_stem = prior_stem(prior_channels, map_channels)
        self.appearance_stem = prior_stem(prior_channels, map_channels)
        self.fusion = AttentionFusion(map_channels)

    def forward(self, last: Tensor, joined: Tensor) -> ForegroundMaps:
        """Makes the maps of f frames from their last and their joined tokens."""
        target = self._pixels(last)  # [f, m, d]
        scores = self.mask(self.dropout(target))
        probabilities = scores.softmax(-1)  # [f, m, 2]
        silhouettes = self.silhouettes(probabilities)
        foreground = silhouettes.flatten(1) != 0  # [f, m]
        gait, appearance = self._priors(joined, foreground)
        return ForegroundMaps(
            self._map(gait, foreground),
            self._map(appearance, foreground),
            silhouettes,
            probabilities,
            self.mask.decode(scores),
            target,
        )

    @torch.no_grad()
    def silhouettes(self, probabilities: Tensor) -> Tensor:
        """Gives the silhouettes ``[f, 1, h, w]`` of the classes' probabilities ``[f, m, 2]``."""
        grid = probabilities.detach().transpose(1, 2).unflatten(2, self.map_size)
        return closed(body_masks(grid))

    def fuse(self, gait: Tensor, appearance: Tensor) -> Tensor:
        """Brings both maps together, ``[f, 16, h, w]`` each, to ``[f, 64, h, w]``."""
        return self.fusion(self.gait_stem(gait), self.appearance_stem(appearance))

    def _priors(self, joined: Tensor, foreground: Tensor) -> tuple[Tensor, Tensor]:
        """Gives E_g and E_a of the pixels of the foreground, all frames in a row."""
        chunks = zip(joined.split(_CHUNK), foreground.split(_CHUNK), strict=True)
        pixels = torch.cat([self._pixels(part)[chosen] for part, chosen in chunks])
        if len(pixels) < (2 if self.training else 1):  # a variance needs two
            nothing = pixels.new_zeros(len(pixels), self.prior_channels)
            return nothing, nothing
        gait, appearance = self.gait_prior(pixels[None]), self.appearance_prior(pixels[None])
        return gait[0].softmax(-1), appearance[0].sigmoid()

    def _pixels(self, tokens: Tensor) -> Tensor:
        """Brings tokens ``[f, t, c]`` to the finer grid of the maps, ``[f, m, c]``."""
        grid = tokens.transpose(1, 2).unflatten(2, self.token_grid)  # [f, c, rows, columns]
        fine = functional.interpolate(grid, self.map_size, mode="bilinear")
        return fine.flatten(2).transpose(1, 2)

    def _map(self, pixels: Tensor, foreground: Tensor) -> Tensor:
        """Puts pixels where they stand in their frames, zeros elsewhere: ``[f, c, h, w]``."""
        filled = pixels.new_zeros(*foreground.shape, pixels.shape[1])  # [f, m, c]
        filled[foreground] = pixels
        return filled.transpose(1, 2).unflatten(2, self.map_size)
