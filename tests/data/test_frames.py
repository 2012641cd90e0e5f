"""Which frames are taken, and how they are decoded."""

import cv2
import numpy as np
import pytest
import simplejpeg

from opengait_ext.data.frames import FRAME_RULES, decode, pick_frames

FIRST_OF_SIX_RUNS = {  # as HITSZ-VCM's readers take them
    7: [0, 2, 4, 6, 6, 6],
    12: [0, 2, 4, 6, 8, 10],
    13: [0, 3, 6, 9, 12, 12],
    24: [0, 4, 8, 12, 16, 20],
    25: [0, 5, 10, 15, 20, 24],
    30: [0, 5, 10, 15, 20, 25],
}
UNIFORM_TEN = {  # as BUPTCampus's readers take them
    7: [0, 0, 1, 2, 2, 3, 4, 4, 5, 6],
    111: [0, 11, 22, 33, 44, 55, 66, 77, 88, 99],
}


def generator(seed=0):
    return np.random.default_rng(seed)


def picture(height=24, width=12):
    values = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    return values.astype(np.uint8)


@pytest.mark.parametrize("length", FIRST_OF_SIX_RUNS)
def test_first_in_run_gives_the_published_frames(length):
    chosen = pick_frames(length, 6, "first_in_run", generator())
    assert chosen.tolist() == FIRST_OF_SIX_RUNS[length]


@pytest.mark.parametrize("length", UNIFORM_TEN)
def test_uniform_gives_the_published_frames(length):
    assert pick_frames(length, 10, "uniform", generator()).tolist() == UNIFORM_TEN[length]


@pytest.mark.parametrize("length", [3, 6, 7, 13, 24])
def test_random_in_run_takes_every_frame_of_each_run_and_none_of_another(length):
    run = -(-length // 6)
    padded = list(range(length)) + [length - 1] * (6 * run - length)
    expected = [set(padded[i * run : (i + 1) * run]) for i in range(6)]
    rng = generator()
    drawn = np.array([pick_frames(length, 6, "random_in_run", rng) for _ in range(300)])
    assert [set(column.tolist()) for column in drawn.T] == expected


def test_random_sorted_gives_different_frames_in_order_and_reaches_all():
    rng = generator()
    drawn = [pick_frames(8, 4, "random_sorted", rng).tolist() for _ in range(100)]
    assert all(frames == sorted(set(frames)) for frames in drawn)
    assert {frame for frames in drawn for frame in frames} == set(range(8))


@pytest.mark.parametrize("rule", ["random_in_run", "first_in_run", "random_sorted"])
def test_a_short_tracklet_gives_all_its_frames_and_repeats_the_last(rule):
    assert pick_frames(3, 6, rule, generator()).tolist() == [0, 1, 2, 2, 2, 2]
    assert pick_frames(1, 3, rule, generator()).tolist() == [0, 0, 0]


@pytest.mark.parametrize("rule", FRAME_RULES)
def test_the_same_generator_state_gives_the_same_frames(rule):
    first, second = (pick_frames(20, 6, rule, generator(3)).tolist() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("rule", FRAME_RULES)
def test_a_count_of_zero_gives_all_frames(rule):
    assert pick_frames(4, 0, rule, generator()).tolist() == [0, 1, 2, 3]


def test_an_impossible_wish_is_refused():
    with pytest.raises(ValueError, match="a tracklet of 0 frames: expected at least 1"):
        pick_frames(0, 4, "uniform", generator())
    with pytest.raises(ValueError, match="frames: expected a number above 0.*found -1"):
        pick_frames(4, -1, "uniform", generator())
    with pytest.raises(ValueError, match="frame_rule: expected one of random_in_run.*'middle'"):
        pick_frames(4, 2, "middle", generator())


def test_a_jpeg_becomes_its_pixels_in_the_order_red_green_blue():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    pixels = decode(simplejpeg.encode_jpeg(red, quality=95))
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - red).max() <= 3


def test_a_png_becomes_its_pixels_in_the_order_red_green_blue():
    content = cv2.imencode(".png", picture()[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode(content), picture())


def test_gray_images_become_three_equal_channels():
    gray = np.ascontiguousarray(picture()[..., :1])
    png = cv2.imencode(".png", gray)[1].tobytes()
    np.testing.assert_array_equal(decode(png), gray.repeat(3, axis=2))
    pixels = decode(simplejpeg.encode_jpeg(gray, colorspace="GRAY", quality=95))
    assert pixels.shape == (24, 12, 3)
    np.testing.assert_array_equal(pixels, pixels[..., :1].repeat(3, axis=2))


def test_pixels_are_only_turned():
    np.testing.assert_array_equal(decode(picture().transpose(2, 0, 1)), picture())


@pytest.mark.parametrize(
    ("least", "size"),
    [((0, 0), (24, 12)), ((13, 6), (24, 12)), ((12, 6), (12, 6)), ((5, 3), (6, 3))],
)
def test_a_jpeg_is_shrunk_by_two_four_or_eight_but_never_below_the_wanted_size(least, size):
    pixels = decode(simplejpeg.encode_jpeg(picture(), quality=95), *least)
    assert pixels.shape == (*size, 3)


def test_damaged_images_are_refused():
    jpeg = simplejpeg.encode_jpeg(picture(64, 64), quality=95)
    with pytest.raises(ValueError, match="Premature end of JPEG file"):
        decode(jpeg[: len(jpeg) // 2])
    png = cv2.imencode(".png", picture(64, 64))[1].tobytes()
    with pytest.raises(ValueError, match=r"cut off after \d+ bytes"):
        decode(png[: len(png) // 2])
    with pytest.raises(ValueError, match="the file is empty"):
        decode(b"")


def test_pixels_of_another_form_are_refused():
    with pytest.raises(ValueError, match=r"\[3, h, w\] or \[1, h, w\], found float32 \[3, 2, 2\]"):
        decode(np.zeros((3, 2, 2), np.float32))
    with pytest.raises(ValueError, match=r"found uint8 \[2, 2, 3\]"):
        decode(picture(2, 2))


def test_pixels_of_one_channel_stay_so():
    silhouette = picture(6, 4)[None, :, :, 0]
    np.testing.assert_array_equal(decode(silhouette), silhouette.transpose(1, 2, 0))


def test_bytes_between_the_segments_of_a_jpeg_leave_its_picture_whole():
    image = np.random.default_rng(0).integers(0, 255, (32, 16, 3), np.uint8)
    content = cv2.imencode(".jpg", image)[1].tobytes()
    table = content.index(b"\xff\xc4")  # a table of codes
    odd = content[:table] + bytes(35) + content[table:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(odd)
    for sizes in ((0, 0), (8, 4)):
        assert np.array_equal(decode(odd, *sizes), decode(content))
