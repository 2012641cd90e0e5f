"""Natural order of names that contain numbers."""

import re

_NUMBER = re.compile("([0-9]+)")


def natural_key(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return a sort key that compares numbers in names as numbers: ``T2`` before ``T10``.

    Names that differ only in leading zeros are sorted by their text.

    Args:
        name: Name of a tracklet, a person or a file.
    """
    parts: list[str | tuple[int, str]] = list(_NUMBER.split(name))  # text, number, text, ...
    for place in range(1, len(parts), 2):
        digits = str(parts[place]).lstrip("0")
        parts[place] = (len(digits), digits)  # a number of any length; int() has a limit
    return parts, name
