"""Header facts of an image file: orientation, bit depth, number of pictures.

The headers are read here because versions of OpenCV differ in which of these facts they apply.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

JPEG, PNG, BMP = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM"
_ORIENTATION = 274  # the tag, in TIFF and in EXIF
_SHAPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 16: "Q"}  # of TIFF
_MOST_TAGS, _MOST_PAGES = 4096, 65536
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of transparency in TIFF


@dataclass(frozen=True)
class ImageNotes:
    """Header facts of one image file.

    Args:
        turn: The EXIF orientation, 1 to 8; 1 is upright.
        bits: Bits per channel.
        channels: Of a JPEG (4: CMYK) or a TIFF; 0 where it does not matter.
        pictures: Number of full-size pictures in the file.
        clear_gray: The level of a gray PNG that stands for transparent pixels, of 8 or 16 bits.
        on_black: Whether the decoder or the writer already multiplied the colors by alpha.
        white_is_zero: Whether a TIFF counts its levels from white.
        turn_at: Byte offset of a TIFF's orientation; 0 if it has none.
        order: Byte order of a TIFF, ``<`` or ``>``.
    """

    turn: int = 1
    bits: int = 8
    channels: int = 0
    pictures: int = 1
    clear_gray: int | None = None
    on_black: bool = False
    white_is_zero: bool = False
    turn_at: int = 0
    order: str = "<"


def notes_of(content: bytes) -> ImageNotes:
    """Return the header facts of an image file; the defaults for a format not known here.

    Args:
        content: All bytes of the file.

    Raises:
        ValueError: If a PNG or BMP is cut off, or a chunk of a PNG is damaged.
    """
    if content.startswith(PNG):
        return _notes_of_png(content)
    try:
        if content.startswith(JPEG):
            return _notes_of_jpeg(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _notes_of_webp(content)
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _notes_of_tiff(content)
        if content.startswith(BMP):
            _check_bmp(content)
    except (struct.error, IndexError):
        pass  # cut off: the decoder rejects it
    return ImageNotes()


def _notes_of_jpeg(content: bytes) -> ImageNotes:
    notes, position = ImageNotes(), 2
    while content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # padding, or no body
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (0xDA, 0xD9):
            break
        length = max(struct.unpack_from(">H", content, position + 2)[0], 2)
        body = content[position + 4 : position + 2 + length]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            notes = replace(notes, bits=body[0], channels=body[5])
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and notes.turn == 1:
            notes = replace(notes, turn=_turn_of_exif(body))
        position += 2 + length
    return notes


def _notes_of_png(content: bytes) -> ImageNotes:
    notes, depth, color = ImageNotes(), 8, 0
    for kind, body in _png_chunks(content):
        if kind == b"IHDR":
            depth, color = body[8], body[9]
            notes = replace(notes, bits=16 if depth == 16 else 8)
        elif kind == b"eXIf":
            notes = replace(notes, turn=_turn_of_exif(body))
        elif kind == b"acTL" and len(body) >= 4:
            notes = replace(notes, pictures=int.from_bytes(body[:4], "big"))
        elif kind == b"tRNS" and color == 0 and len(body) >= 2:
            level = int.from_bytes(body[:2], "big")
            scale = 1 if depth >= 8 else 255 // ((1 << depth) - 1)  # as decoders widen it
            notes = replace(notes, clear_gray=level * scale)
    return notes


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of each chunk up to the end chunk, after checking the checksums."""
    position, kind = len(PNG), b""
    while kind != b"IEND":
        start = position + 8
        length = int.from_bytes(content[position : position + 4], "big")
        kind, body = content[position + 4 : start], content[start : start + length]
        position = start + length + 4
        if position > len(content):
            raise ValueError(f"cut off after {len(content)} bytes (no end mark)")
        if zlib.crc32(kind + body) != int.from_bytes(content[position - 4 : position], "big"):
            raise ValueError(f"the check sum of PNG chunk {kind!r} does not fit")
        yield kind, body


