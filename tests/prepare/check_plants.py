"""Faults to plant in published data, and what the check must say to each."""

import os
from collections.abc import Callable
from typing import NamedTuple

from check_trees import sound_raw
from vcm_tree import edit

IR = "Train/0001/ir/D2/1.jpg"
RGB = "Train/0001/rgb/D3/1.jpg"
TEST = "Test/0503/rgb/D3/1.jpg"
TRAIN_ROWS, TEST_ROWS = "info/track_train_info.txt", "info/track_test_info.txt"
TRAIN_NAMES, QUERY = "info/train_name.txt", "info/query_IDX.txt"


class Planted(NamedTuple):
    plant: Callable
    check: str
    message: str
    severity: str = "fault"
    others: tuple[str, ...] = ()  # what follows from it
    forms: tuple[str, ...] = ("packed", "opengait")  # of prepared data


def write(name, content):
    return lambda root: (root / name).write_bytes(content)


def copy(source, target):
    return lambda root: (root / target).write_bytes((root / source).read_bytes())


def change(name, function):
    return lambda root: (root / name).write_bytes(function((root / name).read_bytes()))


def in_list(name, old, new):
    return lambda root: edit(root / name, old, new)


def remove(name):
    return lambda root: (root / name).unlink()


def append(name, text):
    return lambda root: (root / name).write_text((root / name).read_text() + text)


def publish(walks):
    """Publishes other tracklets in place of these."""

    def plant(root):
        for path in root.rglob("*.jpg"):
            path.unlink()
        sound_raw(root, walks)

    return plant


def claims(width, height):
    def resized(image):
        start = image.index(b"\xff\xc0") + 5
        size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        return image[:start] + size + image[start + 4 :]

    return resized


def twice_as_tracklet(root):
    for frame in (1, 6, 11, 16):
        copy(f"Train/0001/rgb/D2/{frame}.jpg", f"Train/0001/rgb/D3/{frame}.jpg")(root)


def pipe(root):
    (root / IR).unlink()
    os.mkfifo(root / IR)


def publish_beside(root):
    (root / "Train" / "0077" / "rgb" / "D3").mkdir(parents=True)
    copy(RGB, "Train/0077/rgb/D3/1.jpg")(root)


def move_pid(root):
    """The list of the test half names an identity of the training half, files and all."""
    for name in ("info/test_name.txt", TEST_ROWS):
        (root / name).write_text((root / name).read_text().replace("0503", "0001"))
    for path in sorted((root / "Test" / "0503").rglob("*.jpg")):
        target = root / "Test" / "0001" / path.relative_to(root / "Test" / "0503")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
