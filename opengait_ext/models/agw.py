"""AGW, the image baseline of visible-infrared re-identification, extended to tracklets."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from ..layers.parts import check_batch
from ..layers.pooling import GeneralizedMean, SetPooling, Statistic
from ..layers.resnet import MODALITIES, Modality, TwoStreamResNet
from .base import (
    BaseModel,
    Inputs,
    Outputs,
    check_frame_size,
    frames_of,
    infrared_frames,
    pictures_of,
)


class AGW(BaseModel):
    """One embedding per tracklet, from its appearance alone.

    A ResNet with a stem for each modality and non-local blocks computes a map of each frame. The
    maps of a tracklet are pooled over the frames, then over space by a generalized mean. A batch
    normalization without bias separates the triplet loss (before it) from the classifier (after
    it), which both modalities share.

    Source: Ye et al., "Deep Learning for Person Re-Identification: A Survey and Outlook",
    TPAMI 2022, https://arxiv.org/abs/2001.04193. Pooling over frames is added as in
    Chao et al., "GaitSet", AAAI 2019. AGW's weighted triplet loss would be set in ``loss_cfg``.
    The logits are unbounded, so the cross-entropy's ``scale`` is 1.

    Shape:
        - ``training_feat``: ``appearance_id`` with logits ``[n, k, 1]``,
          ``appearance_triplet`` with embeddings ``[n, d, 1]``.
        - ``inference_feat``: embeddings ``[n, d, 1]`` of unit length; d is 2048 for
          ``resnet50``, else 512.
    """

    def build(
        self,
        *,
        num_identities: int,
        image_size: list[int],
        backbone: Literal["resnet18", "resnet34", "resnet50"] = "resnet50",
        backbone_weights: str | None = "imagenet",
        non_local: list[int] | None = None,
        stem_relu: bool = True,
        set_pooling: Statistic = "max",
        modalities: Sequence[Modality] = MODALITIES,
    ) -> None:
        """Build the layers.

        Args:
            num_identities: Identities k of the training set.
            image_size: Height and width of a frame, in pixels.
            backbone: Depth of the ResNet.
            backbone_weights: ``imagenet``, the path of a torchvision state dict, or null for
                random weights.
            non_local: Number of non-local blocks in each of the four stages; null: AGW's
                0, 2, 3, 0.
            stem_relu: Whether the stems have their ReLU.
            set_pooling: Statistic over the frames of a tracklet.
            modalities: Modalities with a stem: ``visible``, ``infrared``, or both.

        Raises:
            ValueError: If ``image_size`` is not two numbers.
        """
        if len(image_size) != 2:
            raise ValueError(f"image_size {image_size}: expected [height, width]")
        self.image_size = list(image_size)
        self.backbone_weights = backbone_weights
        blocks = [0, 2, 3, 0] if non_local is None else non_local
        self.encoder = TwoStreamResNet(backbone, 1, blocks, stem_relu, modalities)
        channels = self.encoder.channels
        self.set_pooling = SetPooling(set_pooling, channels)
        self.pooling = GeneralizedMean()
        self.neck = nn.BatchNorm1d(channels)
        self.neck.bias.requires_grad_(False)  # no bias: the classifier's planes pass the origin
        self.classifier = nn.Linear(channels, num_identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def init_parameters(self) -> None:
        """Load the backbone's pretrained weights."""
        self.encoder.load_pretrained(self.backbone_weights, "model_cfg.backbone_weights")

    def forward(self, inputs: Inputs) -> Outputs:
        """Return logits and embeddings of a batch of tracklets.

        Raises:
            ValueError: If the size of the frames is not ``image_size``, or in training for one
                tracklet.
        """
        frames, lengths = frames_of(inputs)
        check_frame_size(frames, self.image_size)
        infrared = infrared_frames(inputs, lengths)
        maps = self.set_pooling(self.encoder(frames, infrared), lengths)  # [n, d, h, w]
        pooled = self.pooling(maps)  # [n, d]
        check_batch(pooled, self.neck)
        normal = self.neck(pooled)
        return {
            "training_feat": self._supervised(pooled, normal, inputs[1]) if self.training else {},
            "visual_summary": {"image/input": pictures_of(frames)},
            "inference_feat": {"embeddings": functional.normalize(normal, dim=1).unsqueeze(2)},
        }

    def _supervised(
        self, pooled: Tensor, normal: Tensor, labels: Tensor
    ) -> dict[str, dict[str, Tensor]]:
        """Return the arguments of the losses, by ``log_prefix``."""
        logits = self.classifier(normal)
        return {
            "appearance_id": {"logits": logits.unsqueeze(2), "labels": labels},
            "appearance_triplet": {"embeddings": pooled.unsqueeze(2), "labels": labels},
        }
