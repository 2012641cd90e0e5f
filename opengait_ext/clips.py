"""Frames that a program or a folder gives, as uint8 tensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data.frames import decode
from .data.transforms import Resize
from .errors import UserError
from .ordering import natural_key

Frames = np.ndarray | Tensor | Sequence[np.ndarray | Tensor]

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class EmbedError(UserError):
    """Frames cannot be embedded, or a model cannot be loaded; names the tracklet or the file."""


def clips_of(frames: Frames) -> list[Tensor]:
    """Return tracklets, each uint8 ``[s, 3, h, w]``.

    Args:
        frames: One tracklet, several ``[n, s, 3, h, w]``, or a list of tracklets. Colors may stand
            last, ``[s, h, w, 3]``; gray frames are ``[s, h, w]``.

    Raises:
        EmbedError: If there is none, or one of another type or shape, by its number.
    """
    if isinstance(frames, (np.ndarray, Tensor)):
        whole = _tensor(frames)
        clips = list(whole) if whole.ndim == 5 else [whole]
    else:
        clips = [_tensor(clip) for clip in frames]
    if not clips:
        raise EmbedError("there is no tracklet to embed")
    return [_colors_first(clip, place) for place, clip in enumerate(clips)]


def _colors_first(clip: Tensor, place: int) -> Tensor:
    """Return one tracklet as ``[s, 3, h, w]``."""
    found = f"{str(clip.dtype).removeprefix('torch.')} {list(clip.shape)}"
    if clip.ndim == 3 and clip.shape[-1] in (3, 4):
        raise EmbedError(
            f"tracklet {place}: {found} looks like a single frame [h, w, {clip.shape[-1]}]; give "
            "the frames of a tracklet together, RGB: np.stack(frames), [s, h, w, 3]"
        )
    if clip.dtype == torch.uint8 and 0 not in clip.shape:
        if clip.ndim == 3:
            return clip[:, None].expand(-1, 3, -1, -1).contiguous()
        if clip.ndim == 4 and clip.shape[1] == 3:
            return clip
        if clip.ndim == 4 and clip.shape[3] == 3:
            return clip.permute(0, 3, 1, 2).contiguous()
    raise EmbedError(
        f"tracklet {place}: expected frames as uint8 [s, 3, h, w] or [s, h, w, 3], RGB, or gray "
        f"[s, h, w], found {found}"
    )


def image_files(folder: str | Path) -> list[Path]:
    """Gives the image files of a folder by name, numbers as numbers.

    Raises:
        EmbedError: If there is none.
    """
    folder = Path(folder)
    there = folder.iterdir() if folder.is_dir() else ()
    found = [path for path in there if path.suffix.lower() in IMAGES]
    if not found:
        raise EmbedError(
            f"{folder}: there is no image here; expected a folder of the frames of one person, in "
            f"files of {', '.join(IMAGES)}"
        )
    return sorted(found, key=lambda path: natural_key(path.name))


def read_image(path: Path, resize: Resize | None) -> Tensor:
    """Gives ``[1, 3, h, w]``, decoded as a prepared tracklet's frame is.

    Args:
        path: An image file.
        resize: What comes next; a large JPEG is then decoded smaller. None: nothing.

    Raises:
        EmbedError: If it cannot be decoded.
    """
    height, width = (resize.height, resize.width) if resize else (0, 0)
    try:
        image = decode(path.read_bytes(), height, width)
    except ValueError as fault:
        raise EmbedError(f"{path}: cannot be decoded: {fault}") from fault
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def _tensor(frames: Any) -> Tensor:
    if isinstance(frames, Tensor):
        return frames.detach().cpu()
    array = np.asarray(frames)
    if array.dtype != np.uint8:
        raise EmbedError(f"expected frames as uint8 [s, 3, h, w], RGB, found {array.dtype}")
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
