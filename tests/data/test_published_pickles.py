"""Tracklet files as OpenGait publishes them: names after the folder, every shape, measured."""

import os
import pickle

import numpy as np
import pytest

from opengait_ext.data.layout import (
    LayoutError,
    count_frames,
    read_array,
    read_frames,
    write_tracklet,
    write_tracklet_array,
)
from opengait_ext.data.pack import measure_array
from opengait_ext.unpickle import NUMPY, Machine, Source


def frames_of(count=3):
    return np.arange(count * 3 * 4 * 2, dtype=np.uint8).reshape(count, 3, 4, 2)


class Hostile:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((5, 3, 4, 2), lambda s, c, y, x: (s, c, y, x)),
        ((5, 4, 2, 3), lambda s, c, y, x: (s, y, x, c)),
        ((5, 1, 4, 2), lambda s, c, y, x: (s, c, y, x)),
        ((5, 4, 2), lambda s, c, y, x: (s, y, x)),
    ],
)
def test_every_published_shape_is_read_as_frames_channels_height_width(tmp_path, shape, place):
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    write_tracklet_array(tmp_path, values)
    found = read_array(tmp_path / "0-frames.pkl")
    assert found.shape == (5, 3 if 3 in shape else 1, 4, 2)
    for index in np.ndindex(found.shape):
        assert found[index] == values[place(*index)]
    (frame,) = read_frames(tmp_path, [4])
    np.testing.assert_array_equal(frame, found[4])


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("shape", [(3, 4, 2), (90, 3, 128, 64), (300, 64, 64), (9, 200, 300, 3)])
def test_the_shape_of_an_array_is_measured_without_its_values(tmp_path, protocol, shape):
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path / "a.pkl"
    for frames in (values, np.asfortranarray(values)):
        path.write_bytes(pickle.dumps(frames, protocol=protocol))
        assert measure_array(path) == read_array(path).shape
        whole = path.read_bytes()
        for kept in (0, 40, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:kept])
            with pytest.raises(LayoutError, match=r"a\.pkl: damaged"):
                measure_array(path)


def test_measuring_reads_little_of_a_large_file(tmp_path):
    path = tmp_path / "a.pkl"
    for protocol in (3, 4, 5):
        path.write_bytes(pickle.dumps(np.zeros((200, 3, 128, 64), np.uint8), protocol))
        read = []

        class Counting:
            def __init__(self, file, read=read):
                self.file, self.readline, self.seek = file, file.readline, file.seek
                self.read = lambda count: read.append(count) or file.read(count)

        with path.open("rb") as file:
            source = Source(Counting(file), path.stat().st_size, skip=True)
            assert Machine(source, NUMPY).load().shape == (200, 3, 128, 64)
        assert sum(read) < 20_000
        assert measure_array(path) == (200, 3, 128, 64)


def test_measuring_refuses_code_as_reading_does(tmp_path):
    marker = tmp_path / "it ran"
    content = [np.zeros((90, 3, 128, 64), np.uint8), Hostile((os.mkdir, (str(marker),)))]
    for kept in (content, content[::-1]):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(kept))
        with pytest.raises(LayoutError, match=r"a\.pkl: refused, nothing was run"):
            measure_array(tmp_path / "a.pkl")
        assert not marker.exists()


def test_a_shape_with_three_rows_and_three_columns_counts_as_channels_first(tmp_path):
    values = np.arange(2 * 3 * 9 * 3, dtype=np.uint8).reshape(2, 3, 9, 3)
    write_tracklet_array(tmp_path, values)
    np.testing.assert_array_equal(read_array(tmp_path / "0-frames.pkl"), values)


def test_a_stream_may_be_named_after_the_folder_or_in_part(tmp_path):
    folder = tmp_path / "01_a"
    write_tracklet_array(folder, frames_of(), stream="01_a-aligned-rgbs")
    write_tracklet_array(folder, frames_of(2), stream="05-01_a-Camera-RGB_raw")
    (folder / ".05-hidden.pkl").write_bytes(b"")
    (folder / "05-notes.txt").write_bytes(b"")
    for stream, frames in (("{view}-aligned-rgbs", 3), ("05-*", 2), ("*-aligned-rgbs", 3)):
        assert count_frames(folder, stream) == frames
        (frame,) = read_frames(folder, [1], stream)
        np.testing.assert_array_equal(frame, frames_of()[1])


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        ("*", r"expected one file \*\.pkl or \.zip, found a-rgbs, b\.c-rgbs \(there are: "),
        (
            "b.?-*",
            r"expected one file b\.\?-\*\.pkl or \.zip, found none \(there are: a-rgbs\.pkl, ",
        ),
    ],
)
def test_a_stream_that_fits_no_file_or_two_is_refused(tmp_path, stream, reason):
    write_tracklet_array(tmp_path, frames_of(), stream="a-rgbs")
    write_tracklet(tmp_path, [b"first"], stream="b.c-rgbs")
    for read in (count_frames, lambda folder, stream: read_frames(folder, [0], stream)):
        with pytest.raises(LayoutError, match=reason):
            read(tmp_path, stream)


def test_a_stream_that_is_not_there_is_told_with_those_that_are(tmp_path):
    write_tracklet_array(tmp_path, frames_of(), stream="01_a-aligned-rgbs")
    reason = r"nor 0-frames\.pkl is there; but 01_a-aligned-rgbs\.pkl: name one as data_cfg\.stream"
    for read in (count_frames, lambda folder: read_frames(folder, [0])):
        with pytest.raises(LayoutError, match=reason):
            read(tmp_path)


def test_a_folder_that_is_gone_has_no_stream(tmp_path):
    with pytest.raises(
        LayoutError, match=r"gone: expected one file 05-\*\..*\(there are: no files"
    ):
        read_frames(tmp_path / "gone", [0], "05-*")
