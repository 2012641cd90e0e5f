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
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from opengait_ext.data.image_notes import JPEG
from opengait_ext.data.image_size import check_image_size
from opengait_ext.data.pictures import read_pixels
from opengait_ext.prepare.sources import DamagedImageError

DIGEST = 16  # bytes of the hash of a frame
# A frame counts as gray if its channels differ by noise alone: the largest less the smallest
# channel of a pixel is at most GRAY_MEAN of 255 levels on average, and at most GRAY_PEAK in 99 of
# 100 pixels. Measured: gray frames of SynthVVI with independent noise of 5 levels in the channels
# have a mean of 3.0 and a 99th percentile of 7 at most as JPEG of any quality; noise of 2 levels
# has 3.5 and 9 as PNG, a cast of one level 2.7 and 5. Of noise of any strength the percentile is
# 2.4 times the mean, so what passes the first limit passes the second. Visible frames of SynthVVI
# have 16.6 and 32 at least. A real person in black on asphalt has 3.2, as noise has, but 17: a
# face, hands, a bag are in color.
GRAY_MEAN, GRAY_PEAK = 4.0, 10
# A frame whose levels lie closer together, from the 1st to the 99th percentile, shows nothing. Of
# SynthVVI the least is 82; of radiometric frames whose 16 bits were cut to 8 a person has 1 to 8.
CONTRAST_LIMIT = 10
ZEROS = bytes(32)  # whole frames of SynthVVI have 3 zero bytes in a row at most, progressive 15
_SAMPLE = 2  # every second row and column tells the color


@dataclass(frozen=True)
class Look:
    """What one frame is.

    Args:
        height: In pixels.
        width: In pixels.
        is_gray: Whether its channels are equal but for noise, see ``GRAY_MEAN``.
        is_flat: Whether it shows nothing, see ``CONTRAST_LIMIT``.
        remark: What is odd though it could be decoded; mostly empty.
    """

    height: int
    width: int
    is_gray: bool
    is_flat: bool = False
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
        return _look_at_jpeg(content) if content.startswith(JPEG) else _look_at_other(content)
    except ValueError as error:
        raise DamagedImageError(str(error)) from error
    except MemoryError as error:
        raise DamagedImageError(f"cannot be decoded ({error})") from error


def look_at_pixels(frame: np.ndarray) -> Look:
    """Looks at a frame that is decoded already, uint8 ``[3, h, w]`` or a silhouette."""
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
    """Finds a run of zeros, as a lost block of a disk leaves it; plain areas may have one, too."""
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
    """Return whether ``[h, w]`` or ``[h, w, 3]`` is gray but for noise, and without contrast."""
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
