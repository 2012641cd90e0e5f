"""Drawing of SynthVVI: from a posed skeleton to depth-ordered polygons, then to pixels.

A part is a list of layers (polygon, material, tone) at one depth. Parts are painted from far to
near, so limbs occlude each other. The fourth channel of the canvas holds the number of the part;
the silhouette and the visibility of key points come from it. Letters: s frames, k points of a
polygon.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from opengait_ext.prepare.synth.body import cosine, sine

SHIFT = 4  # fractional bits of polygon coordinates
SUPERSAMPLING = 2
DARK, BASE, LIGHT, LINE = 0.8, 1.0, 1.09, 0.6
Radius = float | np.ndarray  # an array is [s, 1]
Layer = tuple[np.ndarray, str, float]  # polygon [s, k, 2], material, tone
_CAP = [(0.5, 0.866), (0.866, 0.5), (1.0, 0.0), (0.866, -0.5), (0.5, -0.866)]


@dataclass
class Part:
    """Layers at one depth, in painting order."""

    name: str
    depth: np.ndarray  # [s], larger is nearer
    layers: list[Layer]
    visible: np.ndarray | None = None  # [s] bool, None: in every frame


@dataclass(frozen=True)
class View:
    """The position of the camera: azimuth 0 sees the face, 0.25 the left side, 0.5 the back.

    Args:
        azimuth: Azimuth of every frame ``[s]``, in turns.
        elevation: Elevation of the camera above the horizontal, in turns.
        distance: Distance of the camera in statures; a small one means a strong perspective.
    """

    azimuth: np.ndarray
    elevation: float
    distance: float

    @cached_property
    def _turns(self) -> tuple[np.ndarray, np.ndarray, float, float]:
        tilt = float(sine(self.elevation)), float(cosine(self.elevation))
        return sine(self.azimuth), cosine(self.azimuth), *tilt

    def rotate(self, vectors: np.ndarray) -> np.ndarray:
        """Rotate body vectors ``[s, 3]`` to (right, up, toward the camera)."""
        sin, cos, tilt_sin, tilt_cos = self._turns
        x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
        toward = x * cos + y * sin
        up = z * tilt_cos - toward * tilt_sin
        near = toward * tilt_cos + z * tilt_sin
        return np.stack([y * cos - x * sin, up, near], axis=-1)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project body points ``[s, 3]`` to (right, up, nearness), with perspective."""
        p = self.rotate(points - np.array([0.0, 0.0, 0.5]))
        scale = self.distance / (self.distance - p[..., 2:3])
        return np.concatenate([p[..., :2] * scale, p[..., 2:3]], axis=-1)


