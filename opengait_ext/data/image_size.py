"""The limit on an image's pixels, checked in its header before decoding.

A few kilobytes can claim gigabytes of pixels. Formats whose header is not read here fall under
OpenCV's own limit, which this package sets to the same number on import.
"""

import re
import struct

MOST_PIXELS = 1 << 26  # 8,192 x 8,192: twice a frame of 8K video
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_PLAIN = re.compile(rb"P[1-6Ff]\s")  # portable maps have text headers
_GAP = re.compile(rb"\s+|#[^\n\r]*[\n\r]")  # blanks, or a comment
_NUMBER = re.compile(rb"0*(\d{1,10})")
_TAGS = 4096  # limit on the tags read from a TIFF


def check_image_size(content: bytes) -> None:
    """Raise an error for an image that is too large to decode.

    Args:
        content: All bytes of the image file.

    Raises:
        ValueError: If it is too large; names its size and the limit.
    """
    size = size_of_image(content)
    if size is not None:
        check_pixels(*size)


def check_pixels(height: int, width: int) -> None:
    """Raise the error of `check_image_size` if height times width is too large."""
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"claims {width} x {height} pixels, expected at most {MOST_PIXELS:,} in all"
        )


def size_of_image(content: bytes) -> tuple[int, int] | None:
    """Return the height and width in an image file's header; None if the header is not known."""
    try:
        if content.startswith(_JPEG):
            return _size_of_jpeg(content)
        if content.startswith(_PNG):
            width, height = struct.unpack_from(">II", content, 16)
            return height, width
        if content.startswith(b"BM"):
            form = "<HH" if content[14:18] == b"\x0c\0\0\0" else "<ii"
            width, height = struct.unpack_from(form, content, 18)
            return abs(height), abs(width)
        if content.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", content, 6)
            return height, width
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _size_of_webp(content)
        if content.startswith((b"II*\0", b"MM\0*")):
            return _size_of_tiff(content)
    except (struct.error, IndexError):
        return None  # cut off: the decoder reports it
    return _size_of_plain(content) if _PLAIN.match(content) else None


def _size_of_plain(content: bytes) -> tuple[int, int] | None:
    sides, position = [], 2
    for _ in range(2):
        while gap := _GAP.match(content, position):  # one at a time: no backtracking
            position = gap.end()
        number = _NUMBER.match(content, position)
        if number is None:
            return None
        sides.append(int(number[1]))
        position = number.end()
    return sides[1], sides[0]


def _size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    position = 2
    while content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, position + 5)
            return (height, width) if height else None  # given later in the file, by DNL
        position += 2
        if not 0xD0 <= marker <= 0xD8 and marker != 0x01:
            position += max(struct.unpack_from(">H", content, position)[0], 2)
    return None


def _size_of_webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        return height, width
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 26)
    return height & 0x3FFF, width & 0x3FFF


def _size_of_tiff(content: bytes) -> tuple[int, int] | None:
    order = "<" if content.startswith(b"II") else ">"
    start = struct.unpack_from(order + "I", content, 4)[0]
    count = struct.unpack_from(order + "H", content, start)[0]
    sides: dict[int, int] = {}
    for place in range(start + 2, start + 2 + 12 * min(count, _TAGS), 12):
        tag, kind = struct.unpack_from(order + "HH", content, place)
        if tag in (256, 257):
            form = "H" if kind == 3 else "I"
            sides[tag] = struct.unpack_from(order + form, content, place + 8)[0]
    return (sides[257], sides[256]) if len(sides) == 2 else None
