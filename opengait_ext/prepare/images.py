"""One decoder for every image of a user: bit depth, transparency, colors and turn become a JPEG.

Preparation, ``embed --frames``, ``search --query``, ``load().embed_folder`` and thumbnails all use
`as_jpeg`, so the same files become the same pixels everywhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from opengait_ext.data.image_notes import JPEG, PNG, notes_of
from opengait_ext.data.pictures import read_pixels, upright
from opengait_ext.prepare.packing import decode_whole
from opengait_ext.prepare.sources import DamagedImageError

Range = tuple[float, float]
PERCENTILES = (0.5, 99.5)
QUALITY = 95  # of JPEG, for images that are encoded again
WHOLE_RANGE: Range = (0.0, 65535.0)
NOT_JPEG, CMYK, TURNED, WIDE = "not JPEG", "CMYK", "turned", "16 bit"  # changes to an image
_LEVELS = 65536
_TIFF = (b"II", b"MM")


@dataclass(frozen=True)
class Encoded:
    """An image in its packed form.

    Args:
        content: Bytes of a JPEG of one or three channels.
        changed: The changes made, of ``NOT_JPEG``, ``CMYK``, ``TURNED``, ``WIDE``.
        height: Height in pixels.
        width: Width in pixels.
    """

    content: bytes
    changed: tuple[str, ...]
    height: int
    width: int


def as_jpeg(content: bytes, quality: int = QUALITY, wide: Range = WHOLE_RANGE) -> Encoded:
    """Return an image as JPEG; a plain JPEG keeps its bytes.

    The format is recognized by the bytes, not by the file name. A JPEG in CMYK or with an EXIF turn
    is encoded again, because readers treat these differently. Transparent pixels become black. With
    16 bits a channel, the range ``wide`` is spread over 0 to 255.

    Args:
        content: All bytes of the file.
        quality: JPEG quality, 1 to 100.
        wide: The 16-bit values that become 0 and 255.

    Raises:
        DamagedImageError: If the image is damaged or of an unknown format.
    """
    if content.startswith(JPEG):
        image = decode_whole(content)
        notes = notes_of(content)
        changed = [TURNED] if notes.turn != 1 else []
        changed += [CMYK] if notes.channels == 4 else []
        if not changed:
            return Encoded(content, (), *image.shape[:2])
        image = upright(image, notes.turn)
    else:
        image = pixels_of(content)
        is_wide = image.dtype == np.uint16
        changed = [WIDE if is_wide else NOT_JPEG]
        changed += [TURNED] if notes_of(content).turn != 1 else []
        image = spread(image, wide) if is_wide else image
    return Encoded(encode_jpeg(image, quality), tuple(changed), *image.shape[:2])


def pixels_of(content: bytes) -> np.ndarray:
    """Return the pixels of an image, as `read_pixels` does.

    Raises:
        DamagedImageError: If the image is damaged or of an unknown format.
    """
    try:
        return read_pixels(content)
    except ValueError as error:
        raise DamagedImageError(str(error)) from error


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Return an image ``[h, w]`` or ``[h, w, 3]`` (BGR) as JPEG."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(image: np.ndarray) -> bytes:
    """Return an image of 8 or 16 bits as PNG, with fast lossless compression."""
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def wide_range(contents: Iterable[bytes]) -> Range:
    """Return the range of 16-bit values that holds nearly all pixels of a tracklet.

    All frames share one range, so that the brightness of a person does not jump when something hot
    enters the picture.

    Args:
        contents: The image files of a tracklet, in any format.

    Returns:
        The 0.5th and the 99.5th percentile over all images with 16 bits a channel;
        ``WHOLE_RANGE`` if there is none.
    """
    counts = np.zeros(_LEVELS, np.int64)
    for content in contents:
        if is_wide(content):
            try:
                image = pixels_of(content)
            except DamagedImageError:
                continue  # reported when it is packed
            if image.dtype == np.uint16:
                counts += np.bincount(image.ravel(), minlength=_LEVELS)
    if not counts.any():
        return WHOLE_RANGE
    shares = counts.cumsum() * (100.0 / counts.sum())
    low, high = (float(np.searchsorted(shares, share)) for share in PERCENTILES)
    return low, high


def is_wide(content: bytes) -> bool:
    """Return whether a file is a PNG or TIFF with more than 8 bits a channel."""
    if content.startswith(_TIFF):
        return notes_of(content).bits > 8
    return may_be_wide(content)


def may_be_wide(start: bytes) -> bool:
    """Return whether a file with this start is a TIFF, or a PNG with 16 bits a channel."""
    return start.startswith(_TIFF) or start.startswith(PNG) and start[24:25] == b"\x10"


def spread(image: np.ndarray, wide: Range) -> np.ndarray:
    """Return a 16-bit image in 8 bits: the range ``wide`` becomes 0 to 255, the rest is clipped."""
    low, high = wide
    scaled = (image.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.clip(scaled + 0.5, 0.0, 255.0).astype(np.uint8)
