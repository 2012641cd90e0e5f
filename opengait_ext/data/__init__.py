"""From prepared tracklets to batches.

The names below are looked up in ``components`` on first use, so that preparation can import
``data.layout`` without torch. ``data.collate`` is the module; the function of the same name is
imported from it.
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
    """Return a name of ``components``.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import components

    return getattr(components, name)
