"""Reading of config files, and building of the components that they name."""

import copy
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

from .errors import UserError
from .registry import Registry
from .schema import NEEDED, Key, faults_of_keys, keys_of, nearest, shown, with_dataclasses
from .yaml_text import YAMLError, parse

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class ConfigError(UserError):
    """A config file names something that does not exist, or lacks something."""


@dataclass(frozen=True)
class Change:
    """A value of the command line that replaces the config file's.

    Attributes:
        place: ``section.key``, as the user writes it.
        value: The new value.
        told: The option that set it, for messages: ``--seed 3``.
    """

    place: str
    value: Any
    told: str


# A function that returns the keys that a config may hold at a place; None: any, or unknown.
Accepted = Callable[[Mapping[str, Any], tuple[str | int, ...]], Collection[str] | None]


def change_of(text: str) -> Change:
    """Return the change of ``--set section.key=value``; the value is YAML.

    Raises:
        ConfigError: If the text has another form, or the value is not valid YAML.
    """
    place, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text}: expected section.key=value")
    try:
        return Change(place, _unshared(parse(value)), f"--set {text}")
    except YAMLError as fault:
        raise ConfigError(f"--set {text[:200]}: {fault}") from None


def load_config(
    path: str | Path, changes: Sequence[str | Change] = (), accepted: Accepted | None = None
) -> dict[str, Any]:
    """Read a config file and apply the changes of the command line.

    Args:
        path: A YAML file whose sections are mappings or lists.
        changes: Each a :class:`Change`, or ``section.key=value``. An element of a list is
            addressed by its number, a loss also by its ``log_prefix``:
            ``loss_cfg.0.margin=0.3``, ``loss_cfg.smoothness.loss_term_weight=0``.
        accepted: Function that returns the keys that a place accepts, so that a change may also
            name a key that the file lacks; None: only keys of the file.

    Returns:
        The sections by name. No other file is merged in; a key that the file lacks has the default
        of its component.

    Raises:
        ConfigError: If the file is missing or not a YAML mapping, if a number is written in
            a way that YAML reads as text, if a change names a key that does not exist, or if two
            changes give one place different values.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such config file (shipped ones are in configs/)")
    try:
        config = _unshared(parse(path.read_bytes()))
    except YAMLError as fault:
        raise ConfigError(f"{path}: this is not valid YAML: {fault}") from None
    if not isinstance(config, dict):
        found = ascii(config)[:60]
        raise ConfigError(f"{path}: expected sections such as 'model_cfg:', found {found}")
    apply_changes(config, changes, accepted)
    texts = list(_numbers_read_as_text(config))
    if texts:
        raise ConfigError("\n".join([f"{path}:", *(f"  {text}" for text in texts)]))
    return config


def apply_changes(
    config: dict[str, Any], changes: Sequence[str | Change], accepted: Accepted | None = None
) -> None:
    """Apply the changes of the command line to a config; see :func:`load_config`.

    Raises:
        ConfigError: As in :func:`load_config`.
    """
    made: list[tuple[list[str | int], Change]] = []
    for each in changes:
        change = change_of(each) if isinstance(each, str) else each
        made.append((_set(config, change, accepted), change))
    for number, (place, change) in enumerate(made):
        if _holds(change.value, _value_at(config, place)):
            continue
        other = next(
            (
                later.told
                for where, later in made[number + 1 :]
                if where[: len(place)] == place[: len(where)]
            ),
            "another change",
        )
        raise ConfigError(
            f"{change.told} and {other} give different values to one key; leave one of them out"
        )


@dataclass(frozen=True)
class Bound:
    """A checked section of a config and the component that it names, ready to be built.

    Attributes:
        where: The section's place, for messages.
        component: Class or function.
        arguments: Arguments from the section, with mappings converted to dataclasses.
        own: Keys of the section that its host reads itself, such as ``log_prefix``.
    """

    where: str
    component: Any
    arguments: Mapping[str, Any]
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the component."""
        return str(self.component.__name__)

    def asks_for(self, name: str) -> bool:
        """Return whether the component has a parameter of this name."""
        return name in signature(self.component).parameters

    def __call__(self, **offered: Any) -> Any:
        """Build the component, or call it.

        Args:
            **offered: Further arguments. The component gets those that it has parameters for and
                the section does not set.
        """
        asked = {name: value for name, value in offered.items() if self.asks_for(name)}
        return self.component(**{**asked, **self.arguments})


def bind(
    registry: Registry,
    section: Any,
    *,
    where: str,
    key: str = "type",
    given: Collection[str] = (),
    own: Mapping[str, Key] | None = None,
) -> Bound:
    """Check one section of a config and return what it describes, not yet built.

    Args:
        registry: Where to look the name up.
        section: The section, a mapping; ``section[key]`` names the component and the
            other keys are its arguments.
        where: The section's place, for error messages: ``"trainer_cfg.sampler"``.
        key: The key that holds the name.
        given: Names of arguments that the caller supplies and a config file must not.
        own: Keys of the section that the caller reads itself.

    Raises:
        ConfigError: If the name or a key is unknown, or a value is missing or of the
            wrong type. The message lists all faults of the section.
    """
    own = own or {}
    component = _component_of(registry, section, where, key)
    keys = keys_of(component, given)
    further = {name: each for name, each in own.items() if name not in keys}
    arguments = {name: value for name, value in section.items() if name != key}
    _refuse_faults(component, {**keys, **further}, arguments, where)
    ours = {name: arguments[name] for name in own if name in arguments}
    theirs = {name: value for name, value in arguments.items() if name in keys}
    return Bound(where, component, with_dataclasses(component, theirs), ours)


