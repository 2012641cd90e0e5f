"""What is minimized: the losses of the config file, summed over what the model returns."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import ConfigError
from .distributed import Group


class Terms(NamedTuple):
    """What the losses of a batch come to.

    Attributes:
        total: Their weighted sum, a scalar with a gradient.
        losses: Each one's weighted value, detached, by ``log_prefix``.
        info: What the losses tell beyond that, detached, by ``<log_prefix>/<name>``.
    """

    total: Tensor
    losses: dict[str, Tensor]
    info: dict[str, Tensor]


class Objective(nn.Module):
    """Sums the losses that the keys of ``training_feat`` address, in float32 or wider.

    A mapping under a key is the keyword arguments of the loss of that ``log_prefix``; a tensor
    under a key that is no prefix is a loss that the model computed itself, and its mean is
    added. What a loss with ``pairwise = True`` gets is gathered from all processes first.

    Args:
        losses: By ``log_prefix``; each has its factor in ``loss_term_weight``.
        group: The processes of the run.
    """

    def __init__(self, losses: Mapping[str, nn.Module], group: Group) -> None:
        super().__init__()
        self.prefixes = list(losses)
        self.losses = nn.ModuleList(losses.values())
        self.group = group

    def forward(self, training_feat: Mapping[str, Any]) -> Terms:
        """Gives the sum of all losses.

        Args:
            training_feat: What the model returned under that name.

        Raises:
            ConfigError: If a loss is addressed that the config file has not, or one that it
                has is not addressed.
        """
        self._check(training_feat)
        losses: dict[str, Tensor] = {}
        info: dict[str, Tensor] = {}
        for key, value in training_feat.items():
            if isinstance(value, Tensor):
                losses[key] = _wide(value).mean()
                continue
            loss = self.losses[self.prefixes.index(key)]
            result, told = loss(**{name: self._given(loss, part) for name, part in value.items()})
            losses[key] = result.mean() * getattr(loss, "loss_term_weight", 1.0)
            info |= {
                f"{key}/{name}": torch.as_tensor(number).detach().float().mean()
                for name, number in told.items()
            }
        total = torch.stack(list(losses.values())).sum()
        return Terms(total, {key: loss.detach() for key, loss in losses.items()}, info)

    def _given(self, loss: nn.Module, part: Any) -> Any:
        if not isinstance(part, Tensor):
            return part
        return self.group.joined(_wide(part)) if getattr(loss, "pairwise", False) else _wide(part)

    def _check(self, training_feat: Mapping[str, Any]) -> None:
        known = ", ".join(self.prefixes) or "none"
        if not training_feat:
            raise ConfigError(
                "the model returned no training_feat, so there is nothing to minimize "
                f"(loss_cfg has: {known})"
            )
        faults = [
            f"the model addresses a loss {key!r} that loss_cfg has not (log_prefix: {known})"
            for key, value in training_feat.items()
            if not isinstance(value, Tensor) and key not in self.prefixes
        ]
        faults += [
            f"no output of the model addresses the loss {prefix!r} "
            f"(the model returns: {', '.join(training_feat)})"
            for prefix in self.prefixes
            if prefix not in training_feat
        ]
        faults += [
            f"the model returns a tensor for the loss {key!r}, expected its keyword arguments"
            for key, value in training_feat.items()
            if isinstance(value, Tensor) and key in self.prefixes
        ]
        if faults:
            raise ConfigError("\n".join(["loss_cfg does not fit the model:", *faults]))


def _wide(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
