"""Videos of more than 8 bits a channel: radiometric infrared, and HEVC of 10 bits."""

import base64
import zlib

import cv2
import numpy as np
import pytest
from own_recordings import HEADER, encoded, pixels_of, prepare, write_lines

from opengait_ext.prepare.recordings.reader import FrameReader, depth_of

SIZE = (240, 320)
# Three frames of 64 x 32, a light figure on dark; H.265 Main 10, written for this test.
HEVC10 = (
    b"c-oV4y}x*|Q(GgW({~{L)X3uWxsk)EsUtVBq$s~QJJG2fDAd}>BoW+@&d2})Oj`wgXO|q<-%{LG@Y{EHckt>KQO}"
    b"iW!D|{9LU>{!>#~8okG{KmfIOj)!|B0mni!8mxH7@Jfs##3Gv7c=V+dxTJ^;Dr^!^rObDnEj*EcrvJ306^^!g;0r"
    b"I{J&83K`kQMe;2zj(=n`jtvOF?sEEqB9=v%Ztd2a_Q`FC^`T(59A|<3;SF0!`2>M2X*(s>y3=XM>{Oe>U7JksWqR"
    b"|$e^@!PIGBqN=G9@+k~)q-vC#44}H&Ie|-<vFz4n*M&-xNEv#Q3GCb(o(5SGh(II40BTMMJMg~|wFflMBFM7?$qy"
    b"S`30E@_dVEFU**DnSJer5#*Mg|E7Mjpoh|3M0vK`NL*NN(y3PDP-kx)UQKn#=+x7U9&Xv!0xK*3bYF01~V$N<g)2"
    b"E{q3@FLZ)p=HC7mi_=G>i;EW|A81HFG0SyvyQ`nGzl&>-OFLQ!6>myD(4CC%ar%jcu8TWdLW3MbJpKJ#+9w+rSb>"
    b"qAu>lk?$UAQ<eYL-(pM&GV^G1fnn;RKGu3*sCU|cWR@SWZK-?RSQWPZzXAudj<si%VOpFfcGZbf5JEU!?ki{O9ly"
    b"bnz07EfzrH~|U`J|@Nsg5fQOJq~Z{w3`|hPikaH0f}=lFg{S(-zIQiegG(OP2b;AIdA`l-Tgqzws!#&^~WYAtq+Z"
    b"y0N~;56#"
)


@pytest.fixture
def films(tmp_path):
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


def scene(t, size=SIZE):
    """A warm person, 29000 + 8 * gray, uint16."""
    gray = np.full(size, 60, np.uint8)
    cv2.rectangle(gray, (40 + 3 * t, 60), (80 + 3 * t, 180), 180, -1)
    cv2.circle(gray, (60 + 3 * t, 72), 12, 230, -1)
    return (29000 + gray.astype(np.float32) * 8).astype(np.uint16)


def radiometric(path, frames=12):
    options = [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    code = cv2.VideoWriter_fourcc(*"FFV1")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25, SIZE[::-1], options)
    assert writer.isOpened()
    for t in range(frames):
        writer.write(scene(t))
    writer.release()


def box_of(t):
    return 30 + 3 * t, 50, 60, 140


def cut(films, name, *options, frames=12, box=box_of, word="ir", status=0):
    rows = [f"{name},{t},{','.join(map(str, box(t)))},1,anna,1,{word}" for t in range(frames)]
    boxes = write_lines(films.parent / "boxes.csv", HEADER, *rows)
    out = films.parent / "out"
    assert prepare("--videos", films, "--boxes", boxes, "--target", out, *options) == status
    return out


def test_radiometric_video_is_spread_like_a_folder_of_its_crops(films, capsys):
    radiometric(films / "flir.mkv")
    out = cut(films, "flir.mkv")
    assert "12 images of 16 bits a pixel were spread over 8 bits" in capsys.readouterr().out
    folder = films.parent / "people" / "anna" / "ir" / "1"
    folder.mkdir(parents=True)
    for t in range(12):
        x, y, w, h = box_of(t)
        (folder / f"{t}.png").write_bytes(encoded(scene(t)[y : y + h, x : x + w], ".png"))
    assert prepare("--source", films.parent / "people", "--target", films.parent / "crops") == 0
    video, crops = (
        pixels_of(out, "anna/ir/D1-T1"),
        pixels_of(films.parent / "crops", "anna/ir/D1-T1"),
    )
    np.testing.assert_array_equal(video, crops)
    assert np.ptp(video[0]) > 200


