"""Brings a silhouette into the form of the gait benchmarks, and draws joints in the same place.

The form: the rows of the body fill the height, the columns are centered on the median of the
body's pixels, and the width is cut to 44 of 64. So OpenGait's preparation makes 64 x 64 of the
published images, whose ten outer columns on either side its transform then takes away.
"""

from typing import NamedTuple

import cv2
import numpy as np

HEIGHT, WIDTH = 64, 44
LEAST = 10_000  # sum of a silhouette's pixels, 0 or 255 each, below which it shows nobody
_SIDES = ("left", "right")
_PAIRED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
# COCO's 17 joints: the nose, then each pair from the head down, the left one first.
JOINTS = ("nose", *(f"{side} {part}" for part in _PAIRED for side in _SIDES))
# Each side has these bones, from the foot up; shoulders and hips are joined across.
_OF_A_SIDE = (
    "ankle - knee", "knee - hip", "hip - shoulder", "shoulder - elbow", "elbow - wrist",
    "ear - eye", "eye - nose",
)  # fmt: skip
_ACROSS = ("hip", "shoulder")
_SOFT = 1.0  # deviation in pixels of the blur of limbs and joints


def _bones() -> tuple[tuple[int, int], ...]:
    """Give the bones as places in ``JOINTS``, the upper end first."""
    names = [
        [end if end == "nose" else f"{side} {end}" for end in reversed(bone.split(" - "))]
        for bone in _OF_A_SIDE
        for side in _SIDES
    ]
    names += [[f"{side} {part}" for side in _SIDES] for part in _ACROSS]
    return tuple((JOINTS.index(first), JOINTS.index(second)) for first, second in names)


BONES = _bones()


class Place(NamedTuple):
    """Where a silhouette went: ``x * scale + shift``, ``(y - top) * scale``."""

    top: float
    scale: float
    shift: float


def align(silhouette: np.ndarray) -> tuple[np.ndarray, Place | None]:
    """Aligns one silhouette.

    Args:
        silhouette: uint8 ``[h, w]``, 0 or 255.

    Returns:
        uint8 ``[64, 44]`` and where the body went; all zero and None if it shows nobody.
    """
    rows = np.flatnonzero(silhouette.any(axis=1))
    if silhouette.sum(dtype=np.int64) <= LEAST:
        return np.zeros((HEIGHT, WIDTH), np.uint8), None
    body = silhouette[rows[0] : rows[-1] + 1]
    scale = HEIGHT / len(body)
    width = max(1, round(body.shape[1] * scale))
    scaled = np.asarray(cv2.resize(body, (width, HEIGHT), interpolation=cv2.INTER_CUBIC))
    amounts = scaled.sum(axis=0, dtype=np.int64).cumsum()
    median = int(np.searchsorted(2 * amounts, amounts[-1], side="right"))
    padded = np.pad(scaled, ((0, 0), (WIDTH // 2, WIDTH // 2)))
    aligned = padded[:, median : median + WIDTH]
    return np.ascontiguousarray(aligned), Place(float(rows[0]), scale, WIDTH / 2 - median)


def draw_maps(keypoints: np.ndarray, place: Place | None) -> tuple[np.ndarray, np.ndarray]:
    """Draws limbs and joints where the aligned silhouette has them.

    Args:
        keypoints: float ``[17, 3]``: x, y in pixels of the original, 0 if outside of it.
        place: As `align` gives it.

    Returns:
        Two uint8 ``[64, 44]``, limbs and joints, 255 where they are strongest.
    """
    limbs, joints = (np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2))
    if place is None:
        return limbs, joints
    points = [
        (round(float(x * place.scale + place.shift)), round(float((y - place.top) * place.scale)))
        for x, y, _ in keypoints
    ]
    there = keypoints[:, 2] > 0
    for first, second in BONES:
        if there[first] and there[second]:
            cv2.line(limbs, points[first], points[second], 255, 2)
    for point, is_there in zip(points, there, strict=True):
        if is_there:
            cv2.circle(joints, point, 2, 255, -1)
    return _softened(limbs), _softened(joints)


def _softened(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _SOFT))
