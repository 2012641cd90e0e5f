"""Registries of the components that a config file can name.

Each kind of component has one registry, written out in the ``__init__.py`` of its folder, so that
all components of a kind are listed in one place:

    MODELS = Registry("model", [AGW, DinoGRL])
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any


class Registry:
    """Classes or functions of one kind, looked up by name.

    Args:
        kind: The kind in the singular, for error messages: ``"model"``.
        members: Each is registered under its own ``__name__``.

    Raises:
        ValueError: If two members have the same name.
        KeyError: In ``[...]``, for an unknown name; the message has the nearest known name.
    """

    def __init__(self, kind: str, members: Iterable[Any] = ()) -> None:
        self.kind = kind
        self._members: dict[str, Any] = {}
        for member in members:
            if member.__name__ in self._members:
                raise ValueError(f"a {kind} called {member.__name__!r} is listed already")
            self._members[member.__name__] = member

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._members))

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> Any:
        if name in self._members:
            return self._members[name]
        near = get_close_matches(str(name), self, n=1)
        hint = f" - did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"no {self.kind} is called {name!r}{hint} (known: {', '.join(self)})")
