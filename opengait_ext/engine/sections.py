"""Check a whole config against the components it names, before any data are touched.

Every section is bound once: the result of :func:`check` holds components that are built or ready to
build, and no name is looked up again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import torch
from torch import nn

from ..config import Bound, ConfigError, bind, bind_model
from ..data.transforms import Chain
from ..schema import Key, faults_of, faults_of_keys, keys_of, nearest, shown, with_dataclasses
from .bounds import faults_of_numbers
from .catalog import Catalog, Config
from .effects import contradictions
from .idle import unfit_for_a_test
from .keys import EVALUATOR_GETS, FRAME_KEYS, SAMPLER_GETS
from .optimizer import bind_optimizer, peak_faults, rehearsed_optimizer
from .options import VALIDATION_SPLIT, DataOptions, EvaluatorOptions, TrainerOptions
from .schedule import bind_schedule
from .settings import Reading, Settings

SECTIONS = (
    "data_cfg", "model_cfg", "loss_cfg", "optimizer_cfg",
    "scheduler_cfg", "trainer_cfg", "evaluator_cfg",
)  # fmt: skip
_LISTS = ("loss_cfg", "optimizer_cfg")


def check(config: Config, catalog: Catalog, phase: str = "both") -> Settings:
    """Return the settings of a run after checking its config.

    Args:
        config: The sections of a config file.
        catalog: The components that it can name.
        phase: ``train``, ``test`` or ``both``; ``stored`` for the config of a finished run.

    Raises:
        ConfigError: With all faults of all sections.
    """
    faults = list(_section_faults(config))
    bound = _bound(config, catalog, faults)
    if not faults:
        faults += faults_of_numbers(config)
    _refuse(faults)
    settings = _made(config, catalog, bound, faults)
    if phase in ("train", "both"):
        faults += contradictions(settings)
    if phase != "stored":
        faults += unfit_for_a_test(settings)
    if phase == "test" and settings.evaluator.restore_hint == 0:
        faults.append(
            "evaluator_cfg.restore_hint: a test needs a checkpoint: expected auto, an "
            "iteration above 0 or a path, found 0"
        )
    _refuse(faults)
    return settings


def _refuse(faults: list[str]) -> None:
    if faults:
        raise ConfigError("\n".join(faults))


def _section_faults(config: Config) -> Iterator[str]:
    for name in config:
        if name not in SECTIONS:
            yield f"unknown section {name!r} - {nearest(name, SECTIONS)}"
    for name in SECTIONS:
        if name not in config:
            yield f"missing section {name!r}"
        elif name == "loss_cfg" and not isinstance(config[name], list):
            yield f"loss_cfg: expected a list of losses, found {shown(config[name])}"
        elif name == "optimizer_cfg" and not isinstance(config[name], (Mapping, list)):
            yield (
                f"{name}: expected an entry with a solver, or a list of such, found "
                f"{shown(config[name])}"
            )
        elif name not in _LISTS and not isinstance(config[name], Mapping):
            yield f"{name}: expected keys and values, found {shown(config[name])}"


def _bound(config: Config, catalog: Catalog, faults: list[str]) -> dict[str, Any]:
    """Return every valid section, bound; add faults of keys and types to ``faults``."""

    def heard(name: str, bind_it: Callable[[Any], Any], kinds: Any = Mapping) -> Any:
        try:
            return bind_it(config[name]) if isinstance(config.get(name), kinds) else None
        except ConfigError as fault:
            faults.append(str(fault))
            return None

    trainer = config.get("trainer_cfg")
    total = trainer.get("total_iter") if isinstance(trainer, Mapping) else None
    return {
        "model": heard("model_cfg", partial(bind_model, catalog.models)),
        "losses": list(_losses(config, catalog, faults)),
        "optimizer": heard("optimizer_cfg", bind_optimizer, (Mapping, list)),
        "schedule": heard("scheduler_cfg", partial(bind_schedule, total=total)),
        "data": heard("data_cfg", partial(_options, "data_cfg", DataOptions)),
        "trainer": heard("trainer_cfg", partial(_options, "trainer_cfg", TrainerOptions)),
        "evaluator": heard("evaluator_cfg", partial(_evaluator, catalog)),
        **{
            name: _reading(name, config.get(name), catalog, faults)
            for name in ("trainer_cfg", "evaluator_cfg")
        },
    }


def _losses(config: Config, catalog: Catalog, faults: list[str]) -> Iterator[tuple[str, Bound]]:
    """Yield the losses, each with its ``log_prefix``."""
    seen: dict[str, str] = {}
    for where, section in _entries(config, "loss_cfg", "loss_cfg"):
        loss, inner = None, section
        prefix: Any = ""
        if isinstance(section, Mapping):
            inner = {key: value for key, value in section.items() if key != "log_prefix"}
            prefix = section.get("log_prefix")
        try:
            loss = bind(catalog.losses, inner, where=where)
        except ConfigError as fault:
            faults.append(str(fault))
        if not isinstance(prefix, str):
            faults.append(
                f"{where}: missing key 'log_prefix', by which the model addresses this loss"
            )
        elif prefix in seen:
            faults.append(f"{where}: the log_prefix {prefix!r} is that of {seen[prefix]} already")
        seen[str(prefix)] = where
        if loss is not None:
            yield str(prefix), loss


def _options(name: str, kind: type, section: Config) -> Any:
    _refuse(_headed(name, faults_of(kind, section)))
    return kind(**with_dataclasses(kind, section))


def _evaluator(catalog: Catalog, section: Config) -> tuple[EvaluatorOptions, Bound]:
    """Bind ``evaluator_cfg``: the engine's options and the evaluator's arguments."""
    known = [field.name for field in fields(EvaluatorOptions)]
    options = {key: section[key] for key in section if key in known}
    faults = faults_of(EvaluatorOptions, options)
    function: Any = None
    try:
        function = catalog.evaluators[str(section["eval_func"])]
    except KeyError as fault:
        faults += [f"eval_func: {fault.args[0]}"] if "eval_func" in section else []
    if function is None:
        raise ConfigError("\n".join(_headed("evaluator_cfg", faults)))
    keys: Mapping[str, Key] = keys_of(function, EVALUATOR_GETS)
    for key in section:
        if key not in known and key not in keys:
            near = nearest(key, [*known, *keys])
            near = near if near.startswith("did you") else f"accepted: {', '.join(keys)}"
            faults.append(f"unknown key {key!r} - {near}")
    arguments = {key: section[key] for key in section if key in keys}
    faults += faults_of_keys(keys, arguments)
    _refuse(_headed("evaluator_cfg", faults))
    arguments = with_dataclasses(function, arguments)
    return EvaluatorOptions(**options), Bound("evaluator_cfg", function, arguments)


def _reading(
    name: str, section: Any, catalog: Catalog, faults: list[str]
) -> tuple[Bound | None, list[Bound]]:
    """Bind the sampler and the transforms of ``trainer_cfg`` or ``evaluator_cfg``."""
    section = section if isinstance(section, Mapping) else {}
    sampler, transforms = None, []
    try:
        if "sampler" in section:
            sampler = bind(
                catalog.samplers, section["sampler"], where=f"{name}.sampler",
                given=SAMPLER_GETS, own=FRAME_KEYS,
            )  # fmt: skip
    except ConfigError as fault:
        faults.append(str(fault))
    for where, entry in _entries(section, "transform", f"{name}.transform"):
        try:
            transforms.append(bind(catalog.transforms, entry, where=where))
        except ConfigError as fault:
            faults.append(str(fault))
    return sampler, transforms


def _entries(section: Config, key: str, where: str) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a section's list, each with its place; nothing if it is not a list."""
    entries = section.get(key)
    if isinstance(entries, list):
        for place, entry in enumerate(entries):
            yield f"{where}[{place}]", entry


