"""The forms in which people keep the frames of a person; also a program that compares them.

    python tests/prepare/image_forms.py output/SynthVVI/AGW/agw

prints, for each form, the distance between recordings + embed and ``embed --frames`` on the same
files, beside the distance between two people, and how far both are from the plain pictures.
"""

import io
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

TURNS = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
         5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE,
         8: Image.ROTATE_270}  # fmt: skip  # what a camera held so writes
FRAMES = 6


def gray_picture(who, t):
    """A walking figure, uint8 [96, 48]."""
    image = np.full((96, 48), 60, np.uint8)
    cv2.circle(image, (24 + t % 3, 14), 7 + who, 230, -1)
    cv2.rectangle(image, (14 - who, 24), (34 + who, 55), 150 + 40 * who, -1)
    cv2.line(image, (20, 55), (14 + 2 * t, 92), 190, 5 + 2 * who)
    cv2.line(image, (28, 55), (34 - 2 * t, 92), 190, 5 + 2 * who)
    return cv2.GaussianBlur(image, (3, 3), 0)


def color_picture(who, t):
    """The same in color, RGB uint8 [96, 48, 3]."""
    gray = gray_picture(who, t)
    return np.dstack([gray, (gray * 0.6).astype(np.uint8), 255 - gray])


def _saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _turned(form, turn, **options):
    def make(who, t):
        exif = Image.Exif()
        exif[0x112] = turn
        image = Image.fromarray(color_picture(who, t)).transpose(TURNS[turn])
        return _saved(image, form, exif=exif, **options)

    return make


def _color(form, mode="RGB", **options):
    return lambda who, t: _saved(
        Image.fromarray(color_picture(who, t)).convert(mode), form, **options
    )


def _palette(form):
    return lambda who, t: _saved(Image.fromarray(color_picture(who, t)).quantize(256), form)


def _clear(form, **options):
    """Colors that are hidden behind transparency, where the plain picture is black."""

    def make(who, t):
        rgb = color_picture(who, t)
        alpha = np.full(rgb.shape[:2], 255, np.uint8)
        alpha[:20] = 0
        rgb[:20] = (255, 0, 255)
        return _saved(Image.fromarray(np.dstack([rgb, alpha])), form, **options)

    return make


def _clear_gray(who, t):
    gray = gray_picture(who, t)
    alpha = np.full_like(gray, 255)
    alpha[:20] = 0
    gray[:20] = 200
    return _saved(Image.fromarray(np.dstack([gray, alpha]), "LA"), "PNG")


def deep(who, t):
    """A radiometric picture, uint16 [96, 48]."""
    return (29000 + gray_picture(who, t).astype(np.float32) * 8).astype(np.uint16)


def _deep(form, turn=1, **options):
    def make(who, t):
        image = Image.fromarray(deep(who, t))
        if turn != 1:
            options["tiffinfo"] = {274: turn}
            image = Image.fromarray(np.rot90(deep(who, t)))
        return _saved(image, form, **options)

    return make


def _deep_color(ending):
    def make(who, t):
        image = color_picture(who, t)[..., ::-1].astype(np.uint16) * 257
        return cv2.imencode(ending, image)[1].tobytes()

    return make


def _white_is_zero(who, t):
    """A TIFF that counts its levels from white, by the tag in its first directory."""
    content = bytearray(_saved(Image.fromarray(65535 - deep(who, t)), "TIFF"))
    start = int.from_bytes(content[4:8], "little")
    for place in range(start + 2, start + 2 + 12 * content[start], 12):
        if content[place : place + 2] == (262).to_bytes(2, "little"):
            content[place + 8] = 0
    return bytes(content)


