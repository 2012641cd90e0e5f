"""The check of published data: every fault, planted one by one, and nothing else is told."""

import pytest
from check_plants import (
    IR,
    QUERY,
    RGB,
    TEST,
    TRAIN_NAMES,
    TRAIN_ROWS,
    Planted,
    append,
    change,
    claims,
    copy,
    in_list,
    move_pid,
    pipe,
    publish,
    publish_beside,
    remove,
    twice_as_tracklet,
    write,
)
from check_trees import encoded, named, picture, results, run_check, sound_raw, texts
from vcm_tree import WALKS, Walk, prepare_tree, shorten

pytestmark = pytest.mark.slow

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
BIG = encoded(picture(900, False, (96, 64)))
ZEROED = BIG[:1500] + bytes(600) + BIG[2100:]
PLANTED = {
    "a missing frame": Planted(
        remove(IR), "files", f"{IR}: listed in train_name.txt, but not there"
    ),
    "a half that is not there": Planted(
        lambda root: (root / "Test").rename(root.parent / "elsewhere"),
        "files",
        "the Test half: none of its 2 identities (0503, 0504, ...) is there",
    ),
    "a cut frame": Planted(change(IR, lambda b: b[:-40]), "images", f"{IR}: cannot be decoded"),
    "a frame without its last byte": Planted(
        change(IR, lambda b: b[:-1]), "images", f"{IR}: cannot be decoded"
    ),
    "a cut frame with an end mark": Planted(
        change(RGB, lambda b: b[:-200] + b"\xff\xd9"), "images", "premature end of data segment"
    ),
    "a lost block": Planted(write(RGB, ZEROED), "images", f"{RGB}: "),
    "a frame of another format": Planted(write(IR, PNG), "images", f"{IR}: not a JPEG file"),
    "a saved error page": Planted(
        write(IR, b"<html>not found"), "images", f"{IR}: not a JPEG file"
    ),
    "a header that claims too much": Planted(
        change(IR, claims(60000, 60000)), "images", "claims 60000 x 60000 pixels"
    ),
    "an empty frame": Planted(write(IR, b""), "empty", f"{IR}: the file is empty"),
    "a pipe": Planted(pipe, "safety", f"{IR}: is no regular file"),
    "an end beyond the names": Planted(
        in_list(TRAIN_ROWS, "45 48", "45 49"), "ranges", "1 <= start <= end <= 48"
    ),
    "a range backwards": Planted(
        in_list(TRAIN_ROWS, "1 4", "4 1"), "ranges", "track_train_info.txt:1: '1 4 1 0001 2'"
    ),
    "a gap": Planted(
        in_list(TRAIN_ROWS, "1 4", "1 3"),
        "ranges",
        "train_name.txt: lines 4 to 4 belong to no row of track_train_info.txt",
    ),
    "rows that are missing at the end": Planted(
        in_list(TRAIN_ROWS, "2 41 44 0003 2\n2 45 48 0003 3\n", ""),
        "ranges",
        "lines 41 to 48 belong to no row",
    ),
    "a row from 0": Planted(
        in_list(TRAIN_ROWS, "1 1 4 0001 2", "1 0 3 0001 2"), "ranges", "expected 1 <= start"
    ),
    "an overlap": Planted(
        append(TRAIN_ROWS, "2 47 48 0003 3\n"),
        "ranges",
        "track_train_info.txt:13: 2 of 2 frames belong to row 12, too",
    ),
    "names of another identity": Planted(
        in_list(TRAIN_ROWS, "1 1 4 0001 2", "1 1 4 0002 2"),
        "names",
        "track_train_info.txt:1: covers 0001M1D2T1F1.jpg of another identity",
    ),
    "names of another camera": Planted(
        in_list(TRAIN_ROWS, "1 1 4 0001 2", "1 1 4 0001 3"), "names", "covers 0001M1D2T1F1.jpg"
    ),
    "names of another modality": Planted(
        in_list(TRAIN_ROWS, "1 1 4 0001 2", "2 1 4 0001 2"), "names", "covers 0001M1D2T1F1.jpg"
    ),
    "an identity in both halves": Planted(
        move_pid,
        "identities",
        "identity 0001: is in track_train_info.txt and in track_test_info.txt",
    ),
    "a visible query": Planted(
        in_list(QUERY, "1 2", "1 2 3"), "queries", "row 3 is visible and listed in query_IDX.txt"
    ),
    "an infrared row in the gallery": Planted(
        in_list(QUERY, "1 2", "1"), "queries", "row 2 is infrared and not listed"
    ),
    "a query twice": Planted(
        in_list(QUERY, "1 2", "1 2 2"), "queries", "query_IDX.txt:1: row 2 is listed a second time"
    ),
    "queries without a match": Planted(
        publish([w for w in WALKS if (w.pid, w.modality, w.camera) != (503, "visible", 3)]),
        "matches",
        "Test/0503/ir/D2-T1: test infrared_to_visible: identity is not in another camera",
        "warning",
    ),
    "only queries without a match": Planted(
        publish([w for w in WALKS if w.half == "Train" or w.camera == 2]),
        "matches",
        "test infrared_to_visible: none of the 2 queries has a match",
    ),
    "a short tracklet": Planted(
        publish(shorten(WALKS, 2, pid=2, camera=3)),
        "lengths",
        "Train/0002/rgb/D3-T8: 2 frames, the protocol needs 3",
        "warning",
    ),
    "a frame twice in a tracklet": Planted(
        copy("Train/0001/rgb/D3/1.jpg", "Train/0001/rgb/D3/11.jpg"),
        "duplicates",
        "Train/0001/rgb/D3-T4 frame 0: is in the same tracklet, too, as frame 2",
        "warning",
    ),
    "a frame in two tracklets": Planted(
        copy("Train/0001/rgb/D2/6.jpg", RGB),
        "duplicates",
        "Train/0001/rgb/D2-T3 frame 1: is in Train/0001/rgb/D3-T4 frame 0, too",
        "warning",
    ),
    "a whole tracklet twice": Planted(
        twice_as_tracklet,
        "duplicates",
        "frame 0, too; all 4 frames are the same, a whole tracklet twice",
        "warning",
    ),
    "a frame of two identities": Planted(
        copy("Train/0002/rgb/D3/1.jpg", RGB),
        "duplicates",
        "Train/0001/rgb/D3-T4 frame 0: is identity 0002 in Train/0002/rgb/D3-T8 frame 0",
    ),
    "a frame of both modalities": Planted(
        copy(IR, RGB), "duplicates", "Train/0001/ir/D2-T1 frame 0: is visible in"
    ),
    "a training frame in the test half": Planted(
        copy(RGB, TEST), "duplicates", "a leak from test to train"
    ),
    "a name twice": Planted(
        in_list(TRAIN_NAMES, "0001M1D2T1F6.jpg", "0001M1D2T1F1.jpg"),
        "duplicates",
        "train_name.txt:2: 0001M1D2T1F1.jpg is listed in line 1, too",
    ),
    "an image in no list": Planted(
        copy(RGB, "Train/0001/rgb/D3/9999.jpg"),
        "stray",
        "Train/0001/rgb/D3/9999.jpg: is in no list",
        "warning",
    ),
    "what systems leave behind": Planted(
        write("Train/0001/rgb/D3/Thumbs.db", b"x"),
        "stray",
        "Train/0001/rgb/D3/Thumbs.db: is no image",
        "warning",
    ),
    "an identity in no list": Planted(
        publish_beside,
        "stray",
        "Train/0077/rgb/D3/1.jpg: is in no list",
        "warning",
    ),
    "a malformed name": Planted(
        in_list(TRAIN_NAMES, "0001M1D2T1F1.jpg", "10001M1D2T1F1.jpg"),
        "lists",
        "train_name.txt:1: '10001M1D2T1F1.jpg', expected a name like",
    ),
    "a malformed row": Planted(
        in_list(TRAIN_ROWS, "1 1 4 0001 2", "1 1 4 0001"),
        "lists",
        "track_train_info.txt:1: '1 1 4 0001', expected modality start end pid camera",
        others=("ranges",),
    ),
    "an unknown modality": Planted(
        in_list(TRAIN_ROWS, "1 1 4 0001 2", "3 1 4 0001 2"),
        "lists",
        "expected modality 1 or 2",
        others=("ranges",),
    ),
    "a query that is no row": Planted(
        in_list(QUERY, "1 2", "1 2 99"),
        "lists",
        "query_IDX.txt:1: '99', expected a row from 1 to 8",
    ),
    "a missing list": Planted(remove(QUERY), "lists", "query_IDX.txt missing beside the other"),
    "a list that is no text": Planted(
        write(QUERY, b"\xff\xfe1\x00"),
        "lists",
        "query_IDX.txt: cannot be read as text",
        others=("matches",),
    ),
    "an empty list": Planted(
        write(QUERY, b"\n"), "empty", "query_IDX.txt: holds no line", others=("matches",)
    ),
    "an infrared frame in color": Planted(
        write(IR, encoded(picture(901, False))),
        "pixels",
        "Train/0001/ir/D2-T1: 1 of 4 infrared frames are in color (25%)",
        "warning",
    ),
    "a gray visible frame": Planted(
        write(RGB, encoded(picture(902, True))),
        "pixels",
        "Train/0001/rgb/D3-T4: 1 of 4 visible frames are gray (25%)",
        "warning",
    ),
    "an identity in one modality": Planted(
        publish([*WALKS, Walk("Train", 9, "visible", 3)]),
        "sides",
        "identity 0009: is seen in train in visible only",
        "warning",
    ),
    "two tracklets in one row": Planted(
        in_list(TRAIN_NAMES, "0001M1D2T1F16.jpg", "0001M1D2T9F16.jpg"),
        "names",
        "track_train_info.txt:1: covers frames of the tracklets 1 and 9",
        "warning",
    ),
}
# What the preparation accepts, because it takes what is right of it, drops it or tells it.
ACCEPTED = {
    "a gap", "rows that are missing at the end", "an overlap", "a lost block", "a name twice",
    "a cut frame with an end mark", "only queries without a match", "a frame of two identities",
    "a frame of both modalities", "a training frame in the test half",
}  # fmt: skip


