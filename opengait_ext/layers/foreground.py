"""Silhouettes that select pixels: the front end of the released DinoGRL, which is BigGait's.

Sources: the network published with Yang et al., "DINOv2 Driven Gait Representation Learning for
Video-Based Visible-Infrared Person Re-Identification", ACM MM 2025,
https://doi.org/10.1145/3746027.3755413; Ye et al., "BigGait: Learning Gait Representation You Want
by Large Vision Models", CVPR 2024, https://arxiv.org/abs/2402.19122.

Where :mod:`~opengait_ext.layers.gait` follows the paper, this module follows the released
network: the branches see the pixels of the finer grid, and the silhouette only selects which of
them. Letter: ``m`` pixels of a frame, ``m = h * w`` of the maps.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from .attention import AttentionFusion
from .bilinear import resized
from .black_out import black_out as black_out  # part of these branches
from .gait import (
    AppearancePriorEncoder,
    GaitPriorEncoder,
    MaskBranch,
    TokenEncoder,
    prior_stem,
)
from .morphology import closed
from .synchronized import Processes, SharesBatch, is_synchronized, pooled_moments
from .upsampling import ChosenPixels, filled, follow_moments, upsampled, upsampled_moments

_EDGE = 5 / 64  # fraction of the rows at the top and at the bottom, as in the released network
_CHUNK = 4  # frames whose tokens are upsampled at a time


def body_masks(probabilities: Tensor) -> Tensor:
    """Return, for each frame, the first channel, or the second if the first is the background.

    The first is the background if it is the likelier class in more than half of the pixels of the
    top and bottom rows (5 of 64 each). The left and right columns are not considered.

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


def fit_to_width(
    frames: Tensor,
    ratios: Tensor,
    size: Sequence[int],
    kept_part: Literal["left", "middle"] = "left",
) -> Tensor:
    """Resize pictures to one size and keep their aspect ratio.

    A picture is resized to the target height and ``int(height * ratio)`` columns, bilinear. If that
    is too narrow, it is padded with zeros at the left and right; if too wide, it is cropped.

    Args:
        frames: ``[f, c, h, w]``.
        ratios: ``[f]``, width divided by height of each original picture.
        size: Target height and width, in pixels.
        kept_part: Part that a crop keeps: ``left``, as the released DinoGRL, or ``middle``, as
            OpenGait's BigGait; if an odd number of columns is too many, one more is cut at the
            left.

    Returns:
        ``[f, c, *size]``.
    """
    height, width = size
    wide = (height * ratios).int().clamp(min=1)  # [f]
    fitted = frames.new_zeros(*frames.shape[:2], height, width)
    for each in wide.unique().tolist():  # one pass per width
        chosen = wide == each
        brought = resized(frames[chosen], (height, each))
        left, kept = max(width - each, 0) // 2, min(each, width)
        first = (each - kept + 1) // 2 if kept_part == "middle" else 0
        fitted[chosen, :, :, left : left + kept] = brought[..., first : first + kept]
    return fitted


def shaped_as(
    frames: Tensor,
    map_size: Sequence[int],
    ratios: Tensor | None = None,
    kept_part: Literal["left", "middle"] = "left",
) -> Tensor:
    """Resize frames to four times the size of the maps, if their aspect ratio differs.

    Args:
        frames: ``[f, c, h, w]``.
        map_size: Height and width of the maps.
        ratios: As in :func:`fit_to_width`; None: each frame is resized as a whole.
        kept_part: As in :func:`fit_to_width`.
    """
    height, width = map_size
    if frames.shape[2] * width == frames.shape[3] * height:
        return frames
    if ratios is None:
        ratios = torch.full((len(frames),), width / height)
    return fit_to_width(frames, ratios, [4 * height, 4 * width], kept_part)


