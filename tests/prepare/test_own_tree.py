"""A user's folders of images: which trees are understood, and what is said of the others."""

import csv

import pytest
from own_recordings import encoded, picture, prepare, write_images, write_lines, write_tree

from opengait_ext.data.layout import read_frames, read_partition


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "people"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def rows_of(out):
    with (out / "tracklets.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_tree_becomes_tracklets_with_the_bytes_of_its_jpegs(raw, out):
    contents = write_images(raw / "anna" / "rgb" / "cam1" / "a", 12)
    write_images(raw / "anna" / "ir" / "cam3" / "a", 2)
    assert prepare("--source", raw, "--target", out) == 0
    tracklets = read_partition(out / "partition.json").tracklets
    assert [(t.path, t.pid, t.camid, t.modality, t.frames) for t in tracklets] == [
        ("anna/ir/D3-T1", "anna", 3, "infrared", 2),
        ("anna/rgb/D1-T2", "anna", 1, "visible", 12),
    ]
    assert read_frames(out / "anna/rgb/D1-T2", range(12)) == contents  # 2.jpg before 10.jpg


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("anna/rgb/gate/1", ()),
        ("anna/rgb/gate", ()),
        ("anna/gate/1", ("--modality", "color")),
        ("anna/gate", ("--modality", "vis")),
        ("anna/Visible/1", ("--camera", "gate")),
        ("anna/RGB", ("--camera", "gate")),
        ("anna/1", ("--modality", "rgb", "--camera", "gate")),
        ("anna", ("--modality", "rgb", "--camera", "gate")),
        ("gate/rgb/anna/1", ("--tree", "camera/modality/pid/tracklet")),
        ("2024/anna/gate/x", ("--tree", "_/pid/camera/_", "--modality", "visible")),
    ],
)
def test_simpler_trees_say_the_same(raw, out, place, options):
    write_images(raw / place)
    assert prepare("--source", raw, "--target", out, *options) == 0
    (row,) = rows_of(out)
    assert (row["tracklet"], row["pid"], row["camera"]) == ("anna/rgb/D1-T1", "anna", "gate")


@pytest.mark.parametrize(
    ("word", "folder"),
    [(w, "rgb") for w in ("rgb", "visible", "VIS", "Color")]
    + [(w, "ir") for w in ("ir", "IR", "infrared", "nir", "Thermal")],
)
def test_all_words_for_a_modality_are_taken(raw, out, word, folder):
    write_images(raw / "anna" / word / "1")
    assert prepare("--source", raw, "--target", out) == 0
    assert (out / "anna" / folder / "D1-T1" / "0-frames.zip").is_file()


def test_what_systems_leave_behind_is_passed_over_and_other_files_are_counted(raw, out, capsys):
    write_tree(raw)
    folder = raw / "anna" / "rgb" / "cam1" / "a"
    for name in (".DS_Store", "Thumbs.db", "._1.jpg", "desktop.ini"):
        (folder / name).write_bytes(b"\0")
    (raw / "__MACOSX" / "anna").mkdir(parents=True)
    (raw / "__MACOSX" / "anna" / "1.jpg").write_bytes(b"\0")
    (raw / "notes.txt").write_text("mine")
    assert prepare("--source", raw, "--target", out) == 0
    assert "other files are left alone: 1 .txt\n" in capsys.readouterr().out
    assert {t.frames for t in read_partition(out / "partition.json").tracklets} == {3}


def test_blanks_and_chinese_characters_in_paths_do_no_harm(tmp_path, capsys):
    raw, out = tmp_path / "我的 数据", tmp_path / "out put"
    contents = write_images(raw / "王 芳" / "ir" / "东 门" / "第 1 次")
    assert prepare("--source", raw, "--target", out) == 0
    (tracklet,) = read_partition(out / "partition.json").tracklets
    assert tracklet.path == "王 芳/ir/D1-T1"
    assert read_frames(out / tracklet.path, range(3)) == contents
    assert rows_of(out)[0]["place"] == "王 芳/ir/东 门/第 1 次"
    assert f'"{out}"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (("cam10", "cam2"), {"cam2": 2, "cam10": 10}),
        (("7", "D03"), {"7": 7, "D03": 3}),
        (("cam1", "Cam1"), {"Cam1": 1, "cam1": 2}),
        (("gate", "cam9"), {"cam9": 1, "gate": 2}),
        (("10.0.0.2", "10.0.0.1"), {"10.0.0.1": 1, "10.0.0.2": 2}),
    ],
)
def test_cameras_keep_their_number_if_all_have_a_different_one(names, numbers):
    from opengait_ext.prepare.recordings.names import number_cameras

    assert number_cameras(names) == numbers


