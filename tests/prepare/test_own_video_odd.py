"""Videos that are damaged, turned, of a variable rate, or shorter than their boxes."""

import struct

import cv2
import numpy as np
import pytest
from own_recordings import (
    HEADER,
    box_of,
    box_rows,
    is_color,
    pixels_of,
    prepare,
    write_lines,
    write_video,
)

from opengait_ext.data.layout import read_partition


@pytest.fixture
def films(tmp_path):
    return tmp_path / "films"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def cut(films, out, rows, *options, status=0):
    """Prepares videos with these boxes."""
    boxes = write_lines(films.parent / "boxes.csv", HEADER, *rows)
    command = ("--videos", films, "--boxes", boxes, "--target", out)
    assert prepare(*command, *options) == status


def frame_rows(frames, x=0, y=0, w=160, h=96, track=1):
    """Boxes of the whole picture, by default."""
    return [f"a.avi,{frame},{x},{y},{w},{h},{track},anna,1,rgb" for frame in frames]


def numbers_of(images):
    """Which frames whole pictures are of: their upper edge tells."""
    return [round((image[2:4, 8:-8].mean() - 30) / 10) for image in images]


def test_boxes_beyond_the_end_are_refused_with_their_line(films, out, capsys):
    write_video(films / "a.avi")
    rows = [*frame_rows(range(10)), *frame_rows(range(10, 14), track=2)]
    cut(films, out, rows, status=1)
    message = capsys.readouterr().err
    assert "a.avi: frame 12 cannot be read, 2 boxes need it or later ones (line 14)" in message
    assert "; the video ends after 12 frames\n" in message
    assert not (out / "partition.json").exists()
    assert [path.parent.name for path in out.rglob("0-frames.zip")] == ["D1-T1"]
    cut(films, out, rows, "--skip-damaged")
    assert numbers_of(pixels_of(out, "anna/rgb/D1-T2")) == [10, 11]
    source = read_partition(out / "partition.json").source
    assert source["left_out"] == {"unreadable": 2}
    cut(films, out, rows, status=1)  # and refused again without the option
    assert not (out / "anna/rgb/D1-T2/0-frames.zip").exists()


def test_boxes_that_count_from_1_by_mistake_are_suspected(films, out, capsys):
    write_video(films / "a.avi")
    cut(films, out, frame_rows(range(1, 13)), status=1)
    message = capsys.readouterr().err
    assert "the video ends after 12 frames; do the boxes count from 1 (--first-frame 1)?" in message
    cut(films, out, frame_rows(range(1, 13)), "--first-frame", "1", status=1)
    assert "first_frame: 0 there, 1 now" in capsys.readouterr().err
    cut(films, out, frame_rows(range(1, 13)), "--first-frame", "1", "--anew")


def test_a_video_that_is_cut_off_says_where_and_how_much_it_should_have(films, out, capsys):
    path = write_video(films / "a.avi", frames=20)
    write_video(films / "b.avi", ("blue",))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    rows = [*frame_rows(range(20)), *box_rows("b.avi")]
    cut(films, out, rows, status=1)
    message = capsys.readouterr().err
    (line,) = [text for text in message.splitlines() if "a.avi: frame" in text]
    end = int(line.split("frame ")[1].split()[0])
    assert 8 < end < 16
    assert line.endswith("the video is damaged or cut off there, it says that it has 20 frames")
    assert f"{20 - end} boxes need it or later ones (line {2 + end})" in line
    assert (out / "damaged.txt").read_text().startswith("a.avi: frame")
    assert (out / "anna/rgb/D1-T2/0-frames.zip").is_file()  # of the other video: kept
    cut(films, out, rows, "--skip-damaged")
    assert numbers_of(pixels_of(out, "anna/rgb/D1-T1")) == list(range(end))


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_named(films, out, capsys, content):
    write_video(films / "b.avi")
    (films / "a_01.avi").write_bytes(content)  # a name that OpenCV takes for a series of images
    rows = [*box_rows("a_01.avi"), *box_rows("b.avi")]
    cut(films, out, rows, status=1)
    message = capsys.readouterr().err
    assert "1 damaged places" in message
    size = f"({len(content)} bytes); 12 boxes of 1 tracklets need it"
    assert f"a_01.avi: is no video that FFmpeg can read, or a damaged one {size}" in message
    assert "Error" not in message
    cut(films, out, rows, "--skip-damaged")
    assert [t.path for t in read_partition(out / "partition.json").tracklets] == ["anna/rgb/D1-T2"]


def test_frames_lost_in_the_middle_are_noticed_by_their_time_stamps(films, out, capsys):
    path = write_video(films / "a.mkv", frames=40, code="FFV1", colors=("red", "blue"))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 900] = bytes(900)
    path.write_bytes(content)
    cut(films, out, box_rows("a.mkv", 0, range(10)) + box_rows("a.mkv", 1, range(20, 22), 2))
    told = capsys.readouterr().out
    assert "a.mkv: the time stamp of frame " in told
    assert " frames ahead of an even rate: the rate varies, or frames are lost there" in told


