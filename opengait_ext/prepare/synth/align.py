"""Alignment of silhouettes as in the gait benchmarks, and maps of joints aligned with them.

The body fills the height, its columns are centered on the median of its pixels, and the width is
cut to 44 of 64. This is the form of OpenGait's preparation to 64 x 64 followed by its transform,
which crops ten columns on either side.
"""

from typing import NamedTuple

import cv2
import numpy as np

HEIGHT, WIDTH = 64, 44
LEAST = 10_000  # sum of a silhouette's pixels (0 or 255 each), below which it is empty
_SIDES = ("left", "right")
_PAIRED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
# COCO's 17 joints: the nose, then pairs from the head down, left before right.
JOINTS = ("nose", *(f"{side} {part}" for part in _PAIRED for side in _SIDES))
# Bones of each side, from the foot up; both shoulders and both hips are connected.
_OF_A_SIDE = (
    "ankle - knee", "knee - hip", "hip - shoulder", "shoulder - elbow", "elbow - wrist",
    "ear - eye", "eye - nose",
)  # fmt: skip
_ACROSS = ("hip", "shoulder")
_SOFT = 1.0  # standard deviation in pixels of the blur of limbs and joints


def _bones() -> tuple[tuple[int, int], ...]:
    """Return the bones as indices into ``JOINTS``, the upper end first."""
    names = [
        [end if end == "nose" else f"{side} {end}" for end in reversed(bone.split(" - "))]
        for bone in _OF_A_SIDE
        for side in _SIDES
    ]
    names += [[f"{side} {part}" for side in _SIDES] for part in _ACROSS]
    return tuple((JOINTS.index(first), JOINTS.index(second)) for first, second in names)


BONES = _bones()


class Place(NamedTuple):
    """The alignment of a silhouette: ``x * scale + shift``, ``(y - top) * scale``."""

    top: float
    scale: float
    shift: float


def align(silhouette: np.ndarray) -> tuple[np.ndarray, Place | None]:
    """Align one silhouette.

    Args:
        silhouette: uint8 ``[h, w]``, 0 or 255.

    Returns:
        uint8 ``[64, 44]`` and its alignment; zeros and None for an empty silhouette.
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
    """Draw limbs and joints aligned with the silhouette.

    Args:
        keypoints: float ``[17, 3]``: x, y in pixels of the original; visibility, 0 if outside.
        place: The alignment returned by `align`.

    Returns:
        Two uint8 ``[64, 44]``, limbs and joints, with a maximum of 255.
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
