"""BigGait: gait from features of a frozen DINOv2, without given silhouettes."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from ..layers.foreground import (
    ForegroundBranches,
    ForegroundMaps,
    black_out,
    fit_to_width,
    shaped_as,
)
from ..layers.frozen import freeze
from ..layers.gait import load_mask_branch
from ..layers.gaitbase import TwoStreamGaitBase, start_as_opengait
from ..layers.vit import DINOv2, frozen_dinov2, load_dinov2
from .base import (
    DEVIATION,
    MEAN,
    BaseModel,
    Inputs,
    Outputs,
    check_bins,
    check_frame_size,
    check_size,
    frames_of,
    gait_pictures,
)

_PRIOR_CHANNELS = 16  # channels of the gait map, and of the appearance map
_BLACK = 1e-3  # above the rounding error of a normalized 0, and below a pixel value of 1


class BigGait(BaseModel):
    """16 embeddings per tracklet, one per horizontal stripe of its foreground maps.

    A mask branch without labels divides each frame into two classes by the tokens of a frozen
    DINOv2. From the pixels of the pedestrian class, two more branches compute a gait map (soft
    body parts) and an appearance map, from which a two-stream GaitBase learns. In training one of
    the two maps is blacked out in a fifth of the tracklets. DinoGRL builds on this front end. The
    model does not use the modality: visible and infrared frames are treated alike.

    The mask branch is trained for the first ``mask_iterations`` iterations. Then ``mask_weights``
    replace its weights, if given, and it is frozen to the end. A checkpoint of a later iteration
    holds the frozen branch, so resuming from it loads no ``mask_weights``; nor does a test.

    Where the paper and the code that the authors published with OpenGait differ, this follows the
    code. Own choices, which do not change what is computed:

    - A second input may hold the ratio of width to height of each original picture, as in
      OpenGait. Then the mask branch does not see padding, and frames whose aspect ratio is not the
      maps' are padded or cropped in the middle. Without ratios, each frame is resized as a whole,
      and only the columns that ``padding`` detects count as padding.
    - The four losses of mask and gait map are configured, with their weights, in ``loss_cfg``.
    - The pictures show the gait map in three groups of channels. The published model shows the
      principal components of both maps, which it computes in each iteration.
    - ``mask_weights`` are also read once before the training, so that a file that does not fit is
      rejected then and not in the middle.

    Source: Ye et al., "BigGait: Learning Gait Representation You Want by Large Vision Models",
    CVPR 2024, https://arxiv.org/abs/2402.19122, and their model in OpenGait.

    Args of ``build``:
        num_identities: Identities k of the training set.
        image_size: Height and width of a frame, in pixels.
        dinov2: Sizes of the frozen transformer.
        dinov2_weights: Path of its weights, with Meta's, timm's or Hugging Face's names; null:
            random weights (tests only).
        mask_weights: Path of a state dict of the mask branch; null: it keeps its trained weights.
        mask_iterations: Number of iterations that train the mask branch; 0: it is never trained.
        map_size: Height and width of silhouettes and maps; multiples of 4. Frames of another
            aspect ratio are resized to four times this size for the transformer.
        channels: Channels of GaitBase, after the stems and after each of the three stages.
        blocks: Residual blocks of each of the three stages.
        bins: Stripes per level.
        part_channels: Channels d of an embedding.
        mask_dropout: Fraction of the mask branch's inputs that is dropped while it is trained.
        blackout: Fraction of the tracklets that lose one of their two maps in training.
        padding: Padding of frames without ratios: ``black``, columns at their left and right that
            are black from top to bottom, as OpenGait pads them; ``none``: there is none.

    Shape:
        - frames: see :class:`~opengait_ext.models.base.BaseModel`; ratios, if there is a
          second input, ``[n, s]``, or ``[1, f]`` with ``lengths``.
        - ``training_feat``: ``triplet`` with embeddings ``[n, d, p]`` and ``softmax`` with logits
          (cosines) ``[n, k, p]``, of ``p = sum(bins)`` stripes; ``shape_mse`` with ``[pixels, c]``;
          ``shape_connect``, ``part_connect`` and ``part_diversity`` with maps ``[f, c, h, w]``.
        - ``inference_feat``: embeddings ``[n, d, p]``.
    """

    frozen_parts = ("dinov2",)
    training_only = ("gait_net.neck.",)

    def build(
        self,
        *,
        num_identities: int,
        image_size: list[int],
        dinov2: DINOv2,
        dinov2_weights: str | None,
        mask_weights: str | None = None,
        mask_iterations: int = 500,
        map_size: Sequence[int] = (64, 32),
        channels: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (1, 1, 1),
        bins: Sequence[int] = (16,),
        part_channels: int = 256,
        mask_dropout: float = 0.5,
        blackout: float = 0.2,
        padding: Literal["none", "black"] = "none",
    ) -> None:
        """Build the layers; see the class for the arguments."""
        _check_sizes(image_size, map_size, channels, blocks, bins)
        self.image_size, self.map_size = list(image_size), list(map_size)
        self.dinov2_weights, self.mask_weights = dinov2_weights, mask_weights
        self.mask_iterations, self.blackout = mask_iterations, blackout
        self.padding = padding

        dino = frozen_dinov2(dinov2)
        self.branches = ForegroundBranches(
            dino.embed_dim, len(dino.taps), dino.grid, map_size, mask_dropout, _PRIOR_CHANNELS
        )
        self.gait_net = TwoStreamGaitBase(
            _PRIOR_CHANNELS, num_identities, channels, blocks, bins, part_channels
        )
        start_as_opengait(self)  # before the transformer, which has its own initialization
        self.dinov2 = dino
        if not mask_iterations:  # here, so that no optimizer gets its parameters
            freeze(self.branches.mask)

    @classmethod
    def idle(cls, model_cfg: Mapping[str, Any], total_iter: int) -> Mapping[str, str]:
        """Return the keys about a mask branch that is never trained, or never frozen."""
        begins_rest = model_cfg.get("mask_iterations", 500)
        if not begins_rest:
            return {"mask_dropout": "mask_iterations is 0: the mask branch never learns"}
        if begins_rest >= total_iter and model_cfg.get("mask_weights"):
            return {
                "mask_weights": f"the training ends at {total_iter}, mask_iterations is "
                f"{begins_rest}: they would take the branch's place then"
            }
        return {}

    @classmethod
    def idle_losses(
        cls, model_cfg: Mapping[str, Any], losses: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, str]:
        """Return the losses of the mask branch, if it is never trained."""
        if model_cfg.get("mask_iterations", 500):
            return {}
        reason = "mask_iterations is 0: the mask branch never learns"
        return dict.fromkeys(("shape_connect", "shape_mse"), reason)

    def init_parameters(self) -> None:
        """Load the weights of DINOv2, and check that those of the mask branch fit."""
        load_dinov2(self.dinov2, self.dinov2_weights)
        load_mask_branch(copy.deepcopy(self.branches.mask), self.mask_weights)

    def forward(self, inputs: Inputs) -> Outputs:
        """Return the inputs of the losses, the pictures and the embeddings of a batch.

        Raises:
            ValueError: If the size of the frames is not ``image_size``, if the number of ratios is
                not that of the frames, or in training for one tracklet.
            UserError: If ``mask_weights`` are needed now and cannot be loaded.
        """
        if self.training:
            self._rest_mask_branch()
        frames, lengths = frames_of(inputs)
        check_frame_size(frames, self.image_size)

        made = self.maps(frames, _ratios_of(inputs, len(frames)))
        gait, appearance = made.gait, made.appearance  # [f, 16, h, w] each
        if self.training:
            gait, appearance = black_out(gait, appearance, lengths, self.blackout, self.processes)
        parts = self.gait_net(gait, appearance, lengths)

        trained = {}
        if self.training:
            trained = {
                **_of_maps(made),
                "triplet": {"embeddings": parts.embeddings, "labels": inputs[1]},
                "softmax": {"logits": parts.logits, "labels": inputs[1]},
            }
        return {
            "training_feat": trained,
            "visual_summary": gait_pictures(frames, made.silhouettes, made.gait),
            "inference_feat": {"embeddings": parts.embeddings},
        }

    def maps(self, frames: Tensor, ratios: Tensor | None = None) -> ForegroundMaps:
        """Return silhouettes and both maps of normalized frames.

        Args:
            frames: ``[f, 3, h, w]``.
            ratios: ``[f]``, width divided by height of each original picture; None: unknown.
        """
        shown = ratios
        if ratios is None and self.padding == "black":
            shown = _ratios_within_black(frames)
        pictured = None
        if shown is not None:
            ones = frames.new_ones(len(frames), 1, *self.map_size)
            pictured = fit_to_width(ones, shown, self.map_size, "middle").flatten(1) != 0
        shaped = shaped_as(frames, self.map_size, ratios, "middle")
        with torch.no_grad():
            last, joined = self.dinov2(shaped)  # [f, t, c], [f, t, levels c]
        return self.branches(last, joined, pictured)

    def _rest_mask_branch(self) -> None:
        """Freeze the mask branch once ``mask_iterations`` are done."""
        if self.iteration < self.mask_iterations:
            return
        if self.iteration == self.mask_iterations and self.mask_weights is not None:
            load_mask_branch(self.branches.mask, self.mask_weights)
        freeze(self.branches.mask)
        self.branches.dropout.eval()


def _of_maps(made: ForegroundMaps) -> dict[str, dict[str, Tensor]]:
    """Return the arguments of the losses of mask and gait map, by ``log_prefix``."""
    return {
        "shape_connect": {"maps": made.in_memory_order()},
        # The mean is over pixels, not frames: frames may have unequal numbers of pixels.
        "shape_mse": {
            "reconstruction": made.reconstruction.flatten(0, 1),
            "target": made.target.flatten(0, 1),
        },
        "part_connect": {"maps": made.gait[:, :-1]},  # the last channel follows from them
        "part_diversity": {"maps": made.gait},
    }


def _ratios_of(inputs: Inputs, frames: int) -> Tensor | None:
    """Return the ratio of each frame; None if the batch has no second input."""
    if len(inputs[0]) < 2:
        return None
    ratios = inputs[0][1].flatten()
    if len(ratios) != frames:
        raise ValueError(
            f"{len(ratios)} ratios of width to height for {frames} frames: expected one a frame, "
            "as the second input"
        )
    return ratios


def _ratios_within_black(frames: Tensor) -> Tensor:
    """Return width divided by height of the region between black columns, ``[f]``."""
    height, width = frames.shape[2:]
    mean, deviation = (frames.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    bright = (frames + mean / deviation).abs().amax((1, 2)) > _BLACK  # [f, w]
    bright[~bright.any(1)] = True  # an all-black frame is not padding
    first, after = bright.int().argmax(1), width - bright.flip(1).int().argmax(1)
    return (after - first) / height


def _check_sizes(
    image_size: Sequence[int],
    map_size: Sequence[int],
    channels: Sequence[int],
    blocks: Sequence[int],
    bins: Sequence[int],
) -> None:
    check_size("image_size", image_size)
    check_size("map_size", map_size, 4)
    if len(channels) != 4 or len(blocks) != 3 or min(*channels, *blocks) < 1:
        raise ValueError(
            f"channels {list(channels)}, blocks {list(blocks)}: expected four and three numbers, "
            "1 or more"
        )
    pixels = map_size[0] // 4 * (map_size[1] // 4)
    made = f"map_size {list(map_size)} makes a feature map of {pixels} pixels"
    check_bins(bins, pixels, made, "map_size")
