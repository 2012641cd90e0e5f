"""The size of an image is read off its header, whatever form it has, before it is decoded."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from opengait_ext.data.frames import decode
from opengait_ext.data.image_size import MOST_PIXELS, check_image_size, size_of_image

FORMS = (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm", ".pgm", ".gif")


def encoded(form, shape, *flags):
    whole, content = cv2.imencode(form, np.full(shape, 77, np.uint8), flags)
    assert whole
    return content.tobytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(1, 1), (48, 96), (300, 7)])
def test_the_size_in_the_header_is_that_of_the_pixels(form, size):
    content = encoded(form, (*size, 1 if form == ".pgm" else 3))
    assert size_of_image(content) == size
    check_image_size(content)
    if form != ".gif":
        assert decode(content).shape == (*size, 3)


@pytest.mark.parametrize("quality", [30, 101])
def test_both_kinds_of_webp_and_progressive_jpeg_are_measured(quality):
    assert size_of_image(encoded(".webp", (30, 50, 4), cv2.IMWRITE_WEBP_QUALITY, quality)) == (
        30,
        50,
    )
    assert size_of_image(encoded(".jpg", (30, 50, 3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)) == (30, 50)


def test_a_tiff_of_the_other_byte_order_is_measured():
    entries = struct.pack(">HHIHH", 256, 3, 1, 40, 0) + struct.pack(">HHII", 257, 4, 1, 70000)
    content = b"MM\0*" + struct.pack(">IH", 8, 2) + entries
    assert size_of_image(content) == (70000, 40)


def test_the_size_of_a_thumbnail_is_not_taken_for_that_of_a_jpeg():
    small, large = encoded(".jpg", (8, 8, 3)), encoded(".jpg", (64, 48, 3))
    note = b"Exif\0\0" + small
    content = large[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + large[2:]
    assert size_of_image(content) == (64, 48)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(height, width):
    rows = zlib.compress(bytes(1000))
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def claiming(form, height, width):
    """A small image whose header says another size."""
    content = bytearray(encoded(form, (1, 1, 3)))
    place, sides = {
        ".jpg": (content.find(b"\xff\xc0") + 5, struct.pack(">HH", height, width)),
        ".bmp": (18, struct.pack("<ii", width, -height)),
        ".gif": (6, struct.pack("<HH", width, height)),
    }[form]
    content[place : place + len(sides)] = sides
    return bytes(content)


BOMBS = {
    "png": png(32_000, 32_000),
    "png of one row": png(1, 2**31 - 1),
    "jpeg": claiming(".jpg", 65_000, 65_000),
    "bmp": claiming(".bmp", 30_000, 30_000),
    "gif": claiming(".gif", 65_000, 65_000),
    "ppm": b"P6 # a note\n30000 # another\n30000\n255\n",
    "webp": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\x00" * 2,
}


@pytest.mark.parametrize("case", BOMBS)
def test_an_image_that_claims_too_many_pixels_is_refused_before_it_is_decoded(case):
    for read in (check_image_size, decode):
        with pytest.raises(
            ValueError, match=rf"claims .* pixels, expected at most {MOST_PIXELS:,}"
        ):
            read(BOMBS[case])


def test_the_largest_size_is_allowed():
    check_image_size(png(8192, 8192))
    with pytest.raises(ValueError, match="claims 8193 x 8192 pixels"):
        check_image_size(png(8192, 8193))


@pytest.mark.parametrize("form", [b"P5", b"P6", b"Pf"])
@pytest.mark.parametrize(
    "gap", [b" " * 900, b"\n# note" * 90 + b"\n", b"# " + b"x" * 2000 + b"\n", b"# note\r", b" 000"]
)
def test_the_header_of_a_portable_map_is_read_over_any_gap(form, gap):
    head = form + b"\n" + gap
    assert size_of_image(head + b"30000 " + gap + b"20000\n255\n") == (20_000, 30_000)
    assert size_of_image(head + b"x") is None
    assert size_of_image(head) in (None, (0, 0))


def test_a_million_blanks_and_comments_are_passed_over_at_once():
    for gap in (b" " * 10**6, b"#" * 10**6, b"#\n" * 10**5):
        assert size_of_image(b"P5 " + gap + b"x") is None


@pytest.mark.slow
def test_opencv_has_the_limit_in_every_command_for_forms_whose_header_is_not_read():
    bomb = struct.pack(">8I", 0x59A66A95, 8193, 8192, 8, 8193 * 8192, 1, 0, 0).hex()
    program = (
        "import opengait_ext.prepare.check.run, cv2, os, numpy as np\n"
        "print(os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'])\n"
        "try:\n"
        f"    cv2.imdecode(np.frombuffer(bytes.fromhex('{bomb}'), np.uint8), 1)\n"
        "except cv2.error as fault:\n"
        "    print(fault)\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program]
    env = {name: value for name, value in os.environ.items() if "MAX_IMAGE_PIXELS" not in name}
    said = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"{MOST_PIXELS}\n")
    assert "CV_IO_MAX_IMAGE_PIXELS" in said.stdout, said


@pytest.mark.parametrize("form", FORMS)
def test_an_image_cut_in_its_header_is_left_to_the_decoder(form):
    content = encoded(form, (9, 9, 1 if form == ".pgm" else 3))
    for kept in range(0, 40, 3):
        size_of_image(content[:kept])
    assert size_of_image(b"no image") is None
