"""Views of unlabeled frames for the pre-training of the small ViT.

Only frames are read: no pids, cameras or silhouettes. Two facts are used: the frames of a tracklet
show one person, and a detector has centered the person in each.

Letters: n tracklets, m frames in memory, b views of a batch, h w rows and columns of tokens.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from opengait_ext.data.frames import decode, pick_frames
from opengait_ext.data.layout import read_frames, read_partition
from opengait_ext.errors import UserError
from opengait_ext.prepare.progress import Progress

FRAME = (128, 64)  # height and width in pixels of the frames in memory
PATCH = 14
ROWS = 16  # rows of tokens in a whole frame; the views keep this scale within a fifth


@dataclass(frozen=True)
class Frames:
    """Frames in memory, uint8 ``[m, *FRAME, 3]``, and tracklet starts, ``[n + 1]``."""

    pixels: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class Views:
    """Crops of frames, and the positions of their patches.

    Args:
        pixels: uint8 ``[b, 14 h, 14 w, 3]``.
        places: ``[b, h, w, 2]``: x and y of each patch's center as fractions of its frame.
    """

    pixels: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class Box:
    """A crop of a frame in fractions of its sides, mirrored or not."""

    top: float
    left: float
    height: float
    width: float
    mirrored: bool


def load_frames(source: Path, per_tracklet: int) -> Frames:
    """Read frames of both modalities from the split ``train`` of a prepared data set.

    Args:
        source: Root of the prepared data set.
        per_tracklet: Number of evenly spaced frames per tracklet.

    Raises:
        UserError: If there is no such data set, or its training split is empty.
    """
    partition = read_partition(source / "partition.json")
    tracklets = [tracklet for tracklet in partition.tracklets if tracklet.split == "train"]
    if not tracklets:
        raise UserError(f"{source / 'partition.json'}: the split train is empty; prepare again")
    rng = np.random.default_rng(0)  # unused by the rule uniform
    images: list[np.ndarray] = []
    first = [0]
    with Progress(len(tracklets), "reading", "tracklets") as progress:
        for tracklet in tracklets:
            count = min(per_tracklet, tracklet.frames)
            chosen = pick_frames(tracklet.frames, count, "uniform", rng)
            for image in read_frames(source / tracklet.path, [int(index) for index in chosen]):
                images.append(cv2.resize(decode(image), FRAME[::-1]))
            first.append(len(images))
            progress.add()
    return Frames(np.stack(images), np.array(first))


def draw_frames(frames: Frames, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw pairs of frames, both from one tracklet; return positions ``[count, 2]``."""
    tracklets = rng.integers(len(frames.first) - 1, size=count)
    lengths = np.diff(frames.first)[tracklets]
    steps = (rng.random((count, 2)) * lengths[:, None]).astype(np.int64)
    steps[:, 1] = np.where(rng.random(count) < 0.5, steps[:, 0], steps[:, 1])
    return frames.first[tracklets][:, None] + steps


def draw_box(grid: tuple[int, int], shifted: bool, rng: np.random.Generator) -> Box:
    """Draw a crop of a frame for a grid of h x w tokens.

    Args:
        grid: h and w of the view.
        shifted: Let the crop begin anywhere in a frame extended by its mirror image on both
            sides. Then the place of a patch in its view does not reveal its place in the frame.
            Otherwise the crop lies inside the frame.
        rng: Generator of all random draws.
    """
    scale, aspect = np.exp(rng.uniform(-0.2, 0.2)), np.exp(rng.uniform(-0.1, 0.1))
    height = min(grid[0] / ROWS * scale * aspect, 1.0)
    width = grid[1] / ROWS * 2 * scale / aspect
    width = width if shifted else min(width, 1.0)
    left = rng.uniform(-1.0, 1.0) if shifted else rng.uniform(0.0, 1.0 - width)
    return Box(rng.uniform(0.0, 1.0 - height), left, height, width, bool(rng.random() < 0.5))


def cut(pixels: np.ndarray, boxes: list[Box], grid: tuple[int, int]) -> Views:
    """Cut one crop out of each frame, uint8 ``[b, *FRAME, 3]``, and resize it to the grid."""
    size = (PATCH * grid[1], PATCH * grid[0])
    views = [_cut_one(frame, box, size) for frame, box in zip(pixels, boxes, strict=True)]
    return Views(np.stack(views), np.stack([_places(box, grid) for box in boxes]))


def _cut_one(frame: np.ndarray, box: Box, size: tuple[int, int]) -> np.ndarray:
    rows, columns = frame.shape[:2]
    step = box.width * columns / size[0]
    start = box.left * columns
    if box.mirrored:
        step, start = -step, (box.left + box.width) * columns
    down = box.height * rows / size[1]
    # The center of pixel i lies at i + 1/2.
    matrix = np.array(
        [[step, 0, start + step / 2 - 0.5], [0, down, box.top * rows + down / 2 - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT)


def _places(box: Box, grid: tuple[int, int]) -> np.ndarray:
    x = (np.arange(grid[1]) + 0.5) / grid[1]
    x = np.mod(box.left + box.width * (1 - x if box.mirrored else x), 2.0)
    x = np.where(x > 1.0, 2.0 - x, x)  # undo the mirroring
    y = box.top + box.height * (np.arange(grid[0]) + 0.5) / grid[0]
    return np.stack(np.meshgrid(x, y), axis=-1)


def look_up(places: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """Return the positions of places of frames in other views of these frames.

    A view that crosses the edge of its frame may show a place directly, mirrored, or both; the
    position nearer to the center of the view is taken.

    Args:
        places: ``[b, h, w, 2]``, fractions of the frames.
        boxes: The other views, one per frame.

    Returns:
        ``[b, h, w, 2]``: x and y, from -1 to 1 inside the view, beyond that outside.
    """
    found = np.empty_like(places)
    for one, box, there in zip(places, boxes, found, strict=True):
        shown = [sign * one[..., 0] + turn for sign in (1, -1) for turn in (-2, 0, 2)]
        x = (np.stack(shown) - box.left) / box.width  # [6, h, w]
        nearest = np.abs(x - 0.5).argmin(0)[None]
        x = np.take_along_axis(x, nearest, 0)[0]
        there[..., 0] = 1 - x if box.mirrored else x
        there[..., 1] = (one[..., 1] - box.top) / box.height
    return 2 * found - 1


def recolor(pixels: np.ndarray, strength: float, generator: torch.Generator) -> Tensor:
    """Change the colors of views, so color alone does not distinguish patches.

    The changes: noise, saturation, gray (a quarter of the views), contrast, and the level of each
    channel.

    Args:
        pixels: uint8 ``[b, h, w, 3]``.
        strength: Strength of all changes; 1 is strong.
        generator: Generator of all random draws.

    Returns:
        float32 ``[b, 3, h, w]`` in [0, 1].
    """
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)

    noise = torch.randn(images.shape[1:], generator=generator)  # one for all views: drawing is slow
    images = images + drawn(0.0, 0.03) * noise
    gray = images.mean(1, keepdim=True)
    images = torch.lerp(gray, images, drawn(0.0, 1.2))
    is_gray = drawn(0.0, 1.0) < 0.25
    images = torch.where(is_gray, gray, images)
    levels = torch.randn(len(images), 4, 1, 1, generator=generator)
    level = levels[:, 3:] + torch.where(is_gray, 0.0, 0.5 * levels[:, :3])
    images = images * drawn(1 - 0.4 * strength, 1 + 0.4 * strength) + 0.12 * strength * level
    return images.clamp(0, 1)
