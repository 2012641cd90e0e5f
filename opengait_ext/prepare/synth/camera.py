"""Cameras of SynthVVI: position, background, and sensor.

All pixel arithmetic uses integers, so the frames do not depend on the machine.
Letters: s frames, h w pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from opengait_ext.prepare.synth.body import cosine, sine

SCENE_HEIGHTS, SCENE_WIDTHS = 1.4, 12.0  # size of a scene in heights and widths of a frame


@dataclass(frozen=True)
class Sensor:
    """The sensor of one modality of a camera."""

    gain: tuple[float, float, float]  # blue, green, red
    gamma: float  # -1: darker middle tones (square), 0: linear, 1: lighter (square root)
    noise: float  # standard deviation in gray values
    blur: int  # size of the binomial kernel in pixels, 1: none
    quality: int  # of the JPEG
    fall_off: float  # darkening of the corners, as a fraction
    jitter: float  # standard deviation of the box, as a fraction of its height


@dataclass(frozen=True)
class Camera:
    """A camera with a visible and an infrared mode, as in HITSZ-VCM."""

    number: int
    azimuth: float  # degrees between the usual path and the line to the camera
    elevation: float  # degrees above the horizontal
    distance: float  # in statures
    fill: tuple[float, float]  # height of the person over the height of the box
    sensors: dict[str, Sensor]  # modality -> sensor


def _sensors(visible: Sensor, infrared: Sensor) -> dict[str, Sensor]:
    return {"visible": visible, "infrared": infrared}


CAMERAS = {
    camera.number: camera
    for camera in (
        Camera(1, 88.0, 4.0, 9.0, (0.84, 0.94), _sensors(
            Sensor((1.0, 1.0, 1.0), 0.1, 2.0, 1, 90, 0.05, 0.010),
            Sensor((1.0, 1.0, 1.0), 0.2, 4.0, 3, 88, 0.35, 0.012))),
        Camera(2, 55.0, 10.0, 6.0, (0.82, 0.93), _sensors(
            Sensor((1.12, 1.0, 0.9), -0.1, 3.0, 3, 85, 0.10, 0.012),
            Sensor((0.9, 0.9, 0.9), 0.3, 5.0, 3, 85, 0.45, 0.014))),
        Camera(3, 15.0, 7.0, 7.0, (0.80, 0.92), _sensors(
            Sensor((0.88, 1.0, 1.1), 0.2, 2.5, 1, 88, 0.08, 0.014),
            Sensor((1.1, 1.1, 1.1), 0.0, 5.0, 1, 85, 0.40, 0.014))),
        Camera(5, 72.0, 13.0, 5.5, (0.84, 0.95), _sensors(
            Sensor((1.05, 1.02, 1.0), 0.3, 3.0, 3, 80, 0.10, 0.012),
            Sensor((1.0, 1.0, 1.0), 0.1, 6.0, 5, 82, 0.30, 0.016))),
        Camera(8, 35.0, 5.0, 8.0, (0.83, 0.94), _sensors(
            Sensor((0.95, 0.98, 1.0), -0.2, 2.0, 1, 92, 0.05, 0.010),
            Sensor((0.85, 0.85, 0.85), 0.4, 5.0, 3, 85, 0.50, 0.012))),
        Camera(10, 105.0, 16.0, 5.0, (0.82, 0.93), _sensors(
            Sensor((1.0, 0.95, 1.05), 0.0, 4.0, 5, 82, 0.12, 0.014),
            Sensor((1.05, 1.05, 1.05), 0.2, 4.0, 3, 86, 0.35, 0.012))),
    )
}  # fmt: skip


def hump_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw nearly normal int32 numbers with mean 0 and standard deviation 128."""
    total = rng.integers(-111, 112, size=(4, *shape), dtype=np.int16)
    return total.sum(axis=0, dtype=np.int32)


