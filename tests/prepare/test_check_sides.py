"""What a check says of recordings of one modality, of people whom nobody knows, of empty frames."""

import json
import zlib

import cv2
import numpy as np
import pytest
from own_recordings import encoded, prepare

from opengait_ext.prepare.check.run import main as check


def write(root, pid, word, walk="1", low=0, high=255):
    """Three frames with something in them, of another content in each walk."""
    folder = root / pid / word / f"cam{1 if word == 'rgb' else 2}" / walk
    folder.mkdir(parents=True)
    rng = np.random.default_rng(zlib.crc32(f"{pid} {word} {walk}".encode()))
    for number in range(3):
        noise = rng.integers(0, 255, (48, 24, 3 if word == "rgb" else 1), np.uint8)
        image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, low, high, cv2.NORM_MINMAX)
        (folder / f"{number}.jpg").write_bytes(encoded(image))


def checks_of(tmp_path, *options):
    target, report = tmp_path / "own", tmp_path / "report.json"
    assert prepare("--source", tmp_path / "people", "--target", target, *options) == 0
    assert check([str(target), "--workers", "1", "--report", str(report)]) == 0
    return {each["name"]: each for each in json.loads(report.read_text())["checks"]}


@pytest.mark.parametrize("word", ["rgb", "ir"])
def test_data_of_one_modality_are_one_line(tmp_path, word):
    for number in range(19):
        write(tmp_path / "people", f"p{number}", word)
    found = checks_of(tmp_path)["sides"]
    modality = {"rgb": "visible", "ir": "infrared"}[word]
    assert found["warnings"] == 1
    (example,) = found["examples"]
    assert example["text"].startswith(f"all are {modality}: ")


def test_people_whom_nobody_knows_are_one_line(tmp_path):
    for number in range(10):
        write(tmp_path / "people", "unknown", "rgb", str(number))
        write(tmp_path / "people", "unknown", "ir", str(number))
    for word in ("rgb", "ir"):
        write(tmp_path / "people", "anna", word)
    found = checks_of(tmp_path)["sides"]
    assert found["warnings"] == 1
    (example,) = found["examples"]
    assert example["place"] == "20 tracklets"


def test_known_people_of_one_side_are_still_named(tmp_path):
    write(tmp_path / "people", "anna", "rgb")
    write(tmp_path / "people", "ben", "ir")
    write(tmp_path / "people", "ben", "rgb")
    found = checks_of(tmp_path, "--camera-rule", "none")["sides"]
    assert [each["place"] for each in found["examples"]] == ["identity anna"]


def test_tracklets_without_contrast_are_named(tmp_path):
    write(tmp_path / "people", "anna", "ir", "sound")
    write(tmp_path / "people", "anna", "ir", "cut", 113, 120)
    write(tmp_path / "people", "anna", "rgb")
    found = checks_of(tmp_path, "--camera-rule", "none")["contrast"]
    assert found["warnings"] == 1
    (example,) = found["examples"]
    assert example["text"] == "3 of 3 frames have fewer than 10 levels; were 16 bits cut to 8?"


def test_one_tracklet_twice_is_no_fault_where_nobody_knows_the_people(tmp_path):
    write(tmp_path / "people", "anna", "rgb")
    for walk in ("1", "2"):
        write(tmp_path / "people", "unknown", "ir", walk)
    first, second = sorted((tmp_path / "people" / "unknown" / "ir" / "cam2").iterdir())
    for path in first.iterdir():
        (second / path.name).write_bytes(path.read_bytes())
    found = checks_of(tmp_path, "--camera-rule", "none")["duplicates"]
    assert (found["faults"], found["warnings"]) == (0, 1)