def normal_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the unit normal of the segment a-b in the image, pointing away from the light.

    The light comes from the upper left. Shape: ``[s, >=2]`` twice -> ``[s, 2]``.
    """
    d = b[:, :2] - a[:, :2]
    n = np.stack([-d[:, 1], d[:, 0]], axis=-1)
    length = np.sqrt(n[:, :1] * n[:, :1] + n[:, 1:] * n[:, 1:])
    n = n / np.maximum(length, 1e-6)
    away = n[:, :1] * 0.8 - n[:, 1:] * 0.6
    return np.where(away < 0.0, -n, n)


def capsule(a: np.ndarray, b: np.ndarray, ra: Radius, rb: Radius) -> np.ndarray:
    """Return the outline of a tapered limb with round ends, ``[s, 14, 2]``."""
    n = normal_of(a, b)
    t = np.stack([n[:, 1], -n[:, 0]], axis=-1)
    along = b[:, :2] - a[:, :2]
    flip = (t * along).sum(axis=1, keepdims=True) < 0.0
    t = np.where(flip, -t, t)
    points = [a[:, :2] + n * ra]
    points.append(b[:, :2] + n * rb)
    points += [b[:, :2] + n * (rb * across) + t * (rb * ahead) for ahead, across in _CAP]
    points.append(b[:, :2] - n * rb)
    points.append(a[:, :2] - n * ra)
    points += [a[:, :2] - n * (ra * across) - t * (ra * ahead) for ahead, across in _CAP]
    return np.stack(points, axis=1)


def strip(
    a: np.ndarray,
    b: np.ndarray,
    radii: tuple[Radius, Radius],
    across: tuple[float, float],
    along: tuple[float, float] = (0.0, 1.0),
) -> np.ndarray:
    """Return a band on a limb, ``[s, 4, 2]``, given in fractions of its radius and length."""
    n = normal_of(a, b)
    corners = []
    for t, v in zip((along[0], along[1], along[1], along[0]), np.repeat(across, 2), strict=True):
        r = radii[0] + t * (radii[1] - radii[0])
        corners.append(a[:, :2] + t * (b[:, :2] - a[:, :2]) + n * (r * v))
    return np.stack(corners, axis=1)


def ellipse(
    center: np.ndarray, up: np.ndarray, half_width: np.ndarray | float, half_height: float
) -> np.ndarray:
    """Return an ellipse of 16 points; ``up`` ``[s, >=2]`` is the direction of its height."""
    u = up[:, :2]
    length = np.sqrt(u[:, :1] * u[:, :1] + u[:, 1:2] * u[:, 1:2])
    u = u / np.maximum(length, 1e-6)
    side = np.stack([u[:, 1], -u[:, 0]], axis=-1)
    width = np.broadcast_to(np.asarray(half_width, dtype=np.float64), center.shape[:1])[:, None]
    circle = [
        (1.0, 0.0), (0.924, 0.383), (0.707, 0.707), (0.383, 0.924), (0.0, 1.0), (-0.383, 0.924),
        (-0.707, 0.707), (-0.924, 0.383), (-1.0, 0.0), (-0.924, -0.383), (-0.707, -0.707),
        (-0.383, -0.924), (0.0, -1.0), (0.383, -0.924), (0.707, -0.707), (0.924, -0.383),
    ]  # fmt: skip
    points = [center[:, :2] + side * (width * x) + u * (half_height * y) for x, y in circle]
    return np.stack(points, axis=1)


def limb(a: np.ndarray, b: np.ndarray, ra: Radius, rb: Radius, material: str) -> list[Layer]:
    """Return the three layers of a shaded limb."""
    return [
        (capsule(a, b, ra, rb), material, BASE),
        (strip(a, b, (ra, rb), (0.4, 0.98)), material, DARK),
        (strip(a, b, (ra, rb), (-0.7, -0.2)), material, LIGHT),
    ]


class Stack:
    """A trunk-like body: elliptical sections along a line, seen from the camera.

    Args:
        centers: Projected centers of the sections, ``[s, m, 2]``.
        halves: Half widths of the sections as seen from the camera, ``[s, m]``.
        levels: Position of every section along the line, increasing, ``[m]``.
    """

    def __init__(self, centers: np.ndarray, halves: np.ndarray, levels: list[float]) -> None:
        self.centers, self.halves, self.levels = centers, halves, levels

    def at(self, level: float, across: np.ndarray | float) -> np.ndarray:
        """Return the point at a level and a fraction ``across`` of its half width, ``[s, 2]``."""
        m = len(self.levels)
        i = int(np.clip(np.searchsorted(self.levels, level) - 1, 0, m - 2))
        t = (level - self.levels[i]) / (self.levels[i + 1] - self.levels[i])
        center = (1.0 - t) * self.centers[:, i] + t * self.centers[:, i + 1]
        half = (1.0 - t) * self.halves[:, i] + t * self.halves[:, i + 1]
        return center + np.stack([half * across, 0.0 * half], axis=-1)

    def band(self, low: float, high: float, left: np.ndarray | float = -1.0,
             right: np.ndarray | float = 1.0) -> np.ndarray:  # fmt: skip
        """Return the outline between two levels and two fractions of the width."""
        inner = [x for x in self.levels if low < x < high]
        rows = [low, *inner, high]
        points = [self.at(x, left) for x in rows] + [self.at(x, right) for x in rows[::-1]]
        return np.stack(points, axis=1)

    def shaded(self, low: float, high: float, material: str) -> list[Layer]:
        """Return the base, the shadow on the right and the light on the left."""
        return [
            (self.band(low, high), material, BASE),
            (self.band(low, high, 0.45, 1.0), material, DARK),
            (self.band(low, high, -0.75, -0.25), material, LIGHT),
        ]


def bounds(parts: list[Part]) -> np.ndarray:
    """Return left, right, bottom and top of every frame, ``[s, 4]``, in statures."""
    low = np.min([layer[0].min(axis=1) for part in parts for layer in part.layers[:1]], axis=0)
    high = np.max([layer[0].max(axis=1) for part in parts for layer in part.layers[:1]], axis=0)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)


def paint(
    parts: list[Part],
    palette: dict[str, tuple[int, int, int]],
    scale: np.ndarray,
    origin: np.ndarray,
    size: tuple[int, int],
) -> np.ndarray:
    """Paint all frames.

    Args:
        parts: The parts to paint.
        palette: Material -> color (blue, green, red).
        scale: Pixels per stature, ``[s]``.
        origin: Position (x, y) of the view's point (0, 0) in pixels, ``[s, 2]``.
        size: Height and width in pixels.

    Returns:
        Canvas ``[s, 2h, 2w, 4]``: color and part number (from 1; 0 is background).
    """
    s = len(scale)
    factor = float(SUPERSAMPLING * (1 << SHIFT))
    flip = np.array([1.0, -1.0])
    prepared = []
    for number, part in enumerate(parts, start=1):
        layers = []
        for polygon, material, tone in part.layers:
            pixels = (polygon * flip * scale[:, None, None] + origin[:, None, :]) * factor
            color = [min(255, int(c * tone + 0.5)) for c in palette[material]]
            layers.append((np.floor(pixels + 0.5).astype(np.int32), (*color, number)))
        prepared.append(layers)
    order = np.argsort(np.stack([part.depth for part in parts]), axis=0, kind="stable")
    shown = [np.ones(s, bool) if p.visible is None else p.visible for p in parts]
    canvas = np.zeros((s, size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING, 4), np.uint8)
    for i in range(s):
        image = canvas[i]
        for j in order[:, i]:
            if shown[j][i]:
                for polygon, color in prepared[j]:
                    cv2.fillConvexPoly(image, polygon[i], color, cv2.LINE_8, SHIFT)
    return canvas
