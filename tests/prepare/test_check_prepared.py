"""The check of prepared data, both forms: faults of what is there and how it belongs together."""

import pickle

import numpy as np
import pytest
from check_plants import Planted
from check_plants_prepared import (
    TEST,
    B,
    container,
    drop_sides,
    entry,
    file_of,
    flip,
    link_away,
    members,
    other_split,
    partition,
    share,
    swap_query,
)
from check_trees import A, check_planted, run_check, sound_prepared

from opengait_ext.data.layout import write_tracklet

PLANTED = {
    "a missing file": Planted(
        lambda root: file_of(root, A).unlink(), "files", f"{A}: neither 0-frames.zip nor 0-frames"
    ),
    "a missing folder": Planted(
        lambda root: (root / "0001").rename(root.parent / "gone"), "files", f"{A}: neither "
    ),
    "a cut file": Planted(container(lambda b: b[:-300]), "images", f"{A}/0-frames."),
    "a cut frame": Planted(
        members(lambda all: [(n, c[:-40]) for n, c in all]),
        "images",
        f"{A}/0-frames.zip, 000000.jpg: cannot be decoded",
        forms=("packed",),
    ),
    "a turned bit": Planted(
        container(flip),
        "images",
        "000000.jpg: damaged in the archive (Bad CRC-32",
        forms=("packed",),
    ),
    "an array of another shape": Planted(
        lambda root: file_of(root, A).write_bytes(pickle.dumps(np.zeros((4, 32, 16, 3), np.uint8))),
        "images",
        "holds uint8 [4, 32, 16, 3], not uint8 [s, 3, h, w]",
        forms=("opengait",),
    ),
    "other frames than listed": Planted(
        entry(frames=5), "ranges", f"{A}: holds 4 frames, partition.json says 5"
    ),
    "another camera": Planted(entry(camid=5), "names", f"{A}: partition.json says camera 5"),
    "another identity": Planted(
        entry(pid="0002"), "names", f"{A}: partition.json says identity '0002' and visible"
    ),
    "another modality": Planted(
        entry(modality="infrared"),
        "names",
        "and infrared, expected 0001/ir/...",
    ),  # fmt: skip
    "an identity in two splits": Planted(
        partition(other_split), "identities", "identity 0001: is in train"
    ),
    "another list for OpenGait": Planted(
        partition(lambda content: content["TRAIN_SET"].append("0503")),
        "identities",
        "partition.json, TRAIN_SET: identity '0503' is in TRAIN_SET only",
    ),
    "a visible query": Planted(
        partition(swap_query), "queries", f"{TEST}: visible of test in the query of test infrared"
    ),
    "queries without a match": Planted(
        partition(drop_sides),
        "matches",
        "0503/ir/D2-T1: test infrared_to_visible: identity is not in another camera",
        "warning",
    ),
    "a gallery without tracklets": Planted(
        partition(lambda c: c["tasks"]["test"]["visible_to_infrared"].update(gallery=[])),
        "matches",
        "test visible_to_infrared, gallery: holds no tracklet",
    ),
    "a tracklet below the protocol": Planted(
        partition(lambda content: content["protocol"].update(min_frames=5)),
        "lengths",
        "4 frames, the protocol needs 5",
    ),
    "a frame in two tracklets": Planted(
        share("0001/rgb/D2-T3", A), "duplicates", f"frame 0: is in {A} frame 0, too", "warning"
    ),
    "a whole tracklet twice": Planted(
        share("0001/rgb/D2-T3", A, range(4)), "duplicates", "a whole tracklet twice", "warning"
    ),
    "a frame of two identities": Planted(
        share("0002/rgb/D3-T8", A), "duplicates", "is identity 0002 in 0002/rgb/D3-T8 frame 0"
    ),
    "a frame of both modalities": Planted(share(B, A), "duplicates", "is visible in"),
    "a training frame in the test": Planted(
        share(A, TEST), "duplicates", f"{A} frame 0: is in {TEST} frame 0 of test, too: a leak"
    ),
    "a file of a stopped preparation": Planted(
        lambda root: (root / A / ".0-frames.zip.7.tmp").write_bytes(b"x"),
        "stray",
        f"{A}/.0-frames.zip.7.tmp: is left of a preparation that was stopped",
        "warning",
    ),
    "a tracklet that is not listed": Planted(
        lambda root: write_tracklet(root / "0099/rgb/D3-T1", [b"x"]),
        "stray",
        "0099/rgb/D3-T1/0-frames.zip: is a tracklet that partition.json does not list",
        "warning",
    ),
    "both forms in one folder": Planted(
        lambda root: (root / A / "0-frames.pkl").write_bytes(b"x"),
        "stray",
        f"{A}: holds 0-frames.zip and 0-frames.pkl; the first is read",
        "warning",
        forms=("packed",),
    ),
    "a circle of links": Planted(link_away, "stray", "other/circle/x.txt: belongs to", "warning"),
    "a name that a terminal would obey": Planted(
        lambda root: (root / "\x1b[2J").write_bytes(b""), "stray", "\\x1b[2J: belongs to", "warning"
    ),
}
CASES = [(name, form) for name, planted in PLANTED.items() for form in planted.forms]


@pytest.fixture(params=["packed", "opengait"])
def any_form(request, tmp_path):
    return sound_prepared(tmp_path / "data", request.param)


@pytest.mark.slow
def test_sound_data_have_neither_faults_nor_warnings(any_form):
    status, report = run_check(any_form)
    assert status == 0
    assert report["result"] == "ok", report["checks"]
    assert report["counts"]["test"]["visible"] == {"identities": 2, "tracklets": 4, "frames": 16}


@pytest.mark.parametrize(("name", "form"), CASES, ids=[f"{n}, {f}" for n, f in CASES])
def test_a_planted_fault_is_found_by_its_check_and_by_no_other(tmp_path, monkeypatch, name, form):
    check_planted(tmp_path, monkeypatch, PLANTED[name], form)
