"""Batch-all triplet loss, for each part."""

import torch
from torch import Tensor
from torch.nn import functional

from .base import BaseLoss, Result, wide


class TripletLoss(BaseLoss):
    """Mean violation of ``d(anchor, positive) + margin <= d(anchor, negative)``.

    All triplets of the batch count, across both modalities: the loss is the mean over the violated
    triplets of each part, averaged over the parts. Identities may have any number of tracklets. The
    loss of a batch without a triplet is 0, with a gradient of 0.

    Memory: the terms are ``[p, pairs, n]`` for ``pairs`` of anchor and positive, not
    ``[p, n, n, n]``: 1 MB for 32 tracklets of 4 identities and 35 parts, 64 MB for 256
    tracklets of 32 identities.

    Source: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification",
    2017, https://arxiv.org/abs/1703.07737 (batch all, mean of the non-zero terms); Schroff et al.,
    "FaceNet", CVPR 2015, https://arxiv.org/abs/1503.03832 (squared distances at unit length).

    Args:
        loss_term_weight: Factor of this loss in the sum of all losses.
        margin: Distance by which negatives should be farther than positives.
        squared: Whether distances are squared Euclidean instead of Euclidean.
        anchor_is_positive: Whether an anchor counts as its own positive, at distance 0, as in
            OpenGait and in DinoGRL's released code.
        normalized: Whether to normalize embeddings to unit length first, so that distances are
            bounded (by 2, or 4 if squared). Squared distances need it, or a low learning rate:
            their gradient grows with the length of the embeddings, which is unbounded.

    Shape:
        - embeddings: ``[n, d, p]``; labels: ``[n]``.
        - Output: a scalar, computed in float32 at least; info has ``loss``, ``violated`` (fraction
          of violated triplets) and ``mean_distance`` (over all pairs).

    Raises:
        ValueError: In ``forward``, if the shapes do not fit.
    """

    pairwise = True

    def __init__(
        self,
        loss_term_weight: float = 1.0,
        margin: float = 0.2,
        squared: bool = False,
        anchor_is_positive: bool = False,
        normalized: bool = False,
    ) -> None:
        super().__init__(loss_term_weight)
        self.margin = margin
        self.squared = squared
        self.anchor_is_positive = anchor_is_positive
        self.normalized = normalized

    def forward(self, embeddings: Tensor, labels: Tensor) -> Result:
        """Compare embeddings ``[n, d, p]`` of tracklets with labels ``[n]``."""
        if embeddings.ndim != 3 or labels.shape != embeddings.shape[:1]:
            raise ValueError(
                f"embeddings {list(embeddings.shape)} and labels {list(labels.shape)}: expected "
                "[n, d, p] and [n]"
            )
        with torch.autocast(embeddings.device.type, enabled=False):
            points = wide(embeddings)
            points = functional.normalize(points, dim=1) if self.normalized else points
            distances = pair_distances(points, self.squared)  # [p, n, n]
            return self._compare(distances, labels)

    def _compare(self, distances: Tensor, labels: Tensor) -> Result:
        """Return the loss for distances ``[p, n, n]``."""
        same = labels.unsqueeze(1) == labels.unsqueeze(0)  # [n, n]
        positive = same.clone() if self.anchor_is_positive else same.clone().fill_diagonal_(False)
        anchors, positives = positive.nonzero(as_tuple=True)  # [pairs] each
        to_positive = distances[:, anchors, positives].unsqueeze(2)  # [p, pairs, 1]
        terms = (to_positive - distances[:, anchors] + self.margin).relu()  # [p, pairs, n]
        terms = terms * ~same[anchors]
        violated = (terms > 0).sum((1, 2))  # [p]
        loss = (terms.sum((1, 2)) / violated.clamp(min=1)).mean()
        triplets = (~same[anchors]).sum() * distances.shape[0]
        info = {
            "loss": loss.detach(),
            "violated": violated.sum() / triplets.clamp(min=1),
            "mean_distance": distances.detach().mean(),
        }
        return loss, info


def pair_distances(embeddings: Tensor, squared: bool = False) -> Tensor:
    """Return the distances of all pairs of tracklets, part by part.

    Equal embeddings have distance 0 and a gradient of 0, although the derivative of the root does
    not exist there.

    Args:
        embeddings: ``[n, d, p]``, float32 or wider.
        squared: Whether to omit the root.

    Returns:
        Distances ``[p, n, n]``.
    """
    points = embeddings.permute(2, 0, 1)  # [p, n, d]
    # Moving all points does not change distances; near the origin rounding errors are smaller.
    points = points - points.detach().mean(1, keepdim=True)
    squares = points.square().sum(2)  # [p, n]
    products = torch.bmm(points, points.transpose(1, 2))
    distances = (squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * products).relu()  # [p, n, n]
    distances = distances * ~torch.eye(points.shape[1], dtype=torch.bool, device=points.device)
    if squared:
        return distances
    zero = distances == 0
    return distances.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
