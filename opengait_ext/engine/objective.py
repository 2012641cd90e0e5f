"""What is minimized: the losses of the config file, summed over what the model returns."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import ConfigError
from .distributed import Group

logger = logging.getLogger(__name__)


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
    added. What a loss with ``pairwise = True`` gets is gathered from all processes first; any
    other loss is a mean over the rows of its tensors, and counts by the rows of each process. So
    several processes minimize, and tell, what one process would with the whole batch.

    A loss of weight 0 is switched off: it is not computed. One that the model offers and the
    config file has not at all is off as well, and told once.

    Args:
        losses: By ``log_prefix``; each has its factor in ``loss_term_weight``.
        group: The processes of the run.
        unused: Whether parameters may be without a gradient in several processes; there, a loss
            that is left out would otherwise end in an error of torch.
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
        """Gives the sum of all losses.

        Args:
            training_feat: What the model returned under that name.

        Raises:
            ConfigError: If the model does not offer a loss that the config file has, or nothing
                is left to minimize.
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
        """Return a loss of this process, what it tells, and for how many rows that holds."""
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
        """Weigh the losses of this process by its rows; return the values of the whole batch.

        A wrapped model averages gradients over the processes, so a process's share of a loss is
        multiplied by their number.
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
        # The value of the whole batch, with the gradient of this process's share.
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
        """Return the losses that the model offers and the config file has not."""
        known = {*self.prefixes, *self.off}
        return [
            key
            for key, value in training_feat.items()
            if not isinstance(value, Tensor) and key not in known
        ]

    def used(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Return a model's output with what only losses that are off need cut from its graph.

        A forward hook: several processes then know which parameters get no gradient.
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
    """Return the length of a loss's tensors; numbers without dimension count as one row."""
    lengths = [len(part) for part in parts.values() if isinstance(part, Tensor) and part.dim()]
    return lengths[0] if lengths else 1


def _nothing_of(parts: Mapping[str, Any]) -> Tensor:
    """Return the 0 that a loss without rows adds to the others', with its graph."""
    tensors = [part for part in parts.values() if isinstance(part, Tensor)]
    return torch.stack([_wide(part).sum() for part in tensors if part.is_floating_point()]).sum()


def _wide(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
