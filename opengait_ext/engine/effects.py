"""Values of a config that contradict each other (rejected) or have no effect (logged)."""

from collections.abc import Iterator, Mapping
from typing import Any

from .catalog import Config
from .idle import idle_in_training
from .optimizer import placed_entries
from .schedule import cycle_length, derived
from .settings import Settings


def contradictions(settings: Settings) -> Iterator[str]:
    """Yield a message for each contradiction that no training or test can follow.

    Args:
        settings: Settings with valid keys and types.
    """
    yield from _schedule_faults(settings.config)
    if not settings.training.sampler.asks_for("draws"):
        yield (
            f"trainer_cfg.sampler: {settings.training.sampler.name} goes through the tracklets "
            "once and ends, and so would the training: take one that draws batches, such as "
            "IdentitySampler"
        )
    if settings.testing.sampler.asks_for("draws"):
        yield (
            f"evaluator_cfg.sampler: {settings.testing.sampler.name} draws batches without "
            "end: a test needs each tracklet once, take OrderedSampler"
        )


def _schedule_faults(config: Config) -> Iterator[str]:
    section, total = config["scheduler_cfg"], config["trainer_cfg"]["total_iter"]
    if section["scheduler"] != "OneCycleLR":
        return
    length = cycle_length(derived(section, config["trainer_cfg"]))
    if length is not None and length < total:
        yield (
            f"scheduler_cfg: OneCycleLR ends after {length} iterations "
            f"({_length_keys(section)}), but trainer_cfg.total_iter is {total}: leave total_steps "
            f"out, which makes it fit, or set it to {total + 1}"
        )
    if length is not None and length * section.get("pct_start", 0.3) == 1:
        yield (
            f"scheduler_cfg.pct_start: of {length} iterations it makes a rise of one, which "
            "OneCycleLR cannot divide: take another share, or more iterations"
        )
    solver, rate = config["optimizer_cfg"], section.get("max_lr")
    rate = rate[0] if isinstance(rate, list) and len(rate) == 1 else rate
    # The rates of several entries are compared in the rehearsal of the optimizer.
    if isinstance(solver, Mapping) and "lr" in solver and solver["lr"] != rate:
        yield (
            f"optimizer_cfg.lr is {solver['lr']}, but has no effect under OneCycleLR, which sets "
            f"the rate from scheduler_cfg.max_lr ({rate}): write the same value, or leave lr out"
        )


def _length_keys(section: Mapping[str, Any]) -> str:
    keys = ("total_steps",) if section.get("total_steps") else ("epochs", "steps_per_epoch")
    return ", ".join(f"{key}: {section.get(key)}" for key in keys)


def without_effect(settings: Settings, epoch: int) -> Iterator[str]:
    """Yield a message for each value without effect, or without the expected effect, in training.

    Args:
        settings: Settings of the run.
        epoch: Iterations per epoch.
    """
    config = settings.config
    yield from _of_trainer(config["trainer_cfg"])
    yield from idle_in_training(settings)
    yield from _of_solver(config)
    yield from _OF_SCHEDULES.get(config["scheduler_cfg"]["scheduler"], _nothing)(config, epoch)


def _of_trainer(trainer: Mapping[str, Any]) -> Iterator[str]:
    total = trainer["total_iter"]
    for key, what in (("log_iter", "log line"), ("save_iter", "checkpoint"), ("eval_iter", "test")):
        if trainer[key] > total:
            yield f"trainer_cfg.{key}: {trainer[key]}: the only {what} comes at the end, at {total}"
    if trainer["restore_hint"] == 0 and not trainer["restore_strict"]:
        yield "trainer_cfg.restore_strict: without effect, restore_hint 0 loads nothing"


def _of_solver(config: Config) -> Iterator[str]:
    cycled = config["scheduler_cfg"]["scheduler"] == "OneCycleLR" and config["scheduler_cfg"].get(
        "cycle_momentum", True
    )
    for where, entry in placed_entries(config["optimizer_cfg"]):
        if entry.get("lr") == 0:
            yield f"{where}.lr: 0: what it trains stays as it is"
        if entry.get("decoupled_weight_decay") and entry.get("weight_decay") == 0:
            yield f"{where}.decoupled_weight_decay: without effect, weight_decay is 0"
        if entry.get("dampening") and not entry.get("momentum"):
            yield f"{where}.dampening: without effect, momentum is 0"
        for key in ("momentum", "betas"):
            if cycled and key in entry:
                first = "" if key == "momentum" else "its first number is "
                yield (
                    f"{where}.{key}: {first}without effect, OneCycleLR moves it between "
                    "base_momentum and max_momentum (cycle_momentum: false leaves it alone)"
                )


