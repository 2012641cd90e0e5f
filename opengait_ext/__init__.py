"""Video-based visible-infrared person re-identification, in the form of OpenGait."""

import os
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .api import load

__all__ = ["__version__", "load"]

# MOST_PIXELS of data/image_size.py. OpenCV reads it once, when it is imported; every module of
# this project that imports OpenCV has imported this package before.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))


def __getattr__(name: str) -> Any:
    """Import ``load`` when it is first used, so that nothing else has to wait for torch.

    Raises:
        AttributeError: If the name is not ``load``.
    """
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .api import load

    return load