def grow_box(content, path, extra):
    """Makes the boxes of an MP4 that enclose the last of a path larger by so many bytes."""
    start = 0
    for name in path:
        start = content.index(name, start)
        (size,) = struct.unpack(">I", content[start - 4 : start])
        content[start - 4 : start] = struct.pack(">I", size + extra)
    return start


def test_a_variable_rate_is_told_and_frames_are_taken_by_their_count(films, out, capsys):
    path = write_video(films / "a.mp4", code="mp4v")
    content = bytearray(path.read_bytes())
    start = grow_box(content, (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"), 8)
    entries, count, delta = struct.unpack(">3I", content[start + 8 : start + 20])
    assert (entries, count) == (1, 12)
    content[start + 8 : start + 20] = struct.pack(">5I", 2, 6, delta, 6, delta // 3)
    path.write_bytes(content)
    cut(films, out, box_rows("a.mp4", 1))
    told = capsys.readouterr().out
    assert "a.mp4: the time stamp of frame " in told
    assert all(is_color(image, "green") for image in pixels_of(out, "anna/rgb/D1-T1"))
    assert len(pixels_of(out, "anna/rgb/D1-T1")) == 12


def turn(path, degrees):
    """Writes a note into an MP4 that it is to be turned to the right."""
    one = 1 << 16
    matrix = {
        90: (0, one, 0, -one, 0, 0, 0, 0, 1 << 30),
        180: (-one, 0, 0, 0, -one, 0, 0, 0, 1 << 30),
        270: (0, -one, 0, one, 0, 0, 0, 0, 1 << 30),
    }
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    content[start : start + 36] = struct.pack(">9i", *matrix[degrees])
    path.write_bytes(content)


def turned_box(box, degrees, height=96, width=160):
    """Where a box of the lying picture is when the picture is upright."""
    x, y, w, h = box
    return {
        90: (height - y - h, x, h, w),
        180: (width - x - w, height - y - h, w, h),
        270: (y, width - x - w, h, w),
    }[degrees]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_that_is_to_be_turned_is_cut_upright(films, out, capsys, degrees):
    path = write_video(films / "a.mp4", ("red", "green"), code="mp4v")
    turn(path, degrees)
    rows = []
    for frame in range(12):
        box = turned_box(box_of(1, frame), degrees)
        rows.append(f"a.mp4,{frame},{','.join(map(str, box))},1,anna,1,rgb")
    cut(films, out, rows)
    assert f"a.mp4: turned by {degrees} degrees, as the file asks" in capsys.readouterr().out
    images = pixels_of(out, "anna/rgb/D1-T1")
    size = (36, 20, 3) if degrees == 180 else (20, 36, 3)
    assert [image.shape for image in images] == [size] * 12
    assert all(is_color(image, "green") for image in images)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_are_turned_whatever_opencv_does_by_default(films, degrees):
    from opengait_ext.prepare.recordings.reader import FrameReader

    path = write_video(films / "a.mp4", code="mp4v")
    with FrameReader(path) as reader:
        assert reader.grab()
        lying = reader.picture()
    turn(path, degrees)
    with FrameReader(path) as reader:
        assert reader.grab()
        upright = reader.picture()
        assert upright.shape[:2] == reader.size
    np.testing.assert_array_equal(upright, np.rot90(lying, -degrees // 90))


def test_a_reader_that_turns_against_our_word_is_noticed_on_the_first_frame(films, monkeypatch):
    from opengait_ext.prepare.recordings import reader as module

    class Turning:
        """A capture that turns frames; OpenCV's own class crashes when it is derived from."""

        def __init__(self, *arguments):
            self._capture = cv2_capture(*arguments)

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def retrieve(self):
            whole, image = self._capture.retrieve()
            return whole, cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)

    cv2_capture = cv2.VideoCapture
    path = write_video(films / "a.mp4", code="mp4v")
    turn(path, 90)
    monkeypatch.setattr(module.cv2, "VideoCapture", Turning)
    with module.FrameReader(path) as reader:
        assert reader.grab()
        assert reader.picture().shape[:2] == reader.size == (160, 96)


def test_a_single_damaged_frame_is_named_and_can_be_left_out(films, out, capsys, monkeypatch):
    from opengait_ext.prepare.recordings import video as own_video

    class Scratched(own_video.FrameReader):
        def picture(self):
            return None if self.read == 6 else super().picture()

    write_video(films / "a.avi")
    monkeypatch.setattr(own_video, "FrameReader", Scratched)
    rows = [*frame_rows(range(4, 8)), *frame_rows([1, 2], track=2)]
    cut(films, out, rows, status=1)
    assert "a.avi: frame 5 is damaged, 1 box needs it (line 3)\n" in capsys.readouterr().err
    assert [path.parent.name for path in out.rglob("0-frames.zip")] == ["D1-T2"]
    cut(films, out, rows, "--skip-damaged")
    assert numbers_of(pixels_of(out, "anna/rgb/D1-T1")) == [4, 6, 7]
    assert read_partition(out / "partition.json").source["left_out"] == {"unreadable": 1}
