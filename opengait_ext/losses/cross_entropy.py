"""The identity loss: cross-entropy over the training identities, for each part."""

import torch
from torch import Tensor
from torch.nn import functional

from .base import BaseLoss, Result, wide


class CrossEntropyLoss(BaseLoss):
    """Mean cross-entropy of the identity logits of all parts, with label smoothing.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision",
    CVPR 2016, https://arxiv.org/abs/1512.00567 (label smoothing); Wang et al., "NormFace",
    ACM MM 2017, https://arxiv.org/abs/1704.06369 (the scale that cosines need).

    Args:
        loss_term_weight: Factor of this loss in the sum of all losses.
        scale: Factor of the logits: 16 for cosines, 1 for unbounded logits.
        label_smoothing: Fraction of the target that is spread evenly over all identities, 0 to 1.

    Shape:
        - logits: ``[n, k, p]``; labels: ``[n]``, from 0 to ``k - 1``.
        - Output: a scalar, the mean over ``n * p``, computed in float32 at least; info has
          ``loss`` and ``accuracy``, the fraction of ``n * p`` whose largest logit is the label's.

    Raises:
        ValueError: If a number is out of range; in ``forward``, if the shapes do not fit.
    """

    def __init__(
        self, loss_term_weight: float = 1.0, scale: float = 16.0, label_smoothing: float = 0.1
    ) -> None:
        super().__init__(loss_term_weight)
        if not scale > 0:
            raise ValueError(f"scale: expected above 0, found {scale}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing: expected 0 to 1, found {label_smoothing}")
        self.scale = scale
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Result:
        """Compare logits ``[n, k, p]`` with labels ``[n]``."""
        if logits.ndim != 3 or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"logits {list(logits.shape)} and labels {list(labels.shape)}: expected [n, k, p] "
                "and [n]"
            )
        targets = labels.unsqueeze(1).expand(-1, logits.shape[2])  # [n, p]
        with torch.autocast(logits.device.type, enabled=False):
            loss = functional.cross_entropy(
                wide(logits) * self.scale, targets, label_smoothing=self.label_smoothing
            )
        accuracy = (logits.detach().argmax(1) == targets).float().mean()
        return loss, {"loss": loss.detach(), "accuracy": accuracy}
