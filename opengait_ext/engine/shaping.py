"""The config values that affect the result of training, and their differences between configs.

A missing value counts as its component's default, so writing out a default is not a difference.
Losses are compared by ``log_prefix``; a loss of weight 0 equals a missing one.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..schema import plain, with_dataclasses
from .catalog import Catalog, Config
from .optimizer import SOLVERS, placed_entries
from .options import DataOptions, TrainerOptions, is_weight_file
from .schedule import SCHEDULES, derived

# Paths, workers, logging, values that only a test reads, and how (not what) is computed.
_HARMLESS = {
    "data_cfg": (
        "dataset_name", "dataset_root", "dataset_partition", "num_workers", "loader_timeout",
        "prepare",
    ),
    "trainer_cfg": (
        "save_name", "total_iter", "log_iter", "save_iter", "eval_iter", "keep", "restore_hint",
        "restore_strict", "keep_checkpoints", "find_unused_parameters", "compile",
    ),
    "optimizer_cfg": ("fused", "foreach", "capturable"),
}  # fmt: skip
_NO_FILES = ("imagenet",)  # values of keys of weights that are not files
_LONGEST = 120  # characters of a value in a message


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference between two configs.

    Attributes:
        place: ``section.key``.
        before: Value in the first config; ``Difference.ABSENT`` if it is missing.
        after: Value in the second config.
    """

    ABSENT = "absent"

    place: str
    before: Any
    after: Any

    @property
    def is_of_start(self) -> bool:
        """Return whether it concerns initial weights, which a checkpoint's own weights replace."""
        return self.place.startswith("model_cfg.") and (
            _is_of_weights(self.place) or is_weight_file(self.before) or is_weight_file(self.after)
        )

    def __str__(self) -> str:
        return f"{self.place}: {_short(self.before)} -> {_short(self.after)}"


def _is_of_weights(place: str) -> bool:
    key = place.rsplit(".", 1)[-1]
    return key.endswith("_weights") or key.startswith("pretrained")


def names_weights(place: str, value: Any) -> bool:
    """Return whether a value of ``model_cfg`` names a file of weights, by its key or its form."""
    is_path = isinstance(value, str) and value not in ("", *_NO_FILES)
    return is_weight_file(value) or is_path and _is_of_weights(place)


def weight_files(model_cfg: Any, place: str = "model_cfg") -> Iterator[tuple[str, str]]:
    """Yield the files of a model's initial weights, each with its place."""
    if isinstance(model_cfg, Mapping):
        for key, value in model_cfg.items():
            yield from weight_files(value, f"{place}.{key}")
    elif names_weights(place, model_cfg):
        yield place, model_cfg


def training_differences(old: Config, new: Config, catalog: Catalog) -> list[Difference]:
    """Return the differences between two configs in values that affect training."""
    return list(_differences(shape_of(old, catalog), shape_of(new, catalog)))


def model_differences(old: Config, new: Config, catalog: Catalog) -> list[Difference]:
    """Return the differences between two configs' models, without values that only a test reads."""
    before, after = (_model(config, catalog) for config in (old, new))
    return list(_differences(before, after, "model_cfg"))


def shape_of(config: Config, catalog: Catalog) -> dict[str, Any]:
    """Return the values of a config that affect training, with all defaults written out."""
    trainer = _section(config, "trainer_cfg", TrainerOptions)
    data = _section(config, "data_cfg", DataOptions)
    if isinstance(data.get("train_splits"), list):
        data["train_splits"] = sorted(set(map(str, data["train_splits"])))
    trainer["sampler"] = _named(catalog.samplers, trainer.get("sampler"))
    trainer["transform"] = [
        _named(catalog.transforms, entry) for entry in trainer.get("transform") or []
    ]
    losses = [entry for entry in config.get("loss_cfg") or [] if isinstance(entry, Mapping)]
    solvers = [
        _without("optimizer_cfg", _named(SOLVERS, entry, "solver"))
        for _, entry in placed_entries(config.get("optimizer_cfg") or {})
    ]
    schedule = _named(
        SCHEDULES,
        derived(config.get("scheduler_cfg") or {}, config.get("trainer_cfg") or {}),
        "scheduler",
    )
    if schedule.get("scheduler") == "OneCycleLR":
        solvers = [_under_cycle(solver, schedule.get("cycle_momentum")) for solver in solvers]
    if schedule.get("unit") == "iteration":
        schedule["iterations_per_epoch"] = 0  # without effect
    return {
        "data_cfg": data,
        "model_cfg": _model(config, catalog),
        "loss_cfg": {
            str(entry.get("log_prefix")): {
                key: value
                for key, value in _named(catalog.losses, entry).items()
                if key != "log_prefix"
            }
            for entry in losses
            if entry.get("loss_term_weight", 1.0) != 0
        },
        "optimizer_cfg": solvers[0] if len(solvers) == 1 else solvers,
        "scheduler_cfg": schedule,
        "trainer_cfg": trainer,
    }


def _under_cycle(solver: Mapping[str, Any], cycle_momentum: Any) -> dict[str, Any]:
    """Return a solver without the values that OneCycleLR sets."""
    moved = ("lr", "momentum") if cycle_momentum else ("lr",)
    left = {key: value for key, value in solver.items() if key not in moved}
    if cycle_momentum and isinstance(left.get("betas"), list):
        left["betas"] = [None, *left["betas"][1:]]
    return left


def _section(config: Config, name: str, options: type) -> dict[str, Any]:
    return _without(name, with_defaults(options, config.get(name) or {}))


def _without(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in _HARMLESS[section]}


def _model(config: Config, catalog: Catalog) -> dict[str, Any]:
    section = config.get("model_cfg") or {}
    try:
        model = catalog.models[section.get("model", "")]
    except KeyError:  # from a checkout that is missing here
        return dict(section)
    free = getattr(model, "test_only", ())
    filled = with_defaults(model.build, section)
    return {key: value for key, value in filled.items() if key not in free}


def _named(registry: Any, section: Any, key: str = "type") -> dict[str, Any]:
    """Return a section that names its component, with the component's defaults."""
    if not isinstance(section, Mapping) or section.get(key) not in registry:
        return dict(section or {})
    return with_defaults(registry[section[key]], section)


def with_defaults(component: Callable[..., Any], section: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with the missing defaults filled in, as plain values."""
    parameters = inspect.signature(component).parameters
    values = {
        name: parameter.default
        for name, parameter in parameters.items()
        # A dataclass field with a default factory has a marker here instead of a value.
        if parameter.default is not parameter.empty and repr(parameter.default) != "<factory>"
    }
    try:
        given = with_dataclasses(component, section)
    except TypeError:  # keys of another version
        given = dict(section)
    left = {name: value for name, value in values.items() if name not in given}
    return {name: plain(value) for name, value in {**given, **left}.items()}


def _differences(old: Any, new: Any, place: str = "") -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            before, after = (each.get(key, Difference.ABSENT) for each in (old, new))
            yield from _differences(before, after, f"{place}.{key}" if place else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{place}.{number}")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Difference(place, old, new)


def _short(value: Any) -> str:
    named = _names(value)
    text = named or (value if value is Difference.ABSENT else repr(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _names(value: Any) -> str:
    """Return the names of listed components, clearer than the start of a long list."""
    if not isinstance(value, Sequence) or not value or isinstance(value, str):
        return ""
    names = [each.get("type") if isinstance(each, Mapping) else None for each in value]
    return f"[{', '.join(map(str, names))}]" if all(names) else ""
