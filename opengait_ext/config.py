"""Config files in, components out."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .errors import UserError
from .registry import Registry
from .schema import faults_of, shown, with_dataclasses
from .yaml_text import YAMLError, parse

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class ConfigError(UserError):
    """A config file asks for something that does not exist, or leaves something out."""


def load_config(path: str | Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Reads a config file and applies the changes of the command line.

    Args:
        path: A YAML file whose sections are mappings or lists.
        changes: Each ``section.key=value``, the value written as in YAML; a number picks
            an element of a list: ``loss_cfg.0.margin=0.3``.

    Returns:
        The sections by name. Nothing is merged in; a key that the file leaves out has the default
        of its component.

    Raises:
        ConfigError: If the file is missing or no YAML mapping, if a number is written in
            a way that YAML reads as text, or if a change names a key that the file has not.
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
    for change in changes:
        _apply(config, change)
    texts = list(_numbers_read_as_text(config))
    if texts:
        raise ConfigError("\n".join([f"{path}:", *(f"  {text}" for text in texts)]))
    return config


def build(registry: Registry, section: Any, *, where: str, key: str = "type", **given: Any) -> Any:
    """Builds the component that one section of a config file describes.

    Args:
        registry: Where to look the name up.
        section: The section, a mapping; ``section[key]`` names the component and the
            other keys are its arguments.
        where: The section's place, for error messages: ``"trainer_cfg.sampler"``.
        key: The key that holds the name.
        **given: Arguments that the caller supplies, and no config file may.

    Raises:
        ConfigError: If the name or a key is unknown, or a value is missing or of the
            wrong type. All faults of the section are named at once.
    """
    faults = faults_of_section(registry, section, where=where, key=key, given=given)
    if faults:
        raise ConfigError("\n".join(faults))
    component = registry[section[key]]
    arguments = {name: value for name, value in section.items() if name != key}
    return component(**with_dataclasses(component, arguments), **given)


def faults_of_section(
    registry: Registry,
    section: Any,
    *,
    where: str,
    key: str = "type",
    given: Collection[str] = (),
    method: str = "",
) -> list[str]:
    """Lists what is wrong with a section that names its component.

    Args:
        registry: Where to look the name up.
        section: What the config file holds at ``where``.
        where: The section's place, for the messages.
        key: The key that holds the name.
        given: Names of arguments that the caller supplies.
        method: Check against this method of the component instead of its constructor.

    Returns:
        One message of several lines, or nothing.
    """
    if not isinstance(section, Mapping):
        return [f"{where}: expected keys and values, found {shown(section)}"]
    if key not in section:
        return [f"{where}: missing key {key!r} (known: {', '.join(registry)})"]
    try:
        component = registry[section[key]]
    except KeyError as fault:
        return [f"{where}.{key}: {fault.args[0]}"]
    arguments = {name: value for name, value in section.items() if name != key}
    target = getattr(component, method) if method else component
    faults = faults_of(target, arguments, given=("self", *given) if method else given)
    if not faults:
        return []
    return ["\n".join([f"{where} ({component.__name__}):", *(f"  {fault}" for fault in faults)])]


def _numbers_read_as_text(value: Any, where: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers_read_as_text(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _numbers_read_as_text(inner, f"{where}[{place}]")
    elif isinstance(value, str) and "e" in value.lower() and _NUMBER.fullmatch(value):
        # Without an exponent, only quotes make text of a number, and those are meant.
        yield f"{where}: YAML reads {value} as text - write {_with_dot(value)}"


def _with_dot(number: str) -> str:
    mantissa, mark, exponent = number.lower().partition("e")
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    if mark and exponent[0] not in "+-":
        exponent = f"+{exponent}"
    return f"{mantissa}{mark}{exponent}"


def _apply(config: dict[str, Any], change: str) -> None:
    place, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"--set {change}: expected section.key=value")
    node: Any = config
    *parents, last = place.split(".")
    for name in parents:
        node = _step(node, name, change)
    _step(node, last, change)
    try:
        value = _unshared(parse(text))
    except YAMLError as fault:
        raise ConfigError(f"--set {change[:200]}: {fault}") from None
    node[int(last) if isinstance(node, list) else last] = value


def _unshared(value: Any) -> Any:
    """Copy what aliases share: a change of one section would change the other."""
    if isinstance(value, dict):
        return {key: _unshared(inner) for key, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value


def _step(node: Any, name: str, change: str) -> Any:
    is_place = name.isascii() and name.isdecimal()
    if isinstance(node, list) and is_place and int(name) < len(node):
        return node[int(name)]
    if isinstance(node, dict) and name in node:
        return node[name]
    if not isinstance(node, (dict, list)):
        raise ConfigError(f"--set {change}: what stands before {name!r} is {node!r}, without keys")
    known = list(node) if isinstance(node, dict) else [str(place) for place in range(len(node))]
    near = get_close_matches(name, [str(key) for key in known], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(map(str, known))}"
    raise ConfigError(f"--set {change}: the config file has no key {name!r} - {hint}")
