"""Plain values of a pickle: checked dictionary keys, and the resolution of stand-ins."""

from typing import Any

from .parts import Blob, BrokenPickleError, Inert

_DEEP = 100  # levels of nested containers
_KEY_TYPES = (str, int, float, bool, bytes, type(None))


def as_key(value: Any) -> Any:
    """Return a key after checking its type: comparing others can take hours on a small file."""
    if type(value) not in _KEY_TYPES or type(value) is int and value.bit_length() > 64:
        raise BrokenPickleError(f"a key of type {type(value).__name__}")
    return value


def fill_keys(target: dict[Any, Any], values: list[Any]) -> None:
    """Add alternating keys and values to a dictionary."""
    if len(values) % 2:
        raise BrokenPickleError("a key without a value")
    for place in range(0, len(values), 2):
        target[as_key(values[place])] = values[place + 1]


def settled(value: Any) -> Any:
    """Return a value with its stand-ins resolved; each object is visited once."""
    done: dict[int, Any] = {}
    above: set[int] = set()

    def settle(value: Any) -> Any:
        if id(value) in done:
            return done[id(value)]
        if isinstance(value, Inert):
            return value.value()
        if isinstance(value, Blob):
            return done.setdefault(id(value), value.to_bytes())
        if type(value) not in (list, tuple, dict):
            return value
        if id(value) in above or len(above) >= _DEEP:
            raise BrokenPickleError(f"it holds itself, or more than {_DEEP} levels")
        above.add(id(value))
        made: Any
        if isinstance(value, dict):
            made = {key: settle(inner) for key, inner in value.items()}
        else:
            made = [settle(inner) for inner in value]
            made = tuple(made) if isinstance(value, tuple) else made
        above.remove(id(value))
        done[id(value)] = made
        return made

    return settle(value)
