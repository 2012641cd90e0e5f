"""The training objective: a weighted sum of the configured losses."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import ConfigError
from .distributed import Group

logger = logging.getLogger(__name__)


class Terms(NamedTuple):
    """The loss values of a batch.

    Attributes:
        total: Weighted sum of the losses, a scalar with gradient.
        losses: Weighted value of each loss, detached, by ``log_prefix``.
        info: Further values from the losses, detached, by ``<log_prefix>/<name>``.
    """

    total: Tensor
    losses: dict[str, Tensor]
    info: dict[str, Tensor]


class Objective(nn.Module):
    """Weighted sum of the losses addressed by the keys of ``training_feat``, in float32 or wider.

    A mapping under a key holds the keyword arguments of the loss with that ``log_prefix``. A tensor
    under a key that is not a prefix is a loss computed by the model itself; its mean is added. The
    inputs of a loss with ``pairwise = True`` are first gathered from all processes. Any other loss
    is a mean over the rows of its tensors and is weighted by the rows of each process. So several
    processes minimize and report the same value as one process with the whole batch.

    A loss of weight 0 is off: it is not computed. A loss that the model offers but the config lacks
    is off too, and this is logged once.

    Args:
        losses: The losses by ``log_prefix``; ``loss_term_weight`` of each is its weight.
        group: The processes of the run.
        unused: Whether parameters may lack a gradient in a run of several processes; otherwise
            torch fails there if a loss is left out.
    """

    def __init__(self, losses: Mapping[str, nn.Module], group: Group, unused: bool = False) -> None:
        super().__init__()
        self.off = [name for name, loss in losses.items() if _weight(loss) == 0]
        self.prefixes = [name for name in losses if name not in self.off]
        self.losses = nn.ModuleList(losses[name] for name in self.prefixes)
        self.group = group
        self._may_leave_out = group.size == 1 or unused or bool(self.off)
        self._told: set[str] = set()

    def forward(self, training_feat: Mapping[str, Any]) -> Terms:
        """Return the weighted sum of all losses.

        Args:
            training_feat: The model's output of that name.

        Raises:
            ConfigError: If the model does not offer a configured loss, or nothing is left to
                minimize.
        """
        self._check(training_feat)
        self._tell_left_out(training_feat)
        losses: dict[str, Tensor] = {}
        info: dict[str, dict[str, Tensor]] = {}
        rows: dict[str, int] = {}
        for key, value in training_feat.items():
            if not isinstance(value, Tensor) and key not in self.prefixes:
                continue
            parts = {"": value} if isinstance(value, Tensor) else value
            losses[key], info[key], rows[key] = self._measured(key, value)
            if not rows[key] and self.group.size > 1:
                losses[key] = _nothing_of(parts)
                info[key] = dict.fromkeys(info[key], losses[key].detach())
        if not losses:
            raise ConfigError(
                "loss_cfg: all losses are switched off or left out, so there is nothing to "
                f"minimize (the model offers: {', '.join(training_feat)})"
            )
        if self.group.size > 1:
            return self._of_all(losses, info, rows)
        total = torch.stack(list(losses.values())).sum()
        told = {name: number for of_loss in info.values() for name, number in of_loss.items()}
        return Terms(total, {key: loss.detach() for key, loss in losses.items()}, told)

    def _measured(self, key: str, value: Any) -> tuple[Tensor, dict[str, Tensor], int]:
        """Return a loss of this process, its further values, and its number of rows."""
        if isinstance(value, Tensor):
            return _wide(value).mean(), {}, value.numel()
        loss = self.losses[self.prefixes.index(key)]
        result, told = loss(**{name: self._given(loss, part) for name, part in value.items()})
        info = {
            f"{key}/{name}": torch.as_tensor(number).detach().float().mean()
            for name, number in told.items()
        }
        rows = 1 if getattr(loss, "pairwise", False) else _rows(value)
        return result.mean() * _weight(loss), info, rows

    def _of_all(
        self,
        losses: Mapping[str, Tensor],
        info: Mapping[str, Mapping[str, Tensor]],
        rows: Mapping[str, int],
    ) -> Terms:
        """Return the values of the whole batch: each process's losses weighted by its rows.

        A wrapped model averages gradients over the processes, so each process's share of a loss
        is multiplied by their number.
        """
        own = torch.stack(list(losses.values()))
        counts = own.new_tensor(list(rows.values()))
        shares = counts * self.group.size / self.group.gathered(counts).sum(0)
        own = own * shares
        numbers = {
            name: number * share
            for of_loss, share in zip(info.values(), shares, strict=True)
            for name, number in of_loss.items()
        }
        values = torch.cat([own.detach(), *(number.view(1) for number in numbers.values())])
        values = self.group.gathered(values).mean(0)
        of_all = values[: len(own)]
        # The value is that of the whole batch, the gradient that of this process's share.
        total = own.sum() + (of_all.sum() - own.sum()).detach()
        return Terms(
            total,
            dict(zip(losses, of_all, strict=True)),
            dict(zip(numbers, values[len(own) :], strict=True)),
        )

    def _given(self, loss: nn.Module, part: Any) -> Any:
        if not isinstance(part, Tensor):
            return part
        return self.group.joined(_wide(part)) if getattr(loss, "pairwise", False) else _wide(part)

    def left_out(self, training_feat: Mapping[str, Any]) -> list[str]:
        """Return the losses that the model offers and the config lacks."""
        known = {*self.prefixes, *self.off}
        return [
            key
            for key, value in training_feat.items()
            if not isinstance(value, Tensor) and key not in known
        ]

    def used(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Return a model's output, with the inputs of losses that are off detached from the graph.

        As a forward hook: in several processes torch then knows which parameters get no gradient.
        """
        features = output.get("training_feat") or {}
        kept = {
            key: value
            if isinstance(value, Tensor) or key in self.prefixes
            else {name: _cut(part) for name, part in value.items()}
            for key, value in features.items()
        }
        return {**output, "training_feat": kept}

    def _tell_left_out(self, training_feat: Mapping[str, Any]) -> None:
        new = [key for key in self.left_out(training_feat) if key not in self._told]
        if new and not self._may_leave_out:
            raise ConfigError(
                f"loss_cfg leaves out what the model offers ({', '.join(new)}). In several "
                "processes write it down with loss_term_weight: 0, or set "
                "trainer_cfg.find_unused_parameters: true"
            )
        if new and self.group.leads:
            logger.warning(
                "loss_cfg leaves out losses that the model offers, so they are not computed: %s",
                ", ".join(new),
            )
        self._told.update(new)

    def _check(self, training_feat: Mapping[str, Any]) -> None:
        names = [*self.prefixes, *self.off]
        known = ", ".join(names) or "none"
        if not training_feat:
            raise ConfigError(
                "the model returned no training_feat, so there is nothing to minimize "
                f"(loss_cfg has: {known})"
            )
        faults = [
            f"no output of the model addresses the loss {prefix!r} "
            f"(the model returns: {', '.join(training_feat)})"
            for prefix in names
            if prefix not in training_feat
        ]
        faults += [
            f"the model returns a tensor for the loss {key!r}, expected its keyword arguments"
            for key, value in training_feat.items()
            if isinstance(value, Tensor) and key in names
        ]
        if faults:
            raise ConfigError("\n".join(["loss_cfg does not fit the model:", *faults]))


def _weight(loss: nn.Module) -> float:
    return getattr(loss, "loss_term_weight", 1.0)


def _cut(part: Any) -> Any:
    return part.detach() if isinstance(part, Tensor) else part


def _rows(parts: Mapping[str, Any]) -> int:
    """Return the number of rows of a loss's tensors; scalars count as one row."""
    lengths = [len(part) for part in parts.values() if isinstance(part, Tensor) and part.dim()]
    return lengths[0] if lengths else 1


def _nothing_of(parts: Mapping[str, Any]) -> Tensor:
    """Return the value 0, with its graph, of a loss without rows."""
    tensors = [part for part in parts.values() if isinstance(part, Tensor)]
    return torch.stack([_wide(part).sum() for part in tensors if part.is_floating_point()]).sum()


def _wide(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
