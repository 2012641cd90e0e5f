"""Folders of images that are not understood: what is said of them, and that nothing is written."""

import pytest
from own_recordings import prepare, write_images, write_lines, write_tree


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "people"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def refused(capsys, out, *command):
    """Runs the script, which must refuse and write nothing; gives its message."""
    assert prepare(*command, "--target", out) == 1
    assert not out.exists()
    return capsys.readouterr().err


FORMS = (
    "found 0 tracklets; expected <pid>/<modality>/<camera>/<tracklet>/images or "
    "<pid>/<modality>/<camera>/images."
)


def test_one_level_too_many_above_is_told_with_the_folder_that_is_meant(raw, out, capsys):
    write_tree(raw / "unpacked")
    message = refused(capsys, out, "--source", raw)
    assert f"--source {raw}: {FORMS}" in message
    assert "Its images lie 5 folders deep, as unpacked/anna/ir/cam2/a/1.jpg does" in message
    assert "you have one level too many." in message
    assert f"Did you mean --source {raw / 'unpacked'}?" in message


def test_one_level_too_many_below_is_told_with_the_option_that_passes_it_over(raw, out, capsys):
    write_images(raw / "anna" / "rgb" / "1" / "day" / "a")
    message = refused(capsys, out, "--source", raw)
    assert "you have one level too many." in message
    assert (
        "If a level is to be passed over, say so: --tree pid/modality/camera/_/tracklet" in message
    )
    options = ("--tree", "pid/modality/camera/_/tracklet")
    assert prepare("--source", raw, "--target", out, *options) == 0


def test_the_folder_of_one_person_is_not_taken_for_all_of_them(raw, out, capsys):
    write_tree(raw)
    message = refused(capsys, out, "--source", raw / "anna")
    assert "Folder 2 of 3 should name the modality, one of rgb, visible" in message
    assert "found 'cam1', 'cam2'" in message
    assert f"there is none for the person: give the folder above ({raw})" in message
    assert "or say --tree modality/camera/tracklet if nobody knows the people" in message


def test_too_few_levels_are_told(raw, out, capsys):
    write_images(raw / "anna")
    message = refused(capsys, out, "--source", raw)
    assert (
        "Its images lie 1 folders deep, as anna/1.jpg does: you have 2 levels too few." in message
    )
    write_images(raw)
    message = refused(capsys, out, "--source", raw)
    assert "Images lie at different depths: 1 folders 0 deep (1.jpg), 1 folders 1 deep" in message


def test_a_modality_in_another_place_is_told(raw, out, capsys):
    write_images(raw / "anna" / "gate" / "rgb" / "a")
    message = refused(capsys, out, "--source", raw)
    assert "Folder 2 of 4 should name the modality" in message
    assert "found 'gate'.\nIf all images are of one modality, give --modality rgb" in message
    assert "The modality stands in folder 3; say with --tree what the others are." in message


def test_a_folder_without_images_says_what_is_there(raw, out, capsys):
    raw.mkdir()
    assert "The folder is empty; images end in .jpg" in refused(capsys, out, "--source", raw)
    (raw / "a.mp4").write_bytes(b"")
    (raw / "b.heic").write_bytes(b"")
    message = refused(capsys, out, "--source", raw)
    assert "There are 1 .heic, 1 .mp4 files; images end in" in message
    assert "(for videos give --videos and --boxes)" in message
    assert "no such folder" in refused(capsys, out, "--source", raw / "missing")


def test_a_mask_beside_its_image_is_refused(raw, out, capsys):
    write_images(raw / "anna" / "rgb" / "1")
    write_images(raw / "anna" / "rgb" / "1", suffix=".png")
    message = refused(capsys, out, "--source", raw)
    assert f"{raw / 'anna/rgb/1'}: 1.jpg and 1.png have one name; if one is a mask" in message


@pytest.mark.parametrize(
    ("pid", "reason"),
    [
        ("unknown-7", "names that begin with 'unknown-' are kept for people without a pid"),
        ("a:b", "holds one of < > :"),
        ("nul", "cannot name a folder on every system"),
        ("anna.", "cannot name a folder on every system"),
        ("partition.json", "cannot name a folder on every system"),
        ("x" * 101, "is longer than 100 letters"),
    ],
)
def test_a_pid_that_is_no_folder_everywhere_is_refused(raw, out, capsys, pid, reason):
    write_images(raw / "clips" / "a")
    rows = ["folder,pid,camera,modality", f"clips/a,{pid},1,rgb"]
    message = refused(capsys, out, "--tracklets", write_lines(raw / "list.csv", *rows))
    assert reason in message
    assert "rename it" in message
    assert "Nothing was written." in message


def test_two_pids_that_differ_in_their_case_only_are_refused(raw, out, capsys):
    write_tree(raw, ("Anna", "anna"))
    message = refused(capsys, out, "--source", raw)
    assert "pids 'Anna' and 'anna' would share a folder on Windows and macOS" in message


def test_every_fault_of_a_list_is_named_with_its_line(raw, out, capsys):
    write_images(raw / "a")
    (raw / "empty").mkdir()
    path = write_lines(
        raw / "list.csv",
        "folder,pid,camera,modality",
        "missing,anna,1,rgb",
        "empty,anna,1,rgb",
        "a,anna,1,x-ray",
        "a,anna,1,rgb",
        "a,anna",
    )
    write_images(raw / "c")
    with path.open("a") as file:
        file.write("c,anna,,rgb\n")
    message = refused(capsys, out, "--tracklets", path)
    for text in (
        f"{path}: 6 faults",
        f"{path}:2: folder 'missing' is not there (below {raw})",
        f"{path}:3: folder 'empty' holds no images",
        f"{path}:4: modality 'x-ray', expected one of rgb, visible",
        f"{path}:5: folder 'a' stands in line 4 already",
        f"{path}:6: 2 fields, expected 4 as in the first line",
        f"{path}:7: camera is empty",
    ):
        assert text in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"folder,pid\na,b\n", "no column 'camera', 'modality' in its first line"),
        (b"", "no column 'folder', 'camera', 'modality'"),
        ("folder,camera,modality\n东,1,rgb\n".encode("gbk"), "is not UTF-8 text"),
        (b"folder,camera,modality\n", "lists no folder"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(raw, out, capsys, content, reason):
    write_images(raw / "a")
    (raw / "list.csv").write_bytes(content)
    assert reason in refused(capsys, out, "--tracklets", raw / "list.csv")
