"""Cutting people out of videos: the right pixels of the right frames, damage, bounded memory."""

import tracemalloc

import numpy as np
import pytest
from own_recordings import (
    COLORS,
    HEADER,
    box_of,
    box_rows,
    is_color,
    pixels_of,
    prepare,
    write_lines,
    write_video,
)

from opengait_ext.data import image_size
from opengait_ext.data.layout import read_partition
from opengait_ext.prepare.recordings.reader import DamagedVideoError, FrameReader


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


@pytest.mark.parametrize(
    ("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.webm", "VP80"), ("a.mkv", "FFV1")]
)
def test_everybody_is_cut_out_where_the_boxes_say(films, out, name, code):
    write_video(films / name, ("red", "green"), code=code)
    rows = [*box_rows(name, 0, track=1), *box_rows(name, 1, track=2, about=("ben", "1", "ir"))]
    cut(films, out, rows)
    for path, color in (("anna/rgb/D1-T1", "red"), ("ben/ir/D1-T2", "green")):
        images = pixels_of(out, path)
        assert [image.shape for image in images] == [(36, 20, 3)] * 12
        assert all(is_color(image, color) for image in images)


def test_crops_come_from_the_frames_that_are_named(films, out):
    write_video(films / "a.avi")
    cut(films, out, frame_rows([7, 2, 3]))
    assert numbers_of(pixels_of(out, "anna/rgb/D1-T1")) == [2, 3, 7]


def test_the_first_frame_may_be_number_1(films, out):
    write_video(films / "a.avi")
    cut(films, out, frame_rows([1, 4, 12]), "--first-frame", "1")
    assert numbers_of(pixels_of(out, "anna/rgb/D1-T1")) == [0, 3, 11]


def test_each_nth_frame_is_taken_and_long_tracks_are_cut_into_equal_ones(films, out):
    write_video(films / "a.avi")
    cut(films, out, frame_rows(range(1, 12)), "--every", "2", "--max-frames", "4")
    pieces = [numbers_of(pixels_of(out, f"anna/rgb/D1-T{row}")) for row in (1, 2)]
    assert pieces == [[1, 3, 5], [7, 9, 11]]


def test_no_run_is_longer_than_asked_and_no_frame_is_lost():
    from opengait_ext.prepare.recordings.plan import Recorded, make_pieces

    for length in range(1, 40):
        for every in (1, 2, 3):
            for limit in (0, 1, 4, 7):
                recorded = Recorded("a", "anna", "1", "visible", ("x",) * length)
                pieces, _ = make_pieces([recorded], every, limit)
                lengths = [len(piece.positions) for piece in pieces]
                assert max(lengths) <= (limit or length)
                assert max(lengths) - min(lengths) <= 1
                taken = [place for piece in pieces for place in piece.positions]
                assert taken == list(range(0, length, every))


def test_boxes_are_clipped_and_those_outside_or_too_small_are_left_out(films, out, capsys):
    write_video(films / "a.avi", ("red",))
    x, y, _, h = box_of(0, 0)
    boxes = [
        (0, x - 50, y, 70, h),  # to the left of the picture: clipped to 24 columns
        (1, 140, 80, 100, 100),  # 20 x 16 are left
        (2, 140, 81, 100, 100),  # 20 x 15
        (3, 160, 0, 20, 40),  # beside it
        (4, -30, 0, 20, 40),
        (5, 10, 10, 0, 40),
        (6, 10, 10, -5, 40),
        (7, 10.4, 10.6, 20.2, 30.2),
    ]
    rows = [f"a.avi,{f},{','.join(map(str, box))},1,anna,1,rgb" for f, *box in boxes]
    cut(films, out, rows)
    shapes = [image.shape[:2] for image in pixels_of(out, "anna/rgb/D1-T1")]
    assert shapes == [(h, 24), (16, 20), (30, 21)]
    source = read_partition(out / "partition.json").source
    assert source["left_out"] == {"outside": 4, "small": 1}
    told = capsys.readouterr().out
    assert "left out: 4 boxes outside the picture, or without area" in told
    assert "left out: 1 boxes smaller than --min-side" in told


