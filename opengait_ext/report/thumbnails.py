"""Thumbnails of tracklets, as many and as large as fit into the page."""

import base64
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ..data.frames import decode
from ..data.layout import FRAMES, LayoutError, Tracklet, read_frames

logger = logging.getLogger(__name__)

_HEIGHTS = (144, 112, 88, 64)  # pixels; the largest that fits is used
_QUALITY = 72
_SAMPLE = 24  # tracklets from which the sizes are estimated


class Thumbnails(NamedTuple):
    """Thumbnails of tracklets.

    Attributes:
        pictures: JPEG in base64, by position in the partition.
        height: Height of the pictures, in pixels.
        wanted: Number of tracklets that the page shows.
        damaged: Number of tracklets whose frames could not be read.
    """

    pictures: dict[int, str]
    height: int
    wanted: int
    damaged: int


def make_thumbnails(
    root: Path,
    tracklets: Sequence[Tracklet],
    wanted: Sequence[int],
    budget: int,
    stream: str = FRAMES,
) -> Thumbnails:
    """Return the middle frames of tracklets, re-encoded.

    Args:
        root: Folder of the prepared data.
        tracklets: Tracklets of the partition.
        wanted: Positions, the most important first; if the pictures do not fit even at the
            smallest size, the last ones have none.
        budget: Maximum bytes of all pictures, in base64.
        stream: Name of the file to read in each tracklet.
    """
    height = _height_that_fits(root, tracklets, wanted, budget, stream)
    pictures: dict[int, str] = {}
    damaged = 0
    for place in wanted:
        picture = thumbnail(root, tracklets[place], height, stream)
        if picture is None:
            damaged += 1
            continue
        budget -= len(picture) + 4  # quotes and comma
        if budget < 0:
            break
        pictures[place] = picture
    return Thumbnails(pictures, height, len(wanted), damaged)


def thumbnail(root: Path, tracklet: Tracklet, height: int, stream: str = FRAMES) -> str | None:
    """Return the middle frame as JPEG in base64; None if it cannot be read."""
    try:
        (frame,) = read_frames(root / tracklet.path, [tracklet.frames // 2], stream)
        pixels = decode(frame)
    except (LayoutError, ValueError) as fault:
        logger.warning("%s: no picture (%s)", tracklet.path, fault)
        return None
    return encoded(np.repeat(pixels, 3 // pixels.shape[2], axis=2), height)


def encoded(pixels: np.ndarray, height: int) -> str:
    """Return pixels ``[h, w, 3]``, RGB, as JPEG in base64, shrunk to ``height`` if higher."""
    height = min(height, pixels.shape[0])
    width = max(1, min(2 * height, round(pixels.shape[1] * height / pixels.shape[0])))
    small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    return base64.b64encode(data.tobytes()).decode("ascii")


def _height_that_fits(
    root: Path, tracklets: Sequence[Tracklet], wanted: Sequence[int], budget: int, stream: str
) -> int:
    sample = list(wanted[:: max(1, len(wanted) // _SAMPLE)])
    for height in _HEIGHTS[:-1]:
        made = [thumbnail(root, tracklets[place], height, stream) for place in sample]
        sizes = [len(picture) for picture in made if picture]
        if not sizes or 1.1 * float(np.mean(sizes)) * len(wanted) <= budget:
            return height
    return _HEIGHTS[-1]
