"""The order of names that hold numbers."""

import re

_NUMBER = re.compile("([0-9]+)")


def natural_key(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return a key that sorts names with their numbers as numbers: ``T2`` before ``T10``.

    Names that differ in leading zeros alone stay apart, in the order of their text.

    Args:
        name: Of a tracklet, a person, a file.
    """
    parts: list[str | tuple[int, str]] = list(_NUMBER.split(name))  # text, number, text, ...
    for place in range(1, len(parts), 2):
        digits = str(parts[place]).lstrip("0")
        parts[place] = (len(digits), digits)  # a number of any length, where int() has a limit
    return parts, name
