"""Tracklet files: what is written is read back, what is damaged is named, and nothing is run."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from opengait_ext.data.layout import (
    LayoutError,
    atomic_write,
    count_frames,
    read_array,
    read_frames,
    write_tracklet,
    write_tracklet_array,
)

IMAGES = [b"first", b"second", b"third"]


def frames_of(count=3):
    return np.arange(count * 3 * 4 * 2, dtype=np.uint8).reshape(count, 3, 4, 2)


def test_packed_images_come_back_unchanged_in_the_order_asked_for(tmp_path):
    write_tracklet(tmp_path / "a" / "b", IMAGES)
    assert read_frames(tmp_path / "a" / "b", [2, 0, 2]) == [b"third", b"first", b"third"]
    assert count_frames(tmp_path / "a" / "b") == 3
    with zipfile.ZipFile(tmp_path / "a" / "b" / "0-frames.zip") as archive:
        assert archive.namelist() == ["000000.jpg", "000001.jpg", "000002.jpg"]
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_same_images_give_the_same_file(tmp_path):
    for folder in ("a", "b"):
        write_tracklet(tmp_path / folder, IMAGES)
    contents = [(tmp_path / folder / "0-frames.zip").read_bytes() for folder in ("a", "b")]
    assert contents[0] == contents[1]


def test_an_array_comes_back_frame_by_frame(tmp_path):
    write_tracklet_array(tmp_path, frames_of())
    for frame, expected in zip(read_frames(tmp_path, [2, 1]), frames_of()[[2, 1]], strict=True):
        np.testing.assert_array_equal(frame, expected)
    assert count_frames(tmp_path) == 3


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_pickle_protocol_are_read_and_writable(tmp_path, protocol):
    for frames in (frames_of(), np.asfortranarray(frames_of())):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(frames, protocol=protocol))
        found = read_array(tmp_path / "a.pkl")
        np.testing.assert_array_equal(found, frames)
        assert found.flags.writeable


def test_arrays_of_numpy_1_are_read(tmp_path):
    content = pickle.dumps(frames_of(), protocol=2)
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (tmp_path / "a.pkl").write_bytes(old)
    np.testing.assert_array_equal(read_array(tmp_path / "a.pkl"), frames_of())


class Hostile:
    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_tracklet_file_that_carries_code_does_not_run_it(tmp_path, protocol):
    marker = tmp_path / "it ran"
    for call in (
        (os.system, (f"touch '{marker}'",)),
        (eval, (f"open({str(marker)!r}, 'w')",)),
        (os.mkdir, (str(marker),)),
    ):
        content = pickle.dumps([frames_of(), Hostile(call)], protocol=protocol)
        (tmp_path / "0-frames.pkl").write_bytes(content)
        with pytest.raises(LayoutError, match=r"0-frames\.pkl: refused, nothing was run") as error:
            read_frames(tmp_path, [0])
        assert call[0].__name__ in str(error.value)
        assert not marker.exists()


def test_bytes_in_another_encoding_are_refused(tmp_path):
    content = pickle.dumps(frames_of(), protocol=2).replace(b"latin1", b"zlib_1")
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(LayoutError, match=r"a\.pkl: damaged .*unexpected encoding 'zlib_1'"):
        read_array(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged .it ends early"),
        (pickle.dumps(frames_of())[:60], "damaged .it ends early"),
        (b"\xff\xd8 no pickle", r"damaged .b'\\xff' is no instruction"),
        (pickle.dumps([1, 2]), r"holds list, not an array \[s, 3, h, w\]"),
        (pickle.dumps(np.zeros((4, 4), np.uint8)), r"holds uint8 \[4, 4\], not uint8"),
        (pickle.dumps(np.zeros((2, 2, 4, 4), np.uint8)), r"holds uint8 \[2, 2, 4, 4\], not uint8"),
        (pickle.dumps(np.zeros((2, 4, 4, 1), np.uint8)), r"holds uint8 \[2, 4, 4, 1\], not uint8"),
        (pickle.dumps(np.zeros((2, 4, 4))), r"holds float64 \[2, 4, 4\], not uint8"),
        (pickle.dumps(np.zeros((2, 3, 4, 4))), r"holds float64 \[2, 3, 4, 4\], not uint8"),
        (pickle.dumps(np.zeros((0, 3, 4, 4), np.uint8)), r"holds uint8 \[0, 3, 4, 4\]"),
    ],
)
def test_a_damaged_pickle_is_named(tmp_path, content, reason):
    (tmp_path / "0-frames.pkl").write_bytes(content)
    for read in (count_frames, lambda folder: read_frames(folder, [0])):
        with pytest.raises(LayoutError, match=rf"0-frames\.pkl: {reason}"):
            read(tmp_path)


def test_a_missing_tracklet_is_named(tmp_path):
    for read in (count_frames, lambda folder: read_frames(folder, [0])):
        with pytest.raises(LayoutError, match=r"gone: neither 0-frames\.zip nor 0-frames\.pkl"):
            read(tmp_path / "gone")


def test_a_flipped_bit_in_a_packed_image_is_found_and_named(tmp_path):
    write_tracklet(tmp_path, IMAGES)
    path = tmp_path / "0-frames.zip"
    path.write_bytes(path.read_bytes().replace(b"second", b"secOnd"))
    assert read_frames(tmp_path, [0, 2]) == [b"first", b"third"]
    with pytest.raises(LayoutError, match=r"0-frames\.zip: damaged .*CRC.*prepare the data again"):
        read_frames(tmp_path, [1])


@pytest.mark.parametrize("length", [0, 10, -10])
def test_a_truncated_or_empty_packed_file_is_named(tmp_path, length):
    write_tracklet(tmp_path, IMAGES)
    path = tmp_path / "0-frames.zip"
    path.write_bytes(path.read_bytes()[:length])
    for read in (count_frames, lambda folder: read_frames(folder, [0])):
        with pytest.raises(LayoutError, match=r"0-frames\.zip: damaged"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("members", "compression", "reason"),
    [
        ([], zipfile.ZIP_STORED, "holds no frame"),
        (["000000.jpg", "000002.jpg"], zipfile.ZIP_STORED, "member '000002.jpg' stands where"),
        (["../../000000.py"], zipfile.ZIP_DEFLATED, "member '../../000000.py' stands where"),
    ],
)
def test_a_foreign_zip_is_refused(tmp_path, members, compression, reason):
    with zipfile.ZipFile(tmp_path / "0-frames.zip", "w", compression) as archive:
        for member in members:
            archive.writestr(member, b"content")
    for read in (count_frames, lambda folder: read_frames(folder, [0])):
        with pytest.raises(LayoutError, match=reason):
            read(tmp_path)


@pytest.mark.parametrize("index", [3, -1])
def test_a_frame_that_does_not_exist_is_told_with_the_length(tmp_path, index):
    write_tracklet(tmp_path / "packed", IMAGES)
    write_tracklet_array(tmp_path / "array", frames_of())
    for folder in ("packed", "array"):
        with pytest.raises(LayoutError, match=rf"has 3 frames, frame {index} \(from 0\)"):
            read_frames(tmp_path / folder, [0, index])


def test_an_empty_tracklet_is_not_written(tmp_path):
    for images in ([], [b"first", b""]):
        with pytest.raises(LayoutError, match="at least one image, and none may be empty"):
            write_tracklet(tmp_path / "a", images)
    with pytest.raises(LayoutError, match=r"a: holds float64 \[3, 3, 4, 2\], not uint8"):
        write_tracklet_array(tmp_path / "a", frames_of().astype(float))
    assert not (tmp_path / "a").exists()


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_tracklet(tmp_path, IMAGES)

    def full(number):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: write_tracklet(tmp_path, [b"new"]),
        lambda: atomic_write(tmp_path / "0-frames.zip", b"new"),
    ):
        with pytest.raises(OSError, match="no space left"):
            write()
    assert read_frames(tmp_path, range(3)) == IMAGES
    assert [path.name for path in tmp_path.iterdir()] == ["0-frames.zip"]
