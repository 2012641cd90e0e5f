"""DinoGRL: gait from a frozen DINOv2, and appearance, each enhanced by the other."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..layers.enhancement import PBMGE, SetToParts
from ..layers.gait import SASG, GaitMaps, load_mask_branch
from ..layers.parts import PartBNNeck
from ..layers.pooling import Statistic
from ..layers.resnet import MODALITIES, Modality, ResNetStages, TwoStreamResNet
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


class DinoGRL(BaseModel):
    """Several embeddings per tracklet, from its gait and from its appearance.

    Figure 2 of the paper: the tokens of a frozen DINOv2 become silhouettes and gait maps
    (SASG), from which a ResNet learns gait. A second ResNet, as in AGW, learns appearance from
    the frames. Both are pooled over the frames and divided into stripes, and at each granularity
    the global vector of either stream is enhanced by the stripes of the other (PBMGE). The
    original and the enhanced global vectors are supervised; after their batch normalization,
    as in AGW, they are the embeddings.

    Choices where the paper is silent:

    - Taps: "the 2nd, 5th, 8th, and final blocks" are counted from 0, as in BigGait, and their
      joined tokens are normalized jointly, without weights.
    - The mask's normalization: that of Eq. 4 has no weights, and its statistics are those of all
      tokens of the batch; the length of Eq. 5 is taken over all tokens and channels of a frame
      (:class:`~opengait_ext.losses.silhouette.MaskLoss` can divide it by their number).
    - The choice of the "spatially centered" channel:
      :class:`~opengait_ext.layers.gait.CentralChannel`.
    - Gait maps have a quarter of the image's size, like the appearance stream after its stem.
      E_g and E_a are BigGait's; each has a stem of its own before the fusion. The gait encoder
      consists of the stages of a ResNet.
    - A stripe's vector is the sum of its mean and its maximum, projected to ``part_channels``;
      PBMGE works on these.
    - LGE's output projections: Eq. 11-15 do not say how the sums of Eq. 14 come back to the size of
      the vector. Taken literally, ``V relu(M) - V relu(-M)`` is ``V M``, linear in M, and the split
      into what a stripe confirms and contradicts has no effect. Separate projections and
      normalizations for the two sides, as in the authors' published network, give it an effect. The
      query is computed again from the updated vector at each stripe, where Eq. 15 updates the query
      itself.
    - A batch normalization precedes the classifier, as in AGW; its output is the embedding, each
      part normalized to unit length.

    Source: Yang et al., "DINOv2 Driven Gait Representation Learning for Video-Based
    Visible-Infrared Person Re-Identification", ACM MM 2025,
    https://doi.org/10.1145/3746027.3755413.

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
        non_local: Number of non-local blocks in each of the four stages of the appearance stream.
        stem_relu: Whether the stems of the appearance stream have their ReLU.
        set_pooling: Statistic over the frames of a tracklet.
        bins: Stripes per level, the first 1; each divides ``image_size[0] / 16``.
        part_channels: Channels d of a part.
        share_granularities: One set of PBMGE's weights per stream, not one per granularity.
        joint_learning: Whether the identity losses reach SASG (Table 6).
        enhancement: False removes the stripes and leaves one global vector per stream (Table 3).
        classifier: Classifier of the global vectors: ``linear`` as in Eq. 2, or ``cosine`` (with a
            loss of scale 16).
        embedding_parts: Parts of the embedding: the global vectors alone, or also the parts of
            the pyramid.
        normalize_embeddings: Whether to normalize each part to unit length, so that both streams
            have equal weight in a distance; the paper does not mention it.
        modalities: Modalities with a stem in the appearance stream: ``visible``, ``infrared``, or
            both. One alone is for data of one modality, such as those of gait recognition;
            nothing else changes.

    Shape:
        - ``training_feat``, for each stream, ``gait`` and ``appearance``: ``*_id`` with logits
          ``[n, k, g]``, ``*_triplet`` with embeddings ``[n, d, g]``, of the ``g = len(bins)``
          global vectors; ``mask``, ``smoothness`` and ``diversity`` with maps ``[f, c, h, w]``.
        - ``inference_feat``: embeddings ``[n, d, p]``, those of gait first.
    """

    frozen_parts = ("dinov2",)
    test_only = ("embedding_parts", "normalize_embeddings")

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
        non_local: Sequence[int] = (0, 2, 3, 0),
        stem_relu: bool = True,
        set_pooling: Statistic = "max",
        bins: Sequence[int] = (1, 2, 4, 8, 16),
        part_channels: int = 256,
        share_granularities: bool = False,
        joint_learning: bool = True,
        enhancement: bool = True,
        classifier: Literal["linear", "cosine"] = "linear",
        embedding_parts: Literal["globals", "all"] = "globals",
        normalize_embeddings: bool = True,
        modalities: Sequence[Modality] = MODALITIES,
    ) -> None:
        """Build the layers; see the class for the arguments."""
        bins = list(bins) if enhancement else [1]
        check_size("image_size", image_size, 16)
        rows = image_size[0] // 16
        made = f"an image {image_size[0]} pixels high has a feature map of {rows} rows"
        check_bins(bins, rows, made, "image_size")
        self.image_size = list(image_size)
        self.dinov2_weights, self.mask_weights = dinov2_weights, mask_weights
        self.backbone_weights = backbone_weights
        self.globals_only, self.normalize = embedding_parts == "globals", normalize_embeddings

        self.dinov2 = frozen_dinov2(dinov2)
        self.sasg = SASG(
            channels=self.dinov2.embed_dim,
            levels=len(self.dinov2.taps),
            token_grid=self.dinov2.grid,
            map_size=[side // 4 for side in image_size],
            joint_learning=joint_learning,
        )
        self.gait_encoder = ResNetStages(backbone)
        self.appearance_encoder = TwoStreamResNet(backbone, 1, non_local, stem_relu, modalities)
        width = self.gait_encoder.channels
        self.gait_parts = SetToParts(width, part_channels, bins, set_pooling)
        self.appearance_parts = SetToParts(width, part_channels, bins, set_pooling)
        self.pbmge = PBMGE(part_channels, bins, share_granularities)
        neck = partial(PartBNNeck, len(bins), part_channels, num_identities)
        cosine = classifier == "cosine"
        self.necks = nn.ModuleDict({"gait": neck(cosine), "appearance": neck(cosine)})

    @classmethod
    def idle(cls, model_cfg: Mapping[str, Any], total_iter: int) -> Mapping[str, str]:
        """Return the keys about stripes, if there are no stripes."""
        if model_cfg.get("enhancement", True):
            return {}
        return dict.fromkeys(("bins", "share_granularities"), "enhancement is false")

    @classmethod
    def idle_losses(
        cls, model_cfg: Mapping[str, Any], losses: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, str]:
        """Return the smoothness loss if it filters the sum of the channels, which is always 1."""
        if not losses.get("smoothness", {}).get("sum_channels"):
            return {}
        return {"smoothness": "sum_channels: the channels of a gait map add up to 1 everywhere"}

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

        last, joined = self._tokens(frames)  # [f, t, d], [f, t, 4 d]: f4 and fc
        made = self.sasg(last, joined)  # S and M, [f, 64, h / 4, w / 4]
        gait = self.gait_parts(self.gait_encoder(made.maps), lengths)  # [n, d, p]
        appearance = self.appearance_parts(self.appearance_encoder(frames, infrared), lengths)
        streams = {"gait": gait, "appearance": appearance}
        enhanced = dict(zip(streams, self.pbmge(gait, appearance), strict=True))  # [n, d, g] each

        trained = _of_silhouettes(made, last) if self.training else {}
        compared = []
        for stream, vectors in enhanced.items():
            features, logits = self.necks[stream](vectors)  # [n, d, g], [n, k, g]
            compared += [features] if self.globals_only else [streams[stream], features]
            if self.training:
                trained[f"{stream}_id"] = {"logits": logits, "labels": inputs[1]}
                trained[f"{stream}_triplet"] = {"embeddings": vectors, "labels": inputs[1]}
        embeddings = torch.cat(compared, dim=2)  # [n, d, p]
        return {
            "training_feat": trained,
            "visual_summary": gait_pictures(frames, made.silhouettes, made.gait_prior),
            "inference_feat": {
                "embeddings": functional.normalize(embeddings, dim=1)
                if self.normalize
                else embeddings
            },
        }

    def sasg_maps(self, frames: Tensor) -> GaitMaps:
        """Return silhouettes and gait maps of normalized frames ``[f, 3, h, w]``."""
        return self.sasg(*self._tokens(frames))

    def _tokens(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens of the last block, and the joined ones of all tapped blocks; frozen."""
        with torch.no_grad():
            return self.dinov2(frames)


def _of_silhouettes(made: GaitMaps, last: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return the arguments of L_mask, L_smo and L_div (Eq. 5, 7, 8)."""
    target = last.transpose(1, 2).reshape(made.reconstruction.shape)
    return {
        "mask": {"reconstruction": made.reconstruction, "target": target},
        "smoothness": {"maps": made.gait_prior},
        "diversity": {"maps": made.gait_prior},
    }
