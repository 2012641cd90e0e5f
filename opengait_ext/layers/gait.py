"""Silhouettes and gait maps from the tokens of a frozen DINOv2: SASG and its branches.

Sources: Yang et al., "DINOv2 Driven Gait Representation Learning for Video-Based
Visible-Infrared Person Re-Identification", ACM MM 2025,
https://doi.org/10.1145/3746027.3755413, Section 3.2 and Figure 3; Ye et al., "BigGait:
Learning Gait Representation You Want by Large Vision Models", CVPR 2024,
https://arxiv.org/abs/2402.19122, from which the branches come.

Here ``t`` is the number of tokens of a frame, ``t = h * w`` of the token grid, and ``d`` the
width of the transformer. Every branch works on tokens first, and only its few output channels
are upsampled to the finer grid of the maps. The paper does not say where to upsample. There are
four times fewer tokens than pixels, and for the mask and the appearance branch, which are affine
up to their last function, the result is the same. Batch statistics are those of the tokens.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..products import Linear
from ..vision import torchvision
from ..weights import load_or_say_random
from .attention import AttentionFusion
from .row_norm import RowNorm

_HINT = (
    "Import BigGait's file (datasets/prep/weights.py import-mask), or give null to start the mask "
    "branch from random weights."
)


class MaskBranch(nn.Module):
    """Segmentation of each frame into pedestrian and background: E_m and D_m of Eq. 4 and 5.

    Args:
        channels: Width d of the tokens.

    Shape:
        - Input: last tokens ``[f, t, d]``.
        - Output: scores of the two classes ``[f, t, 2]``, before their softmax.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = RowNorm(channels)
        self.encoder = Linear(channels, 2)
        self.decoder = Linear(2, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores ``[f, t, 2]``."""
        return self.encoder(_by_token(self.norm, tokens))

    def decode(self, scores: Tensor) -> Tensor:
        """Decode the tokens ``[f, t, d]`` from the class scores ``[f, t, 2]``."""
        return self.decoder(scores.softmax(-1))


def load_mask_branch(branch: MaskBranch, path: str | None) -> None:
    """Load ``model_cfg.mask_weights``, a state dict of the branch; warn if it is null."""
    load_or_say_random(branch, path, where="model_cfg.mask_weights", hint=_HINT)


class TokenEncoder(nn.Sequential):
    """Layers over the tokens of all frames in a row, so that each token is a sample.

    The first layer is a normalization without weights, the second is linear. After these two,
    tokens may be upsampled to a finer grid and some of its pixels selected.

    Shape:
        - Input: ``[f, t, c]``. Output: ``[f, t, d]``.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Encode ``[f, t, c]``."""
        return _by_token(super().forward, tokens)

    @property
    def norm(self) -> nn.BatchNorm1d:
        """Return the first layer."""
        return cast(nn.BatchNorm1d, self[0])

    def finish(self, rows: Tensor) -> Tensor:
        """Run the layers after the second on ``[n, width of the second]``."""
        for layer in list(self)[2:]:
            rows = layer(rows)
        return rows


class GaitPriorEncoder(TokenEncoder):
    """Encoder of soft body parts, shared by the modalities: E_g of Eq. 6, before its softmax.

    Args:
        channels: Channels c of the joined tokens.
        outputs: Number of soft parts, d.
    """

    def __init__(self, channels: int, outputs: int = 16) -> None:
        super().__init__(
            RowNorm(channels),
            Linear(channels, channels // 2),
            RowNorm(channels // 2),
            nn.GELU(),
            Linear(channels // 2, outputs),
        )


class AppearancePriorEncoder(TokenEncoder):
    """Encoder of appearance maps: E_a of Eq. 6, before its sigmoid.

    Args:
        channels: Channels c of the joined tokens.
        outputs: Number of maps, d.
    """

    def __init__(self, channels: int, outputs: int = 16) -> None:
        super().__init__(
            RowNorm(channels),
            Linear(channels, outputs),
            RowNorm(outputs),
        )


class CentralChannel(nn.Module):
    """Selection, in each frame, of the channel with the central mask: the pedestrian.

    The centrality of a mask is its mean weighted by nearness to the vertical center line (1 on
    the line, falling linearly to 0 at the left and right edge) minus its mean on the border (the
    outermost sixteenth of the rows and of the columns, at least one, on each side). Mirroring
    a frame does not change it, and a constant mask has 0. Two masks that add up to one have
    opposite centralities, so the choice is their sign; on a tie the first is taken. The choice
    itself has no gradient; the chosen mask has one.

    Args:
        size: Rows and columns of the masks.

    Shape:
        - Input: ``[f, c, h, w]``. Output: ``[f, 1, h, w]``.
    """

    weight: Tensor

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        height, width = size
        column = torch.arange(width) + 0.5
        near = (1 - (2 * column / width - 1).abs()).expand(height, width)
        border = torch.ones(height, width)
        rows, columns = max(height // 16, 1), max(width // 16, 1)
        border[rows : height - rows, columns : width - columns] = 0
        self.register_buffer("weight", near / near.sum() - border / border.sum(), persistent=False)

    def centrality(self, masks: Tensor) -> Tensor:
        """Return the centrality of each mask of ``[f, c, h, w]``, from -1 to 1: ``[f, c]``."""
        return (masks * self.weight).sum((2, 3))

    def forward(self, masks: Tensor) -> Tensor:
        """Return the central one of the masks ``[f, c, h, w]``."""
        chosen = self.centrality(masks.detach()).argmax(1)  # [f]
        return masks.gather(1, chosen.view(-1, 1, 1, 1).expand(-1, 1, *masks.shape[2:]))


class GaitMaps(NamedTuple):
    """Output of SASG for f frames."""

    maps: Tensor  # [f, 64, h, w], M of Eq. 6
    silhouettes: Tensor  # [f, 1, h, w], S of Eq. 4, from 0 to 1
    gait_prior: Tensor  # [f, 16, h, w], E_g, adding up to one at each pixel
    reconstruction: Tensor  # [f, d, token rows, token columns], S decoded


class SASG(nn.Module):
    """Silhouettes filled with features of a frozen DINOv2 (SASG, Figure 3).

    ``M = S * fusion(E_g, E_a)`` (Eq. 6), with the soft silhouette S, so that the identity
    losses of M reach E_m, E_g and E_a (the joint learning of Eq. 10).

    Args:
        channels: Width d of the last tokens; the joined tokens have ``levels * d``.
        levels: Number of transformer blocks whose tokens are joined.
        token_grid: Rows and columns of the tokens.
        map_size: Rows and columns of the maps.
        joint_learning: False stops the gradient of M at S, E_g and E_a, which then learn from
            the mask, smoothness and diversity losses alone; no such loss reaches E_a, which
            keeps its random weights.
        prior_channels: Channels of E_g and of E_a.
        map_channels: Channels of M.

    Shape:
        - last: ``[f, t, d]``; joined: ``[f, t, levels * d]``.
        - Output: :class:`GaitMaps`.
    """

    def __init__(
        self,
        channels: int,
        levels: int,
        token_grid: Sequence[int],
        map_size: Sequence[int],
        joint_learning: bool = True,
        prior_channels: int = 16,
        map_channels: int = 64,
    ) -> None:
        super().__init__()
        self.token_grid, self.map_size = tuple(token_grid), tuple(map_size)
        self.joint_learning = joint_learning
        self.mask = MaskBranch(channels)
        self.central = CentralChannel(map_size)
        self.gait_prior = GaitPriorEncoder(levels * channels, prior_channels)
        self.appearance_prior = AppearancePriorEncoder(levels * channels, prior_channels)
        self.appearance_prior.requires_grad_(joint_learning)
        self.gait_stem = prior_stem(prior_channels, map_channels)
        self.appearance_stem = prior_stem(prior_channels, map_channels)
        self.fusion = AttentionFusion(map_channels)

    def forward(self, last: Tensor, joined: Tensor) -> GaitMaps:
        """Return the maps of f frames, computed from their last and their joined tokens."""
        scores = self.mask(last)
        silhouettes = self.silhouettes(scores)  # Eq. 4
        reconstruction = self._grid(self.mask.decode(scores))  # Eq. 5
        gait = self._map(self.gait_prior(joined)).softmax(1)
        appearance = self._map(self.appearance_prior(joined)).sigmoid()
        maps = self._enrich(silhouettes, gait, appearance)  # Eq. 6
        return GaitMaps(maps, silhouettes, gait, reconstruction)

    def silhouettes(self, scores: Tensor) -> Tensor:
        """Return the soft silhouettes ``[f, 1, h, w]`` for the mask branch's scores."""
        return self.central(self._map(scores).softmax(1))

    def _enrich(self, silhouettes: Tensor, gait: Tensor, appearance: Tensor) -> Tensor:
        if not self.joint_learning:
            silhouettes, gait, appearance = (x.detach() for x in (silhouettes, gait, appearance))
        return silhouettes * self.fusion(self.gait_stem(gait), self.appearance_stem(appearance))

    def _grid(self, tokens: Tensor) -> Tensor:
        """Put the tokens ``[f, t, c]`` back to their positions in the frame."""
        return tokens.transpose(1, 2).unflatten(2, self.token_grid)  # [f, c, rows, columns]

    def _map(self, tokens: Tensor) -> Tensor:
        """Upsample ``[f, t, c]`` to the finer grid of the maps ``[f, c, h, w]``."""
        grid = self._grid(tokens).contiguous()  # torch normalizes channels-last maps less exactly
        return functional.interpolate(grid, self.map_size, mode="bilinear")


def prior_stem(channels: int, width: int) -> nn.Sequential:
    """Return the layers that bring one prior to the width of the maps, at full resolution."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        torchvision.models.resnet.BasicBlock(width, width),
    )


def _by_token(layer: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
    """Apply a layer for ``[n, c]`` to all tokens ``[f, t, c]``."""
    return layer(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
