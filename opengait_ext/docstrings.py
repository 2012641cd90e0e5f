"""Explanations of arguments, parsed from docstrings in Google form."""

import inspect
import re
from collections.abc import Callable
from typing import Any

_HEAD = re.compile(r"(?:Args|Attributes|Args of ``build``):")
_ENTRY = re.compile(r"(\w+)(?: \([^)]*\))?: (.*)")


def explanations_of(component: Callable[..., Any]) -> dict[str, str]:
    """Return the explanation of each argument from docstrings, as one line.

    Args:
        component: A function or a class. For a class, the docstrings of ``__init__``, ``build``
            and of its base classes also count, the nearest first.
    """
    sources: list[Any] = [component]
    if inspect.isclass(component):
        for each in component.__mro__[:-1]:
            sources += [each, vars(each).get("__init__"), vars(each).get("build")]
    found: dict[str, str] = {}
    for source in sources:
        found = {**_entries(getattr(source, "__doc__", None) or ""), **found}
    return found


def _entries(text: str) -> dict[str, str]:
    """Return the entries of the sections that explain arguments."""
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in inspect.cleandoc(text).splitlines():
        indent = len(line) - len(line.lstrip())
        if not indent and line:
            inside = bool(_HEAD.fullmatch(line))
        elif inside and indent == 4 and (match := _ENTRY.match(line.strip())):
            name = match[1]
            found[name] = match[2]
        elif inside and indent > 4 and name:
            found[name] += f" {line.strip()}"
    return found