def _check_bmp(content: bytes) -> None:
    """Compare the bytes of uncompressed pixels with the size in the header.

    Some versions of OpenCV paint the missing rest black.
    """
    start, header = struct.unpack_from("<II", content, 10)
    if header == 12:  # of OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", content, 18)
    row = (abs(width) * bits + 31) // 32 * 4
    if compression in (0, 3) and len(content) < start + row * abs(height):
        raise ValueError(f"cut off after {len(content)} bytes")


def _notes_of_webp(content: bytes) -> ImageNotes:
    notes, position, frames = ImageNotes(), 12, 0
    while position + 8 <= len(content):
        kind = content[position : position + 4]
        length = struct.unpack_from("<I", content, position + 4)[0]
        if kind == b"EXIF":
            body = content[position + 8 : position + 8 + length]
            notes = replace(notes, turn=_turn_of_exif(body))
        frames += kind == b"ANMF"
        position += 8 + length + length % 2
    return replace(notes, pictures=max(frames, 1))


def _turn_of_exif(body: bytes) -> int:
    """Return the EXIF orientation; 1 if there is none or it is invalid."""
    if body.startswith(b"Exif\0\0"):
        body = body[6:]
    try:
        _, tags = next(_tiff_pages(body))
        turn = tags[_ORIENTATION][1][0]
    except (StopIteration, KeyError, IndexError, struct.error):
        return 1
    return turn if 1 <= turn <= 8 else 1


def _notes_of_tiff(content: bytes) -> ImageNotes:
    pages = list(_tiff_pages(content))
    if not pages:
        return ImageNotes()
    order, tags = pages[0]
    values = {tag: found for tag, (_, found) in tags.items() if found}
    bits, extra = max(values.get(258, [8])), values.get(338, [None])[0]
    turn = values.get(_ORIENTATION, [1])[0]
    full = sum(not (page.get(254, (0, [0]))[1] or [0])[0] & 1 for _, page in pages)
    return ImageNotes(
        turn=turn if 1 <= turn <= 8 else 1,
        bits=bits,
        channels=values.get(277, [1])[0],
        pictures=max(full, 1),
        # libtiff multiplies 8-bit colors by alpha itself; 16 bits come as they are stored.
        on_black=extra in (0, _ASSOCIATED) or extra == _UNASSOCIATED and bits <= 8,
        white_is_zero=values.get(262, [1])[0] == 0,
        turn_at=tags[_ORIENTATION][0] if _ORIENTATION in tags else 0,
        order=order,
    )


_Tags = dict[int, tuple[int, list[int]]]  # tag: offset of its first value, and its values


def _tiff_pages(content: bytes) -> Iterator[tuple[str, _Tags]]:
    """Yield byte order and tags of each directory of a TIFF, or of EXIF, which has this format."""
    order = "<" if content.startswith(b"II") else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")  # offsets of 8 bytes
    offset = order + ("Q" if is_big else "I")
    count_form, step, room = (order + "Q", 20, 8) if is_big else (order + "H", 12, 4)
    here = struct.unpack_from(offset, content, 8 if is_big else 4)[0]
    seen: set[int] = set()
    while here and here not in seen and len(seen) < _MOST_PAGES:
        seen.add(here)
        count = struct.unpack_from(count_form, content, here)[0]
        start = here + struct.calcsize(count_form)
        tags: _Tags = {}
        for place in range(start, start + step * min(count, _MOST_TAGS), step):
            tag, kind = struct.unpack_from(order + "HH", content, place)
            number = struct.unpack_from(offset, content, place + 4)[0]
            shape = _SHAPES.get(kind)
            if shape is None:
                continue
            value = place + (12 if is_big else 8)
            if number * struct.calcsize(shape) > room:
                value = struct.unpack_from(offset, content, value)[0]
            taken = min(number, 8)  # as many as channels; longer lists are not used
            tags[tag] = value, list(struct.unpack_from(f"{order}{taken}{shape}", content, value))
        yield order, tags
        here = struct.unpack_from(offset, content, start + step * count)[0]