def _made(
    config: Config, catalog: Catalog, bound: Mapping[str, Any], faults: list[str]
) -> Settings:
    """Build the components that need no data; add values that they reject to ``faults``."""
    data, trainer = bound["data"], bound["trainer"]
    evaluator, evaluate = bound["evaluator"]
    faults += [f"data_cfg.{fault}" for fault in data.faults()]
    faults += [f"trainer_cfg.{fault}" for fault in trainer.faults()]
    faults += [f"evaluator_cfg.{fault}" for fault in evaluator.faults()]
    faults += _shared_faults(data, trainer, evaluator)
    losses = _built_losses(bound["losses"], trainer.seed, faults)
    training = _built_reading(bound["trainer_cfg"], faults)
    testing = _built_reading(bound["evaluator_cfg"], faults)
    faults += _rehearsal(bound["optimizer"], bound["schedule"])
    return Settings(
        config, data, bound["model"], losses, bound["optimizer"], bound["schedule"],
        trainer, training, evaluator, testing, evaluate, catalog,
    )  # fmt: skip


def _shared_faults(
    data: DataOptions, trainer: TrainerOptions, evaluator: EvaluatorOptions
) -> Iterator[str]:
    """Yield faults of values in different sections that do not fit each other."""
    if evaluator.save_name != trainer.save_name:
        yield (
            f"evaluator_cfg.save_name: expected that of trainer_cfg, {trainer.save_name!r}, "
            f"found {evaluator.save_name!r}"
        )
    validates = trainer.eval_iter and trainer.keep != "best_on_test"
    if validates and VALIDATION_SPLIT in data.train_splits:
        yield (
            f"trainer_cfg.eval_iter: it tests on the split {VALIDATION_SPLIT!r}, which "
            "data_cfg.train_splits trains on: take it out there, or set eval_iter: 0"
        )


def _built_losses(
    losses: list[tuple[str, Bound]], seed: int, faults: list[str]
) -> dict[str, nn.Module]:
    """Return the losses; their parameters are initialized from the seed of the run."""
    built = {}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for prefix, loss in losses:
            built[prefix] = _heard(loss, faults)
    return built


def _built_reading(parts: tuple[Bound, list[Bound]], faults: list[str]) -> Reading:
    sampler, transforms = parts
    frames = {**sampler.arguments, **sampler.own}
    built = Chain([_heard(transform, faults) for transform in transforms])
    return Reading(sampler, frames["frames"], frames["frame_rule"], built)


def _heard(bound: Bound, faults: list[str]) -> Any:
    """Return a built component; add the values that it rejects to ``faults``."""
    try:
        return bound()
    except (ValueError, TypeError) as fault:
        faults.append(f"{bound.where}: {fault}")
        return None


def _rehearsal(optimizer: Any, schedule: Bound) -> Iterator[str]:
    """Yield the errors of a trial build of optimizer and schedule with dummy parameters."""
    try:
        rehearsed = rehearsed_optimizer(optimizer)
    except ConfigError as fault:
        yield str(fault)
        return
    peaks = list(peak_faults(optimizer, schedule))
    if peaks:
        yield from peaks
        return
    try:
        schedule(optimizer=rehearsed, iterations_per_epoch=1)
    except (ValueError, TypeError) as fault:
        yield f"scheduler_cfg: {fault}"
    except ZeroDivisionError:  # the contradictions of this schedule explain it
        yield "scheduler_cfg: torch divides by zero with these values"


def _headed(name: str, faults: list[str]) -> list[str]:
    return ["\n".join([f"{name}:", *(f"  {fault}" for fault in faults)])] if faults else []