def bind_model(models: Registry, section: Any) -> Bound:
    """Check ``model_cfg``, whose schema is the model's ``build``.

    Returns:
        The model's class, with the arguments of ``build`` unconverted.

    Raises:
        ConfigError: As in :func:`bind`.
    """
    component = _component_of(models, section, "model_cfg", "model")
    arguments = {name: value for name, value in section.items() if name != "model"}
    _refuse_faults(component, keys_of(component.build, ("self",)), arguments, "model_cfg")
    return Bound("model_cfg", component, arguments)


def build(registry: Registry, section: Any, *, where: str, key: str = "type", **given: Any) -> Any:
    """Build the component that one section of a config file describes; see :func:`bind`."""
    return bind(registry, section, where=where, key=key, given=given)(**given)


def _component_of(registry: Registry, section: Any, where: str, key: str) -> Any:
    if not isinstance(section, Mapping):
        raise ConfigError(f"{where}: expected keys and values, found {shown(section)}")
    if key not in section:
        raise ConfigError(f"{where}: missing key {key!r} (known: {', '.join(registry)})")
    if not isinstance(section[key], str):
        raise ConfigError(f"{where}.{key}: expected a name, found {shown(section[key])}")
    try:
        return registry[section[key]]
    except KeyError as fault:
        raise ConfigError(f"{where}.{key}: {fault.args[0]}") from None


def _refuse_faults(
    component: Any, keys: Mapping[str, Key], arguments: Mapping[str, Any], where: str
) -> None:
    faults = faults_of_keys(keys, arguments)
    if faults:
        head = f"{where} ({component.__name__}):"
        raise ConfigError("\n".join([head, *(f"  {fault}" for fault in faults)]))


def _numbers_read_as_text(value: Any, where: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers_read_as_text(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _numbers_read_as_text(inner, f"{where}[{place}]")
    elif isinstance(value, str) and "e" in value.lower() and _NUMBER.fullmatch(value):
        # Without an exponent, a number is text only if it is quoted, which is deliberate.
        yield f"{where}: YAML reads {value} as text - write {_with_dot(value)}"


def _with_dot(number: str) -> str:
    mantissa, mark, exponent = number.lower().partition("e")
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    if mark and exponent[0] not in "+-":
        exponent = f"+{exponent}"
    return f"{mantissa}{mark}{exponent}"


def _set(config: dict[str, Any], change: Change, accepted: Accepted | None) -> list[str | int]:
    """Set the value of a change and return its place, with list elements by number."""
    node: Any = config
    place: list[str | int] = []
    words = change.place.split(".")
    while words:
        key, used = _key(node, words, change)
        rest = words[used:]
        if isinstance(node, dict) and key not in node:
            _check_key(config, place, str(key), node, change, accepted)
            if rest:
                node[key] = {}
        place.append(key)
        if not rest:
            node[key] = copy.deepcopy(change.value)
        node, words = node[key], rest
    return place


def _key(node: Any, words: Sequence[str], change: Change) -> tuple[str | int, int]:
    """Return the key or position that the first words address, and the number of these words."""
    name = words[0]
    if isinstance(node, dict):
        return name, 1
    if not isinstance(node, list):
        raise ConfigError(
            f"{change.told}: what stands before {name!r} is {shown(node)}, without keys"
        )
    found: dict[int, int] = {}
    if name.isascii() and name.isdecimal() and int(name) < len(node):
        found[int(name)] = 1
    prefixes = [each.get("log_prefix") if isinstance(each, dict) else None for each in node]
    for place, prefix in enumerate(prefixes):
        used = str(prefix).count(".") + 1
        if prefix is not None and ".".join(words[:used]) == prefix:
            found[place] = used
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        places = " and ".join(f"[{place}]" for place in sorted(found))
        raise ConfigError(
            f"{change.told}: {name!r} is the entries {places}; give one by its number"
        )
    known = [*map(str, range(len(node))), *(str(each) for each in prefixes if each is not None)]
    raise ConfigError(f"{change.told}: the list has no entry {name!r} - {nearest(name, known)}")


def _check_key(
    config: dict[str, Any],
    place: Sequence[str | int],
    name: str,
    node: dict[str, Any],
    change: Change,
    accepted: Accepted | None,
) -> None:
    """Refuse a key that is not in the file, unless the component there accepts it."""
    known = accepted(config, tuple(place)) if accepted and place else None
    if known is not None and name in known:
        return
    names = list(dict.fromkeys([*map(str, node), *(known or ())]))
    where = "the config file" if known is None else ".".join(map(str, place))
    raise ConfigError(f"{change.told}: {where} has no key {name!r} - {nearest(name, names)}")


def _value_at(config: Any, place: Sequence[str | int]) -> Any:
    """Return the value at a place; NEEDED, which equals no value, if there is none."""
    node = config
    for key in place:
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            return NEEDED
    return node


def _holds(asked: Any, found: Any) -> bool:
    """Return whether a value is as asked; a mapping may have gained further keys since."""
    if isinstance(asked, dict) and isinstance(found, dict):
        return all(_holds(inner, found.get(key, NEEDED)) for key, inner in asked.items())
    return repr(asked) == repr(found)


def _unshared(value: Any) -> Any:
    """Copy a value, so that YAML aliases do not share it: a change would alter both sections."""
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value
