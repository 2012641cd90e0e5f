"""Any image of a user as a JPEG that every reader takes: depth, transparency, colors, upright."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from opengait_ext.prepare.packing import decode_whole, refuse_large
from opengait_ext.prepare.sources import DamagedImageError

Range = tuple[float, float]
PERCENTILES = (0.5, 99.5)
_PNG = b"\x89PNG\r\n\x1a\n"
_LEVELS = 65536


@dataclass(frozen=True)
class Encoded:
    """An image as it is packed.

    Args:
        content: Bytes of a JPEG of one or three channels.
        changed: What had to be done, ``png``, ``16 bit``, ``CMYK``, ``turned``; empty if nothing.
        height: In pixels.
        width: In pixels.
    """

    content: bytes
    changed: str
    height: int
    width: int


def as_jpeg(content: bytes, quality: int, wide: Range = (0.0, 65535.0)) -> Encoded:
    """Gives an image as JPEG; one that is a plain JPEG already keeps its bytes.

    What an image is, its bytes say, not its name. A JPEG in CMYK or with a note that it is to be
    turned (EXIF) is encoded anew, because readers differ in what they make of these. Transparent
    pixels become black. Of 16 bits a pixel the range ``wide`` is spread over 0 to 255.

    Args:
        content: All bytes of the file.
        quality: Of JPEG, 1 to 100.
        wide: The values that become 0 and 255, of an image with 16 bits a pixel.

    Raises:
        DamagedImageError: If the image is not whole, or of a form that is not known.
    """
    if content[:2] == b"\xff\xd8":
        image = decode_whole(content)
        changed, image = _turned_or_cmyk(content, image)
        if not changed:
            return Encoded(content, "", *image.shape[:2])
    else:
        image = _decoded(content)
        changed = "16 bit" if image.dtype == np.uint16 else "not JPEG"
        image = _flat(_to_8_bits(image, wide))
    return Encoded(encode_jpeg(image, quality), changed, *image.shape[:2])


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Gives an image ``[h, w]`` or ``[h, w, 3]``, blue first, as JPEG."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def wide_range(contents: Sequence[bytes]) -> Range:
    """Gives the values of 16 bits between which nearly all pixels of a tracklet lie.

    One range for all frames, so that the brightness of a person does not jump from frame to frame
    when something hot enters the picture.

    Args:
        contents: The files of a tracklet, in whatever form.

    Returns:
        The 0.5th and the 99.5th percentile of all images with 16 bits a pixel together.
    """
    counts = np.zeros(_LEVELS, np.int64)
    for content in contents:
        if is_wide(content):
            try:
                image = _decoded(content)
            except DamagedImageError:
                continue  # told when it is its turn
            if image.dtype == np.uint16:
                colors = image[..., :3] if image.ndim == 3 else image
                counts += np.bincount(colors.ravel(), minlength=_LEVELS)
    if not counts.any():
        return 0.0, 65535.0
    shares = counts.cumsum() * (100.0 / counts.sum())
    low, high = (float(np.searchsorted(shares, share)) for share in PERCENTILES)
    return low, high


def is_wide(content: bytes) -> bool:
    """Whether a file is a PNG with 16 bits a pixel."""
    return content.startswith(_PNG) and content[24:25] == b"\x10"


def _decoded(content: bytes) -> np.ndarray:
    if not content:
        raise DamagedImageError("the file is empty")
    refuse_large(content)
    if content.startswith(_PNG) and b"IEND" not in content[-64:]:
        raise DamagedImageError(f"cut off after {len(content)} bytes (no end mark)")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DamagedImageError(f"cannot be decoded ({error})") from error
    if image is None:
        raise DamagedImageError("no image, or a damaged one")
    image = np.asarray(image)
    if image.dtype not in (np.uint8, np.uint16):
        raise DamagedImageError(f"has pixels of {image.dtype}, expected 8 or 16 bits")
    return image


def _to_8_bits(image: np.ndarray, wide: Range) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    low, high = wide
    scaled = (image[..., :3] if image.ndim == 3 else image).astype(np.float32)
    scaled = (scaled - low) * (255.0 / max(high - low, 1.0))
    result = np.clip(scaled + 0.5, 0.0, 255.0).astype(np.uint8)
    if image.ndim == 3 and image.shape[2] == 4:
        return np.dstack([result, (image[..., 3] >> 8).astype(np.uint8)])
    return result


def _flat(image: np.ndarray) -> np.ndarray:
    """Gives an image without transparency, on black."""
    if image.ndim == 2:
        return image
    if image.shape[2] == 2:  # gray and alpha
        image = np.dstack([image[..., :1]] * 3 + [image[..., 1:]])
    if image.shape[2] < 4:
        return np.ascontiguousarray(image)
    opaque = image[..., 3:].astype(np.uint16)
    return ((image[..., :3] * opaque + 127) // 255).astype(np.uint8)


def _turned_or_cmyk(content: bytes, image: np.ndarray) -> tuple[str, np.ndarray]:
    """Gives what is special about a JPEG, and its upright picture."""
    if b"Exif" in content[:65536]:
        turned = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        if turned is not None and not np.array_equal(turned, image):
            return "turned", np.asarray(turned)
    return ("CMYK" if _channels(content) == 4 else ""), image


def _channels(content: bytes) -> int:
    """Gives the number of color channels in the frame header of a JPEG."""
    position = 2
    while position + 10 <= len(content):
        if content[position] != 0xFF:
            return 0
        marker = content[position + 1]
        if marker == 0xFF:  # filling
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return content[position + 9]
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return 0
