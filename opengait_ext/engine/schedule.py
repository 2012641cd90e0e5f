"""Learning-rate schedules by iteration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    StepLR,
)
from torch.optim.optimizer import Optimizer

from ..config import Bound, bind
from ..registry import Registry


class WarmupSteps(LRScheduler):
    """Raise the learning rate linearly, then lower it in steps.

    With ``e`` the number of iterations or finished epochs since the start, each parameter group's
    configured learning rate is multiplied by

    ``(warmup_factor * (1 - e / warmup) + e / warmup  if e < warmup else 1)
    * gamma ** (how many milestones are <= e)``.

    For unit epoch, warmup 10 and factor 0.01 this is ``0.01 * (1 - e / 10) + e / 10``, the
    warm-up of most re-identification code. The host steps once per iteration; the only state is
    the iteration.

    Args:
        optimizer: The optimizer whose learning rates are set.
        unit: Unit of ``warmup`` and ``milestones``.
        warmup: Length of the warm-up; 0: none.
        warmup_factor: Factor at the start of the warm-up.
        milestones: Times at which the learning rate is multiplied by ``gamma``.
        gamma: Factor at each milestone.
        iterations_per_epoch: Only for unit epoch; 0 in a config: the host counts them.

    Raises:
        ValueError: If the unit is epoch and the length of an epoch is unknown.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        unit: Literal["iteration", "epoch"],
        warmup: int,
        warmup_factor: float,
        milestones: list[int],
        gamma: float,
        iterations_per_epoch: int = 0,
    ) -> None:
        if unit == "epoch" and iterations_per_epoch < 1:
            raise ValueError(
                f"unit is 'epoch', so iterations_per_epoch has to be 1 or more, "
                f"found {iterations_per_epoch}"
            )
        self.iterations_per_unit = iterations_per_epoch if unit == "epoch" else 1
        self.warmup = warmup
        self.warmup_factor = warmup_factor
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer)

    def factor(self, iteration: int) -> float:
        """Return the factor of the configured learning rate at an iteration, counted from 0."""
        elapsed = iteration // self.iterations_per_unit
        factor = self.gamma ** sum(milestone <= elapsed for milestone in self.milestones)
        if elapsed < self.warmup:
            share = elapsed / self.warmup
            factor *= self.warmup_factor * (1 - share) + share
        return factor

    def get_lr(self) -> list[Any]:
        """Return the learning rate of each parameter group; called by torch's scheduler."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Return the iteration, the only state."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the iteration of the state and set its learning rates."""
        self.last_epoch = state_dict["last_epoch"]
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


SCHEDULES = Registry(
    "schedule",
    [WarmupSteps, MultiStepLR, StepLR, ExponentialLR, CosineAnnealingLR, OneCycleLR],
)


def bind_schedule(section: Any, total: int | None = None) -> Bound:
    """Return the schedule of ``scheduler_cfg``, checked and ready to build with an optimizer.

    It is offered ``optimizer`` and ``iterations_per_epoch``, the number of iterations that draw as
    many tracklets as there are.

    Args:
        section: The section ``scheduler_cfg``.
        total: Iterations of the training; None: not checked.

    Raises:
        ConfigError: As :func:`opengait_ext.config.bind`.
    """
    given = ("optimizer", "last_epoch")
    schedule = bind(SCHEDULES, section, where="scheduler_cfg", key="scheduler", given=given)
    whole = derived({"scheduler": schedule.name, **schedule.arguments}, {"total_iter": total})
    arguments = {key: value for key, value in whole.items() if key != "scheduler"}
    if not arguments.get("iterations_per_epoch", 1):
        del arguments["iterations_per_epoch"]  # 0: the host counts them
    return replace(schedule, arguments=arguments)


def derived(section: Mapping[str, Any], trainer_cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``scheduler_cfg`` with the length of OneCycleLR's curve filled in.

    The curve has one step more than the training, so that the last iteration still learns.
    """
    lengths = ("total_steps", "epochs", "steps_per_epoch")
    if section.get("scheduler") != "OneCycleLR" or any(section.get(key) for key in lengths):
        return section
    total = trainer_cfg.get("total_iter")
    return {**section, "total_steps": total + 1} if isinstance(total, int) else section


def cycle_length(section: Mapping[str, Any]) -> int | None:
    """Return the length of a OneCycleLR's curve in iterations; None if it is not set."""
    if section.get("total_steps"):
        return int(section["total_steps"])
    epochs, steps = section.get("epochs"), section.get("steps_per_epoch")
    return epochs * steps if epochs and steps else None