def test_the_range_of_a_radiometric_video_can_be_given(films):
    radiometric(films / "flir.mkv", 3)
    out = cut(films, "flir.mkv", "--range16", "29000", "31040", frames=3)
    frame = pixels_of(out, "anna/ir/D1-T1")[0]
    for value in (60, 180, 230):  # the levels of the scene
        assert (np.abs(frame[..., 0].astype(int) - value) <= 3).any()
    assert frame.min() > 50


def test_each_tracklet_of_a_radiometric_video_has_its_own_range(films):
    radiometric(films / "flir.mkv", 4)
    rows = [f"flir.mkv,{t},30,50,60,140,1,anna,1,ir" for t in range(4)]
    rows += [f"flir.mkv,{t},200,20,60,140,2,ben,1,ir" for t in range(4)]  # nobody: all of one level
    boxes = write_lines(films.parent / "boxes.csv", HEADER, *rows)
    out = films.parent / "out"
    assert prepare("--videos", films, "--boxes", boxes, "--target", out) == 0
    assert np.ptp(pixels_of(out, "anna/ir/D1-T1")[0]) > 200
    assert np.ptp(pixels_of(out, "ben/ir/D1-T2")[0]) < 3


def test_infrared_of_10_bits_is_refused_with_the_way_out(films, capsys):
    (films / "ir.mkv").write_bytes(zlib.decompress(base64.b85decode(HEVC10)))
    cut(films, "ir.mkv", frames=3, box=lambda t: (4 + 2 * t, 8, 24, 48), status=1)
    message = capsys.readouterr().err
    assert f"{films / 'ir.mkv'}: has 10 bits a channel in a form that is read in 8 bits" in message
    assert "-pix_fmt gray16le" in message
    assert not (films.parent / "out" / "partition.json").exists()
    cut(films, "ir.mkv", "--dry-run", frames=3, box=lambda t: (4, 8, 24, 48), status=1)
    assert "has 10 bits a channel" in capsys.readouterr().out


def test_visible_video_of_10_bits_is_read_in_8_and_that_is_said(films, capsys):
    (films / "phone.mkv").write_bytes(zlib.decompress(base64.b85decode(HEVC10)))
    out = cut(films, "phone.mkv", frames=3, box=lambda t: (0, 0, 32, 64), word="rgb")
    assert "phone.mkv: 10 bits a channel, read in 8" in capsys.readouterr().out
    frame = pixels_of(out, "anna/rgb/D1-T1")[0]
    assert abs(int(frame[30, 14, 0]) - 180) < 12
    assert abs(int(frame[4, 4, 0]) - 60) < 12


@pytest.mark.parametrize(
    ("tag", "depth"),
    [
        (b"I420", 8), (b"Y800", 8), (b"NV12", 8), (b"BGR\x18", 8), (b"RGB\x0f", 8), (bytes(4), 8),
        (b"Y1\0\x10", 16), (b"\x10\0001Y", 16), (b"Y1\0\x0a", 10), (b"Y1\0\x0c", 12),
        (b"Y3\x0b\x0a", 10), (b"\x0a\x0b3Y", 10), (b"Y3\0\x0c", 12), (b"G3\0\x10", 16),
        (b"P010", 10), (b"RGB0", 16),
    ],
)  # fmt: skip
def test_the_depth_is_read_off_the_tag_of_the_pixel_format(tag, depth):
    assert depth_of(tag) == depth


def test_a_video_of_8_bits_is_read_as_before(films):
    writer = cv2.VideoWriter(
        str(films / "a.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE[::-1]
    )
    writer.write(np.full((*SIZE, 3), (10, 100, 200), np.uint8))
    writer.release()
    with FrameReader(films / "a.avi") as reader:
        assert (reader.depth, reader.is_wide, reader.grab()) == (8, False, True)
        image = reader.picture()
    assert (image.shape, image.dtype) == ((*SIZE, 3), np.uint8)
