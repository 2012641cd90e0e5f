"""Prepared tracklets to batches.

The names below are looked up in ``components`` when they are first used, so that the scripts
that prepare data can use ``data.layout`` without waiting for, or having, torch. ``data.collate``
is the module; the function in it has the same name, so it is imported from there.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .components import (
        SAMPLERS,
        TRANSFORMS,
        Batch,
        Sample,
        TrackletDataset,
        Transform,
    )

__all__ = ["SAMPLERS", "TRANSFORMS", "Batch", "Sample", "TrackletDataset", "Transform"]


def __getattr__(name: str) -> Any:
    """Gives a name of ``components``.

    Raises:
        AttributeError: If there is none of this name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import components

    return getattr(components, name)
