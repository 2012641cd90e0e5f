"""What the check notices in one image, and what it measures."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from check_trees import encoded, picture

IMAGE = encoded(picture(1, gray=False, size=(96, 48)))


PNG = b"\x89PNG\r\n\x1a\n"


def look(content):
    from opengait_ext.prepare.check.images import look

    return look(content)


def refusal(content):
    """Gives why an image is refused; nothing if it is not."""
    from opengait_ext.prepare.sources import DamagedImageError

    try:
        return look(content).remark
    except DamagedImageError as error:
        return str(error)


def saved(image, form, *options):
    return cv2.imencode(form, image, list(options))[1].tobytes()


SOUND = {
    "color": saved(picture(2, False), ".jpg"),
    "one channel": saved(picture(2, True)[:, :, 0], ".jpg"),
    "progressive": saved(picture(2, False), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "optimized": saved(picture(2, False), ".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "restart marks": saved(picture(2, False), ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    "plain black": saved(np.zeros((256, 128, 3), np.uint8), ".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "png": saved(picture(2, False), ".png"),
    "png of one channel": saved(picture(2, True)[:, :, 0], ".png"),
    "bmp": saved(picture(2, False), ".bmp"),
    "webp": saved(picture(2, False), ".webp"),
}


@pytest.mark.parametrize("content", SOUND.values(), ids=SOUND)
def test_a_sound_image_of_any_form_passes_with_its_size(content):
    seen = look(content)
    assert (seen.height, seen.width) in ((32, 16), (256, 128))
    assert not seen.remark


@pytest.mark.parametrize("name", ["color", "one channel", "optimized", "png"])
def test_an_image_that_is_cut_anywhere_is_refused(name):
    content = SOUND[name]
    lengths = [length for length in range(1, len(content)) if not refusal(content[:length])]
    assert lengths == []


def test_a_cut_image_with_an_end_mark_is_refused():
    start = IMAGE.index(b"\xff\xda") + 14
    for length in range(start, len(IMAGE) - 8, 7):
        assert refusal(IMAGE[:length] + b"\xff\xd9"), length


def test_a_lost_block_of_zeros_is_refused_or_remarked():
    smooth = encoded(cv2.GaussianBlur(picture(5, gray=False, size=(128, 64)), (0, 0), 2))
    reasons = {
        place: refusal(smooth[:place] + bytes(64) + smooth[place + 64 :])
        for place in range(smooth.index(b"\xff\xda") + 14, len(smooth) - 66, 13)
    }
    assert all(reasons.values()), reasons
    assert any("zero bytes in a row from byte" in reason for reason in reasons.values())
    assert any("cannot be decoded" in reason for reason in reasons.values())


def test_any_turned_bit_of_a_png_is_refused():
    content = SOUND["png"]
    rng = np.random.default_rng(0)
    reasons = []
    for place in rng.choice(len(content), 200, replace=False):
        turned = bytearray(content)
        turned[place] ^= 1 << int(rng.integers(8))
        reasons.append(refusal(bytes(turned)))
    assert all(reasons)
    assert sum("check sum of PNG chunk b'IDAT' does not fit" in reason for reason in reasons) > 100


def test_what_the_preparation_refuses_is_refused_here():
    from opengait_ext.prepare.packing import DamagedImageError, decode_whole

    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        content = bytearray(IMAGE)
        for place in rng.choice(len(content), int(rng.integers(1, 20))):
            content[place] = rng.integers(256)
        content = bytes(content[: rng.integers(len(content) // 2, 2 * len(content))])
        try:
            decode_whole(content)
        except DamagedImageError:
            refused += 1
            assert refusal(content)
    assert refused > 100


def chunk(kind, body):
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xd8", "cannot be decoded"),
        (b"GIF89a" + bytes(20), "no image, or a damaged one"),
        (b"<html>", "no image, or a damaged one"),
        (
            PNG + chunk(b"IHDR", struct.pack(">II5B", 60000, 60000, 8, 2, 0, 0, 0)),
            "claims 60000 x 60000 pixels, expected at most 67,108,864 in all",
        ),
        (PNG + b"\xff" * 12, "cut off after 20 bytes"),
        (PNG + chunk(b"IEND", b""), "no image, or a damaged one"),
        (
            saved(picture(2, False).astype(np.uint16) * 257, ".png"),
            "has pixels of uint16, expected 8 bits",
        ),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(content, reason):
    assert reason in refusal(content)


def test_gray_images_are_gray_at_any_quality_and_with_the_noise_of_a_sensor():
    smooth = cv2.GaussianBlur(picture(3, gray=True, size=(128, 64)), (0, 0), 3)
    rng = np.random.default_rng(0)
    for quality in (10, 50, 75, 95, 100):
        assert look(encoded(smooth, quality)).is_gray, quality
        noisy = np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)
        assert look(encoded(noisy, min(quality, 95))).is_gray, quality
    assert look(saved(smooth[:, :, 0], ".jpg")).is_gray


def test_dull_colors_are_no_gray():
    smooth = cv2.GaussianBlur(picture(3, gray=True, size=(128, 64)), (0, 0), 3)
    for channel in range(3):
        tinted = smooth.copy()
        tinted[:, :, channel] = np.clip(tinted[:, :, channel].astype(int) + 8, 0, 255)
        assert not look(encoded(tinted)).is_gray
        assert not look(saved(tinted, ".png")).is_gray


def test_a_person_in_black_on_asphalt_is_no_infrared_frame():
    rng = np.random.default_rng(0)
    for seed in range(20):
        smooth = cv2.GaussianBlur(picture(seed, gray=True, size=(256, 128)), (0, 0), 3)
        street = smooth.astype(int) // 3 + np.array((2, 0, 1)) + rng.normal(0, 2, (256, 128, 3))
        street[20:32, 58:70] += (-12, 0, 22)  # a face, 0.4 % of the picture
        street[130:144, 36:52] += (-12, 0, 22)  # hands
        street[130:144, 80:96] += (-12, 0, 22)
        frame = np.clip(street, 0, 255).astype(np.uint8)
        decoded = cv2.imdecode(np.frombuffer(encoded(frame), np.uint8), cv2.IMREAD_COLOR)
        assert np.ptp(decoded, axis=2).mean() < 4  # which alone would make it gray
        assert not look(encoded(frame)).is_gray
        assert look(encoded(smooth // 3)).is_gray


@pytest.mark.parametrize("form", [".jpg", ".png"])
def test_16_bits_cut_to_8_leave_a_frame_without_contrast(form):
    smooth = cv2.GaussianBlur(picture(3, gray=True, size=(128, 64)), (0, 0), 3)[..., 0]
    deep = 29000 + smooth.astype(np.uint16) * 8
    assert look(saved((deep >> 8).astype(np.uint8), form)).is_flat
    assert look(saved(np.zeros((64, 32, 3), np.uint8), form)).is_flat
    assert not look(saved(smooth, form)).is_flat
    dark = cv2.normalize(smooth, None, 3, 30, cv2.NORM_MINMAX)
    assert not look(saved(dark, form)).is_flat


def test_frames_of_pixels_are_judged_like_files():
    from opengait_ext.prepare.check.images import look_at_pixels

    for gray in (True, False):
        image = picture(4, gray)
        seen = look_at_pixels(image.transpose(2, 0, 1))
        assert (seen.height, seen.width, seen.is_gray) == (32, 16, gray)
        assert look(saved(image, ".png")) == seen
