"""The one decoder of image files: upright, on black, with 8 or 16 bits per channel."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from .image_notes import ImageNotes, notes_of
from .image_size import check_image_size

# EXIF orientations 2 to 8: mirror or not, then quarter turns to the left.
_TURNS = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 1), 6: (False, 3), 7: (True, 3),
          8: (False, 1)}  # fmt: skip
_DEPTHS = (np.uint8, np.uint16)


def read_pixels(content: bytes) -> np.ndarray:
    """Return the pixels of an image file of any format; every reader of this package uses this.

    The image is turned upright by its EXIF orientation (JPEG, PNG, WebP, TIFF), transparent pixels
    are put on black, and a palette or CMYK becomes colors.

    Args:
        content: All bytes of the file.

    Returns:
        uint8 or uint16, ``[h, w]`` or ``[h, w, 3]`` in the order BGR.

    Raises:
        ValueError: If the image is damaged, too large, holds several pictures, or has pixels of
            another kind.
    """
    if not content:
        raise ValueError("the file is empty")
    check_image_size(content)
    notes = notes_of(content)
    if notes.pictures > 1:
        raise ValueError(f"holds {notes.pictures} pictures, expected one in each file")
    image = _decoded(_without_turn(content, notes))
    if image.dtype not in _DEPTHS:
        raise ValueError(f"has pixels of {image.dtype}, expected 8 or 16 bits")
    if image.ndim == 2 and notes.channels == 2:
        raise ValueError("is a gray TIFF with transparency, expected PNG for that")
    if notes.white_is_zero and image.dtype == np.uint16:  # OpenCV inverts only 8 bits
        image = np.iinfo(np.uint16).max - image
    return upright(_flat(image, notes), notes.turn)


def upright(image: np.ndarray, turn: int) -> np.ndarray:
    """Return an image ``[h, w]`` or ``[h, w, 3]`` turned upright from an EXIF orientation."""
    if turn == 1:
        return np.ascontiguousarray(image)
    is_mirrored, quarters = _TURNS[turn]
    mirrored = image[:, ::-1] if is_mirrored else image
    return np.ascontiguousarray(np.rot90(mirrored, quarters))


def _without_turn(content: bytes, notes: ImageNotes) -> bytes:
    """Return a TIFF marked as upright: OpenCV would turn it, whatever its flags."""
    if not notes.turn_at or notes.turn == 1:
        return content
    changed = bytearray(content)
    struct.pack_into(notes.order + "H", changed, notes.turn_at, 1)
    return bytes(changed)


def _decoded(content: bytes) -> np.ndarray:
    try:
        with _quiet():
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded ({error})") from error
    if image is None:
        raise ValueError("no image, or a damaged one")
    return np.asarray(image)


def _flat(image: np.ndarray, notes: ImageNotes) -> np.ndarray:
    """Return an image on black, without its alpha channel."""
    if image.ndim == 2:
        if notes.clear_gray is not None:
            return np.where(image == notes.clear_gray, 0, image).astype(image.dtype)
        return image
    if image.shape[2] == 2:  # gray and alpha
        image = np.dstack([image[..., :1]] * 3 + [image[..., 1:]])
    if image.shape[2] < 4 or notes.on_black:
        return image[..., :3]
    most = np.iinfo(image.dtype).max
    opaque = image[..., 3:].astype(np.uint32)
    return ((image[..., :3] * opaque + most // 2) // most).astype(image.dtype)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence OpenCV's own messages; this package reports what it rejects."""
    log = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    before = log.getLogLevel()
    log.setLogLevel(0)
    try:
        yield
    finally:
        log.setLogLevel(before)
