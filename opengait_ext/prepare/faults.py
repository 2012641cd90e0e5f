"""What is wrong with published data: collected, and shown so that the first faults can be read."""

from collections.abc import Sequence

from opengait_ext.errors import UserError
from opengait_ext.escaping import escaped

SHOWN = 20


class SourceError(UserError):
    """The published data are not as they must be; the message names the places."""


def listed(head: str, lines: Sequence[str]) -> str:
    """Gives a heading with the first lines of a list and the number of the others."""
    more = len(lines) - SHOWN
    rest = [f"and {more} more"] if more > 0 else []
    return "\n  ".join([head, *map(escaped, lines[:SHOWN]), *rest])


class Faults:
    """Collects what is wrong, so that all of it is shown at once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Notes one fault: place, value, what was expected."""
        self.texts.append(text)

    def raise_if_any(self, head: str) -> None:
        """Raises SourceError with the first faults and their number."""
        if not self.texts:
            return
        head = f"{head}: {len(self.texts)} faults, nothing was written"
        raise SourceError(listed(head, self.texts))
