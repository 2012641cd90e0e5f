"""Frames from arrays or folders as uint8 tensors."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data.frames import decode
from .data.transforms import Resize
from .errors import UserError
from .prepare.image_files import FrameFolder, ImageFolderError, tell_others
from .prepare.images import Range

Frames = np.ndarray | Tensor | Sequence[np.ndarray | Tensor]

logger = logging.getLogger(__name__)


class EmbedError(UserError):
    """Frames cannot be embedded, or a model not loaded; the message names tracklet or file."""


def clips_of(frames: Frames) -> list[Tensor]:
    """Return tracklets, each uint8 ``[s, 3, h, w]``.

    Args:
        frames: One tracklet, several ``[n, s, 3, h, w]``, or a list of tracklets. Colors may come
            last, ``[s, h, w, 3]``; gray frames are ``[s, h, w]``.

    Raises:
        EmbedError: If there is no tracklet, or one has another type or shape; the message has its
            number.
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


def frame_folder(folder: str | Path, range16: Range | None = None) -> FrameFolder:
    """Return the frames of a folder, and log ignored files and the mapping of 16-bit values.

    Args:
        folder: Folder with the images of one person.
        range16: The values of 16-bit images to map to black and white.

    Raises:
        EmbedError: If there is no image, or a frame occurs twice.
    """
    if range16 and range16[0] >= range16[1]:
        raise EmbedError(f"range16: found {range16[0]:g} {range16[1]:g}, expected the lower first")
    try:
        frames = FrameFolder(folder, range16)
    except ImageFolderError as error:
        raise EmbedError(str(error)) from error
    if frames.others:
        logger.info("%s: other files are left alone: %s", folder, tell_others(frames.others))
    if frames.is_wide:
        low, high = frames.range16
        logger.info(
            "%s: images of 16 bits a pixel, %.0f to %.0f are spread over 8 bits, one range for "
            "all %d images", folder, low, high, len(frames),
        )  # fmt: skip
    return frames


def read_image(frames: FrameFolder, place: int, resize: Resize | None) -> Tensor:
    """Return one image ``[1, 3, h, w]``, decoded like the frame of a prepared tracklet.

    Args:
        frames: Frames of the folder.
        place: Index of the frame.
        resize: The resize that follows, so that a large JPEG is decoded smaller; None: no resize.

    Raises:
        EmbedError: If it cannot be decoded.
    """
    height, width = (resize.height, resize.width) if resize else (0, 0)
    try:
        image = decode(frames.jpeg(place).content, height, width)
    except ImageFolderError as error:
        raise EmbedError(str(error)) from error
    except ValueError as error:
        raise EmbedError(f"{frames.names[place]}: cannot be decoded: {error}") from error
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def _tensor(frames: Any) -> Tensor:
    if isinstance(frames, Tensor):
        return frames.detach().cpu()
    array = np.asarray(frames)
    if array.dtype != np.uint8:
        raise EmbedError(f"expected frames as uint8 [s, 3, h, w], RGB, found {array.dtype}")
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
