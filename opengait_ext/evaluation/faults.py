"""The error of an evaluation, and how its messages name tracklets."""

from collections.abc import Sequence
from typing import Any

from ..errors import UserError
from ..escaping import escaped

SHOWN = 5  # tracklets named in an error message


class EvaluationError(UserError):
    """Embeddings and partition do not belong together, or a protocol is unknown."""


def some(names: Sequence[Any]) -> str:
    """Gives the first few names, and how many there are beside."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(escaped, names[:SHOWN])) + more
