"""Vision transformer compatible with DINOv2's weights. Letters: see README, "Shapes"."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..dinov2_names import check_heads, metas_names
from ..products import Linear
from ..weights import load_or_say_random
from .bilinear import resized
from .frozen import freeze

_HINT = "Download Meta's file (the command stands at the head of the config), or give null."
_EPS = 1e-6  # of every normalization, as in DINOv2
_OFFSET = 0.1  # DINOv2 adds it to the number of tokens before it resamples the position table


@dataclass(frozen=True)
class DINOv2:
    """Sizes of the frozen transformer; they must match its weights.

    Attributes:
        embed_dim: Channels of a token.
        depth: Number of blocks.
        num_heads: Attention heads of a block.
        patch_size: Side of a patch, in pixels.
        input_size: Height and width to which frames are resized, in pixels.
        pretrain_grid: Side of the position table, in tokens.
        taps: Blocks whose tokens are joined, counted from 0.
    """

    embed_dim: int
    depth: int
    num_heads: int
    patch_size: int
    input_size: list[int]
    pretrain_grid: int
    taps: list[int]


def frozen_dinov2(sizes: DINOv2 | Mapping[str, Any]) -> "VisionTransformer":
    """Return a frozen transformer of these sizes.

    Raises:
        ValueError: If the sizes contradict each other, or the heads are not DINOv2's.
    """
    values = dict(sizes) if isinstance(sizes, Mapping) else asdict(sizes)
    check_heads(values["embed_dim"], values["num_heads"])
    return freeze(VisionTransformer(image_size=values.pop("input_size"), **values))


def load_dinov2(module: nn.Module, path: str | None) -> None:
    """Load ``model_cfg.dinov2_weights``, under any library's names; warn if it is null."""
    load_or_say_random(
        module, path, where="model_cfg.dinov2_weights", hint=_HINT, translate=metas_names
    )


class VisionTransformer(nn.Module):
    """Vision transformer that returns the patch tokens of the last block and of chosen blocks.

    The modules are named as in the files of DINOv2 (``dinov2_vits14_pretrain.pth`` and its
    larger siblings without registers), so that these load without renaming.

    Source: Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision",
    TMLR 2024, https://arxiv.org/abs/2304.07193. The choice of tokens, and the joint
    normalization of the chosen blocks: Ye et al., "BigGait: Learning Gait Representation You
    Want by Large Vision Models", CVPR 2024, https://arxiv.org/abs/2402.19122.

    Args:
        embed_dim: Channels d of a token.
        depth: Number of blocks.
        num_heads: Attention heads of a block; divides ``embed_dim``.
        image_size: Height and width in pixels to which frames are resized; multiples of
            ``patch_size``.
        patch_size: Side of a patch in pixels.
        pretrain_grid: Side of the position table in tokens (37 in Meta's files); it is
            resampled to the grid of the frames.
        taps: The chosen blocks, counted from 0, in the order of the output.
        mlp_ratio: Hidden channels of a block's perceptron, in multiples of ``embed_dim``.
        layer_scale: Initial value of the factors on the two branches of a block.

    Shape:
        - Input: ``[f, 3, h, w]``, normalized by ImageNet's mean and standard deviation; any
          size, resized to ``image_size`` (bilinear).
        - Output: ``last`` ``[f, t, d]``, after the final normalization, and ``mid``
          ``[f, t, len(taps) * d]``; t tokens in row order, ``grid`` rows and columns of them.

    Raises:
        ValueError: If sizes do not divide each other, or a tap is not a block.
    """

    def __init__(
        self,
        embed_dim: int = 384,
        depth: int = 12,
        num_heads: int = 6,
        image_size: tuple[int, int] = (448, 224),
        patch_size: int = 14,
        pretrain_grid: int = 37,
        taps: tuple[int, ...] = (2, 5, 8, 11),
        mlp_ratio: float = 4.0,
        layer_scale: float = 1.0,
    ) -> None:
        super().__init__()
        _check_sizes(embed_dim, depth, num_heads, image_size, patch_size, taps)
        self.image_size = (image_size[0], image_size[1])
        self.grid = (image_size[0] // patch_size, image_size[1] // patch_size)
        self.pretrain_grid = pretrain_grid
        self.embed_dim = embed_dim
        self.taps = tuple(taps)
        self.patch_embed = _PatchEmbed(embed_dim, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + pretrain_grid**2, embed_dim))
        self.mask_token = nn.Parameter(torch.zeros(1, embed_dim))
        hidden = int(embed_dim * mlp_ratio)
        self.blocks = nn.ModuleList(
            _Block(embed_dim, num_heads, hidden, layer_scale) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=_EPS)
        self._positions: dict[tuple[int, int], tuple[tuple, Tensor]] = {}
        self._init_weights()

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens ``last`` and ``mid`` of frames ``[f, 3, h, w]``."""
        tokens = self._embed(resized(frames, self.image_size), None)  # [f, 1 + t, d]
        tapped: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.taps:
                tapped[index] = tokens[:, 1:]
        mid = torch.cat([tapped[index] for index in self.taps], dim=-1)
        return self.norm(tokens[:, 1:]), functional.layer_norm(mid, mid.shape[-1:], eps=_EPS)

    def encode(self, frames: Tensor, masked: Tensor | None = None) -> Tensor:
        """Return all tokens of frames of any size, the class token first, for pre-training.

        Args:
            frames: ``[f, 3, h, w]``, h and w multiples of the patch size; not resized.
            masked: ``[f, t]`` bool, patches to replace by the mask token; None: none.

        Returns:
            ``[f, 1 + t, d]`` after the final normalization.
        """
        tokens = self._embed(frames, masked)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Return the position table for a grid of h x w tokens, ``[1, 1 + h * w, d]``.

        The table is resampled as in Meta's code: bicubic in float32, by the factors
        ``(h + 0.1) / side`` and ``(w + 0.1) / side``, which also define the sampling positions. The
        result is cached per grid as long as the table does not change; a table in training is
        resampled at each call.
        """
        if self.pos_embed.requires_grad:
            return self._resample(grid)
        table = self.pos_embed
        state = (id(table), table._version, table.device, table.dtype)  # changes with the table
        if grid not in self._positions or self._positions[grid][0] != state:
            self._positions[grid] = (state, self._resample(grid).detach())
        return self._positions[grid][1]

    def _resample(self, grid: tuple[int, int]) -> Tensor:
        side = self.pretrain_grid
        if grid == (side, side):
            return self.pos_embed
        table = self.pos_embed.float()
        patches = table[:, 1:].view(1, side, side, -1).permute(0, 3, 1, 2)  # [1, d, side, side]
        factors = ((grid[0] + _OFFSET) / side, (grid[1] + _OFFSET) / side)
        patches = functional.interpolate(patches, scale_factor=factors, mode="bicubic")
        patches = patches.flatten(2).transpose(1, 2)  # [1, h * w, d]
        return torch.cat([table[:, :1], patches], dim=1).to(self.pos_embed.dtype)

    def _embed(self, frames: Tensor, masked: Tensor | None) -> Tensor:
        patches = self.patch_embed(frames)  # [f, d, h, w]
        grid = (patches.shape[2], patches.shape[3])
        patches = patches.flatten(2).transpose(1, 2)  # [f, t, d]
        if masked is not None:
            patches = torch.where(masked[..., None], self.mask_token.to(patches.dtype), patches)
        first = self.cls_token.expand(len(patches), -1, -1)
        return torch.cat([first, patches], dim=1) + self.positions(grid)

    def _init_weights(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)


