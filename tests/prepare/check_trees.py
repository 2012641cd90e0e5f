"""Tiny data for the check, sound as they are: raw as HITSZ-VCM, prepared, and what it says."""

import atexit
import functools
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
from vcm_tree import WALKS, age, prepare_tree, write_vcm_tree

SIZE = (32, 16)
A = "0001/rgb/D3-T4"


def picture(seed, gray, size=SIZE):
    """A picture that no other seed gives, with much detail."""
    shape = (*size, 1) if gray else (*size, 3)
    image = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return np.repeat(image, 3, axis=2) if gray else image


def encoded(image, quality=92):
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def paint(root, size=SIZE):
    """Gives every image of a tree a content of its own: infrared gray, visible in color."""
    for seed, path in enumerate(sorted(root.rglob("*.jpg"))):
        path.write_bytes(encoded(picture(seed, "ir" in map(str.lower, path.parts), size)))
    age(root)


def sound_raw(root, walks=WALKS, layout="split", size=SIZE):
    """Published data without a fault, tracklets of four frames."""
    if (walks, layout, size) != (WALKS, "split", SIZE) or root.exists():
        write_vcm_tree(root, walks, layout)
        paint(root, size)
    else:
        shutil.copytree(_made("raw"), root)
    return root


def sound_prepared(root, form="packed"):
    """Prepared data without a fault."""
    shutil.copytree(_made(form), root)
    return root


@functools.cache
def _made(what):
    """Makes data once, of which every test gets a copy."""
    home = tempfile.TemporaryDirectory()
    atexit.register(home.cleanup)
    raw, prepared = Path(home.name, "raw"), Path(home.name, "prepared")
    write_vcm_tree(raw)
    paint(raw)
    if what == "raw":
        return raw
    options = ["--form", what, "--height", "32", "--width", "16"]
    assert prepare_tree(raw, prepared, *options) == 0
    return prepared


def run_check(data, *options, report=None):
    """Runs the script in this process; gives exit status and report."""
    from opengait_ext.prepare.check import run as check

    report = report or data.parent / "report.json"
    command = [str(data), "--report", str(report), "--workers", "1", *options]
    status = check.main(command)
    return status, json.loads(report.read_text())


def results(report):
    """Gives the result of every check by its name."""
    return {entry["name"]: entry for entry in report["checks"]}


def named(report, severity):
    """Gives the names of the checks that found something as bad."""
    return {e["name"] for e in report["checks"] if e[f"{severity}s"]}


def texts(report, name):
    """Gives the examples of a check as lines."""
    return [f"{e['place']}: {e['text']}" for e in results(report)[name]["examples"]]


def edit_partition(root, change):
    """Lets a function change the content of partition.json."""
    path = root / "partition.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))


def repack(path, change):
    """Writes an archive anew, with the list of its members (name, content) changed."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in change(members) or members:
            archive.writestr(zipfile.ZipInfo(name), content)


def check_planted(tmp_path, monkeypatch, planted, form):
    """Plants a fault in sound prepared data; the check must tell it, and no other one."""
    monkeypatch.chdir(tmp_path)
    data = sound_prepared(tmp_path / "data", form)
    planted.plant(data)
    status, report = run_check(data)
    assert any(planted.message in text for text in texts(report, planted.check)), report["checks"]
    assert results(report)[planted.check]["result"] == planted.severity
    assert status == (1 if planted.severity == "fault" else 0)
    expected = {planted.check, *planted.others} if planted.severity == "fault" else set()
    assert named(report, "fault") == expected
    assert not (tmp_path / "run-by-the-check").exists()


def check_alone(*command):
    """Runs the script with no more than what it names."""
    from opengait_ext.prepare.check import run as check

    return check.main([*map(str, command), "--workers", "1"])


def cut_frame(root, number=0):
    name = f"{number:06d}.jpg"
    repack(
        root / A / "0-frames.zip", lambda all: [(n, c[:-40] if n == name else c) for n, c in all]
    )
