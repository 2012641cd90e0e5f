"""Files of boxes: both forms, what they may leave out, and what every fault says."""

import pytest
from own_recordings import HEADER, box_of, box_rows, prepare, write_lines, write_video

from opengait_ext.data.layout import read_partition


@pytest.fixture
def films(tmp_path):
    write_video(tmp_path / "films" / "hall.avi")
    return tmp_path / "films"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def tracklets_of(out):
    return {
        t.path: (t.camid, t.modality, t.frames)
        for t in read_partition(out / "partition.json").tracklets
    }


def refused(films, out, capsys, boxes, *options):
    """Runs the script, which must refuse and write nothing; gives its message."""
    assert prepare("--videos", films, "--boxes", boxes, "--target", out, *options) == 1
    assert not out.exists()
    return capsys.readouterr().err


def mot(person, number, frames=range(12), first=1, conf="1,-1,-1,-1"):
    return [",".join(map(str, (f + first, number, *box_of(person, f), conf))) for f in frames]


def test_a_table_of_boxes_names_people_cameras_and_modalities(films, out, tmp_path, capsys):
    write_video(films / "sub dir" / "夜.avi")
    write_video(films / "free.avi")
    rows = [
        *box_rows("sub dir\\夜.avi", 0, range(5), "t7", ("anna", "2", "NIR")),
        *reversed(box_rows("hall.avi", 0, track=10)),  # in any order
        *box_rows("hall.avi", 1, range(3, 9), 2, ("", "1", "rgb")),
    ]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER + ",score", *(f"{row},0.9" for row in rows))
    assert prepare("--videos", films, "--boxes", boxes, "--target", out) == 0
    assert tracklets_of(out) == {
        "unknown-00001/rgb/D1-T1": (1, "visible", 6),
        "anna/rgb/D1-T2": (1, "visible", 12),
        "anna/ir/D2-T3": (2, "infrared", 5),
    }
    assert "1 videos have no boxes: free.avi" in capsys.readouterr().out
    text = (out / "tracklets.csv").read_text(encoding="utf-8").splitlines()
    assert text[1] == "unknown-00001/rgb/D1-T1,,1,1,visible,test,6,hall.avi:2,3,8"
    assert text[3].endswith(",sub dir/夜.avi:t7,0,4")


def test_camera_and_modality_may_stand_elsewhere(films, out, tmp_path, capsys):
    write_video(films / "night.avi")
    header = "video,frame,x,y,w,h,track"
    rows = [row.rsplit(",", 3)[0] for name in ("hall.avi", "night.avi") for row in box_rows(name)]
    boxes = write_lines(tmp_path / "boxes.csv", header, *rows)
    message = refused(films, out, capsys, boxes)
    assert f"{boxes}:2: no modality (give --modality or --cameras), expected one of rgb" in message
    message = refused(films, out, capsys, boxes, "--modality", "rgb")
    assert f"{boxes}:2: camera is empty (give --camera or --cameras)" in message
    table = write_lines(tmp_path / "cameras.csv", "video,camera,modality", "night.avi,gate,ir")
    options = ("--camera", "1", "--modality", "rgb", "--cameras", table)
    assert prepare("--videos", films, "--boxes", boxes, "--target", out, *options) == 0
    assert tracklets_of(out) == {
        "unknown-00001/rgb/D1-T1": (1, "visible", 12),
        "unknown-00002/ir/D2-T2": (2, "infrared", 12),
    }


