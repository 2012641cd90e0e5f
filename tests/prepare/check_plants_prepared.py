"""Faults to plant in prepared data."""

import os
import pickle
import zipfile

import numpy as np
from check_trees import A, edit_partition, encoded, picture, repack

from opengait_ext.data.layout import read_frames, write_tracklet, write_tracklet_array

B = "0001/ir/D2-T1"
TEST = "0503/rgb/D3-T4"


def file_of(root, path):
    return next(file for file in (root / path).iterdir() if file.name.startswith("0-frames."))


def container(function, path=A):
    """Changes the bytes of a tracklet's file."""

    def plant(root):
        file = file_of(root, path)
        file.write_bytes(function(file.read_bytes()))

    return plant


def members(function, path=A):
    return lambda root: repack(root / path / "0-frames.zip", function)


def entry(path=A, **fields):
    """Changes fields of a tracklet in partition.json."""

    def change(content):
        for tracklet in content["tracklets"]:
            if tracklet["path"] == path:
                tracklet.update(fields)

    return lambda root: edit_partition(root, change)


def partition(change):
    return lambda root: edit_partition(root, change)


def place(content, path):
    return [tracklet["path"] for tracklet in content["tracklets"]].index(path)


def frames_of(root, path):
    return read_frames(root / path, range(4))


def write_frames(root, path, frames):
    file_of(root, path).unlink()
    if isinstance(frames[0], bytes):
        write_tracklet(root / path, frames)
    else:
        write_tracklet_array(root / path, np.stack(frames))


def share(source, target, positions=(0,)):
    """Puts frames of a tracklet into another one."""

    def plant(root):
        taken, frames = frames_of(root, source), frames_of(root, target)
        for position in positions:
            frames[position] = taken[position]
        write_frames(root, target, frames)

    return plant


def recolor(path, gray):
    """Gives the first frame of a tracklet other colors."""

    def plant(root):
        frames = frames_of(root, path)
        image = picture(950, gray)
        is_encoded = isinstance(frames[0], bytes)
        frames[0] = encoded(image) if is_encoded else image.transpose(2, 0, 1)
        write_frames(root, path, frames)

    return plant


def drop_sides(content):
    """Leaves the visible camera 3 out of the test gallery."""
    gallery = content["tasks"]["test"]["infrared_to_visible"]["gallery"]
    gallery.remove(place(content, TEST))


def swap_query(content):
    content["tasks"]["test"]["infrared_to_visible"]["query"].append(place(content, TEST))


def other_split(content):
    content["tracklets"][place(content, A)]["split"] = "test"


class Code:
    def __reduce__(self):
        return os.system, ("touch run-by-the-check",)


def compress(root):
    path = root / A / "0-frames.zip"
    with zipfile.ZipFile(path) as archive:
        names = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names:
            archive.writestr(name, content + bytes(10_000_000))


def claim(size):
    """Lets the archive's directory claim another size of the first member, on both sides."""

    def changed(content):
        start = content.index(b"PK\x01\x02")
        number = size.to_bytes(4, "little")
        return content[: start + 20] + number * 2 + content[start + 28 :]

    return changed


def encrypt(content):
    start = content.index(b"PK\x01\x02")
    return content[: start + 8] + b"\x01" + content[start + 9 :]


def huge_array(_):
    class Claimed:
        def __reduce__(self):
            return np.ndarray, ((1 << 20, 3, 32, 16), np.dtype(np.uint8))

    return pickle.dumps(Claimed())


def flip(content):
    """Turns one bit of the first image, which its CRC notices."""
    place = content.index(b"\xff\xda") + 100
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def pipe(root):
    file = file_of(root, A)
    file.unlink()
    os.mkfifo(file)


def link_away(root):
    (root / "other").mkdir()
    (root / "other" / "x.txt").write_text("x")
    (root / "other" / "circle").symlink_to(root / "other", target_is_directory=True)
