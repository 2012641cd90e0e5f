"""Translation of our configs to OpenGait's form, and refusal of what has no translation."""

import copy
from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from ..config import ConfigError
from ..engine.checkpoint import CheckpointStore
from ..engine.options import VALIDATION_SPLIT
from ..engine.run import OUTPUT
from ..engine.settings import Settings

# Our section in OpenGait's config, and the prefix of our component names in its namespaces. Some
# of its components have the same names as ours but other arguments.
EXTENSION = "opengait_ext"

# In these sections, OpenGait's defaults are arguments of one component, so none may remain.
_WHOLE = ("loss_cfg", "model_cfg", "optimizer_cfg", "scheduler_cfg")
_IN_FORCE = ("data_cfg", "trainer_cfg", "evaluator_cfg")
# Arguments of OpenGait's evaluators; our evaluator has its own defaults.
_OF_EVALUATORS = ("metric", "cross_view_gallery")


def named(name: str) -> str:
    """Return the name of one of our components in OpenGait's namespaces."""
    return f"{EXTENSION}.{name}"


def switched_on(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the enabled entries of ``loss_cfg``: all with a weight other than 0."""
    return [entry for entry in config["loss_cfg"] if entry.get("loss_term_weight", 1.0) != 0]


def absolute(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a config with absolute paths of data and checkpoints.

    Args:
        config: One of ours.
        folder: Base of its relative paths.
    """
    result: dict[str, Any] = copy.deepcopy(dict(config))
    for key in ("dataset_root", "dataset_partition"):
        result["data_cfg"][key] = str(folder / result["data_cfg"][key])
    for name in ("trainer_cfg", "evaluator_cfg"):
        hint = result[name]["restore_hint"]
        if isinstance(hint, str) and hint != "auto":
            result[name]["restore_hint"] = str(folder / hint)
    return result


def refuse_unfit(settings: Settings, phase: str) -> None:
    """Refuse a config that OpenGait would not run as written.

    Args:
        settings: The config.
        phase: ``train`` or ``test``.

    Raises:
        ConfigError: With all unsupported settings and their remedies.
    """
    faults = [*_foreign_signatures(settings), *(_faults(settings) if phase == "train" else ())]
    if faults:
        raise ConfigError(
            "\n".join(
                [
                    "This config cannot run inside an OpenGait checkout as it is written. Change "
                    "it, or run it with --host embedded:",
                    *(f"  {fault}" for fault in faults),
                ]
            )
        )


def _faults(settings: Settings) -> Iterator[str]:
    """Yield the settings that OpenGait's training does not support."""
    trainer = settings.trainer
    if trainer.accumulate > 1:
        yield f"trainer_cfg.accumulate is {trainer.accumulate}: OpenGait computes a batch in one"
    if trainer.clip_grad_norm:
        yield f"trainer_cfg.clip_grad_norm is {trainer.clip_grad_norm}: OpenGait clips no gradient"
    if trainer.keep != "last":
        yield f"trainer_cfg.keep is {trainer.keep!r}: OpenGait does not choose, keep is 'last'"
    if trainer.eval_iter not in (0, trainer.save_iter):
        yield (
            f"trainer_cfg.eval_iter is {trainer.eval_iter}: OpenGait tests when it saves, so "
            f"eval_iter is 0 or save_iter ({trainer.save_iter})"
        )
    for place, section in enumerate(settings.config["loss_cfg"]):
        if "." in section["log_prefix"]:
            yield f"loss_cfg[{place}].log_prefix is {section['log_prefix']!r}: no dots in OpenGait"


def _foreign_signatures(settings: Settings) -> Iterator[str]:
    """Yield the components whose arguments OpenGait would drop."""
    for kind in ("losses", "samplers", "transforms"):
        registry = getattr(settings.catalog, kind)
        for name in _used(settings, kind):
            keywords = _keyword_only(registry[name])
            if keywords:
                yield f"{name}: OpenGait hands on no keyword-only arguments ({', '.join(keywords)})"


def _used(settings: Settings, kind: str) -> set[str]:
    config = settings.config
    if kind == "losses":
        return {section["type"] for section in config["loss_cfg"]}
    parts = [config["trainer_cfg"], config["evaluator_cfg"]]
    if kind == "samplers":
        return {part["sampler"]["type"] for part in parts}
    return {entry["type"] for part in parts for entry in part["transform"]}


def _keyword_only(component: Any) -> list[str]:
    return [
        name
        for name, parameter in signature(component).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    ]


def notes(settings: Settings, world_size: int) -> Iterator[str]:
    """Yield a line for each thing that OpenGait does differently; logged at the start."""
    trainer, evaluator = settings.trainer, settings.evaluator
    if trainer.keep_checkpoints:
        yield f"trainer_cfg.keep_checkpoints: {trainer.keep_checkpoints}: OpenGait keeps them all"
    for name, options in (("trainer_cfg", trainer), ("evaluator_cfg", evaluator)):
        if options.precision in ("auto", "bfloat16"):
            yield (
                f"{name}.precision: {options.precision}: OpenGait's enable_float16 stays off; the "
                "model sets its own precision"
            )
        if options.compile != "never":
            yield f"{name}.compile: {options.compile}: OpenGait calls the model as it is"
    size = settings.testing.sampler.arguments.get("batch_size")
    if size != world_size:
        yield (
            f"evaluator_cfg.sampler.batch_size: OpenGait is told {world_size}, the number of "
            f"processes, as it demands; each batch still has up to {size} tracklets"
        )
    yield f"trainer_cfg.seed: {trainer.seed} holds, not OpenGait's seed (the rank)"


def translated(
    settings: Settings, folder: Path, phase: str, world_size: int, output: Path = OUTPUT
) -> dict[str, Any]:
    """Return a complete config in the form of OpenGait's engine.

    OpenGait's output path is ``output/`` joined with the name of the data set. The name is an
    absolute path here, so both hosts share ``<folder>/<output>``.

    Args:
        settings: The config, with absolute paths.
        folder: The folder in which the run was started.
        phase: ``train`` or ``test``.
        world_size: Number of processes.
        output: Output folder of all runs, relative to ``folder`` or absolute.

    Raises:
        ConfigError: If the checkpoint of a hint does not exist.
    """
    refuse_unfit(settings, phase)
    config, data = settings.config, settings.data
    return {
        "data_cfg": {
            "dataset_name": str(folder / output / data.dataset_name),
            "test_dataset_name": data.dataset_name,
            "dataset_root": data.dataset_root,
            "dataset_partition": data.dataset_partition,
            "num_workers": data.num_workers,
            "remove_no_gallery": False,
            "cache": False,
        },
        "model_cfg": copy.deepcopy(dict(config["model_cfg"])),
        "loss_cfg": [
            {**section, "type": named(section["type"])} for section in switched_on(config)
        ],
        "optimizer_cfg": copy.deepcopy(config["optimizer_cfg"]),
        "scheduler_cfg": dict(config["scheduler_cfg"]),
        "trainer_cfg": _trainer(settings, folder / output, phase),
        "evaluator_cfg": _evaluator(settings, folder / output, phase, world_size),
        EXTENSION: {
            "config": copy.deepcopy(dict(config)),
            "folder": str(folder),
            "output": str(output),
            "phase": phase,
        },
    }


def _trainer(settings: Settings, output: Path, phase: str) -> dict[str, Any]:
    options = settings.trainer
    hint: Any = 0
    if phase == "train" and options.restore_hint != 0:
        hint = _found(settings, output, options.restore_hint, "last")
    weights_only = isinstance(hint, str)
    return {
        "save_name": options.save_name,
        "total_iter": options.total_iter,
        "log_iter": options.log_iter,
        "save_iter": options.save_iter,
        "with_test": options.eval_iter > 0,
        "enable_float16": options.precision == "float16",
        "sync_BN": options.sync_batch_norm,
        "fix_BN": False,
        "find_unused_parameters": options.find_unused_parameters
        or len(switched_on(settings.config)) < len(settings.config["loss_cfg"]),
        "restore_hint": hint,
        "restore_ckpt_strict": options.restore_strict,
        "optimizer_reset": weights_only,
        "scheduler_reset": weights_only,
        "sampler": _of_ours(options.sampler),
        "transform": [_of_ours(entry) for entry in options.transform],
    }


def _evaluator(settings: Settings, output: Path, phase: str, world_size: int) -> dict[str, Any]:
    options = settings.evaluator
    hint: Any = 0
    if phase == "test":
        wanted = options.restore_hint or "auto"
        hint = _found(settings, output, wanted, settings.trainer.keep)
        if hint == 0:
            raise ConfigError(
                f"{_store(settings, output).folder}: there is no checkpoint to test; train first "
                "(--phase train), or give one as evaluator_cfg.restore_hint"
            )
    return {
        **settings.evaluate.arguments,
        "save_name": options.save_name,
        "restore_hint": hint,
        "restore_ckpt_strict": options.restore_strict,
        "enable_float16": False,
        "eval_func": named(options.eval_func),
        "partition": settings.data.dataset_partition,
        "split": options.split if phase == "test" else VALIDATION_SPLIT,
        "sampler": {**_of_ours(options.sampler), "batch_size": world_size},
        "transform": [_of_ours(entry) for entry in options.transform],
    }


def _of_ours(section: Mapping[str, Any]) -> dict[str, Any]:
    return {**section, "type": named(section["type"])}


def _store(settings: Settings, output: Path) -> CheckpointStore:
    name = settings.trainer.save_name
    folder = output / settings.data.dataset_name / settings.model_name / name
    return CheckpointStore(folder / "checkpoints", name, settings.trainer.keep_checkpoints)


def _found(settings: Settings, output: Path, hint: int | str, keep: str) -> int | str:
    """Return a hint in OpenGait's form: an iteration, or the path of other weights."""
    path = _store(settings, output).find(hint, keep)
    if path is None:
        return 0
    return str(path) if isinstance(hint, str) and hint != "auto" else int(path.stem.split("-")[-1])


def left_over(defaults: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the keys of OpenGait's ``default.yaml`` that a translated config does not set.

    A newer OpenGait may read keys that are unknown here. Sections passed to one component are
    entirely ours, and so are samplers.

    Args:
        defaults: The content of ``default.yaml``.
        config: The translation.

    Returns:
        Keys and values by section.
    """
    known = {*_WHOLE, *_IN_FORCE}
    left = {
        name: {
            key: value
            for key, value in defaults[name].items()
            if key not in config[name] and key not in _OF_EVALUATORS
        }
        for name in _IN_FORCE
        if isinstance(defaults.get(name), Mapping)
    }
    left |= {name: value for name, value in defaults.items() if name not in known}
    return {name: keys for name, keys in left.items() if keys}
