"""Words for nobody in folders, lists and boxes; pids that are written in two ways."""

import pytest
from own_recordings import (
    HEADER,
    box_rows,
    prepare,
    write_images,
    write_lines,
    write_tree,
    write_video,
)

from opengait_ext.data.layout import DIRECTIONS, read_partition
from opengait_ext.data.words import is_missing, is_nobody, modality_of

NOBODY = ("-1", "-1.0", "nan", "NaN", "None", "NULL", "na", "N/A", "<NA>", "", " ", "Unknown")


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "people"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def known_in(partition):
    """Pids of all tracklets that are not of people without one."""
    return [t.pid for t in partition.tracklets if not t.pid.startswith("unknown-")]


def scored_in(partition):
    """Pids of all that query or stand in a gallery of the test."""
    tasks = partition.tasks["test"]
    positions = {p for d in DIRECTIONS for p in (*tasks[d].query, *tasks[d].gallery)}
    return {partition.tracklets[position].pid for position in positions}


@pytest.mark.parametrize("word", NOBODY)
def test_words_for_nobody_are_known_in_any_case(word):
    assert is_nobody(word)


@pytest.mark.parametrize("word", ["0", "1", "-2", "nana", "anna", "n", "none of them"])
def test_other_words_are_somebody(word):
    assert not is_nobody(word)


def test_a_camera_may_be_called_unknown_but_not_nan():
    assert is_missing("NaN")
    assert not is_missing("unknown")


@pytest.mark.parametrize(
    ("word", "modality"),
    [("RGB", "visible"), (" vis ", "visible"), ("Thermal", "infrared"), ("IR", "infrared")],
)
def test_the_modalities_have_one_vocabulary(word, modality):
    assert modality_of(word) == modality
    assert modality_of("uv") is None


def test_folders_named_as_nobody_are_embedded_and_never_merged(raw, out, capsys):
    write_tree(raw)
    for word in ("nan", "None", "-1"):
        write_images(raw / word / "rgb" / "cam1" / "a")
        write_images(raw / word / "ir" / "cam2" / "a")
    assert prepare("--source", raw, "--target", out) == 0
    partition = read_partition(out / "partition.json")
    assert set(known_in(partition)) == {"anna", "ben"} == scored_in(partition)
    others = [t.pid for t in partition.tracklets if t.pid.startswith("unknown-")]
    assert len(others) == len(set(others)) == 6
    told = capsys.readouterr().out
    assert all(f"'{word}' (2)" in told for word in ("-1", "None", "nan"))
    assert "pids that mean nobody: " in told
    assert "6 recordings; they can be embedded and searched, and are neither trained on" in told
    assert "6 tracklets are of people without a pid" in told


def test_nobody_in_a_list_is_never_trained_on(raw, out):
    write_tree(raw)
    for word in ("x", "y"):
        write_images(raw / word / "rgb")
        write_images(raw / word / "ir")
    rows = []
    for word, camera in (("rgb", 1), ("ir", 2)):
        rows += [f"{pid}/{word}/cam{camera}/a,{pid},{camera},{word}" for pid in ("anna", "ben")]
        rows += [f"x/{word},n/a,{camera},{word}", f"y/{word},NULL,{camera},{word}"]
    table = write_lines(raw.parent / "list.csv", "folder,pid,camera,modality", *rows)
    command = ("--source", raw, "--tracklets", table, "--target", out, "--split", "train")
    assert prepare(*command) == 0
    partition = read_partition(out / "partition.json")
    assert set(known_in(partition)) == {"anna", "ben"}
    assert len(partition.tracklets) == 4
    assert [d["reason"] for d in partition.source["dropped"]] == [
        "nobody known, training needs a pid"
    ] * 4


def test_nobody_in_boxes_is_one_person_a_track(raw, out, capsys):
    write_video(raw / "a.avi", ("red", "green"))
    rows = [*box_rows("a.avi", 0, track=1, about=("nan", "1", "rgb"))]
    rows += box_rows("a.avi", 1, range(6), 2, ("-1", "1", "rgb"))
    rows += box_rows("a.avi", 1, range(6, 12), 2, ("", "1", "rgb"))  # the same track
    boxes = write_lines(raw.parent / "boxes.csv", HEADER, *rows)
    assert prepare("--videos", raw, "--boxes", boxes, "--target", out) == 0
    assert [t.frames for t in read_partition(out / "partition.json").tracklets] == [12, 12]
    told = capsys.readouterr().out
    assert "pids that mean nobody: 'nan' (1), '-1' (1), 2 recordings" in told


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.avi,0,1,1,20,40,nan,anna,1,rgb", "track 'nan' is a missing value; number the people"),
        ("a.avi,0,1,1,20,40,-1,anna,1,rgb", "track '-1' is a missing value; number the people"),
        ("a.avi,0,1,1,20,40,1,anna,nan,rgb", "camera is empty (give --camera or --cameras)"),
        ("a.avi,0,1,1,20,40,1,anna,1,nan", "modality 'nan', expected one of rgb"),
    ],
)
def test_missing_values_are_no_tracks_cameras_or_modalities(raw, out, capsys, row, reason):
    write_video(raw / "a.avi")
    boxes = write_lines(raw.parent / "boxes.csv", HEADER, row)
    assert prepare("--videos", raw, "--boxes", boxes, "--target", out) == 1
    assert f"{boxes}:2: {reason}" in capsys.readouterr().err


def test_a_missing_camera_in_a_list_or_tree_is_named(raw, out, capsys):
    write_images(raw / "anna" / "rgb" / "nan" / "a")
    assert prepare("--source", raw, "--target", out) == 1
    assert "anna/rgb/nan/a: camera 'nan' is a missing value; name it" in capsys.readouterr().err
    table = write_lines(raw / "list.csv", "folder,camera,modality", "anna/rgb/nan/a,-1,rgb")
    assert prepare("--tracklets", table, "--target", out) == 1
    assert f"{table}:2: camera '-1' is a missing value; any name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("first", "second"), [("7", "0007"), ("17", "17.0"), ("007", "7.00"), ("p01", "P1")]
)
def test_pids_that_differ_in_zeros_only_are_named_with_both_spellings(
    raw, out, capsys, first, second
):
    write_images(raw / first / "rgb" / "1" / "a")
    write_images(raw / second / "ir" / "2" / "a")
    assert prepare("--source", raw, "--target", out) == 1
    one, two = sorted((first, second))
    message = capsys.readouterr().err
    assert f"pids {one!r} and {two!r} differ only in leading zeros or '.0'" in message
    assert "write one person's pid in one way, or rename one of two people" in message
    assert not out.exists()


def test_pids_that_only_look_alike_are_two_people(raw, out):
    for pid in ("10", "100", "1.05", "1.5", "a0", "a"):
        write_images(raw / pid / "rgb" / "1" / "a")
    assert prepare("--source", raw, "--target", out) == 0
    assert len(set(known_in(read_partition(out / "partition.json")))) == 6