class _PatchEmbed(nn.Module):
    """Linear map of each patch of ``[f, 3, h, w]`` to a token: ``[f, d, h / patch, w / patch]``."""

    def __init__(self, embed_dim: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, patch_size, stride=patch_size)

    def forward(self, frames: Tensor) -> Tensor:
        return self.proj(frames)


class _Block(nn.Module):
    """Attention and a perceptron, each after its normalization, scaled and added."""

    def __init__(self, embed_dim: int, num_heads: int, hidden: int, layer_scale: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=_EPS)
        self.attn = _Attention(embed_dim, num_heads)
        self.ls1 = _LayerScale(embed_dim, layer_scale)
        self.norm2 = nn.LayerNorm(embed_dim, eps=_EPS)
        self.mlp = _MLP(embed_dim, hidden)
        self.ls2 = _LayerScale(embed_dim, layer_scale)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class _Attention(nn.Module):
    """Multi-head self-attention over the tokens of a frame."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(embed_dim, 3 * embed_dim)
        self.proj = Linear(embed_dim, embed_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        qkv = self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1))  # [f, t, 3, heads, d / heads]
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each [f, heads, t, d / heads]
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))  # [f, t, d]


class _LayerScale(nn.Module):
    """Multiplication of each channel by a learned factor."""

    def __init__(self, embed_dim: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((embed_dim,), start))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class _MLP(nn.Module):
    """Two linear maps with an exact GELU between them."""

    def __init__(self, embed_dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(embed_dim, hidden)
        self.fc2 = Linear(hidden, embed_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(self.fc1(tokens, gelu=True))


def _check_sizes(
    embed_dim: int,
    depth: int,
    num_heads: int,
    image_size: tuple[int, int],
    patch_size: int,
    taps: tuple[int, ...],
) -> None:
    """Raise a ValueError if sizes of a ViT do not fit together."""
    if embed_dim % num_heads:
        raise ValueError(f"embed_dim {embed_dim} does not divide by num_heads {num_heads}")
    if len(image_size) != 2 or any(side < patch_size or side % patch_size for side in image_size):
        raise ValueError(
            f"image_size {list(image_size)}: expected height and width in pixels, "
            f"both multiples of the patch of {patch_size}"
        )
    wrong = [tap for tap in taps if not 0 <= tap < depth]
    if wrong or not taps:
        raise ValueError(
            f"taps {list(taps)}: expected blocks of a ViT with depth {depth}, 0 to {depth - 1}"
        )