def test_a_track_of_which_too_little_is_left_is_dropped_with_the_reason(films, out):
    write_video(films / "a.avi")
    rows = [*frame_rows(range(3)), *frame_rows(range(4), x=150, track=2)]
    rows += frame_rows([5], x=100, track=2)
    cut(films, out, rows, "--min-frames", "2")
    (dropped,) = read_partition(out / "partition.json").source["dropped"]
    assert dropped["tracklet"] == "anna/rgb/D1-T2"
    assert dropped["reason"] == "1 frame (4 small), at least 2 needed"
    text = (out / "dropped.csv").read_text().splitlines()
    assert text[1].startswith("anna/rgb/D1-T2,a.avi:2,anna,visible,1,1,")
    assert len(list(out.rglob("0-frames.zip"))) == 1


def test_a_trial_run_looks_at_the_videos_and_writes_nothing(films, tmp_path, capsys):
    write_video(films / "a.avi")
    (films / "b.avi").write_bytes(b"no video")
    rows = [*frame_rows([0, 12]), *frame_rows([3], x=150), *box_rows("b.avi")]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *rows)
    before = sorted(tmp_path.rglob("*"))
    assert prepare("--videos", films, "--boxes", boxes, "--dry-run") == 1
    told = capsys.readouterr().out
    assert "a.avi: 160 x 96, 12 frames as it says, 3 boxes, left out: 1 small" in told
    assert "a.avi: says that it has 12 frames, boxes go to frame 12 (first frame 0)" in told
    assert "b.avi: is no video that FFmpeg can read" in told
    assert "2 faults" in told
    assert "visible            1         0         1           2          15" in told
    assert "nothing was written (--dry-run)" in told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_several_processes_give_the_same_files_as_one(films, tmp_path):
    from vcm_tree import contents_of

    rows = []
    for number in range(3):
        write_video(films / f"{number}.avi", ("red", "blue"))
        rows += box_rows(f"{number}.avi", 0) + box_rows(f"{number}.avi", 1, track=2)
    cut(films, tmp_path / "one", rows)
    cut(films, tmp_path / "two", rows, "--workers", "2")
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def noisy_video(path, frames, size=(240, 320)):
    """A video whose crops are large as JPEG."""
    import cv2

    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, size[::-1]
    )
    image = rng.integers(0, 255, (*size, 3), np.uint8)
    for _ in range(frames):
        writer.write(image)
    writer.release()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_people_in_the_picture(films, out):
    films.mkdir()
    noisy_video(films / "a.avi", 30)
    tracks, frames = 60, range(30)
    rows = [row for n in range(tracks) for row in frame_rows(frames, n, n, 200, 150, n)]
    boxes = write_lines(films.parent / "boxes.csv", HEADER, *rows)
    command = ("--videos", films, "--boxes", boxes, "--box-form", "xywh", "--target", out)
    tracemalloc.start()
    try:
        assert prepare(*command) == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sizes = [path.stat().st_size for path in out.rglob("0-frames.zip")]
    assert len(sizes) == tracks
    assert sum(sizes) > 30e6
    assert peak < 4 * max(sizes) + 6e6
    assert peak < sum(sizes) / 3


def test_nothing_is_left_of_the_crops_that_were_put_aside(films, out):
    write_video(films / "a.avi")
    cut(films, out, box_rows("a.avi"))
    assert sorted(p.name for p in (out / ".own").iterdir()) == ["video-00001.jsonl"]


def test_the_colors_of_the_tests_can_be_told_apart():
    names = list(COLORS)
    for name in names:
        image = np.full((30, 30, 3), COLORS[name][::-1], np.uint8)
        assert [other for other in names if is_color(image, other)] == [name]


def test_a_video_of_too_many_pixels_is_refused_before_a_frame_is_decoded(tmp_path, monkeypatch):
    write_video(tmp_path / "a.avi")
    FrameReader(tmp_path / "a.avi")
    monkeypatch.setattr(image_size, "MOST_PIXELS", 100)
    said = r"a\.avi: a frame claims \d+ x \d+ pixels, expected at most 100 in all"
    with pytest.raises(DamagedVideoError, match=said):
        FrameReader(tmp_path / "a.avi")
