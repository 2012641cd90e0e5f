"""The state of training, as stored in a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import random_state
from .best_note import checked_note
from .checkpoint import CheckpointError, load_weights
from .distributed import Group
from .objective import Objective
from .optimizer import JointOptimizer, load_optimizer

# Raised by loading a state of another shape, or a value that is not a state.
_MISFITS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError)


@dataclass
class TrainingState:
    """Everything that training changes.

    Attributes:
        model: The network, not wrapped.
        objective: The losses, which may have parameters.
        optimizer: The optimizer of both.
        schedule: The schedule of the learning rates.
        scaler: The loss scaler, for float16.
        iteration: Number of finished iterations.
        evaluated: Iteration of the last test.
        best: Iteration, score and split of the best test so far.
    """

    model: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    schedule: Any
    scaler: torch.amp.GradScaler
    iteration: int = 0
    evaluated: int = 0
    best: dict[str, Any] | None = None

    def content(self, group: Group, device: torch.device) -> dict[str, Any]:
        """Return this state's entries of a checkpoint; every process has to call it."""
        return {
            "model": self.model.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "iteration": self.iteration,
            "evaluated": self.evaluated,
            "best": self.best,
            "rng": group.gather(random_state.captured(device)),
        }

    def restore(self, content: Mapping[str, Any], strict: bool, path: Path) -> None:
        """Restore the state of a checkpoint, except for the random generators.

        Raises:
            CheckpointError: If it is of another model, or holds only weights.
        """
        lacking = [key for key in ("optimizer", "scheduler", "iteration") if key not in content]
        if lacking:
            raise CheckpointError(
                f"{path}: training cannot go on from it, because it holds no "
                f"{', '.join(lacking)}. Give its path as trainer_cfg.restore_hint to start from "
                "its weights."
            )
        _check_types(content, path)
        load_weights(self.model, content["model"], strict, path)
        _check_length(self.schedule, content["scheduler"], path)
        try:
            self.objective.load_state_dict(content.get("objective") or {})
            load_optimizer(self.optimizer, _as_computed_here(content["optimizer"], self.optimizer))
            self.schedule.load_state_dict(content["scheduler"])
            if content.get("scaler"):
                self.scaler.load_state_dict(content["scaler"])
        except _MISFITS as fault:
            raise CheckpointError(
                f"{path}: losses, optimizer or schedule are others than when it was saved "
                f"({fault}). Take the config file that it was made with, or give the path as "
                "trainer_cfg.restore_hint to start from its weights."
            ) from fault
        self.iteration = content["iteration"]
        self.evaluated = content.get("evaluated", 0)
        self.best = checked_note(content.get("best"))

    def restore_random(
        self, content: Mapping[str, Any], group: Group, device: torch.device
    ) -> bool:
        """Restore this process's random generators; return whether the checkpoint has them."""
        states = content.get("rng") or []
        if not isinstance(states, list) or len(states) != group.size:
            return False
        try:
            random_state.restore(states[group.rank], device)
        except _MISFITS:
            return False
        return True


def _as_computed_here(saved: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's state with this machine's implementation of the step, not the saved."""
    ways = ("fused", "foreach", "capturable")
    if isinstance(optimizer, JointOptimizer) and len(saved.get("parts", [])) == len(
        optimizer.parts
    ):
        pairs = zip(saved["parts"], optimizer.parts, strict=True)
        return {**saved, "parts": [_as_computed_here(old, own) for old, own in pairs]}
    groups = saved.get("param_groups", [])
    if len(groups) != len(optimizer.param_groups):
        return dict(saved)  # rejected when it is loaded
    here = [{key: own[key] for key in ways if key in own} for own in optimizer.param_groups]
    changed = [{**old, **new} for old, new in zip(groups, here, strict=True)]
    return {**saved, "param_groups": changed}


def _check_types(content: Mapping[str, Any], path: Path) -> None:
    """Raise an error for entries of types that no training saves."""
    for key in ("objective", "optimizer", "scheduler", "scaler"):
        value = content.get(key)
        if value is None and key in ("objective", "scaler"):
            continue
        if not isinstance(value, Mapping):
            raise CheckpointError(
                f"{path}: its {key} is no state of one ({type(value).__name__}), so training "
                "cannot go on from it. Give its path as trainer_cfg.restore_hint to start from "
                "its weights."
            )
    evaluated = content.get("evaluated", 0)
    if type(evaluated) is not int:
        raise CheckpointError(
            f"{path}: the iteration of its last test is no whole number ({str(evaluated)[:40]!r}): "
            "it is damaged. Take another checkpoint"
        )


def _check_length(schedule: Any, saved: Mapping[str, Any], path: Path) -> None:
    """Raise an error if a OneCycleLR's length changed: loading would silently restore the old."""
    before, now = saved.get("total_steps"), getattr(schedule, "total_steps", None)
    if before is not None and before != now:
        raise CheckpointError(
            f"{path}: its OneCycleLR was laid over {before} iterations, this one over {now}. Set "
            f"scheduler_cfg.total_steps: {before}, or start anew with --iter 0, which keeps the "
            "old run aside"
        )
