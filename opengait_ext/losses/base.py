"""Base class of all losses, for every host."""

import torch
from torch import Tensor, nn

Result = tuple[Tensor, dict[str, Tensor]]


class BaseLoss(nn.Module):
    """A loss that returns ``(loss, info)``: a scalar with a gradient, and numbers for the log.

    The host multiplies the loss by its weight and calls ``forward`` with keyword arguments,
    the tensors that the model lists under the loss's ``log_prefix``.

    Args:
        loss_term_weight: Factor of this loss in the sum of all losses; the host applies it.
    """

    # True: the loss compares tracklets with each other, so the host gathers the batch of all
    # processes first.
    # False: the loss is a mean over the rows of its tensors' first dimension, so the host weights
    # the losses of several processes by their rows.
    pairwise: bool = False

    def __init__(self, loss_term_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_term_weight = loss_term_weight


def wide(tensor: Tensor) -> Tensor:
    """Return a tensor in float32, or unchanged if it is wider."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