def test_the_list_of_cameras_is_checked(films, out, tmp_path, capsys):
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *box_rows("hall.avi"))
    rows = ("hal.avi,1,rgb", "hall.avi,,rgb", "hall.avi,1,x")
    table = write_lines(tmp_path / "cameras.csv", "video,camera,modality", *rows)
    message = refused(films, out, capsys, boxes, "--cameras", table)
    assert f"--cameras: video 'hal.avi' is not in {films}" in message
    assert f"{table}:3: '', 'rgb': expected a camera and one of rgb" in message
    assert f"{table}:4: '1', 'x': expected a camera and one of rgb" in message


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("door.avi,0,1,1,20,40,1,anna,1,rgb", "video 'door.avi' is not in"),
        ("hall.avi,x,1,1,20,40,1,anna,1,rgb", "frame 'x', expected a whole number from 0"),
        ("hall.avi,1.5,1,1,20,40,1,anna,1,rgb", "frame '1.5', expected a whole number"),
        ("hall.avi,-1,1,1,20,40,1,anna,1,rgb", "frame '-1', expected a whole number from 0"),
        ("hall.avi,0,1,nan,20,40,1,anna,1,rgb", "box '1,nan,20,40', expected x,y,w,h"),
        ("hall.avi,0,1,1,,40,1,anna,1,rgb", "box '1,1,,40', expected x,y,w,h"),
        ("hall.avi,0,1,1,20,40,,anna,1,rgb", "track is empty"),
        ("hall.avi,0,1,1,20,40,1,anna,1,uv", "modality 'uv', expected one of rgb"),
        ("hall.avi,0,1,1,20,40,1,anna,,rgb", "camera is empty"),
        ("hall.avi,0,1,1,20,40,1,anna,1", "9 fields, expected 10"),
        ("hall.avi,0,1,1,20,40,1,a/b,1,rgb", "pid 'a/b' holds one of"),
        (
            "hall.avi,3,1,1,20,40,5,anna,1,rgb",
            "track '5' of hall.avi has a box in frame 3 already (line 2)",
        ),
        (
            "hall.avi,4,1,1,20,40,5,ben,1,rgb",
            "track '5' of hall.avi is 'ben', 1, visible here and 'anna', 1, visible in line 2",
        ),
        (
            "hall.avi,4,1,1,20,40,5,,1,rgb",
            "is nobody known, 1, visible here and 'anna', 1, visible in line 2",
        ),
    ],
)
def test_every_fault_of_a_table_is_named_with_its_line(films, out, tmp_path, capsys, row, reason):
    good = "hall.avi,3,1,1,20,40,5,anna,1,rgb"
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, good, row)
    message = refused(films, out, capsys, boxes)
    assert f"{boxes}: 1 fault\n" in message
    assert reason in message
    assert f"{boxes}:3: " in message or "pid" in reason


def test_all_faults_are_shown_at_once_but_not_thousands(films, out, tmp_path, capsys):
    rows = [f"hall.avi,x,1,1,20,40,{n},,1,rgb" for n in range(3000)]
    boxes = write_lines(tmp_path / "boxes.csv", HEADER, *rows)
    message = refused(films, out, capsys, boxes)
    assert "at least 1000 faults" in message
    assert f"{boxes}:21: " in message
    assert f"{boxes}:22: " not in message
    assert "and 980 more" in message


def test_missing_columns_and_files_are_named(films, out, tmp_path, capsys):
    boxes = write_lines(tmp_path / "boxes.csv", "video,frame,left,top,w,h,id", "a,1,1,1,1,1,1")
    message = refused(films, out, capsys, boxes)
    assert f"{boxes}: no column 'x', 'y', 'track' in its first line, which reads" in message
    assert "'video,frame,left,top,w,h,id" in message
    assert "expected video, frame, x, y, w, h, track, pid, camera, modality" in message
    write_lines(boxes, HEADER)
    assert "no box in the files given" in refused(films, out, capsys, boxes)
    assert "cannot be read" in refused(films, out, capsys, tmp_path / "none.csv")
    assert "--videos" in refused(tmp_path / "none", out, capsys, boxes)


def test_boxes_in_the_form_of_mot_count_frames_from_1(films, out, tmp_path, capsys):
    ignored = mot(1, 9, range(2), conf="0,-1,-1,-1")
    text = write_lines(tmp_path / "hall.txt", *mot(0, 1), "", *mot(1, 2, range(4)), *ignored)
    options = ("--camera", "1", "--modality", "thermal")
    assert prepare("--videos", films, "--boxes", text, "--target", out, *options) == 0
    assert tracklets_of(out) == {
        "unknown-00001/ir/D1-T1": (1, "infrared", 12),
        "unknown-00002/ir/D1-T2": (1, "infrared", 4),
    }
    assert "2 boxes are marked as to be ignored (conf 0): left out" in capsys.readouterr().out
    rows = (out / "tracklets.csv").read_text().splitlines()
    assert rows[1].endswith(",hall.avi:1,1,12")


def test_a_folder_of_mot_texts_has_one_for_each_video(films, out, tmp_path, capsys):
    write_video(films / "sub" / "b.avi")
    write_lines(tmp_path / "mot" / "hall.txt", *mot(0, 1, first=0))
    write_lines(tmp_path / "mot" / "sub" / "b.txt", *(row.replace(",", " ") for row in mot(1, 1)))
    message = refused(films, out, capsys, tmp_path / "mot", "--modality", "ir")
    assert (
        "hall.avi: its camera and modality are not known; give --camera and --modality" in message
    )
    options = ("--camera", "1", "--modality", "ir")
    message = refused(films, out, capsys, tmp_path / "mot", *options)
    assert (
        f"{tmp_path / 'mot' / 'hall.txt'}:1: frame '0', expected a whole number from 1" in message
    )
    assert "(--first-frame)" in message
    write_lines(tmp_path / "mot" / "hall.txt", *mot(0, 1))
    command = ("--videos", films, "--boxes", tmp_path / "mot", "--target", out)
    assert prepare(*command, *options) == 0
    assert len(tracklets_of(out)) == 2


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("door", "1,1,1,1,20,40,1", "door.txt: is called as no video, expected one (videos in"),
        ("hall", "frame,id,x,y,w,h", "hall.txt:1: 'frame,id,x,y,w,h', expected frame,id,x"),
        ("hall", "1,1,1,1,20", "hall.txt:1: '1,1,1,1,20', expected frame,id,x,y,w,h,conf"),
        ("hall", "1,1,1,1,x,40,1", "hall.txt:1: box '1,1,x,40', expected x,y,w,h"),
    ],
)
def test_every_fault_of_a_mot_text_is_named(films, out, tmp_path, capsys, name, row, reason):
    write_lines(tmp_path / "mot" / f"{name}.txt", row)
    options = ("--camera", "1", "--modality", "ir")
    assert reason in refused(films, out, capsys, tmp_path / "mot", *options)