# Name: ending, what makes frame t of person `who`, and the plain picture that it shows.
FORMS = {
    "jpeg": ("jpg", _color("JPEG", quality=95), "color"),
    "jpeg, progressive": ("jpg", _color("JPEG", quality=95, progressive=True), "color"),
    "jpeg, gray": ("jpg", _color("JPEG", "L", quality=95), "luma"),
    "jpeg, CMYK": ("jpg", _color("JPEG", "CMYK", quality=95), "color"),
    **{
        f"jpeg, turn {turn}": ("jpg", _turned("JPEG", turn, quality=95), "color") for turn in TURNS
    },
    "png": ("png", _color("PNG"), "color"),
    "png, palette": ("png", _palette("PNG"), "color"),
    "png, turn 6": ("png", _turned("PNG", 6), "color"),
    "png, turn 5": ("png", _turned("PNG", 5), "color"),
    "png, transparent": ("png", _clear("PNG"), "clear color"),
    "png, gray transparent": ("png", _clear_gray, "clear gray"),
    "png, 16 bits": ("png", _deep("PNG"), "deep"),
    "png, 16 bits color": ("png", _deep_color(".png"), "deep color"),
    "bmp": ("bmp", _color("BMP"), "color"),
    "bmp, palette": ("bmp", _palette("BMP"), "color"),
    "webp": ("webp", _color("WEBP", quality=95), "color"),
    "webp, turn 6": ("webp", _turned("WEBP", 6, lossless=True), "color"),
    "webp, transparent": ("webp", _clear("WEBP", lossless=True, exact=True), "clear color"),
    "tiff": ("tif", _color("TIFF"), "color"),
    "tiff, LZW": ("tiff", _color("TIFF", compression="tiff_lzw"), "color"),
    "tiff, CMYK": ("tif", _color("TIFF", "CMYK"), "color"),
    "tiff, palette": ("tif", _palette("TIFF"), "color"),
    "tiff, turn 6": ("tif", _turned("TIFF", 6), "color"),
    "tiff, transparent": ("tif", _clear("TIFF"), "clear color"),
    "tiff, 16 bits": ("tif", _deep("TIFF"), "deep"),
    "tiff, 16 bits color": ("tif", _deep_color(".tif"), "deep color"),
    "tiff, 16 bits, turn 6": ("tif", _deep("TIFF", 6), "deep"),
    "tiff, 16 bits from white": ("tif", _white_is_zero, "deep"),
    "bigtiff, 16 bits": ("tif", _deep("TIFF", big_tiff=True), "deep"),
}  # fmt: skip


def is_infrared(form):
    """Whether the pictures of a form are gray."""
    return FORMS[form][2] in ("luma", "clear gray", "deep")


def plain(form, who, t):
    """The picture that a form shows, RGB uint8 [96, 48, 3]; 16 bits spread over those of t = 0."""
    kind = FORMS[form][2]
    if kind == "luma":
        gray = np.asarray(Image.fromarray(color_picture(who, t)).convert("L"))
    else:
        gray = gray_picture(who, t)
    image = color_picture(who, t) if "color" in kind else np.dstack([gray] * 3)
    if kind.startswith("clear"):
        image[:20] = 0
    if kind.startswith("deep"):
        all_frames = [gray_picture(who, n) for n in range(FRAMES)]
        if kind == "deep color":
            all_frames = [color_picture(who, n) for n in range(FRAMES)]
        low, high = np.percentile(np.stack(all_frames), (0.5, 99.5))
        image = np.clip((image - low) * 255 / (high - low) + 0.5, 0, 255).astype(np.uint8)
    return image


def write_form(form, root):
    """Writes two people, <root>/p<who>/<rgb|ir>/hall/1/<t>.<ending>; gives their folders."""
    ending, make, _ = FORMS[form]
    word = "ir" if is_infrared(form) else "rgb"
    folders = [Path(root, f"p{who}", word, "hall", "1") for who in (0, 1)]
    for who, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for t in range(FRAMES):
            (folder / f"{t + 5}.{ending}").write_bytes(make(who, t))  # 10 comes after 9
        (folder / f"._5.{ending}").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    return folders


def compared(model, form, root):
    """Return distances: recordings against --frames, between the people, and to the plain ones."""
    from own_recordings import prepare

    from opengait_ext.data.layout import read_partition

    root = Path(root)
    folders = write_form(form, root / "people")
    target = root / "own"
    assert prepare("--source", root / "people", "--target", target, "--split", "search") == 0
    partition = read_partition(target / "partition.json")
    modality = "infrared" if is_infrared(form) else "visible"
    own = model.embed_prepared(target, partition).reshape(2, -1)
    frames = [model.embed_folder(folder, modality).ravel() for folder in folders]
    pictures = [np.stack([plain(form, who, t) for t in range(FRAMES)]) for who in (0, 1)]
    wanted = model.embed([p.transpose(0, 3, 1, 2) for p in pictures], modality).reshape(2, -1)
    norm = np.linalg.norm
    return (
        max(norm(own[who] - frames[who]) for who in (0, 1)),
        norm(own[0] - own[1]),
        max(norm(own[who] - wanted[who]) for who in (0, 1)),
    )


def main():
    """Prints the table."""
    import contextlib

    from opengait_ext import load

    model = load(sys.argv[1])
    print(f"{'form':26}{'own - frames':>14}{'two people':>12}{'share':>8}{'to plain':>10}")
    for form in FORMS:
        said = io.StringIO()
        with (
            tempfile.TemporaryDirectory() as root,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            apart, people, far = compared(model, form, root)
        print(f"{form:26}{apart:14.5f}{people:12.3f}{apart / people:8.2%}{far:10.3f}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
