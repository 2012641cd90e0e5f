"""Retrieval protocols, their measures and results.

The names below are looked up in ``components`` on first use, so that preparation can import
``evaluation.protocols`` without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .components import EVALUATORS, evaluate_cross_modality, evaluate_gait_views

__all__ = ["EVALUATORS", "evaluate_cross_modality", "evaluate_gait_views"]


def __getattr__(name: str) -> Any:
    """Return a name of ``components``.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import components

    return getattr(components, name)
