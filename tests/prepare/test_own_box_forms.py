"""What the numbers in files of boxes mean: classes, detections, corners, fractions."""

import numpy as np
import pytest
from own_recordings import (
    HEADER,
    box_of,
    box_rows,
    is_color,
    pixels_of,
    prepare,
    write_lines,
    write_video,
)

from opengait_ext.data.layout import read_partition
from opengait_ext.prepare.recordings.box_forms import are_classes, look_like_corners

ALL = ("--camera", "1", "--modality", "rgb")


@pytest.fixture
def films(tmp_path):
    write_video(tmp_path / "films" / "hall.avi", ("red", "green"))
    return tmp_path / "films"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def mot(person, number, rest="1,-1,-1,-1", frames=range(12), box=box_of):
    return [",".join(map(str, (f + 1, number, *box(person, f), rest))) for f in frames]


def corners_of(person, frame):
    x, y, w, h = box_of(person, frame)
    return x, y, x + w, y + h


def refused(films, out, capsys, boxes, *options):
    """Runs the script, which must refuse and write nothing; gives its message."""
    assert prepare("--videos", films, "--boxes", boxes, "--target", out, *options) == 1
    assert not out.exists()
    return capsys.readouterr().err


def prepared(films, out, boxes, *options):
    """Runs the script; gives paths of the tracklets."""
    assert prepare("--videos", films, "--boxes", boxes, "--target", out, *options) == 0
    return [t.path for t in read_partition(out / "partition.json").tracklets]


def test_classes_of_a_mot_text_are_told_and_have_to_be_chosen_from(films, out, tmp_path, capsys):
    rows = [*mot(0, 1, "1,1,1.0"), *mot(1, 2, "1,3.0,0.5"), *mot(1, 3, "0,7,1", range(2))]
    text = write_lines(tmp_path / "hall.txt", *rows)
    message = refused(films, out, capsys, text, *ALL)
    assert "the eighth column names classes: 1 (12 boxes), 3 (12 boxes); say which are" in message
    assert "with --class (as a rule 1 in MOT16 and MOT17, 0 in COCO)" in message
    message = refused(films, out, capsys, text, *ALL, "--class", "2")
    assert "--class 2 is not in the eighth column (there are 1 (12 boxes), 3" in message
    (path,) = prepared(films, out, text, *ALL, "--class", "1")
    assert all(is_color(image, "red") for image in pixels_of(out, path))
    assert "12 boxes of other classes than 1: left out" in capsys.readouterr().out


def test_a_single_class_has_to_be_confirmed_too(films, out, tmp_path, capsys):
    text = write_lines(tmp_path / "hall.txt", *mot(0, 1, "0.9,2,-1"))  # cars, in COCO
    assert "names classes: 2 (12 boxes)" in refused(films, out, capsys, text, *ALL)
    assert len(prepared(films, out, text, *ALL, "--class", "2")) == 1


def test_a_class_that_no_file_has_is_refused(films, out, tmp_path, capsys):
    text = write_lines(tmp_path / "hall.txt", *mot(0, 1))
    message = refused(films, out, capsys, text, *ALL, "--class", "0")
    assert "--class 0 is not in the eighth column (there is no class)" in message


def test_the_world_coordinates_of_mot15_are_no_classes(films, out, tmp_path):
    text = write_lines(tmp_path / "hall.txt", *mot(0, 1, "1,-4.31,0.2,0"), *mot(1, 2, "1,3,1,0"))
    assert len(prepared(films, out, text, *ALL)) == 2
    assert are_classes(["1", "-1", "3.0", ""])
    assert not are_classes(["1", "2.5"])
    assert not are_classes(["-3"])


def test_a_column_of_classes_in_a_table_is_chosen_from_by_its_words(films, out, tmp_path, capsys):
    rows = [f"{row},Person" for row in box_rows("hall.avi", 0)]
    rows += [f"{row},car" for row in box_rows("hall.avi", 1, track=2, about=("ben", "1", "rgb"))]
    boxes = write_lines(tmp_path / "boxes.csv", f"{HEADER},class", *rows)
    message = refused(films, out, capsys, boxes)
    assert "its column class names classes: car (12 boxes), person (12 boxes)" in message
    assert prepared(films, out, boxes, "--class", "person") == ["anna/rgb/D1-T1"]
    boxes = write_lines(tmp_path / "boxes.csv", f"{HEADER},class", *rows[:12])
    assert prepared(films, out / "2", boxes) == ["anna/rgb/D1-T1"]  # persons only


