"""Every image a user has is read in one way, whichever command reads it."""

import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_recordings import encoded, picture, prepare

pytest.importorskip("PIL")
import image_forms
from image_forms import FORMS, FRAMES, compared, deep, plain, write_form
from PIL import Image, ImageOps

from opengait_ext.clips import EmbedError
from opengait_ext.data.frames import decode
from opengait_ext.data.image_notes import notes_of
from opengait_ext.data.pictures import read_pixels, upright
from opengait_ext.prepare.image_files import (
    FrameFolder,
    ImageFolderError,
    content_of,
    frames_in,
    twins_of,
)
from opengait_ext.prepare.images import as_jpeg, wide_range
from opengait_ext.prepare.sources import DamagedImageError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
    from engine_parts import CATALOG, make_config
    from engine_parts import prepare as prepare_data

    from opengait_ext import load
    from opengait_ext.engine import run

    folder = tmp_path_factory.mktemp("run")
    prepare_data(folder / "data")
    changes = {"trainer_cfg.total_iter": 1, "trainer_cfg.save_iter": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(make_config(folder / "data", changes), "train", "cpu", False, [], CATALOG)
    return load(folder / "output/Toy/Tiny/toy", "cpu", catalog=CATALOG)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_recordings_and_frames_embed_the_same_files_alike(model, tmp_path, form):
    apart, people, _ = compared(model, form, tmp_path)
    assert people > 0
    assert apart < 0.01 * people


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_the_plain_picture(tmp_path, form):
    for who, folder in enumerate(write_form(form, tmp_path)):
        frames = FrameFolder(folder)
        assert len(frames) == FRAMES
        for t in (0, FRAMES - 1):
            shown = decode(frames.jpeg(t).content).astype(int)
            wanted = plain(form, who, t)
            assert shown.shape == wanted.shape
            # Of coarse color: JPEG keeps every second one. Lying down, it would be 60 off.
            assert np.abs(shown - wanted).mean() < 8
            assert np.abs(shown.mean(2) - wanted.mean(2)).mean() < 5


@pytest.mark.parametrize("turn", range(1, 9))
def test_the_turns_of_exif_are_those_of_pillow(turn):
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[0x112] = turn
    content = image_forms._saved(Image.fromarray(image), "PNG", exif=exif)
    noted = Image.fromarray(image)
    noted.getexif()[0x112] = turn
    wanted = np.asarray(ImageOps.exif_transpose(noted))
    np.testing.assert_array_equal(upright(image, turn), wanted)
    np.testing.assert_array_equal(read_pixels(content), wanted)


def put(folder, **contents):
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_bytes(content)
    return folder


def test_frames_come_in_the_order_of_their_numbers_whatever_their_case(tmp_path):
    names = ["B2.jpg", "a10.jpg", "a2.jpg", "A1.jpg", "b1.jpg", "02.jpg", "2a.jpg", "10.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    wanted = ("02.jpg", "2a.jpg", "10.jpg", "A1.jpg", "a2.jpg", "a10.jpg", "b1.jpg", "B2.jpg")
    assert content_of(tmp_path).images == wanted


def test_hidden_files_and_folders_are_no_frames_and_others_are_counted(tmp_path):
    for name in ("1.JPG", "._1.jpg", ".2.png", "Thumbs.db", ".DS_Store", "note.txt", "3.heic"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("4.jpg", "@eaDir", "__MACOSX", "deeper"):
        (tmp_path / name).mkdir()
    found = frames_in(tmp_path)
    assert found.images == ("1.JPG",)
    assert sorted(found.folders) == ["4.jpg", "deeper"]
    assert found.others == {".txt": 1, ".heic": 1}
    (tmp_path / "1.JPG").unlink()
    with pytest.raises(ImageFolderError, match=r"no image here \(there are 1 .heic, 1 .txt files"):
        frames_in(tmp_path)


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (("1.jpg", "2.jpg", "2.png"), ("2.jpg", "2.png")),
        (("1.jpg", "1.JPG"), ("1.jpg", "1.JPG")),
        (("1.jpg", "1_mask.png", "2.jpg"), ("1.jpg", "1_mask.png")),
        (("f-01.jpg", "f-01.mask.png"), ("f-01.jpg", "f-01.mask.png")),
        (("mask_7.png", "7.jpg"), ("7.jpg", "mask_7.png")),
        (("1.jpg", "2_mask.jpg"), None),
        (("mask1.jpg", "mask2.jpg"), None),
        (("1.jpg", "1_2.jpg", "01.jpg"), None),
    ],
)
def test_a_mask_or_a_copy_beside_a_frame_is_found(names, twins):
    assert twins_of(names) == twins


def test_masks_are_refused_by_both_ways_with_the_same_words(model, tmp_path, capsys):
    folder = tmp_path / "people" / "anna" / "rgb" / "1"
    folder.parent.mkdir(parents=True)
    put(folder, a_jpg=encoded(picture(1)), a_mask_png=encoded(picture(2), ".png"))
    words = "a.jpg and a_mask.png have one name; if one is a mask or a copy, move it elsewhere"
    assert prepare("--source", tmp_path / "people", "--target", tmp_path / "own") == 1
    assert words in capsys.readouterr().err
    with pytest.raises(EmbedError, match=words):
        model.embed_folder(folder, "visible")


def test_a_thumbnail_shows_the_frame_upright_and_spread(tmp_path):
    from opengait_ext.gallery.pictures import thumbnail

    (folder, _) = write_form("tiff, 16 bits, turn 6", tmp_path)
    shown = thumbnail(str(folder.parent), folder.name)
    assert shown.shape == (128, 72, 3)
    wanted = plain("tiff, 16 bits, turn 6", 0, FRAMES // 2)
    small = cv2.resize(wanted, (72, 128), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(shown - small).mean() < 5
    (folder / "5.png").write_bytes(encoded(picture(1), ".png"))
    assert thumbnail(str(folder.parent), folder.name) is None


def test_16_bits_are_reported_and_their_range_can_be_given(model, tmp_path, caplog):
    folder = write_form("png, 16 bits", tmp_path)[0]
    with caplog.at_level(logging.INFO, "opengait_ext"):
        by_itself = model.embed_folder(folder, "infrared")
    low, high = np.percentile(np.stack([deep(0, t) for t in range(FRAMES)]), (0.5, 99.5))
    assert f"{low:.0f} to {high:.0f} are spread over 8 bits" in caplog.text
    assert "other files are left alone" not in caplog.text
    np.testing.assert_array_equal(model.embed_folder(folder, "infrared", (low, high)), by_itself)
    assert (model.embed_folder(folder, "infrared", (0, 65535)) != by_itself).any()
    with pytest.raises(EmbedError, match="expected the lower first"):
        model.embed_folder(folder, "infrared", (5, 5))


def test_one_range_is_that_of_a_slow_loop_over_all_pixels():
    contents = [image_forms._saved(Image.fromarray(deep(0, t)), "TIFF") for t in range(FRAMES)]
    values = sorted(value for t in range(FRAMES) for value in deep(0, t).ravel().tolist())
    count = len(values)
    low = next(v for n, v in enumerate(values, 1) if n / count >= 0.005)
    high = next(v for n, v in enumerate(values, 1) if n / count >= 0.995)
    assert wide_range(contents) == (low, high)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (image_forms._saved(Image.new("F", (4, 4)), "TIFF"), "has pixels of float32"),
        (image_forms._saved(Image.new("I", (4, 4)), "TIFF"), "has pixels of int32"),
        (image_forms._saved(Image.new("LA", (4, 4)), "TIFF"), "a gray TIFF with transparency"),
        (image_forms._saved(Image.new("L", (9, 9)), "TIFF")[:-40], "damaged"),
        (encoded(picture(1), ".png")[:-14], "cut off after"),
    ],
)
def test_what_cannot_be_read_rightly_is_refused(content, reason):
    with pytest.raises(DamagedImageError, match=reason):
        as_jpeg(content)


@pytest.mark.parametrize("form", ["TIFF", "PNG", "WEBP"])
def test_several_pictures_in_one_file_are_no_frame(form):
    first = Image.fromarray(image_forms.color_picture(0, 0))
    others = [Image.fromarray(image_forms.color_picture(0, t)) for t in (3, 5)]
    content = image_forms._saved(first, form, save_all=True, append_images=others)
    with pytest.raises(DamagedImageError, match="holds 3 pictures, expected one in each file"):
        as_jpeg(content)


def test_prepared_frames_of_16_bits_are_refused_instead_of_shown_dark():
    content = image_forms._saved(Image.fromarray(deep(0, 0)), "PNG")
    with pytest.raises(ValueError, match="has pixels of uint16, expected 8 bits"):
        decode(content)


@pytest.mark.parametrize("seed", range(20))
def test_headers_of_any_bytes_are_read_without_an_error_of_ours(seed):
    rng = np.random.default_rng(seed)
    for form in ("jpeg, turn 6", "webp, turn 6", "tiff, 16 bits, turn 6", "png, turn 6"):
        content = bytearray(FORMS[form][1](0, 0))
        for place in rng.integers(2, min(len(content), 400), 12):
            content[place] = rng.integers(256)
        try:
            notes_of(bytes(content[: rng.integers(20, len(content) + 1)]))
        except ValueError:
            continue
