"""Validation of config arguments against a signature, which is the schema of a component."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

_LONGEST = 100  # characters of a value in a message
_PLAIN = {int: "an integer", float: "a number", str: "text", bool: "true or false"}


NEEDED = inspect.Parameter.empty  # marks a key without default


class Key(NamedTuple):
    """A config key that a component accepts.

    Attributes:
        hint: Type of the value; ``Any`` if the component has no annotation.
        default: Value if the key is missing; ``NEEDED`` if the key is required.
    """

    hint: Any
    default: Any


def keys_of(component: Callable[..., Any], given: Collection[str] = ()) -> dict[str, Key]:
    """Return the keys that a config may set for a component, in their order.

    Args:
        component: Class or function whose signature and annotations are the schema.
        given: Names that the caller supplies and a config file must not.
    """
    hints = _hints(component)
    made = _made_anew(component)
    return {
        name: Key(hints.get(name, Any), made.get(name, parameter.default))
        for name, parameter in inspect.signature(component).parameters.items()
        if name not in given and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def _made_anew(component: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a dataclass that factories make; the signature has only markers."""
    if not (inspect.isclass(component) and dataclasses.is_dataclass(component)):
        return {}
    return {
        field.name: field.default_factory()
        for field in dataclasses.fields(component)
        if field.default_factory is not dataclasses.MISSING
    }


def nearest(name: object, known: Collection[object], word: str = "known") -> str:
    """Return a suggestion for an unknown name: the nearest one, or all known names."""
    near = get_close_matches(str(name), [str(each) for each in known], n=1)
    return (
        f"did you mean {near[0]!r}?" if near else f"{word}: {', '.join(map(str, known)) or 'none'}"
    )


def dataclass_in(hint: Any) -> type | None:
    """Return the dataclass that a type is or includes; None if there is none."""
    for option in (hint, *typing.get_args(hint)):
        if inspect.isclass(option) and dataclasses.is_dataclass(option):
            return option
    return None


def shown(value: Any) -> str:
    """Return a value for a message, truncated if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def faults_of(
    component: Callable[..., Any], arguments: Mapping[str, Any], given: Collection[str] = ()
) -> list[str]:
    """Return all faults of arguments: unknown, missing and of the wrong type.

    Args:
        component: Class or function whose signature and annotations are the schema.
        arguments: Arguments from the config file.
        given: Names that the caller supplies and a config file must not.
    """
    return faults_of_keys(keys_of(component, given), arguments)


def faults_of_keys(keys: Mapping[str, Key], arguments: Mapping[str, Any]) -> list[str]:
    """Return all faults of arguments, like :func:`faults_of`, for known keys."""
    faults = []
    for name, value in arguments.items():
        if name not in keys:
            faults.append(f"unknown key {name!r} - {nearest(name, keys, 'accepted')}")
        else:
            faults += [f"{name}{fault}" for fault in _type_faults(value, keys[name].hint)]
    for name, key in keys.items():
        if name not in arguments and key.default is NEEDED:
            faults.append(f"missing key {name!r}")
    return faults


def with_dataclasses(component: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Convert nested mappings to the dataclasses that the annotations name."""
    hints = _hints(component)
    return {name: _converted(value, hints.get(name)) for name, value in arguments.items()}


def plain(value: Any) -> Any:
    """Return a value in the form of a config file: dataclasses as mappings, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _converted(value: Any, hint: Any) -> Any:
    wanted = dataclass_in(hint)
    if isinstance(value, Mapping) and wanted is not None:
        return wanted(**with_dataclasses(wanted, value))
    return value


def _hints(component: Callable[..., Any]) -> dict[str, Any]:
    target = component.__init__ if inspect.isclass(component) else component
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError):  # annotations of third-party code that cannot be resolved here
        return {}


def _type_faults(value: Any, hint: Any) -> list[str]:
    """Return the faults of a value, each a message that continues after the key's name."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if any(not _type_faults(value, option) for option in options):
            return []
        wanted = [option for option in options if option is not type(None)]
        return _type_faults(value, wanted[0])
    if origin is Literal:
        if any(value == option and type(value) is type(option) for option in options):
            return []
        near = get_close_matches(str(value), [str(option) for option in options], n=1)
        hint_text = f" - did you mean {near[0]!r}?" if near else ""
        known = ", ".join(str(option) for option in options)
        return [f": expected one of {known}, found {shown(value)}{hint_text}"]
    if hint is type(None):
        return [] if value is None else [f": expected null, found {shown(value)}"]
    if origin in (list, tuple, Sequence, typing.get_origin(Sequence[int])):
        return _list_faults(value, options)
    if inspect.isclass(hint) and dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            return [f": expected keys and values, found {shown(value)}"]
        return [f": {fault}" for fault in faults_of(hint, value)]
    return _plain_faults(value, hint)


def _list_faults(value: Any, options: tuple[Any, ...]) -> list[str]:
    if not isinstance(value, (list, tuple)):
        return [f": expected a list, found {shown(value)}"]
    if not options:
        return []
    return [
        f"[{place}]{fault}"
        for place, element in enumerate(value)
        for fault in _type_faults(element, options[0])
    ]


def _plain_faults(value: Any, hint: Any) -> list[str]:
    if hint not in _PLAIN:
        return []
    fits = isinstance(value, hint) or (hint is float and isinstance(value, int))
    if fits and (hint is bool or not isinstance(value, bool)):
        return []
    return [f": expected {_PLAIN[hint]}, found {shown(value)}"]