def test_unknown_people_get_a_name_each_that_all_pieces_of_a_recording_share(raw, out):
    for pid, walk, frames in (("unknown", "a", 4), ("Unknown", "b", 2), ("zoe", "c", 4)):
        write_images(raw / pid / "rgb" / "1" / walk, frames)
    assert prepare("--source", raw, "--target", out, "--max-frames", "3") == 0
    assert [(row["tracklet"], row["pid"], row["frames"]) for row in rows_of(out)] == [
        ("unknown-00001/rgb/D1-T1", "", "2"),
        ("unknown-00002/rgb/D1-T2", "", "2"),
        ("unknown-00002/rgb/D1-T3", "", "2"),
        ("zoe/rgb/D1-T4", "zoe", "2"),
        ("zoe/rgb/D1-T5", "zoe", "2"),
    ]


def test_a_tree_without_people_has_only_unknown_ones(raw, out):
    write_images(raw / "rgb" / "1" / "a")
    write_images(raw / "rgb" / "1" / "b")
    assert prepare("--source", raw, "--target", out, "--tree", "modality/camera/tracklet") == 0
    partition = read_partition(out / "partition.json")
    assert {t.pid for t in partition.tracklets} == {"unknown-00001", "unknown-00002"}
    assert partition.tasks == {}


def test_a_list_names_any_folders(raw, out, capsys):
    contents = write_images(raw / "clips" / "x y")
    write_images(raw / "clips" / "b")
    write_images(raw / "clips" / "free")
    rows = [
        "Folder;Camera;Modality;pid;note",
        "clips/x y;gate;nir;anna;1",
        "",
        "clips\\b/;gate;rgb;;",
    ]
    write_lines(raw / "list.csv", *rows)
    assert prepare("--tracklets", raw / "list.csv", "--target", out) == 0
    assert "1 folders with images are not in list.csv" in capsys.readouterr().out
    tracklets = read_partition(out / "partition.json").tracklets
    assert [t.path for t in tracklets] == ["anna/ir/D1-T1", "unknown-00002/rgb/D1-T2"]
    assert read_frames(out / "anna/ir/D1-T1", range(3)) == contents
    write_lines(raw / "lists" / "list.csv", *rows)
    command = ("--source", raw, "--tracklets", raw / "lists" / "list.csv")
    assert prepare(*command, "--target", raw.parent / "out2") == 0


def test_pictures_wider_than_high_are_told(raw, out, capsys):
    folder = raw / "anna" / "rgb" / "1"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(encoded(picture(3, 20, 60)))
    assert prepare("--source", raw, "--target", out) == 0
    assert (
        "most images are wider than high (60 x 20, say): models expect" in capsys.readouterr().out
    )


def test_links_that_form_a_circle_are_followed_once(raw, out):
    write_images(raw.parent / "elsewhere")
    (raw / "anna" / "rgb").mkdir(parents=True)
    (raw / "anna" / "rgb" / "1").symlink_to(raw.parent / "elsewhere")
    (raw.parent / "elsewhere" / "back").symlink_to(raw)
    assert prepare("--source", raw, "--target", out) == 0
    assert len(rows_of(out)) == 1


def test_folders_of_a_list_may_be_absolute_or_elsewhere(raw, out, tmp_path, monkeypatch, capsys):
    write_images(raw / "anna" / "rgb")
    write_images(raw / "anna" / "ir")
    away = tmp_path / "other disk" / "ben"
    write_images(away, 4)
    write_images(away / "masks", 1)  # of another folder: not of this one
    rows = [
        f"{raw / 'anna' / 'rgb'},anna,1,rgb",
        "anna/../anna/ir/,anna,2,ir",
        f"{away},ben,1,rgb",
        "../other disk/ben/masks,cleo,1,rgb",
    ]
    table = write_lines(raw / "list.csv", "folder,pid,camera,modality", *rows)
    monkeypatch.chdir(tmp_path)
    command = ("--source", raw.name, "--tracklets", table, "--target", out)
    assert prepare(*command) == 0
    tracklets = read_partition(out / "partition.json").tracklets
    assert [(t.pid, t.frames) for t in tracklets] == [
        ("anna", 3),
        ("anna", 3),
        ("ben", 4),
        ("cleo", 1),
    ]
    assert "not in list.csv" not in capsys.readouterr().out
    write_lines(table, "folder,pid,camera,modality", rows[0], "anna/rgb,anna,1,rgb")
    assert prepare(*command, "--anew") == 1
    assert "folder 'anna/rgb' stands in line 2 already" in capsys.readouterr().err
    write_lines(table, "folder,pid,camera,modality", f"{tmp_path / 'none'},anna,1,rgb")
    assert prepare(*command, "--anew") == 1
    assert f"folder '{tmp_path / 'none'}' is not there" in capsys.readouterr().err
