"""Choice of a tracklet's frames, and decoding of a frame to pixels."""

from typing import Literal

import cv2
import numpy as np
import simplejpeg

from .image_size import check_image_size
from .pictures import read_pixels

Half = Literal["first", "second"]
FrameRule = Literal["random_in_run", "first_in_run", "uniform", "random_sorted"]
FRAME_RULES: tuple[FrameRule, ...] = ("random_in_run", "first_in_run", "uniform", "random_sorted")
_JPEG_START = b"\xff\xd8"


def pick_frames(length: int, count: int, rule: FrameRule, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the frames to take, in ascending order.

    ``random_in_run`` and ``first_in_run`` pad the tracklet with its last frame, cut it into
    ``count`` runs of ``ceil(length / count)`` frames and take one frame of each; ``uniform``
    takes ``floor(i * length / count)``; ``random_sorted`` draws without replacement. Of a tracklet
    of fewer than ``count`` frames, all are taken and the last one is repeated; only ``uniform``
    spreads the repeats over the length.

    Source: the runs are those of HITSZ-VCM's readers (Lin et al., "Learning Modal-Invariant and
    Temporal-Memory for Video-Based Visible-Infrared Person Re-Identification", CVPR 2022),
    ``uniform`` is that of BUPTCampus (Du et al., "Video-based Visible-Infrared Person
    Re-Identification with Auxiliary Samples", TIFS 2024).

    Args:
        length: Number of frames of the tracklet.
        count: Number of frames to take; 0 takes every frame once.
        rule: One of ``FRAME_RULES``.
        rng: Source of all randomness; the rules without randomness leave it alone.

    Shape:
        - Output: int64 ``[s]`` with ``s = count``, or ``s = length`` for a count of 0.

    Raises:
        ValueError: If there are no frames, the count is negative or the rule is unknown.
    """
    if length < 1:
        raise ValueError(f"a tracklet of {length} frames: expected at least 1")
    if count < 0:
        raise ValueError(f"frames: expected a number above 0, or 0 for all frames, found {count}")
    if rule not in FRAME_RULES:
        raise ValueError(f"frame_rule: expected one of {', '.join(FRAME_RULES)}, found {rule!r}")
    if count == 0:
        return np.arange(length)
    steps = np.arange(count)
    if rule == "uniform":
        return steps * length // count
    if rule == "random_sorted" and length >= count:
        return np.sort(rng.choice(length, count, replace=False))
    run = -(-length // count)
    first = steps * run
    chosen = first + rng.integers(run, size=count) if rule == "random_in_run" else first
    return np.minimum(chosen, length - 1)


def within(length: int, half: Half | None) -> tuple[int, int]:
    """Return the first frame and the end (exclusive) of a half of a tracklet; at least one frame.

    Args:
        length: Number of frames of the tracklet.
        half: Which half; None for all frames.
    """
    middle = length // 2
    if half is None:
        return 0, length
    return (0, max(middle, 1)) if half == "first" else (middle, length)


def decode(image: bytes | np.ndarray, min_height: int = 0, min_width: int = 0) -> np.ndarray:
    """Return the pixels of one frame of a prepared tracklet.

    A JPEG of at least twice the minimum height and width is decoded at a half, a quarter or an
    eighth of its size. That saves time and hardly changes the result of a later antialiased
    resize. Other images keep their size.

    Args:
        image: The bytes of an image file (JPEG, or what OpenCV reads), or its pixels as
            uint8 ``[3, h, w]``, RGB, or ``[1, h, w]``.
        min_height: Smallest height, in pixels, to which a JPEG may shrink; 0: never shrink.
        min_width: The same for the width.

    Shape:
        - Output: uint8 ``[h, w, 3]``, RGB; a gray image has three equal channels. Pixels of one
          channel stay so, ``[h, w, 1]``.

    Raises:
        ValueError: If the image is damaged, cut off, too large, or not an image.
    """
    if isinstance(image, np.ndarray):
        fits = image.dtype == np.uint8 and image.ndim == 3 and image.shape[0] in (1, 3)
        if not fits or not image.size:
            raise ValueError(
                f"expected uint8 [3, h, w] or [1, h, w], found {image.dtype} {list(image.shape)}"
            )
        return image.transpose(1, 2, 0)
    check_image_size(image)
    if image.startswith(_JPEG_START):
        try:
            if min_height > 0 and min_width > 0:
                return simplejpeg.decode_jpeg(
                    image, min_height=min_height, min_width=min_width, min_factor=2
                )
            return simplejpeg.decode_jpeg(image)
        except ValueError as fault:
            # Bytes between the segments: the picture is whole, and the preparation takes it.
            if "extraneous" not in str(fault):
                raise
            flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            pixels = cv2.imdecode(np.frombuffer(image, np.uint8), flags)
            if pixels is None:
                raise
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    pixels = read_pixels(image)
    if pixels.dtype != np.uint8:
        raise ValueError(f"has pixels of {pixels.dtype}, expected 8 bits: prepare it again")
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)