@pytest.fixture
def raw(tmp_path):
    return sound_raw(tmp_path / "raw")


@pytest.mark.parametrize("layout", ["split", "flat", "beside"])
def test_sound_data_have_neither_faults_nor_warnings(tmp_path, layout):
    data = sound_raw(tmp_path / "raw", layout=layout)
    status, report = run_check(data, "--min-frames", "3")
    assert status == 0
    assert report["result"] == "ok", report["checks"]
    assert report["counts"]["test"]["visible"] == {"identities": 2, "tracklets": 4, "frames": 16}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found_by_its_check_and_by_no_other(raw, planted):
    planted.plant(raw)
    status, report = run_check(raw, "--min-frames", "3")
    assert any(planted.message in text for text in texts(report, planted.check)), report["checks"]
    assert results(report)[planted.check]["result"] == planted.severity
    assert status == (1 if planted.severity == "fault" else 0)
    expected = {planted.check, *planted.others} if planted.severity == "fault" else set()
    assert named(report, "fault") == expected


@pytest.mark.parametrize(
    "planted", [p for n, p in PLANTED.items() if p.severity == "fault" and n not in ACCEPTED],
    ids=[n for n, p in PLANTED.items() if p.severity == "fault" and n not in ACCEPTED],
)  # fmt: skip
def test_what_is_a_fault_here_is_refused_by_the_preparation_too(raw, tmp_path, planted):
    planted.plant(raw)
    if planted.check != "safety":  # it would read from the pipe for ever
        assert prepare_tree(raw, tmp_path / "out") == 1
