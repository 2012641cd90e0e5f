"""The check of a single image: damage, size, digest, gray or in color, contrast.

OpenCV decodes damaged JPEG files with at most a line on the terminal. simplejpeg turns every
warning of the decoder into an error. On 600 frames of SynthVVI (3 kB each) this detected

    100 %   cut off anywhere, also with an end mark put behind the cut
     95 %   512 bytes set to zero
     46 %   64 bytes set to zero (all of them with the search for zeros below)
     69 %   64 bytes replaced by random ones
     14 %   a single bit turned over

The entropy code of JPEG resynchronizes after small damage. What is left is a wrong image that no
decoder can tell from a right one; only the digest of the original can.
"""

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from opengait_ext.data.image_notes import JPEG
from opengait_ext.data.image_size import check_image_size
from opengait_ext.data.pictures import read_pixels
from opengait_ext.prepare.sources import DamagedImageError

DIGEST = 16  # bytes of the hash of a frame
# A frame counts as gray if its channels differ by noise alone. The spread of a pixel is its largest
# channel minus its smallest, of 255 levels. Its mean may be GRAY_MEAN at most, and its 99th
# percentile GRAY_PEAK at most. Measured (mean, 99th percentile): gray frames of SynthVVI with
# independent noise of 5 levels in the channels have at most 3.0 and 7 as JPEG of any quality; noise
# of 2 levels has 3.5 and 9 as PNG; a cast of one level has 2.7 and 5. For noise of any strength the
# percentile is 2.4 times the mean, so noise within the first limit is within the second. Visible
# frames of SynthVVI have at least 16.6 and 32. A real person in black on asphalt has a mean of 3.2,
# like noise, but a percentile of 17, because face, hands and bag are in color.
GRAY_MEAN, GRAY_PEAK = 4.0, 10
# A frame has no contrast if its 1st and 99th percentile lie closer together than this. The smallest
# distance in SynthVVI is 82; a person in radiometric frames cut from 16 to 8 bits has 1 to 8.
CONTRAST_LIMIT = 10
ZEROS = bytes(32)  # intact frames of SynthVVI: at most 3 zero bytes in a row, progressive 15
_SAMPLE = 2  # every second row and column is enough for the color


@dataclass(frozen=True)
class Look:
    """The properties of one frame.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        is_gray: Whether its channels are equal except for noise, see ``GRAY_MEAN``.
        is_flat: Whether it has no contrast, see ``CONTRAST_LIMIT``.
        remark: An oddity of a frame that could be decoded; usually empty.
    """

    height: int
    width: int
    is_gray: bool
    is_flat: bool = False
    remark: str = ""


def digest_of(content: bytes) -> bytes:
    """Return the hash of a frame, ``DIGEST`` bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


def look(content: bytes) -> Look:
    """Decode an image file completely; return its properties.

    Args:
        content: All bytes of the file: JPEG, PNG, or another format that OpenCV reads.

    Raises:
        DamagedImageError: If it is no image, is damaged, or claims more than ``MOST_PIXELS``.
    """
    try:
        check_image_size(content)
        return _look_at_jpeg(content) if content.startswith(JPEG) else _look_at_other(content)
    except ValueError as error:
        raise DamagedImageError(str(error)) from error
    except MemoryError as error:
        raise DamagedImageError(f"cannot be decoded ({error})") from error


def look_at_pixels(frame: np.ndarray) -> Look:
    """Return the properties of a decoded frame, uint8 ``[3, h, w]``, or of a silhouette."""
    is_picture = frame.shape[0] == 3
    is_gray, is_flat = _colors_of(frame.transpose(1, 2, 0)) if is_picture else (False, False)
    return Look(frame.shape[1], frame.shape[2], is_gray, is_flat)


def _look_at_jpeg(content: bytes) -> Look:
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
        pixels = simplejpeg.decode_jpeg(content, strict=True)
    except ValueError as error:
        raise DamagedImageError(f"cannot be decoded ({error})") from error
    is_gray, is_flat = _colors_of(pixels)
    is_gray = is_gray or colors == "Gray"
    return Look(height, width, is_gray, is_flat, _lost_block(content, pixels))


def _lost_block(content: bytes, pixels: np.ndarray) -> str:
    """Return a remark on a run of zeros, as a lost disk block leaves; plain areas may have one."""
    start = content.find(ZEROS, content.find(b"\xff\xda") + 2)
    if start < 0 or np.ptp(pixels) <= 2:
        return ""
    return f"{len(ZEROS)} zero bytes in a row from byte {start}, as a lost disk block leaves them"


def _look_at_other(content: bytes) -> Look:
    pixels = read_pixels(content)
    if pixels.dtype != np.uint8:
        raise ValueError(f"has pixels of {pixels.dtype}, expected 8 bits: prepare it again")
    is_gray, is_flat = _colors_of(pixels)
    return Look(pixels.shape[0], pixels.shape[1], is_gray, is_flat)


def _colors_of(pixels: np.ndarray) -> tuple[bool, bool]:
    """Return whether ``[h, w]`` or ``[h, w, 3]`` is gray except for noise, and whether flat."""
    taken = np.ascontiguousarray(pixels[::_SAMPLE, ::_SAMPLE])
    if taken.ndim == 2 or taken.shape[2] == 1:
        return True, _is_flat(taken)
    first, second, third = cv2.split(taken)
    largest = cv2.max(cv2.max(first, second), third)
    smallest = cv2.min(cv2.min(first, second), third)
    apart = np.asarray(cv2.subtract(largest, smallest))
    in_color = int(np.count_nonzero(apart > GRAY_PEAK))
    is_gray = float(apart.mean()) <= GRAY_MEAN and in_color <= apart.size // 100
    return is_gray, _is_flat(np.asarray(largest))


def _is_flat(levels: np.ndarray) -> bool:
    shares = np.bincount(levels.ravel(), minlength=256).cumsum() / levels.size
    low, high = np.searchsorted(shares, (0.01, 0.99))
    return bool(high - low < CONTRAST_LIMIT)
