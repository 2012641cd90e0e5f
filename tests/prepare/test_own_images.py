"""A user's images of any kind: what becomes of colors, depth, transparency and orientation."""

import struct

import cv2
import numpy as np
import pytest
import simplejpeg
from own_recordings import encoded, picture, pixels_of, prepare, write_images, write_lines

from opengait_ext.data.frames import decode
from opengait_ext.data.layout import read_frames, read_partition


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "people"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def prepared(raw, out, *options, word="rgb"):
    """Prepares one recording and gives its frames as the training reads them."""
    assert prepare("--source", raw, "--target", out, *options) == 0
    folder = "rgb" if word == "rgb" else "ir"
    return pixels_of(out, f"anna/{folder}/D1-T1")


def put(raw, content, name="1.jpg", word="rgb"):
    folder = raw / "anna" / word / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".PNG"])
def test_other_images_become_jpegs_that_look_the_same(raw, out, capsys, suffix):
    image = picture(77)
    put(raw, encoded(image, suffix.lower()), f"1{suffix}")
    (frame,) = prepared(raw, out)
    assert np.abs(frame[:, :, ::-1].astype(int) - image).max() <= 4
    assert read_frames(out / "anna/rgb/D1-T1", [0])[0].startswith(b"\xff\xd8")
    assert "1 images were encoded as JPEG" in capsys.readouterr().out


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(raw, out, capsys):
    image = bytearray(encoded(picture(77), ".bmp"))
    image[18:26] = struct.pack("<ii", 30000, 30000)
    put(raw, encoded(picture(77), ".bmp"), "1.bmp")
    path = put(raw, bytes(image), "2.bmp")
    assert prepare("--source", raw, "--target", out) == 1
    said = capsys.readouterr()
    assert (
        f"{path}: claims 30000 x 30000 pixels, expected at most 67,108,864" in said.out + said.err
    )


def test_the_quality_of_jpeg_can_be_chosen(raw, out):
    noise = np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8)
    put(raw, encoded(noise, ".png"), "1.png")
    prepared(raw, out)
    fine = len(read_frames(out / "anna/rgb/D1-T1", [0])[0])
    prepared(raw, out.parent / "coarse", "--quality", "20")
    assert len(read_frames(out.parent / "coarse" / "anna/rgb/D1-T1", [0])[0]) < fine / 2


def test_gray_jpegs_keep_their_bytes(raw, out):
    content = encoded(picture(80)[:, :, 0])
    put(raw, content, word="ir")
    (frame,) = prepared(raw, out, word="ir")
    assert read_frames(out / "anna/ir/D1-T1", [0]) == [content]
    assert (frame == frame[:, :, :1]).all()


def test_jpegs_by_another_name_are_known_by_their_bytes(raw, out):
    content = encoded(picture(80))
    put(raw, content, "1.png")
    put(raw, encoded(picture(80), ".png"), "2.jpg")
    prepared(raw, out)
    first, second = read_frames(out / "anna/rgb/D1-T1", [0, 1])
    assert first == content
    assert second.startswith(b"\xff\xd8")


def test_jpegs_in_cmyk_become_rgb(raw, out, capsys):
    cmyk = np.zeros((32, 16, 4), np.uint8)
    cmyk[...] = (255, 255, 0, 255)  # inverted, as Adobe stores it: no cyan, no magenta, all yellow
    content = simplejpeg.encode_jpeg(cmyk, quality=95, colorspace="CMYK")
    assert simplejpeg.decode_jpeg_header(content)[2] in ("CMYK", "YCCK")
    put(raw, content)
    (frame,) = prepared(raw, out)
    assert simplejpeg.decode_jpeg_header(read_frames(out / "anna/rgb/D1-T1", [0])[0])[2] == "YCbCr"
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.abs(frame.astype(int) - expected).max() <= 6
    assert "1 JPEG in CMYK were encoded anew" in capsys.readouterr().out


