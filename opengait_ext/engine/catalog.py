"""The components that a config file can name, and how they are built from its sections."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import nn

from ..config import build
from ..registry import Registry
from .options import DataOptions, EvaluatorOptions, TrainerOptions
from .schedule import SCHEDULES, derived

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Catalog:
    """The components that a config file can name, by kind."""

    models: Registry
    losses: Registry
    samplers: Registry
    transforms: Registry
    evaluators: Registry


@dataclass(frozen=True)
class Settings:
    """A checked config.

    Attributes:
        config: The sections as they were read.
        data: ``data_cfg``.
        trainer: ``trainer_cfg``.
        evaluator: ``evaluator_cfg`` without the arguments of the evaluator.
        evaluator_arguments: Those.
        catalog: Where the components come from.
    """

    config: Config
    data: DataOptions
    trainer: TrainerOptions
    evaluator: EvaluatorOptions
    evaluator_arguments: dict[str, Any]
    catalog: Catalog

    @property
    def model_name(self) -> str:
        """Names the model's class."""
        return self.config["model_cfg"]["model"]


def own_catalog() -> Catalog:
    """Gives the components of this package."""
    from ..data import SAMPLERS, TRANSFORMS
    from ..evaluation import EVALUATORS
    from ..losses import LOSSES
    from ..models import MODELS

    return Catalog(MODELS, LOSSES, SAMPLERS, TRANSFORMS, EVALUATORS)


def given_to(component: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Gives those of the offered arguments that a component asks for."""
    asked = signature(component).parameters
    return {name: value for name, value in offered.items() if name in asked}


def losses_of(config: Config, catalog: Catalog) -> dict[str, nn.Module]:
    """Builds the losses of ``loss_cfg``, by ``log_prefix``."""
    return {
        section["log_prefix"]: build(catalog.losses, without_prefix(section), where=where)
        for where, section in listed(config, "loss_cfg")
    }


def build_schedule(
    section: Config, optimizer: torch.optim.Optimizer, epoch: int, total: int | None = None
) -> Any:
    """Build the schedule; how long an epoch and the training are is told to it if need be.

    Args:
        section: ``scheduler_cfg``.
        optimizer: Whose learning rates it sets.
        epoch: Iterations in which as many tracklets are drawn as there are.
        total: Iterations of the training; None: nobody asks.
    """
    section = derived(section, {"total_iter": total})
    if "iterations_per_epoch" in signature(SCHEDULES[section["scheduler"]]).parameters:
        section = {**section, "iterations_per_epoch": section.get("iterations_per_epoch") or epoch}
    return build(SCHEDULES, section, where="scheduler_cfg", key="scheduler", optimizer=optimizer)


def listed(section: Config, key: str, where: str = "") -> Iterator[tuple[str, Any]]:
    """Gives the entries of a section's list, each with its place; nothing if it is no list."""
    entries = section.get(key)
    if isinstance(entries, list):
        for place, entry in enumerate(entries):
            yield f"{where or key}[{place}]", entry


def without_prefix(section: Any) -> Any:
    """Gives a loss's section without ``log_prefix``, which is not the loss's own."""
    if not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if key != "log_prefix"}
