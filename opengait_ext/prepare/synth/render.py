"""Rendering of SynthVVI: a walk of one identity before one camera, in one modality.

Letters: s frames, h w pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from opengait_ext.prepare.synth.body import (
    COCO,
    Gait,
    Proportions,
    draw_gait,
    draw_proportions,
    walk,
)
from opengait_ext.prepare.synth.camera import (
    Camera,
    drift,
    expose,
    ground_shadow,
    path,
    scene,
    windows,
)
from opengait_ext.prepare.synth.draw import View, bounds, paint
from opengait_ext.prepare.synth.dress import dress
from opengait_ext.prepare.synth.figure import Figure
from opengait_ext.prepare.synth.head import equip
from opengait_ext.prepare.synth.outfit import Outfit, draw_outfit

SECONDS = 0.2  # between kept frames: every fifth of a video with 25 frames per second


@dataclass(frozen=True)
class Identity:
    """The drawn attributes of one person."""

    pid: int
    body: Proportions
    gait: Gait
    outfit: Outfit


@dataclass(frozen=True)
class Rendered:
    """A tracklet: frames uint8 ``[s, h, w, 3]`` (blue, green, red) and their ground truth."""

    frames: np.ndarray
    silhouettes: np.ndarray  # bool [s, h, w]
    keypoints: np.ndarray  # float32 [s, 17, 3]
    parts: np.ndarray  # uint8 [s, 2h, 2w], part number, 0 is background


def draw_identity(seed: int, pid: int) -> Identity:
    """Draw one person, independently of the split and of other people."""
    rng = np.random.default_rng([seed, pid, 0])
    return Identity(pid, draw_proportions(rng), draw_gait(rng), draw_outfit(rng))


_SCENES: dict[tuple, np.ndarray] = {}


def _scene(camera: Camera, modality: str, size: tuple[int, int]) -> np.ndarray:
    key = (camera.number, modality, size)
    if key not in _SCENES:
        _SCENES[key] = scene(camera, modality, size)
    return _SCENES[key]


def render_tracklet(
    identity: Identity,
    camera: Camera,
    modality: str,
    frames: int,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Rendered:
    """Draw one walk of one person before one camera.

    Args:
        identity: The person.
        camera: The camera.
        modality: ``visible`` or ``infrared``.
        frames: Number of frames.
        size: Height and width in pixels.
        rng: Generator of all random draws of this walk.

    Returns:
        The tracklet; equal arguments give equal arrays.
    """
    h, w = size
    azimuth = path(camera, frames, rng)
    speed = identity.gait.cadence * SECONDS * rng.uniform(0.96, 1.04)
    turns = rng.random() + speed * np.arange(frames)
    view = View(azimuth, camera.elevation / 360.0, camera.distance)
    pose = walk(identity.body, identity.gait, turns)
    figure = Figure(pose, identity.body, identity.outfit, view)
    dress(figure)
    equip(figure)
    sensor = camera.sensors[modality]
    edges = bounds(figure.parts)
    height = (edges[:, 3] - edges[:, 2]).max()
    fill = rng.uniform(*camera.fill)
    scale = min(h * fill / height, 0.99 * w / (edges[:, 1] - edges[:, 0]).max())
    shake = sensor.jitter * h * (rng.random((frames, 4)) + rng.random((frames, 4)) - 1.0) * 2.4
    scales = scale * (1.0 + 0.5 * shake[:, 2] / h)
    middle = (edges[:, :2].mean(axis=1)).mean(), edges[:, 2:].mean()
    origin = np.array([w / 2.0, h / 2.0]) + shake[:, :2]
    origin = origin + np.array([-middle[0], middle[1]]) * scales[:, None]
    canvas = paint(figure.parts, identity.outfit.palette(modality), scales, origin, size)
    parts = np.ascontiguousarray(canvas[..., 3])
    background = _scene(camera, modality, size)
    left = int(rng.integers(background.shape[1])) + drift(azimuth, 0.12 * w * rng.uniform(0.8, 1.2))
    top = int(rng.integers(int(0.1 * h), int(0.3 * h) + 1)) * np.ones(frames)
    corner = np.floor(np.stack([left, top], 1) - shake[:, :2] + 0.5).astype(np.int64)
    behind = windows(background, size, corner[:, 0], corner[:, 1])
    joints = np.stack([figure.seen[name] for name in COCO], axis=1)  # [s, 17, 3]
    pixels = joints[..., :2] * np.array([1.0, -1.0]) * scales[:, None, None] + origin[:, None]
    ground_shadow(behind, _between_feet(figure, scales, origin))
    mixed, silhouettes = _compose(canvas, parts, behind, rng)
    keypoints = _keypoints(figure, pixels, parts)
    return Rendered(expose(mixed, sensor, modality, rng), silhouettes, keypoints, parts)


def _between_feet(figure: Figure, scales: np.ndarray, origin: np.ndarray) -> np.ndarray:
    ground = figure.view.project(np.zeros((len(scales), 3)))[:, :2]
    return ground * np.array([1.0, -1.0]) * scales[:, None] + origin


def _compose(
    canvas: np.ndarray, parts: np.ndarray, behind: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Blend the drawn person over the background; return frames and silhouettes."""
    s, h, w, _ = behind.shape
    coarse = rng.integers(108, 149, size=(h // 6 + 1, w // 6 + 1), dtype=np.uint8)
    blocks = np.repeat(np.repeat(coarse, 6, axis=0), 6, axis=1)[:h, :w]
    folds = cv2.GaussianBlur(blocks, (9, 9), 0)[..., None].astype(np.uint16)
    mixed, silhouettes = np.empty_like(behind), np.empty((s, h, w), bool)
    for i in range(s):
        small = cv2.resize(canvas[i], (w, h), interpolation=cv2.INTER_AREA)
        cover = cv2.resize((parts[i] > 0).astype(np.uint8) * 255, (w, h),
                           interpolation=cv2.INTER_AREA)  # fmt: skip
        silhouettes[i] = cover > 127
        person = np.minimum((small[..., :3] * folds) >> 7, 255)
        rest = behind[i] * (255 - cover.astype(np.uint16))[..., None] + 128
        mixed[i] = np.minimum(person + ((rest + (rest >> 8)) >> 8), 255)
    return mixed, silhouettes


def _keypoints(figure: Figure, pixels: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return ``[s, 17, 3]``: x, y, then 2 visible, 1 hidden by a nearer part, 0 outside."""
    s, height, width = parts.shape
    numbers = np.floor(2.0 * pixels + 0.5).astype(np.int64)
    inside = ((numbers >= 0) & (numbers < np.array([width, height]))).all(axis=-1)
    x = np.clip(numbers[..., 0], 0, width - 1)
    y = np.clip(numbers[..., 1], 0, height - 1)
    part = parts[np.arange(s)[:, None], y, x]  # [s, 17]
    flag = np.ones(part.shape)
    for j, name in enumerate(COCO):
        own = figure.numbers_of(name)
        flag[:, j] += np.isin(part[:, j], own) & figure.faces_camera(name)
    return np.concatenate([pixels, (flag * inside)[..., None]], axis=-1).astype(np.float32)