def test_a_mot_text_is_known_by_its_content(films, out, tmp_path):
    text = write_lines(tmp_path / "detections.csv", *mot(0, 1))
    options = ("--camera", "1", "--modality", "ir")
    assert prepare("--videos", films, "--boxes", text, "--target", out, *options) == 0
    assert tracklets_of(out) == {"unknown-00001/ir/D1-T1": (1, "infrared", 12)}


def test_a_mot_text_that_fits_two_videos_is_refused(films, out, tmp_path, capsys):
    write_video(films / "hall.mp4", code="mp4v")
    write_lines(tmp_path / "mot" / "hall.txt", *mot(0, 1))
    options = ("--camera", "1", "--modality", "ir")
    message = refused(films, out, capsys, tmp_path / "mot", *options)
    assert "hall.txt: is called as hall.avi, hall.mp4, expected one" in message


def test_a_mot_text_must_say_which_video_it_is_for(films, out, tmp_path, capsys):
    write_video(films / "b.avi")
    options = ("--camera", "1", "--modality", "ir")
    text = write_lines(tmp_path / "other.txt", *mot(0, 1))
    message = refused(films, out, capsys, text, *options)
    assert "is for one video, and" in message
    assert "holds 2; name the text as the video, or give a folder" in message
    assert "no such file or folder" in refused(films, out, capsys, tmp_path / "no.txt", *options)
    (tmp_path / "empty").mkdir()
    assert "no .txt in it" in refused(films, out, capsys, tmp_path / "empty", *options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "give either --source (or --tracklets), or --videos"),
        (("--source", "a", "--videos", "b"), "give either --source (or --tracklets), or --videos"),
        (("--videos", "a"), "--videos and --boxes belong together"),
        (("--source", "a", "--boxes", "b"), "--videos and --boxes belong together"),
        (("--source", "a", "--cameras", "b"), "--cameras is not for images"),
        (("--source", "a", "--first-frame", "1"), "--first-frame is not for images"),
        (("--videos", "a", "--boxes", "b", "--tree", "pid"), "--tree is not for videos"),
        (("--tracklets", "a", "--camera", "1"), "--tracklets says all itself"),
        (("--source", "a"), "--target is missing"),
        (("--source", "a", "--target", "a/b"), "--target lies in --source"),
        (("--source", "a", "--tree", "pid/pid"), "'pid/pid', expected levels of pid, modality"),
        (("--source", "a", "--tree", "who"), "'who', expected levels of pid, modality"),
        (("--source", "a", "--modality", "x"), "'x', expected one of rgb"),
        (("--source", "a", "--every", "0"), "'0', expected a whole number from 1"),
        (("--source", "a", "--quality", "101"), "'101', expected a whole number from 1 to 100"),
        (("--source", "a", "--train", "1"), "'1', expected a number between 0 and 1"),
        (("--source", "a", "--validation", "x"), "'x', expected a number from 0 to less than 1"),
        (("--source", "a", "--range16", "5", "4"), "expected the lower value first"),
        (
            ("--source", "a", "--target", "b", "--train", "0.5", "--split", "train"),
            "--train makes the splits itself; leave --split away",
        ),
    ],
)
def test_misused_options_are_refused_with_status_2(capsys, options, reason):
    with pytest.raises(SystemExit) as stop:
        prepare(
            *options,
            *(
                ("--target", "t")
                if "--target" not in options and options != ("--source", "a")
                else ()
            ),
        )
    assert stop.value.code == 2
    assert reason in capsys.readouterr().err


def test_modality_and_camera_stand_in_one_place_only(tmp_path, out, capsys):
    (tmp_path / "a").mkdir()
    command = ("--source", tmp_path / "a", "--target", out, "--tree")
    assert prepare(*command, "pid/camera", "--camera", "1", "--modality", "rgb") == 1
    assert "the camera is both in --tree and in --camera" in capsys.readouterr().err
    assert prepare(*command, "pid/camera") == 1
    assert "the modality is neither in --tree nor in --modality" in capsys.readouterr().err