def _of_one_cycle(config: Config, epoch: int) -> Iterator[str]:
    section, total = config["scheduler_cfg"], config["trainer_cfg"]["total_iter"]
    length = cycle_length(derived(section, config["trainer_cfg"])) or 0
    if length > total + 1:
        yield (
            f"scheduler_cfg: OneCycleLR takes {length} iterations ({_length_keys(section)}), the "
            f"training ends at {total}, before the rate has come down: leave total_steps out, or "
            "go on later with a larger total_iter"
        )
    if section.get("total_steps") and (section.get("epochs") or section.get("steps_per_epoch")):
        yield "scheduler_cfg: epochs and steps_per_epoch are without effect beside total_steps"
    if not section.get("cycle_momentum", True):
        for key in ("base_momentum", "max_momentum"):
            if key in section:
                yield f"scheduler_cfg.{key}: without effect, cycle_momentum is false"


def _of_warmup(config: Config, epoch: int) -> Iterator[str]:
    section, total = config["scheduler_cfg"], config["trainer_cfg"]["total_iter"]
    by_epoch = section["unit"] == "epoch"
    if not by_epoch and section.get("iterations_per_epoch"):
        yield "scheduler_cfg.iterations_per_epoch: without effect, unit is iteration"
    length = (section.get("iterations_per_epoch") or epoch) if by_epoch else 1
    yield from _late(section["milestones"], length, total)
    if not section["warmup"]:
        yield "scheduler_cfg.warmup_factor: without effect, warmup is 0"
    elif section["warmup_factor"] == 1:
        yield "scheduler_cfg.warmup: without effect, warmup_factor is 1"
    elif section["warmup"] * length >= total:
        yield (
            f"scheduler_cfg.warmup: {section['warmup']} {section['unit']}s: the training ends at "
            f"iteration {total}, within the warm-up"
        )
    yield from _flat(section)


def _late(milestones: list[int], length: int, total: int) -> Iterator[str]:
    late = [str(milestone) for milestone in milestones if milestone * length >= total]
    if late:
        unit = f" (epochs of {length} iterations)" if length > 1 else ""
        yield (
            f"scheduler_cfg.milestones: {', '.join(late)}{unit}: without effect, the training ends "
            f"at iteration {total}"
        )


def _flat(section: Mapping[str, Any]) -> Iterator[str]:
    if section.get("milestones") == []:
        yield "scheduler_cfg.gamma: without effect, there are no milestones"
        return
    if section.get("gamma") == 1:
        yield "scheduler_cfg.gamma: 1: the rate never decays"


def _of_multi_step(config: Config, epoch: int) -> Iterator[str]:
    section = config["scheduler_cfg"]
    yield from _late(section["milestones"], 1, config["trainer_cfg"]["total_iter"])
    yield from _flat(section)


def _of_step(config: Config, epoch: int) -> Iterator[str]:
    section, total = config["scheduler_cfg"], config["trainer_cfg"]["total_iter"]
    if section["step_size"] >= total:
        yield (
            f"scheduler_cfg.step_size: {section['step_size']}: the rate never decays, the training "
            f"ends at iteration {total}"
        )
    yield from _flat(section)


def _of_exponential(config: Config, epoch: int) -> Iterator[str]:
    yield from _flat(config["scheduler_cfg"])


def _of_cosine(config: Config, epoch: int) -> Iterator[str]:
    length, total = config["scheduler_cfg"]["T_max"], config["trainer_cfg"]["total_iter"]
    if length > total:
        yield (
            f"scheduler_cfg.T_max: {length}: the training ends at iteration {total}, before the "
            "rate has come down"
        )
    elif length < total:
        yield (
            f"scheduler_cfg.T_max: {length}: the rate rises again from there on, up to iteration "
            f"{total}"
        )


def _nothing(config: Config, epoch: int) -> Iterator[str]:
    yield from ()


_OF_SCHEDULES = {
    "OneCycleLR": _of_one_cycle,
    "WarmupSteps": _of_warmup,
    "MultiStepLR": _of_multi_step,
    "StepLR": _of_step,
    "ExponentialLR": _of_exponential,
    "CosineAnnealingLR": _of_cosine,
}