def scene(camera: Camera, modality: str, size: tuple[int, int]) -> np.ndarray:
    """Draw the background of a camera, with clutter.

    The geometry is the same in both modalities; colors and reflectances are independent.

    Args:
        camera: The camera.
        modality: ``visible`` or ``infrared``.
        size: Height and width of a frame in pixels.

    Returns:
        uint8 ``[1.4 h, 12 w, 3]``, blue, green, red.
    """
    h, w = int(SCENE_HEIGHTS * size[0]), int(SCENE_WIDTHS * size[1])
    place = np.random.default_rng([71, camera.number])
    paint = np.random.default_rng([72, camera.number, modality == "infrared"])

    def color(low: int = 40, high: int = 220, spread: int = 18) -> tuple[int, int, int]:
        gray = int(paint.integers(low, high))
        if modality == "infrared":
            return gray, gray, gray
        b, g, r = (int(np.clip(gray + paint.integers(-spread, spread + 1), 0, 255))
                   for _ in range(3))  # fmt: skip
        return b, g, r

    image = np.zeros((h, w, 3), np.uint8)
    horizon = int(h * (0.5 + 0.008 * (16.0 - camera.elevation)))
    image[:horizon] = color(110, 200)
    image[horizon:] = color(90, 170)
    _floor(image, horizon, color(70, 190, 8), place)
    for _ in range(26):
        _clutter(image, horizon, (color(), color()), place)
    texture = hump_noise(place, (h // 2 + 1, w // 2 + 1))[:h, :w]
    rough = np.repeat(np.repeat(texture, 2, axis=0), 2, axis=1)[:h, :w, None]
    noisy = np.clip(image.astype(np.int32) + ((rough * 5) >> 7), 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(noisy, (3, 3), 0)


def _floor(image: np.ndarray, horizon: int, line: tuple, rng: np.random.Generator) -> None:
    """Draw the rows and slanting joints of a pavement, and a skirting at the wall."""
    h, w = image.shape[:2]
    cv2.line(image, (0, horizon), (w, horizon), (40, 40, 40), 2)
    y, step = float(horizon), 3.0
    while y < h:
        cv2.line(image, (0, int(y)), (w, int(y)), line, 1)
        y, step = y + step, step * 1.35
    slant = int(rng.integers(-60, 61))
    for x in range(-w, 2 * w, 46):
        cv2.line(image, (x, horizon), (x + slant + (x - w // 2) // 6, h), line, 1)


def _clutter(image: np.ndarray, horizon: int, colors: tuple, rng: np.random.Generator) -> None:
    """Draw one object: door, window, poster, pillar, bush, bollard or parked bicycle."""
    h, w = image.shape[:2]
    kind, x = int(rng.integers(7)), int(rng.integers(w))
    a, b = int(rng.integers(h // 12, h // 5)), int(rng.integers(h // 5, h // 2))
    first, second = colors
    if kind == 0:  # door
        cv2.rectangle(image, (x, horizon - b), (x + a, horizon), first, -1)
        cv2.rectangle(image, (x, horizon - b), (x + a, horizon), second, 2)
    elif kind == 1:  # window
        top = horizon - b - h // 12
        cv2.rectangle(image, (x, top), (x + 2 * a, top + a), first, -1)
        cv2.line(image, (x + a, top), (x + a, top + a), second, 2)
        cv2.rectangle(image, (x, top), (x + 2 * a, top + a), second, 2)
    elif kind == 2:  # poster
        top = horizon - b
        cv2.rectangle(image, (x, top), (x + a, top + a + a // 2), first, -1)
        for row in range(top + 5, top + a, 6):
            cv2.line(image, (x + 3, row), (x + a - 3, row), second, 2)
    elif kind == 3:  # pillar
        cv2.rectangle(image, (x, 0), (x + a // 2 + 4, horizon + 8), first, -1)
        cv2.rectangle(image, (x + a // 3, 0), (x + a // 2 + 4, horizon + 8), second, -1)
    elif kind == 4:  # bush
        for _ in range(14):
            dx, dy = int(rng.integers(-a, a + 1)), int(rng.integers(0, a + 1))
            radius = int(rng.integers(4, 12))
            share = rng.integers(6, 12)
            shade = tuple(int(c * share) // 10 for c in first)
            cv2.circle(image, (x + dx, horizon + 6 - dy), radius, shade, -1)
    elif kind == 5:  # bollard
        cv2.rectangle(image, (x, horizon - a), (x + 7, horizon + 12), first, -1)
        cv2.circle(image, (x + 3, horizon - a), 6, second, -1)
    else:  # bicycle
        for dx in (0, int(1.3 * a)):
            cv2.circle(image, (x + dx, horizon + 4), a // 2, first, 2)
        cv2.line(image, (x, horizon + 4), (x + a // 2, horizon - a // 2), second, 2)
        cv2.line(image, (x + a // 2, horizon - a // 2), (x + int(1.3 * a), horizon + 4), second, 2)


def windows(
    image: np.ndarray, size: tuple[int, int], left: np.ndarray, top: np.ndarray
) -> np.ndarray:
    """Cut one window per frame, ``[s, h, w, 3]``, out of a scene mirrored at its ends."""
    h, w = size
    rows = _mirror(top[:, None] + np.arange(h), image.shape[0])
    columns = _mirror(left[:, None] + np.arange(w), image.shape[1])
    return image[rows[:, :, None], columns[:, None, :]]


def _mirror(index: np.ndarray, length: int) -> np.ndarray:
    index = np.mod(index, 2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def ground_shadow(frames: np.ndarray, feet: np.ndarray) -> None:
    """Darken the ground below a person in place; the size is independent of the person.

    Args:
        frames: uint8 ``[s, h, w, 3]``.
        feet: Position (x, y) between the feet in pixels, ``[s, 2]``.
    """
    h, w = frames.shape[1:3]
    half, flat = w * 0.36, h * 0.03
    x = (np.arange(w)[None, :] - feet[:, :1]) / half  # [s, w]
    y = (np.arange(h)[None, :] - feet[:, 1:]) / flat  # [s, h]
    low = max(0, int(feet[:, 1].min() - flat))
    inside = 1.0 - (x * x)[:, None, :] - (y * y)[:, low:, None]
    weight = 256 - (np.clip(inside, 0.0, 1.0) * 110.0).astype(np.uint16)
    part = frames[:, low:].astype(np.uint16)
    frames[:, low:] = (part * weight[..., None] >> 8).astype(np.uint8)


def tone_table(sensor: Sensor, light: float) -> np.ndarray:
    """Return the response of a sensor, uint8 ``[256, 3]``, under the light of a walk."""
    x = np.arange(256) / 255.0
    bent = np.sqrt(x) if sensor.gamma > 0 else x * x
    k = abs(sensor.gamma)
    curve = (1.0 - k) * x + k * bent
    table = curve[:, None] * np.array(sensor.gain) * light * 255.0
    return np.floor(np.clip(table, 0.0, 255.0) + 0.5).astype(np.uint8)


def expose(frames: np.ndarray, sensor: Sensor, modality: str, rng: np.random.Generator
           ) -> np.ndarray:  # fmt: skip
    """Apply light, tone, fall-off, blur and noise of a sensor; return uint8 ``[s, h, w, 3]``."""
    s, h, w, _ = frames.shape
    table = tone_table(sensor, float(rng.uniform(0.8, 1.2)))
    y, x = np.mgrid[0:h, 0:w]
    dx, dy = (x - w * rng.uniform(0.35, 0.65)) / w, (y - h * rng.uniform(0.3, 0.6)) / h
    weight = 256.0 * (1.0 - np.clip(sensor.fall_off * 2.0 * (dx * dx + dy * dy), 0.0, 0.9))
    weight = weight.astype(np.uint16)[:, :, None]
    channels = 1 if modality == "infrared" else 3
    bank = (hump_noise(rng, (2 * h, 2 * w, channels)) * int(16 * sensor.noise)) >> 11
    bank = bank.astype(np.int16)
    out = np.empty_like(frames)
    for i in range(s):
        frame = np.stack([table[:, c][frames[i, :, :, c]] for c in range(3)], axis=-1)
        frame = ((frame.astype(np.uint16) * weight) >> 8).astype(np.uint8)
        if sensor.blur > 1:
            frame = cv2.GaussianBlur(frame, (sensor.blur, sensor.blur), 0)
        top, left = int(rng.integers(h)), int(rng.integers(w))
        noisy = frame + bank[top : top + h, left : left + w]
        out[i] = np.clip(noisy, 0, 255)
    return out


def path(camera: Camera, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a walk past a camera; return the azimuth of every frame ``[s]``, in turns.

    People walk both ways, not quite parallel to the usual path, and turn a little.
    """
    back = 180.0 if rng.random() < 0.5 else 0.0
    start = camera.azimuth + back + rng.uniform(-16.0, 16.0)
    turn = rng.uniform(-12.0, 12.0)
    share = np.linspace(0.0, 1.0, frames) if frames > 1 else np.zeros(1)
    return (start + turn * share) / 360.0


def drift(azimuth: np.ndarray, pace: float) -> np.ndarray:
    """Return how far the scene has moved since the first frame, in pixels, ``[s]``."""
    return np.cumsum(pace * (sine(azimuth) + 0.15 * cosine(azimuth)))
