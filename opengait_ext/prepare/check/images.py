"""One image as the check sees it: is it whole, how large, which content, is it gray.

OpenCV decodes damaged JPEG files with a line on the terminal at most. simplejpeg turns every
warning of the decoder into an error; on 600 frames of SynthVVI (3 kB each) that noticed

    100 %   cut off anywhere, also with an end mark put behind the cut
     95 %   512 bytes set to zero
     46 %   64 bytes set to zero (all of them with the search for zeros below)
     69 %   64 bytes replaced by random ones
     14 %   a single bit turned over

The code of JPEG finds its way back after a small damage: what is left is a wrong picture that no
decoder can tell from a right one. Only a comparison with the original can, by the digest.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from opengait_ext.data.image_size import check_image_size
from opengait_ext.prepare.sources import DamagedImageError

DIGEST = 16  # bytes of the hash of a frame
# Mean difference of the largest and the smallest channel, of 255 levels. Gray images saved in
# three channels come back exactly gray at any quality; with independent noise of 5 levels in the
# channels and quality 95 it is 2.2 at most. The dullest visible frame of SynthVVI has 13.7.
GRAY_LIMIT = 4.0
ZEROS = bytes(32)  # whole frames of SynthVVI have 3 zero bytes in a row at most, progressive 15
_PNG = b"\x89PNG\r\n\x1a\n"
_SAMPLE = 2  # every second row and column tells the color


@dataclass(frozen=True)
class Look:
    """What one frame is.

    Args:
        height: In pixels.
        width: In pixels.
        is_gray: Whether its channels are equal but for noise, see ``GRAY_LIMIT``.
        remark: What is odd though it could be decoded; mostly empty.
    """

    height: int
    width: int
    is_gray: bool
    remark: str = ""


def digest_of(content: bytes) -> bytes:
    """Gives the hash of a frame, ``DIGEST`` bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


def look(content: bytes) -> Look:
    """Decodes an image file completely.

    Args:
        content: All of its bytes: JPEG, PNG, or another form that OpenCV reads.

    Raises:
        DamagedImageError: If it is no image, not whole, or claims more than ``MOST_PIXELS``.
    """
    try:
        check_image_size(content)
        if content.startswith(b"\xff\xd8"):
            return _look_at_jpeg(content)
        if content.startswith(_PNG):
            _check_png(content)
        return _look_with_opencv(content)
    except (ValueError, MemoryError, cv2.error) as error:
        if isinstance(error, DamagedImageError):
            raise
        said = str(error)
        text = said if said.startswith("claims ") else f"cannot be decoded ({said})"
        raise DamagedImageError(text) from error


def look_at_pixels(frame: np.ndarray) -> Look:
    """Looks at a frame that is decoded already, uint8 ``[3, h, w]`` or a silhouette."""
    is_gray = frame.shape[0] == 3 and _is_gray(frame.transpose(1, 2, 0))
    return Look(frame.shape[1], frame.shape[2], is_gray)


def _look_at_jpeg(content: bytes) -> Look:
    height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
    pixels = simplejpeg.decode_jpeg(content, strict=True)
    is_gray = colors == "Gray" or _is_gray(pixels)
    return Look(height, width, is_gray, _lost_block(content, pixels))


def _lost_block(content: bytes, pixels: np.ndarray) -> str:
    """Finds a run of zeros, as a lost block of a disk leaves it; plain areas may have one, too."""
    start = content.find(ZEROS, content.find(b"\xff\xda") + 2)
    if start < 0 or np.ptp(pixels) <= 2:
        return ""
    return f"{len(ZEROS)} zero bytes in a row from byte {start}, as a lost disk block leaves them"


def _check_png(content: bytes) -> None:
    """Walks through the chunks and their check sums up to the end mark."""
    position, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", _taken(content, position, 8))
        body = _taken(content, position + 4, length + 4)
        if zlib.crc32(body) != struct.unpack(">I", _taken(content, position + 8 + length, 4))[0]:
            raise DamagedImageError(f"the check sum of PNG chunk {kind!r} does not fit")
        position += 12 + length


def _taken(content: bytes, start: int, count: int) -> bytes:
    part = content[start : start + count]
    if len(part) < count:
        raise DamagedImageError(f"cut off after {len(content)} bytes")
    return part


def _look_with_opencv(content: bytes) -> Look:
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise DamagedImageError("not an image")
    return Look(pixels.shape[0], pixels.shape[1], _is_gray(np.asarray(pixels)))


def _is_gray(pixels: np.ndarray) -> bool:
    """Whether the channels of ``[h, w, 3]`` are equal but for noise."""
    first, second, third = cv2.split(np.ascontiguousarray(pixels[::_SAMPLE, ::_SAMPLE]))
    largest = cv2.max(cv2.max(first, second), third)
    smallest = cv2.min(cv2.min(first, second), third)
    return float(cv2.mean(cv2.subtract(largest, smallest))[0]) <= GRAY_LIMIT
