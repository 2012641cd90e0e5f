"""The error of an evaluation."""

from ..errors import UserError


class EvaluationError(UserError):
    """Embeddings and partition do not belong together, or a protocol is unknown."""
