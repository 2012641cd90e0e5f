"""All keys that a config may hold, by place: for ``--set`` and for writing out defaults."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

from ..data.frames import FrameRule
from ..evaluation.rerank import DEFAULTS as RERANKINGS
from ..evaluation.rerank import checked
from ..models import MODELS
from ..registry import Registry
from ..schema import NEEDED, Key, dataclass_in, keys_of, plain
from .catalog import Catalog, Config
from .optimizer import SOLVERS
from .options import DataOptions, EvaluatorOptions, TrainerOptions
from .schedule import SCHEDULES

# Arguments that the engine supplies to components; a config must not set them.
EVALUATOR_GETS = ("embedded", "dataset", "split")
SAMPLER_GETS = ("dataset", "draws", "rank", "world_size")
SCHEDULE_GETS = ("optimizer", "last_epoch")
SOLVER_GETS = ("params",)

Place = tuple[str | int, ...]
_TEXT, _LIST = Key(str, NEEDED), Key(list[str], NEEDED)
# Keys of a section next to its sampler: how many frames of a tracklet are read, and which.
FRAME_KEYS = {"frames": Key(int, NEEDED), "frame_rule": Key(FrameRule, NEEDED)}
_OLD = ("verbose",)  # argument of torch's schedules, without effect


@dataclass(frozen=True)
class Part:
    """A mapping in a config with the arguments of one component.

    Attributes:
        place: Its place: section, keys and list indices.
        given: The mapping itself.
        component: The component.
        keys: All accepted keys, including the host's (``log_prefix``, ``match``).
    """

    place: Place
    given: Mapping[str, Any]
    component: Callable[..., Any]
    keys: Mapping[str, Key]


def written(place: Sequence[str | int]) -> str:
    """Return a place as text, as in messages: ``loss_cfg[2].margin``."""
    words = [f"[{word}]" if isinstance(word, int) else f".{word}" for word in place]
    return "".join(words).removeprefix(".")


def parts_of(config: Config, catalog: Catalog) -> Iterator[Part]:
    """Yield every mapping of a config that belongs to a known component.

    Args:
        config: The config as it was read; it may be invalid.
        catalog: The components that it can name.
    """
    for part in _sections(config, catalog):
        yield part
        yield from _nested(part)


def _sections(config: Config, catalog: Catalog) -> Iterator[Part]:
    yield from _named(("model_cfg",), config.get("model_cfg"), catalog.models, "model")
    for place, entry in _entries(config, "loss_cfg"):
        yield from _named(place, entry, catalog.losses, own={"log_prefix": _TEXT})
    solvers = config.get("optimizer_cfg")
    places = _entries(config, "optimizer_cfg") if isinstance(solvers, list) else ()
    for place, entry in places or [(("optimizer_cfg",), solvers)]:
        yield from _named(place, entry, SOLVERS, "solver", SOLVER_GETS, {"match": _LIST})
    schedule = config.get("scheduler_cfg")
    yield from _named(("scheduler_cfg",), schedule, SCHEDULES, "scheduler", SCHEDULE_GETS)
    for name, options in (("data_cfg", DataOptions), ("trainer_cfg", TrainerOptions)):
        if isinstance(config.get(name), Mapping):
            yield Part((name,), config[name], options, keys_of(options))
    yield from _evaluator(config.get("evaluator_cfg"), catalog)
    for name in ("trainer_cfg", "evaluator_cfg"):
        section = config.get(name)
        if not isinstance(section, Mapping):
            continue
        place = (name, "sampler")
        sampler = section.get("sampler")
        yield from _named(place, sampler, catalog.samplers, given=SAMPLER_GETS, own=FRAME_KEYS)
        for inner, entry in _entries(section, "transform"):
            yield from _named((name, *inner), entry, catalog.transforms)


def _entries(section: Config, key: str) -> list[tuple[Place, Any]]:
    entries = section.get(key)
    if not isinstance(entries, list):
        return []
    return [((key, number), entry) for number, entry in enumerate(entries)]


def _named(
    place: Place,
    section: Any,
    registry: Registry,
    key: str = "type",
    given: Sequence[str] = (),
    own: Mapping[str, Key] | None = None,
) -> Iterator[Part]:
    """Yield the part of a section whose component is named under ``key``."""
    if not isinstance(section, Mapping):
        return
    try:
        component = registry[section.get(key, "")]
    except (KeyError, TypeError):
        return
    taken = keys_of(component.build, ("self",)) if key == "model" else keys_of(component, given)
    yield Part(place, section, component, {key: _TEXT, **(own or {}), **taken})


def _evaluator(section: Any, catalog: Catalog) -> Iterator[Part]:
    if not isinstance(section, Mapping):
        return
    keys = keys_of(EvaluatorOptions)
    try:
        function = catalog.evaluators[section.get("eval_func", "")]
    except (KeyError, TypeError):
        yield Part(("evaluator_cfg",), section, EvaluatorOptions, keys)
        return
    keys |= keys_of(function, EVALUATOR_GETS)
    yield Part(("evaluator_cfg",), section, function, keys)
    rerank = section.get("rerank")
    if isinstance(rerank, Mapping) and rerank.get("type") in RERANKINGS:
        defaults = RERANKINGS[rerank["type"]]
        keys = {name: Key(type(value), value) for name, value in defaults.items()}
        yield Part(("evaluator_cfg", "rerank"), rerank, checked, {"type": _TEXT, **keys})


def _nested(part: Part) -> Iterator[Part]:
    """Yield the mappings within a part that become dataclasses."""
    for name, key in part.keys.items():
        wanted, section = dataclass_in(key.hint), part.given.get(name)
        if wanted is not None and isinstance(section, Mapping):
            inner = Part((*part.place, name), section, wanted, keys_of(wanted))
            yield inner
            yield from _nested(inner)


def with_every_key(config: Config, catalog: Catalog) -> dict[str, Any]:
    """Return an equivalent config with every default written out.

    Exceptions: the implementation of the optimizer's step (``fused``, ``foreach``), which the
    engine chooses if none is set; the learning rate that OneCycleLR sets; keys of models from an
    OpenGait checkout, which test whether a key is present.

    Args:
        config: A valid config.
        catalog: The components that it can name.
    """
    result: dict[str, Any] = copy.deepcopy(dict(config))
    for part in parts_of(result, catalog):
        given: Any = part.given
        for name, key in part.keys.items():
            if name not in given and key.default is not NEEDED and _is_free(part, name, result):
                given[name] = plain(key.default)
    return result


def _is_free(part: Part, name: str, config: Config) -> bool:
    """Return whether writing out a default changes nothing."""
    if part.place[0] == "optimizer_cfg":
        if name == "lr" and config["scheduler_cfg"]["scheduler"] == "OneCycleLR":
            return False
        parameter = signature(part.component).parameters.get(name)
        return parameter is not None and parameter.kind is not Parameter.KEYWORD_ONLY
    if part.place[0] == "model_cfg":
        return config["model_cfg"]["model"] in MODELS
    return name not in _OLD


def accepted_at(config: Config, catalog: Catalog, place: Place) -> Mapping[str, Key] | None:
    """Return the keys that a config may hold at a place; None if they are not known."""
    for part in parts_of(config, catalog):
        if part.place == place:
            return part.keys
    return None
