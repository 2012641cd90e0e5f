"""The reference page of all config keys, generated from the components."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ..docstrings import explanations_of
from ..evaluation.rerank import DEFAULTS as RERANKINGS
from ..registry import Registry
from ..schema import NEEDED, Key, dataclass_in, keys_of, plain
from .catalog import Catalog
from .keys import EVALUATOR_GETS, FRAME_KEYS, SAMPLER_GETS, SCHEDULE_GETS
from .optimizer import SOLVERS
from .options import DataOptions, EvaluatorOptions, PrepareOptions, TrainerOptions
from .schedule import SCHEDULES
from .settings import Reading

_HEAD = """# Config files

Every key that a config file may hold: its type, what holds without it, what it means. This page is
made from the code (`opengait-ext configs keys`); a test keeps both alike.

A config is one YAML file of seven sections, and no other file is read. A key that is left out has
the default that stands here, an unknown key is an error. `opengait-ext configs` lists the configs
that come with the package; `opengait-ext configs show NAME --all` prints one with every default.

`--set section.key=value` sets any key for one run. A list is addressed by position
(`--set optimizer_cfg.0.lr=0.05`), a loss also by its `log_prefix`
(`--set loss_cfg.smoothness.loss_term_weight=0`). Two options that give one key different values are
refused. `--name`, `--seed` and `--output` are options of their own.
"""
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")  # :class:`~opengait_ext.layers.morphology.Sobel`
_NAMES = {int: "integer", float: "number", str: "text", bool: "true or false", Any: ""}
_PLURALS = {int: "integers", float: "numbers", str: "texts"}


def page(catalog: Catalog) -> str:
    """Return the page, in Markdown.

    Args:
        catalog: The components that a config can name.
    """
    blocks = [
        _HEAD,
        *_options("data_cfg", "Where the data lie, and which part of them trains.", DataOptions),
        *_options("PrepareOptions", "The keys of `prepare`.", PrepareOptions, "###"),
        *_components("model_cfg", "The key `model` names the model.", catalog.models, _build_keys),
        *_components(
            "loss_cfg",
            "A list. Each entry names its loss under `type`, and under `log_prefix` the output of "
            "the model that it gets. A loss of `loss_term_weight: 0` is not computed.",
            catalog.losses,
            keys_of,
        ),
        *_solvers(),
        *_schedules(),
        *_options("trainer_cfg", "How the model is trained.", TrainerOptions),
        *_options("evaluator_cfg", "How the model is tested.", EvaluatorOptions),
        *_components(
            "evaluator_cfg: evaluators",
            "The key `eval_func` names one; its keys stand in `evaluator_cfg` too.",
            catalog.evaluators,
            lambda component: keys_of(component, EVALUATOR_GETS),
        ),
        *_rerankings(),
        *_components(
            "sampler",
            "In `trainer_cfg` and `evaluator_cfg`; the key `type` names it. Beside its own keys it "
            "holds these:\n\n" + _table(FRAME_KEYS, explanations_of(Reading)),
            catalog.samplers,
            lambda component: keys_of(component, SAMPLER_GETS),
        ),
        *_components(
            "transform",
            "In `trainer_cfg` and `evaluator_cfg`: a list, applied in order; `type` names each.",
            catalog.transforms,
            keys_of,
        ),
    ]
    return "\n".join(blocks)


def _build_keys(model: Any) -> dict[str, Key]:
    return keys_of(model.build, ("self",))


def _options(name: str, text: str, options: type, level: str = "##") -> Iterator[str]:
    yield f"{level} {name}\n\n{text}\n"
    yield _table(keys_of(options), explanations_of(options))


def _components(
    title: str,
    text: str,
    registry: Registry,
    keys: Callable[[Any], Mapping[str, Key]],
) -> Iterator[str]:
    yield f"## {title}\n\n{text}\n"
    shown: list[type] = []
    for name in registry:
        component = registry[name]
        yield f"### {name}\n\n{_first_line(component)}\n"
        taken = keys(component)
        if not taken:
            yield "No further keys.\n"
            continue
        yield _table(taken, explanations_of(component))
        inner = [dataclass_in(key.hint) for key in taken.values()]
        shown += [each for each in inner if each is not None and each not in shown]
    for each in shown:
        yield f"### {each.__name__}\n\n{_first_line(each)}\n"
        yield _table(keys_of(each), explanations_of(each))


def _solvers() -> Iterator[str]:
    yield (
        "## optimizer_cfg\n\nOne entry, or a list of entries that share the parameters. The key "
        "`solver` names an optimizer of torch "
        f"({', '.join(f'`{name}`' for name in SOLVERS)}), whose arguments are the other keys, as "
        "[torch documents them](https://pytorch.org/docs/stable/optim.html). `match` is a list of "
        "beginnings of parameters' names, such as `[encoder.]`; one entry may go without and takes "
        "the rest. Parameters of losses are called `loss_cfg.<log_prefix>.<name>`.\n"
    )


def _schedules() -> Iterator[str]:
    own = [name for name in SCHEDULES if not SCHEDULES[name].__module__.startswith("torch.")]
    others = [name for name in SCHEDULES if name not in own]
    yield (
        "## scheduler_cfg\n\nThe key `scheduler` names it. It steps once per iteration. Those of "
        f"torch ({', '.join(f'`{name}`' for name in others)}) take the keys that [torch documents]"
        "(https://pytorch.org/docs/stable/optim.html); without `total_steps`, `OneCycleLR` takes "
        "`total_iter + 1`.\n"
    )
    for name in own:
        yield f"### {name}\n\n{_first_line(SCHEDULES[name])}\n"
        yield _table(keys_of(SCHEDULES[name], SCHEDULE_GETS), explanations_of(SCHEDULES[name]))


def _rerankings() -> Iterator[str]:
    yield "### rerank\n\nThe key `type` names it; see [evaluation.md](evaluation.md).\n"
    rows = [f"| `{kind}` | {_pairs(keys)} |" for kind, keys in RERANKINGS.items()]
    yield "\n".join(["| type | keys and their defaults |", "|---|---|", *rows, ""])


def _pairs(keys: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}: {_default(value)}`" for name, value in keys.items())


def _first_line(component: Any) -> str:
    return _cell(inspect.cleandoc(component.__doc__ or "").split("\n\n")[0].replace("\n", " "))


def _table(keys: Mapping[str, Key], texts: Mapping[str, str]) -> str:
    rows = [
        f"| `{name}` | {_type(key.hint)} | {_shown(key.default)} | {_cell(texts.get(name, ''))} |"
        for name, key in keys.items()
    ]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _shown(default: Any) -> str:
    return "needed" if default is NEEDED else f"`{_default(default)}`"


def _default(value: Any) -> str:
    """Return a default as one line of YAML."""
    value = plain(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_default, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return {None: "null", "": '""'}.get(value, str(value))


def _type(hint: Any) -> str:
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if each is type(None) else _type(each) for each in options)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in options)
    if origin in (list, tuple, Sequence, typing.get_origin(Sequence[int])):
        inner = options[0] if options else Any
        if typing.get_origin(inner) is Literal:
            return f"list of {_type(inner)}"
        return f"list of {_PLURALS[inner]}" if inner in _PLURALS else "list of entries"
    if dataclass_in(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _NAMES.get(hint, "keys and values")


def _cell(text: str) -> str:
    text = _ROLE.sub(lambda match: f"`{match[1].split('.')[-1]}`", text)
    return text.replace("|", "\\|").replace("``", "`")