def exif_orientation(content, value):
    """Puts a note of orientation behind the start mark of a JPEG."""
    entry = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, value, 0, 0]) + bytes(4)
    body = b"Exif\0\0" + entry
    return content[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + content[2:]


def test_jpegs_that_are_to_be_turned_are_turned(raw, out, capsys):
    image = picture(10, 16, 32)
    image[:, :16] = 255  # left half white
    put(raw, exif_orientation(encoded(image), 6))  # a quarter to the right: left becomes top
    upright = exif_orientation(encoded(picture(10)), 1)
    put(raw, upright, "2.jpg")
    turned, plain = prepared(raw, out)
    assert turned.shape == (32, 16, 3)
    assert turned[2:14].min() > 200
    assert turned[18:30, :, 1].max() < 100
    assert read_frames(out / "anna/rgb/D1-T1", [1]) == [upright]
    assert plain.shape == (32, 16, 3)
    assert "1 images were turned upright" in capsys.readouterr().out


def test_transparent_pixels_become_black(raw, out):
    image = np.dstack([picture(100), np.full((32, 16), 255, np.uint8)])
    image[:16, :, 3] = 0
    put(raw, encoded(image, ".png"), "1.png")
    (frame,) = prepared(raw, out)
    assert frame[:14].max() < 12
    assert np.abs(frame[20:, :, ::-1].astype(int) - picture(100)[20:]).max() <= 4


def thermal(low, high):
    """A picture of 16 bits: the upper half cold, the lower half warm."""
    image = np.full((32, 16), low, np.uint16)
    image[16:] = high
    return encoded(image, ".png")


def test_16_bits_are_spread_over_8_by_one_range_for_all_frames(raw, out, capsys):
    put(raw, thermal(29_000, 30_000), "1.png", "thermal")
    put(raw, thermal(29_500, 31_000), "2.png", "thermal")
    first, second = prepared(raw, out, word="thermal")
    values = [frame[rows, 8, 0] for frame in (first, second) for rows in (4, 28)]
    assert np.allclose(values, [0, 127.5, 63.75, 255], atol=4)  # 29,000 to 31,000
    assert "2 images of 16 bits a pixel were spread over 8 bits" in capsys.readouterr().out


def test_single_hot_pixels_do_not_darken_all_others(raw, out):
    image = np.full((100, 100), 1000, np.uint16)
    image[50:] = 2000
    image[0, :20] = 65535  # 0.2 %
    put(raw, encoded(image, ".png"), "1.png", "ir")
    (frame,) = prepared(raw, out, word="ir")
    assert frame[20, 50, 0] < 5
    assert frame[80, 50, 0] > 250


def test_the_range_of_16_bits_can_be_given(raw, out):
    put(raw, thermal(29_500, 31_000), "1.png", "ir")
    (frame,) = prepared(raw, out, "--range16", "29000", "31000", word="ir")
    assert np.allclose([frame[4, 8, 0], frame[28, 8, 0]], [63.75, 255], atol=4)


def test_colors_of_16_bits_and_transparency_together_are_kept(raw, out):
    image = np.zeros((32, 16, 4), np.uint16)
    image[..., 2] = 60_000  # red
    image[..., 3] = 65_535
    put(raw, encoded(image, ".png"), "1.png")
    (frame,) = prepared(raw, out)
    assert frame[..., 0].min() > 240
    assert frame[..., 1:].max() < 15


def test_a_range_of_one_value_is_no_division_by_zero():
    from opengait_ext.prepare.images import as_jpeg, wide_range

    content = encoded(np.full((8, 8), 500, np.uint16), ".png")
    assert wide_range([content]) == (500.0, 500.0)
    assert decode(as_jpeg(content, 95, (500.0, 500.0)).content).max() < 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (encoded(picture(1))[:200], "cut off after 200 bytes (no end mark)"),
        (encoded(picture(1), ".png")[:-14], "cut off after"),
        (encoded(picture(1), ".webp")[:-20], "no image, or a damaged one"),
        (b"<html>not found</html>", "no image, or a damaged one"),
    ],
)
def test_damaged_images_are_named_and_refused_or_left_out(raw, out, capsys, content, reason):
    contents = write_images(raw / "anna" / "rgb" / "1", 3)
    path = put(raw, content, "2.jpg")
    assert prepare("--source", raw, "--target", out) == 1
    message = capsys.readouterr().err
    assert f"{path}: {reason}" in message
    assert "1 damaged places" in message
    assert "or add --skip-damaged to go without what cannot be read" in message
    assert not (out / "partition.json").exists()
    assert not list(out.rglob("*.zip"))
    for _ in range(2):  # it is told again in the second run
        assert prepare("--source", raw, "--target", out, "--skip-damaged") == 0
        assert f"{path}: {reason}" in capsys.readouterr().out
        partition = read_partition(out / "partition.json")
        assert partition.source["left_out"] == {"damaged": 1}
        assert (out / "damaged.txt").read_text().startswith(f"{path}: ")
        kept = [contents[0], contents[2]]
        assert read_frames(out / "anna/rgb/D1-T1", range(2)) == kept
    assert prepare("--source", raw, "--target", out) == 1  # and refused again without the option
    path.write_bytes(contents[1])
    assert prepare("--source", raw, "--target", out) == 0
    assert not (out / "damaged.txt").exists()


def test_a_tracklet_that_damage_makes_too_short_is_dropped_with_the_reason(raw, out):
    write_images(raw / "anna" / "rgb" / "1", 3)
    write_images(raw / "ben" / "rgb" / "1", 3)
    put(raw, b"", "2.jpg")
    options = ("--skip-damaged", "--min-frames", "3")
    assert prepare("--source", raw, "--target", out, *options) == 0
    (dropped,) = read_partition(out / "partition.json").source["dropped"]
    assert dropped["reason"] == "2 frames (1 damaged), at least 3 needed"
    assert not list((out / "anna").rglob("*.zip"))


def test_pixels_of_another_kind_are_refused(raw, out, capsys):
    lines = ["Pf", "4 4", "-1.0"]
    header = "\n".join(lines).encode() + b"\n"
    path = put(raw, header + np.zeros(16, np.float32).tobytes(), "1.png")
    assert prepare("--source", raw, "--target", out) == 1
    assert f"{path}: has pixels of float32, expected 8 or 16 bits" in capsys.readouterr().err


def test_the_first_images_are_opened_in_a_trial_run(raw, capsys):
    write_images(raw / "anna" / "rgb" / "1", 3)
    path = put(raw, b"", "1.jpg")
    assert prepare("--source", raw, "--dry-run") == 1
    assert f"1 fault\n  {path}: the file is empty" in capsys.readouterr().out
    write_lines(path.with_name("4.jpg"), "not looked at")
    path.write_bytes(encoded(picture(1)))
    assert prepare("--source", raw, "--dry-run") == 0