class ForegroundMaps(NamedTuple):
    """Output of :class:`ForegroundBranches` for f frames."""

    gait: Tensor  # [f, 16, h, w], E_g, adding up to one at each pixel of the foreground
    appearance: Tensor  # [f, 16, h, w], E_a, from 0 to 1; both are 0 in the background
    silhouettes: Tensor  # [f, 1, h, w], no gradient; the foreground is where they are not 0
    probabilities: Tensor  # [f, m, 2], of the two classes; 0 in padding pixels
    # The last tokens at the finer grid as decoded from the probabilities, and the true ones; in
    # training only, empty otherwise.
    reconstruction: Tensor  # [f, m, d]; of pictures, [1, pixels, d]
    target: Tensor

    def in_memory_order(self) -> Tensor:
        """Return the probabilities in the layout that the published codes smooth, ``[f, 2, h, w]``.

        The ``[m, 2]`` numbers of a frame are reshaped to ``[2, h, w]`` without a transpose. Both
        classes then alternate in the rows of one half of the frame. Transposed properly, they would
        add up to one in each pixel, and their sum would be smooth whatever the mask is.
        """
        return self.probabilities.reshape(len(self.gait), 2, *self.gait.shape[2:])


class ForegroundBranches(SharesBatch, nn.Module):
    """Silhouettes, and gait and appearance maps of the pixels within them, from a frozen DINOv2.

    The mask branch learns from its own losses alone: the selection of pixels has no gradient.
    A batch without foreground has maps of zeros.

    Args:
        channels: Width d of the last tokens; the joined tokens have ``levels * d``.
        levels: Number of transformer blocks whose tokens are joined.
        token_grid: Rows and columns of the tokens.
        map_size: Rows h and columns w of the maps.
        mask_dropout: Fraction of the mask branch's inputs that is dropped in training.
        prior_channels: Channels of E_g and of E_a.

    Shape:
        - last: ``[f, t, d]``; joined: ``[f, t, levels * d]``.
        - pictured: ``[f, m]`` bool, false for padding. The mask branch does not see padding, and
          both probabilities are 0 there; None: no padding.
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
    ) -> None:
        super().__init__()
        self.token_grid, self.map_size = tuple(token_grid), tuple(map_size)
        self.dropout = nn.Dropout(mask_dropout)
        self.mask = MaskBranch(channels)
        self.gait_prior = GaitPriorEncoder(levels * channels, prior_channels)
        self.appearance_prior = AppearancePriorEncoder(levels * channels, prior_channels)
        self.prior_channels = prior_channels

    def forward(
        self, last: Tensor, joined: Tensor, pictured: Tensor | None = None
    ) -> ForegroundMaps:
        """Return the maps of f frames, computed from their last and their joined tokens."""
        target = reconstruction = last.new_empty(0)
        if self.training:
            target = self._pixels(last)  # [f, m, d]
            if pictured is None:
                scores = self.mask(self.dropout(target))
            else:
                target = target[pictured]  # [pixels of all pictures, d]
                scores, target = self.mask(self.dropout(target)[None]), target[None]
            reconstruction = self.mask.decode(scores)
        else:  # the branch is affine, so its two outputs are upsampled instead of its inputs
            scores = self._pixels(self.mask(last))  # [f, m, 2]
            if pictured is not None:
                scores = scores[pictured][None]
        probabilities = scores.softmax(-1)  # [f, m, 2]
        if pictured is not None:
            probabilities = filled(probabilities[0], pictured)
        silhouettes = self.silhouettes(probabilities)
        foreground = silhouettes.flatten(1) != 0  # [f, m]
        gait, appearance = self._priors(joined, foreground)
        return ForegroundMaps(
            self._map(gait, foreground),
            self._map(appearance, foreground),
            silhouettes,
            probabilities,
            reconstruction,
            target,
        )

    @torch.no_grad()
    def silhouettes(self, probabilities: Tensor) -> Tensor:
        """Return the silhouettes ``[f, 1, h, w]`` for class probabilities ``[f, m, 2]``."""
        grid = probabilities.detach().transpose(1, 2).unflatten(2, self.map_size)
        return closed(body_masks(grid))

    def _priors(self, joined: Tensor, foreground: Tensor) -> tuple[Tensor, Tensor]:
        """Return E_g and E_a of the foreground pixels, all frames in a row."""
        of_all = count = int(foreground.sum())
        if self._shared:
            of_all = self._shared.place(count, joined.device)[1]
        if of_all < (2 if self.training else 1):  # a variance needs two
            nothing = joined.new_zeros(count, self.prior_channels)
            return nothing, nothing
        if self.training and not self._shared and is_synchronized(self.gait_prior.norm):
            # A host that sets no processes synchronizes the normalizations itself.
            pixels = self._pixels(joined)[foreground][None]
            gait, appearance = self.gait_prior(pixels)[0], self.appearance_prior(pixels)[0]
            return gait.softmax(-1), appearance.sigmoid()
        if self.training:  # the statistics are those of all frames
            gait, appearance = self._encoded(joined, foreground)
        else:
            chunks = zip(joined.split(_CHUNK), foreground.split(_CHUNK), strict=True)
            found = [self._encoded(*chunk) for chunk in chunks]
            gait, appearance = (torch.cat(pixels) for pixels in zip(*found, strict=True))
        return gait.softmax(-1), appearance.sigmoid()

    def _encoded(self, joined: Tensor, foreground: Tensor) -> Iterator[Tensor]:
        """Yield both encoders' outputs for the foreground pixels, ``[pixels, d]`` each.

        Normalization and linear layer are affine: they run on the tokens that the foreground
        pixels are interpolated from, and their narrow result is upsampled.
        """
        pixels = ChosenPixels(foreground, self.token_grid, self.map_size, joined.dtype)
        rows = joined.flatten(0, 1).index_select(0, pixels.tokens)  # [n, c]
        for encoder, normalized in self._normalized(rows, joined, foreground):
            yield encoder.finish(pixels.of(encoder[1](normalized)))

    def _normalized(
        self, rows: Tensor, joined: Tensor, foreground: Tensor
    ) -> Iterator[tuple[TokenEncoder, Tensor]]:
        """Yield both encoders, each with the needed tokens ``[n, c]`` after its normalization.

        In training the moments are those of the foreground pixels; no gradient flows through them.
        """
        encoders = (self.gait_prior, self.appearance_prior)
        if not self.training:
            yield from ((encoder, encoder.norm(rows)) for encoder in encoders)
            return
        assert not joined.requires_grad, "the moments are taken for constants"
        mean, variance = upsampled_moments(joined, self.token_grid, self.map_size, foreground)
        count = int(foreground.sum())
        if self._shared:
            mean, variance, count = pooled_moments(mean, variance, count, self._shared)
        normalized = (rows - mean) * (variance + self.gait_prior.norm.eps).rsqrt()
        for encoder in encoders:
            follow_moments(encoder.norm, mean, variance, count)
            yield encoder, normalized

    @property
    def _shared(self) -> Processes | None:
        """Return the processes that share the batch, if the moments are those of all of them."""
        shared = self.training and is_synchronized(self.gait_prior.norm)
        return self.processes if shared else None

    def _pixels(self, tokens: Tensor) -> Tensor:
        """Upsample tokens ``[f, t, c]`` to the finer grid of the maps, ``[f, m, c]``."""
        return upsampled(tokens, self.token_grid, self.map_size)

    def _map(self, pixels: Tensor, foreground: Tensor) -> Tensor:
        """Put pixels back into their frames, with zeros elsewhere: ``[f, c, h, w]``."""
        maps = filled(pixels, foreground).transpose(1, 2).unflatten(2, self.map_size)
        return maps.contiguous()  # torch normalizes channels-last maps less exactly


class ForegroundSASG(ForegroundBranches):
    """Silhouettes and fused maps of the released DinoGRL: its counterpart of SASG.

    Args:
        channels: Width d of the last tokens; the joined tokens have ``levels * d``.
        levels: Number of transformer blocks whose tokens are joined.
        token_grid: Rows and columns of the tokens.
        map_size: Rows h and columns w of the maps.
        mask_dropout: Fraction of the mask branch's inputs that is dropped in training.
        prior_channels: Channels of E_g and of E_a.
        map_channels: Channels of the fused map.
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
        super().__init__(channels, levels, token_grid, map_size, mask_dropout, prior_channels)
        self.gait_stem = prior_stem(prior_channels, map_channels)
        self.appearance_stem = prior_stem(prior_channels, map_channels)
        self.fusion = AttentionFusion(map_channels)

    def fuse(self, gait: Tensor, appearance: Tensor) -> Tensor:
        """Fuse both maps, ``[f, 16, h, w]`` each, into ``[f, 64, h, w]``."""
        return self.fusion(self.gait_stem(gait), self.appearance_stem(appearance))
