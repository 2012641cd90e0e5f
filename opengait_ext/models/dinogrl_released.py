"""DinoGRL as in its authors' published code, for their checkpoints and scores."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ..layers.enhancement import PBMGE, SetToParts
from ..layers.foreground import ForegroundMaps, ForegroundSASG, black_out, shaped_as
from ..layers.gait import load_mask_branch
from ..layers.parts import PartBNNeck
from ..layers.resnet import ResNetStages, TwoStreamResNet
from ..layers.vit import DINOv2, frozen_dinov2, load_dinov2
from .base import (
    BaseModel,
    Inputs,
    Outputs,
    check_bins,
    check_frame_size,
    check_size,
    frames_of,
    gait_pictures,
    infrared_frames,
)


class DinoGRLReleased(BaseModel):
    """35 embeddings per stream of each tracklet: the network behind the published scores.

    Same idea as ``DinoGRL``, which follows the paper, but another network. Here the silhouette
    only selects pixels, and no identity loss reaches the mask branch. Gait and appearance maps are
    fused after a stem each. In training, one of the two maps is blacked out in a fifth of the
    tracklets. One set of PBMGE's weights per stream serves all granularities. All parts of the
    pyramid and the enhanced vectors are supervised, and all are embeddings.
    ``configs/dinogrl_released_vcm.yaml`` lists the other differences.

    Source: the code and checkpoints that belong to Yang et al., "DINOv2 Driven Gait
    Representation Learning for Video-Based Visible-Infrared Person Re-Identification",
    ACM MM 2025, https://doi.org/10.1145/3746027.3755413.

    Args of ``build``:
        num_identities: Identities k of the training set.
        image_size: Height and width of a frame, in pixels; multiples of 16.
        dinov2: Sizes of the frozen transformer.
        dinov2_weights: Path of its weights, with Meta's, timm's or Hugging Face's names; null:
            random weights (tests only).
        mask_weights: Path of a state dict of the mask branch; null: random weights.
        backbone: Depth of the ResNets of both streams.
        backbone_weights: ``imagenet``, the path of a torchvision state dict, or null: random
            weights.
        stem_relu: Whether the stems of the appearance stream have their ReLU; the published
            network has none.
        map_size: Height and width of silhouettes and gait maps; multiples of 4. Frames of another
            aspect ratio are resized to four times this size for the transformer.
        bins: Stripes per level, the first 1.
        part_channels: Channels d of a part.
        mask_dropout: Fraction of the mask branch's inputs that is dropped in training.
        blackout: Fraction of the tracklets that lose one of their two maps in training.

    Shape:
        - ``training_feat``, for each stream, ``gait`` and ``appearance``: ``*_id`` with logits
          (cosines) ``[n, k, p]``, ``*_triplet`` with embeddings ``[n, d, p]``, of
          ``p = sum(bins) + len(bins) - 1`` parts; ``mask`` with ``[f, m, c]``;
          ``mask_smoothness``, ``gait_smoothness`` and ``diversity`` with maps ``[f, c, h, w]``.
        - ``inference_feat``: embeddings ``[n, d, 2 * p]``, those of gait first.
    """

    frozen_parts = ("dinov2",)
    training_only = ("necks.",)

    def build(
        self,
        *,
        num_identities: int,
        image_size: list[int],
        dinov2: DINOv2,
        dinov2_weights: str | None,
        mask_weights: str | None = None,
        backbone: Literal["resnet18", "resnet34", "resnet50"] = "resnet50",
        backbone_weights: str | None = "imagenet",
        stem_relu: bool = False,
        map_size: Sequence[int] = (64, 32),
        bins: Sequence[int] = (1, 2, 4, 8, 16),
        part_channels: int = 256,
        mask_dropout: float = 0.5,
        blackout: float = 0.2,
    ) -> None:
        """Build the layers; see the class for the arguments."""
        for name, size, unit in (("image_size", image_size, 16), ("map_size", map_size, 4)):
            check_size(name, size, unit)
            pixels = size[0] // unit * (size[1] // unit)
            made = f"{name} {list(size)} makes a feature map of {pixels} pixels"
            check_bins(bins, pixels, made, name)
        self.image_size, self.map_size = list(image_size), list(map_size)
        self.dinov2_weights, self.mask_weights = dinov2_weights, mask_weights
        self.backbone_weights, self.blackout = backbone_weights, blackout

        self.dinov2 = frozen_dinov2(dinov2)
        width, levels = self.dinov2.embed_dim, len(self.dinov2.taps)
        self.sasg = ForegroundSASG(width, levels, self.dinov2.grid, map_size, mask_dropout)
        self.gait_encoder = ResNetStages(backbone)
        self.appearance_encoder = TwoStreamResNet(backbone, stem_relu=stem_relu)
        to_parts = partial(
            SetToParts, self.gait_encoder.channels, part_channels, bins, whole_rows=False
        )
        self.gait_parts, self.appearance_parts = to_parts(), to_parts()
        self.pbmge = PBMGE(part_channels, bins, share_granularities=True)
        parts = sum(bins) + len(bins) - 1
        neck = partial(PartBNNeck, parts, part_channels, num_identities)
        self.necks = nn.ModuleDict({"gait": neck(), "appearance": neck()})
        linears = (self.gait_parts.linear, self.appearance_parts.linear)
        for weight in (layer.get_parameter("weight") for layer in (*linears, *self.necks.values())):
            nn.init.xavier_uniform_(weight)  # over all parts' matrices as one array

    def init_parameters(self) -> None:
        """Load the pretrained weights of DINOv2, of the mask branch and of the ResNets."""
        load_dinov2(self.dinov2, self.dinov2_weights)
        load_mask_branch(self.sasg.mask, self.mask_weights)
        for encoder in (self.gait_encoder, self.appearance_encoder):
            encoder.load_pretrained(self.backbone_weights, "model_cfg.backbone_weights")

    def forward(self, inputs: Inputs) -> Outputs:
        """Return the inputs of the losses, the pictures and the embeddings of a batch.

        Raises:
            ValueError: If the size of the frames is not ``image_size``, or in training for one
                tracklet.
        """
        frames, lengths = frames_of(inputs)
        check_frame_size(frames, self.image_size)
        infrared = infrared_frames(inputs, lengths)

        made = self.sasg_maps(frames)
        gait_map, appearance_map = made.gait, made.appearance  # [f, 16, h, w] each
        if self.training:
            gait_map, appearance_map = black_out(
                gait_map, appearance_map, lengths, self.blackout, self.processes
            )
        fused = self.sasg.fuse(gait_map, appearance_map)  # [f, 64, h, w]
        gait = self.gait_parts(self.gait_encoder(fused), lengths)  # [n, d, sum(bins)]
        appearance = self.appearance_parts(self.appearance_encoder(frames, infrared), lengths)
        enhanced = self.pbmge(gait, appearance)  # [n, d, len(bins)] each, the first unchanged
        streams = {
            "gait": torch.cat([gait, enhanced[0][:, :, 1:]], dim=2),  # [n, d, p]
            "appearance": torch.cat([appearance, enhanced[1][:, :, 1:]], dim=2),
        }

        trained = compared_of(made) if self.training else {}
        if self.training:
            for stream, parts in streams.items():
                logits = self.necks[stream](parts)[1]
                trained[f"{stream}_id"] = {"logits": logits, "labels": inputs[1]}
                trained[f"{stream}_triplet"] = {"embeddings": parts, "labels": inputs[1]}
        return {
            "training_feat": trained,
            "visual_summary": gait_pictures(frames, made.silhouettes, made.gait),
            "inference_feat": {"embeddings": torch.cat(list(streams.values()), dim=2)},
        }

    def sasg_maps(self, frames: Tensor) -> ForegroundMaps:
        """Return silhouettes and gait maps of normalized frames ``[f, 3, h, w]``."""
        with torch.no_grad():
            last, joined = self.dinov2(
                shaped_as(frames, self.map_size)
            )  # [f, t, c], [f, t, levels * c]
        return self.sasg(last, joined)


def compared_of(made: ForegroundMaps) -> dict[str, dict[str, Tensor]]:
    """Return the arguments of the losses of silhouettes and gait maps, by ``log_prefix``."""
    return {
        "mask": {"reconstruction": made.reconstruction, "target": made.target},
        "mask_smoothness": {"maps": made.in_memory_order()},
        "gait_smoothness": {"maps": made.gait[:, :-1]},  # the last channel follows from them
        "diversity": {"maps": made.gait},
    }
