"""Checks a whole config against the components it names, before any data are touched."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from inspect import signature

from ..config import ConfigError, build, faults_of_section
from ..registry import Registry
from ..schema import faults_of, shown, with_dataclasses
from .bounds import faults_of_numbers
from .catalog import Catalog, Config, Settings, build_schedule, listed, without_prefix
from .effects import contradictions
from .keys import EVALUATOR_GETS, SAMPLER_GETS, SCHEDULE_GETS
from .optimizer import optimizer_faults, peak_faults, rehearsed_optimizer
from .options import VALIDATION_SPLIT, DataOptions, EvaluatorOptions, TrainerOptions
from .schedule import SCHEDULES

SECTIONS = (
    "data_cfg", "model_cfg", "loss_cfg", "optimizer_cfg",
    "scheduler_cfg", "trainer_cfg", "evaluator_cfg",
)  # fmt: skip
_LISTS = ("loss_cfg", "optimizer_cfg")


def check(config: Config, catalog: Catalog, phase: str = "both") -> Settings:
    """Gives the settings of a run, or says everything that is wrong with its config.

    Args:
        config: The sections of a config file.
        catalog: What it can name.
        phase: ``train``, ``test`` or ``both``; ``stored`` for the config of a run that is over.

    Raises:
        ConfigError: With all faults of all sections.
    """
    faults = [*_section_faults(config), *_component_faults(config, catalog)]
    if not faults:
        faults = list(faults_of_numbers(config))
    if not faults:
        faults = list(_value_faults(config, catalog))
        if phase in ("train", "both"):
            faults += contradictions(config, catalog)
        if phase == "test" and config["evaluator_cfg"]["restore_hint"] == 0:
            faults.append(
                "evaluator_cfg.restore_hint: a test needs a checkpoint: expected auto, an "
                "iteration above 0 or a path, found 0"
            )
    if faults:
        raise ConfigError("\n".join(faults))
    data, trainer, evaluator = _options(config)
    known = {field.name for field in fields(EvaluatorOptions)}
    arguments = {key: value for key, value in config["evaluator_cfg"].items() if key not in known}
    return Settings(config, data, trainer, evaluator, arguments, catalog)


def _section_faults(config: Config) -> Iterator[str]:
    for name in config:
        if name not in SECTIONS:
            near = get_close_matches(str(name), SECTIONS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(SECTIONS)}"
            yield f"unknown section {name!r} - {hint}"
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


def _component_faults(config: Config, catalog: Catalog) -> Iterator[str]:
    """Names keys that a component does not know or lacks; skips sections that are none."""
    sections = {name: config[name] for name in SECTIONS if isinstance(config.get(name), Mapping)}
    if "model_cfg" in sections:
        yield from faults_of_section(
            catalog.models, sections["model_cfg"], where="model_cfg", key="model", method="build"
        )
    yield from _loss_faults(config, catalog)
    if isinstance(config.get("optimizer_cfg"), (Mapping, list)):
        yield from optimizer_faults(config["optimizer_cfg"])
    if "scheduler_cfg" in sections:
        yield from faults_of_section(
            SCHEDULES, sections["scheduler_cfg"], where="scheduler_cfg", key="scheduler",
            given=SCHEDULE_GETS,
        )  # fmt: skip
    for name, options in (("data_cfg", DataOptions), ("trainer_cfg", TrainerOptions)):
        if name in sections:
            yield from _headed(name, faults_of(options, sections[name]))
    if "evaluator_cfg" in sections:
        yield from _headed("evaluator_cfg", _evaluator_faults(sections["evaluator_cfg"], catalog))
    for name in ("trainer_cfg", "evaluator_cfg"):
        yield from _loader_faults(name, sections.get(name, {}), catalog)


def _loss_faults(config: Config, catalog: Catalog) -> Iterator[str]:
    seen: dict[str, str] = {}
    for where, section in listed(config, "loss_cfg"):
        yield from faults_of_section(catalog.losses, without_prefix(section), where=where)
        prefix = section.get("log_prefix") if isinstance(section, Mapping) else ""
        if not isinstance(prefix, str):
            yield f"{where}: missing key 'log_prefix', by which the model addresses this loss"
        elif prefix in seen:
            yield f"{where}: the log_prefix {prefix!r} is that of {seen[prefix]} already"
        seen[str(prefix)] = where


def _evaluator_faults(section: Config, catalog: Catalog) -> list[str]:
    known = [field.name for field in fields(EvaluatorOptions)]
    faults = faults_of(EvaluatorOptions, {key: section[key] for key in section if key in known})
    try:
        function = catalog.evaluators[section.get("eval_func", "")]
    except KeyError as fault:
        return [*faults, *([f"eval_func: {fault.args[0]}"] if "eval_func" in section else [])]
    further = [name for name in signature(function).parameters if name not in EVALUATOR_GETS]
    arguments = {key: section[key] for key in section if key in further}
    for key in section:
        if key not in known and key not in further:
            near = get_close_matches(str(key), [*known, *further], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"accepted: {', '.join(further)}"
            faults.append(f"unknown key {key!r} - {hint}")
    return faults + faults_of(function, arguments, given=EVALUATOR_GETS)


def _loader_faults(name: str, section: Config, catalog: Catalog) -> Iterator[str]:
    if "sampler" in section:
        yield from faults_of_section(
            catalog.samplers, section["sampler"], where=f"{name}.sampler", given=SAMPLER_GETS
        )
    for where, transform in listed(section, "transform", f"{name}.transform"):
        yield from faults_of_section(catalog.transforms, transform, where=where)


def _value_faults(config: Config, catalog: Catalog) -> Iterator[str]:
    """Names values that a component refuses; called when all keys and types are right."""
    data, trainer, evaluator = _options(config)
    yield from (f"data_cfg.{fault}" for fault in data.faults())
    yield from (f"trainer_cfg.{fault}" for fault in trainer.faults())
    yield from (f"evaluator_cfg.{fault}" for fault in evaluator.faults())
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
    for where, section in listed(config, "loss_cfg"):
        yield from _refusal(catalog.losses, without_prefix(section), where)
    for name in ("trainer_cfg", "evaluator_cfg"):
        for where, section in listed(config[name], "transform", f"{name}.transform"):
            yield from _refusal(catalog.transforms, section, where)
    yield from _rehearsal(config)


def _rehearsal(config: Config) -> Iterator[str]:
    """Builds optimizer and schedule for a number each, to hear what they refuse."""
    try:
        optimizer = rehearsed_optimizer(config["optimizer_cfg"])
    except ConfigError as fault:
        yield str(fault)
        return
    peaks = list(peak_faults(config["optimizer_cfg"], config["scheduler_cfg"]))
    if peaks:
        yield from peaks
        return
    try:
        build_schedule(config["scheduler_cfg"], optimizer, 1, config["trainer_cfg"]["total_iter"])
    except (ValueError, TypeError) as fault:
        yield f"scheduler_cfg: {fault}"
    except ZeroDivisionError:  # explained by the contradictions of this schedule
        yield "scheduler_cfg: torch divides by zero with these values"


def _refusal(registry: Registry, section: Config, where: str) -> Iterator[str]:
    try:
        build(registry, section, where=where)
    except (ValueError, TypeError) as fault:
        yield f"{where}: {fault}"


def _options(config: Config) -> tuple[DataOptions, TrainerOptions, EvaluatorOptions]:
    known = {field.name for field in fields(EvaluatorOptions)}
    evaluator = {key: value for key, value in config["evaluator_cfg"].items() if key in known}
    return (
        DataOptions(**with_dataclasses(DataOptions, config["data_cfg"])),
        TrainerOptions(**config["trainer_cfg"]),
        EvaluatorOptions(**evaluator),
    )


def _headed(name: str, faults: list[str]) -> list[str]:
    return ["\n".join([f"{name}:", *(f"  {fault}" for fault in faults)])] if faults else []