def test_detections_without_tracks_are_refused(films, out, tmp_path, capsys):
    rows = [*mot(0, 1, frames=range(3)), *mot(0, -1, "0.9,-1,-1,-1"), *mot(1, "nan", frames=[5])]
    text = write_lines(tmp_path / "hall.txt", *rows)
    message = refused(films, out, capsys, text, *ALL)
    assert f"{text}:4: 13 of 16 boxes have no id of 0 or more (-1, say): they are detections" in (
        message
    )
    assert "without tracks; let a tracker number the people first" in message


def test_ids_of_one_number_are_one_track(films, out, tmp_path):
    rows = [*mot(0, "1.0", frames=range(6)), *mot(0, "1", frames=range(6, 12))]
    text = write_lines(tmp_path / "hall.txt", *rows)
    assert prepared(films, out, text, *ALL) == ["unknown-00001/rgb/D1-T1"]


def test_a_text_of_ignored_boxes_only_says_so(films, out, tmp_path, capsys):
    text = write_lines(tmp_path / "hall.txt", *mot(0, 1, "0,-1,-1,-1"))
    message = refused(films, out, capsys, text, *ALL)
    assert f"{text}: all 12 boxes are marked as to be ignored (0 in the seventh column" in message
    assert "write the confidence or 1 there if they are people" in message


def test_corners_in_the_place_of_sizes_are_refused_or_read(films, out, tmp_path, capsys):
    text = write_lines(tmp_path / "hall.txt", *mot(0, 1, box=corners_of))
    message = refused(films, out, capsys, text, *ALL)
    assert "in all 12 boxes the third number is above the first" in message
    assert "(4,8,24,44, say): they look like corners x1,y1,x2,y2; add --box-form xyxy" in message
    (path,) = prepared(films, out, text, *ALL, "--box-form", "xyxy")
    images = pixels_of(out, path)
    assert {image.shape for image in images} == {(36, 20, 3)}
    assert all(is_color(image, "red") for image in images)
    prepared(films, out / "2", text, *ALL, "--box-form", "xywh")  # the user's word is taken


def test_corners_in_a_table_are_refused_and_no_corners_are_not_read_as_such(
    films, out, tmp_path, capsys
):
    rows = [
        f"hall.avi,{frame},{','.join(map(str, corners_of(0, frame)))},1,anna,1,rgb"
        for frame in range(12)
    ]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *rows)
    assert "they look like corners" in refused(films, out, capsys, boxes)
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *box_rows("hall.avi", 1))
    message = refused(films, out, capsys, boxes, "--box-form", "xyxy")
    assert f"{boxes}:2: box 4,52,20,36, expected x1,y1,x2,y2 with x2 above x1" in message


@pytest.mark.parametrize(
    ("boxes", "are_corners"),
    [
        ([[0, 0, 160, 96]] * 3, False),  # the whole picture: both forms say the same
        ([[40, 60, 80, 180]] * 3, True),  # nobody moves
        ([[4 + 3 * t, 8, 20, 36] for t in range(5)], False),  # a steady size that moves
        ([[50 - t, 60 - t, 80 + t, 180 + t] for t in range(20)], True),  # coming nearer
        ([[90, 60, 80, 180], [40, 60, 80, 180]], False),  # one right edge left of the left one
    ],
)
def test_corners_are_told_from_sizes(boxes, are_corners):
    assert look_like_corners([np.array(boxes, np.float64)]) is are_corners


def test_fractions_of_the_picture_are_refused(films, out, tmp_path, capsys):
    def fractions(person, frame):
        x, y, w, h = box_of(person, frame)
        return x / 160, y / 96, w / 160, h / 96

    text = write_lines(tmp_path / "hall.txt", *mot(1, 1, box=fractions))
    message = refused(films, out, capsys, text, *ALL)
    assert "all 12 boxes lie within 0 and 1 (0.025,0.541667,0.125,0.375, say)" in message
    assert "they look like fractions of the picture; write pixels" in message


def test_a_single_video_may_be_given(films, out, tmp_path):
    write_video(films / "other.avi")
    text = write_lines(tmp_path / "boxes.txt", *mot(0, 1))
    assert prepared(films / "hall.avi", out, text, *ALL) == ["unknown-00001/rgb/D1-T1"]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *box_rows("hall.avi"))
    command = ("--videos", films / "hall.avi", "--boxes", boxes, "--dry-run")
    assert prepare(*command) == 0
    assert prepared(films / "hall.avi", out / "2", boxes) == ["anna/rgb/D1-T1"]
