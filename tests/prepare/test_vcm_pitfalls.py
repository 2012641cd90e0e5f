"""What is known to go wrong with HITSZ-VCM on real disks: each pitfall with what is said of it."""

import os
import re
import shutil

import pytest
from vcm_tree import (
    WALKS,
    Walk,
    contents_of,
    edit,
    jpeg,
    people,
    prepare_tree,
    shorten,
    write_vcm_tree,
)

from opengait_ext.data.layout import read_frames, read_partition


@pytest.fixture
def raw(tmp_path):
    write_vcm_tree(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def frames_only(root):
    return {path: digest for path, digest in contents_of(root).items() if "0-frames" in path}


def same_as_published(raw, changed, tmp_path):
    """Whether a changed copy becomes the same files and splits as the published data."""
    assert prepare_tree(raw, tmp_path / "a") == 0
    assert prepare_tree(changed, tmp_path / "b") == 0
    partitions = [read_partition(tmp_path / name / "partition.json") for name in ("a", "b")]
    assert partitions[0].tracklets == partitions[1].tracklets
    assert partitions[0].tasks == partitions[1].tasks
    return frames_only(tmp_path / "a") == frames_only(tmp_path / "b")


def changed_copy(raw, tmp_path):
    shutil.copytree(raw, tmp_path / "changed")  # keeps the times
    return tmp_path / "changed"


def test_windows_line_ends_blank_last_lines_and_a_byte_order_mark_change_nothing(raw, tmp_path):
    changed = changed_copy(raw, tmp_path)
    for path in (changed / "info").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n \r\n")
    assert same_as_published(raw, changed, tmp_path)


def test_one_row_a_line_in_the_query_list_gives_all_queries(raw, tmp_path):
    changed = changed_copy(raw, tmp_path)
    query = changed / "info" / "query_IDX.txt"
    query.write_text(query.read_text().replace(" ", "\n"))
    assert same_as_published(raw, changed, tmp_path)


def test_identities_in_the_table_may_have_no_zeros_before(raw, tmp_path):
    changed = changed_copy(raw, tmp_path)
    for half in ("train", "test"):
        table = changed / "info" / f"track_{half}_info.txt"
        text = re.sub(r"(?m)^(\d \d+ \d+) 0+(\d+)", r"\1 \2", table.read_text())
        assert text != table.read_text()
        table.write_text(text)
    assert same_as_published(raw, changed, tmp_path)


def test_rows_are_counted_from_one_and_their_end_belongs_to_them(tmp_path, out):
    walks = [Walk(w.half, w.pid, w.modality, w.camera, 3 + n % 4) for n, w in enumerate(WALKS)]
    lists = write_vcm_tree(tmp_path / "raw", walks)
    assert (lists / "track_train_info.txt").read_text().splitlines()[:2] == [
        "1 1 3 0001 2",
        "1 4 7 0001 10",
    ]
    assert prepare_tree(tmp_path / "raw", out) == 0
    found = {t.path: t.frames for t in read_partition(out / "partition.json").tracklets}
    assert [found["0001/ir/D2-T1"], found["0001/ir/D10-T2"]] == [3, 4]
    folder = tmp_path / "raw/Train/0001/ir/D10"
    expected = [(folder / f"{frame}.jpg").read_bytes() for frame in (1, 6, 11, 16)]
    assert read_frames(out / "0001/ir/D10-T2", range(4)) == expected


def test_frame_numbers_with_gaps_and_without_order_are_used_as_listed(raw, out):
    numbers = {1: 4001, 6: 12, 11: 7, 16: 100000}  # old to new, by their place in the list
    folder = raw / "Train/0001/ir/D2"
    for old, new in numbers.items():
        (folder / f"{old}.jpg").rename(folder / f"{new}.jpg")
        edit(raw / "info/train_name.txt", f"0001M1D2T1F{old}.jpg", f"0001M1D2T1F{new}.jpg")
    assert prepare_tree(raw, out) == 0
    expected = [(folder / f"{new}.jpg").read_bytes() for new in numbers.values()]
    assert read_frames(out / "0001/ir/D2-T1", range(4)) == expected


def test_tracklets_of_one_camera_share_its_folder_and_keep_their_frames(tmp_path, out):
    walks = [w for w in WALKS for _ in range(2)]
    write_vcm_tree(tmp_path / "raw", walks)
    assert prepare_tree(tmp_path / "raw", out) == 0
    folder = tmp_path / "raw/Train/0001/ir/D2"
    assert len(list(folder.iterdir())) == 8
    for number, start in ((1, 1), (2, 21)):
        expected = [(folder / f"{start + 5 * n}.jpg").read_bytes() for n in range(4)]
        assert read_frames(out / f"0001/ir/D2-T{number}", range(4)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("00010M1D2T1F1.jpg", "'00010M1D2T1F1.jpg', expected a name like 0001M2D3T1F126.jpg (four"),
        ("10234M1D2T1F1.jpg", "'10234M1D2T1F1.jpg', expected a name like"),
        ("0001m1d2t1f1.jpg", "'0001m1d2t1f1.jpg', expected a name like"),
        ("0001M0D2T1F1.jpg", "M1 infrared or M2 visible"),
        ("0001M1D2T1.jpg", "'0001M1D2T1.jpg', expected"),
        ("0001M1D2T1F1.png", "'0001M1D2T1F1.png', expected"),
        ("0001M1D2T1F1", "'0001M1D2T1F1', expected"),
        ("Train/0001M1D2T1F1.jpg", "'Train/0001M1D2T1F1.jpg', expected"),
        ("0001M1D2T1F1.jpg 0001M1D2T1F6.jpg", "expected a name like"),
    ],
)
def test_a_name_that_others_would_misread_is_refused(raw, out, capsys, name, expected):
    edit(raw / "info/train_name.txt", "0001M1D2T1F1.jpg\n", f"{name}\n")
    assert prepare_tree(raw, out) == 1
    message = capsys.readouterr().err
    assert "train_name.txt:1: " in message
    assert expected in message
    assert not out.exists()


@pytest.mark.parametrize("listed", [".jpg", ".JPG", ".jpeg"])
@pytest.mark.parametrize("there", [".jpg", ".JPG", ".Jpg", ".jpeg", ".JPEG"])
def test_the_letters_of_the_extension_do_not_matter_but_the_extension_does(
    raw, out, capsys, listed, there
):
    images = sorted((raw / "Train").rglob("*.jpg"))
    for path in images:
        path.rename(path.with_suffix(there))
    names = raw / "info/train_name.txt"
    names.write_text(names.read_text().replace(".jpg", listed))
    status = prepare_tree(raw, out)
    captured = capsys.readouterr()
    assert status == (listed.lower() != there.lower())
    if status:
        assert f"1{listed}: listed in train_name.txt, but not there" in captured.err
        return
    assert ("differ from the list in the case of letters" in captured.out) == (listed != there)
    if listed != there:
        assert f"Train: 48 names (0001/ir/D10/1{there}) differ" in captured.out
    assert read_frames(out / "0001/ir/D2-T1", [0]) == [images[4].with_suffix(there).read_bytes()]


def test_folders_in_other_letters_are_accepted(raw, tmp_path, capsys):
    changed = changed_copy(raw, tmp_path)
    for path in sorted(changed.glob("*/*/*/D*"), reverse=True):
        path.rename(path.with_name(path.name.lower()))
    for path in sorted(changed.glob("*/*/*")):
        path.rename(path.with_name(path.name.upper()))
    (changed / "Train").rename(changed / "train")
    (changed / "info").rename(changed / "Info")
    for path in list((changed / "Info").iterdir()):
        path.rename(path.with_name(path.name.upper()))
    assert same_as_published(raw, changed, tmp_path)
    told = capsys.readouterr().out
    assert "identities in train/ and Test/, lists in Info/" in told
    assert "Test: 32 names (0503/IR/d10/1.jpg) differ from the list in the case" in told


def test_two_images_that_differ_in_letters_only(raw, out, capsys):
    folder = raw / "Train/0001/ir"
    (folder.parent / "IR/D2").mkdir(parents=True)
    (folder.parent / "IR/D2/1.jpg").write_bytes(b"not looked at, the listed name is there")
    assert prepare_tree(raw, out) == 0
    assert "1 images are in no list" in capsys.readouterr().out
    (folder / "D2/1.jpg").rename(folder / "D2/1.JPG")
    assert prepare_tree(raw, out, "--anew") == 1
    message = capsys.readouterr().err
    assert "0001/IR/D2/1.jpg: which of this and 0001/ir/D2/1.JPG is 0001/ir/D2/1.jpg? " in message


def test_missing_images_at_the_end_of_tracklets_are_all_counted(raw, out, capsys):
    last = [
        f"{raw}/Train/{pid:04d}/{home}/16.jpg" for pid in (1, 2, 3) for home in ("ir/D2", "rgb/D3")
    ]
    for path in last:
        os.unlink(path)
    assert prepare_tree(raw, out) == 1
    message = capsys.readouterr().err
    assert "6 faults, nothing was written" in message
    assert all(f"{path}: listed in train_name.txt, but not there" in message for path in last)


def test_a_whole_identity_that_is_missing_is_counted_by_its_images(raw, out, capsys):
    shutil.rmtree(raw / "Test/0504")
    assert prepare_tree(raw, out) == 1
    message = capsys.readouterr().err
    assert "16 faults" in message
    assert f"{raw}/Test/0504/rgb/D3/6.jpg: listed in test_name.txt, but not there" in message


@pytest.mark.parametrize("content", ["1 2 5 6 3", "1 2 5", "5 6"])
def test_queries_are_exactly_the_infrared_rows(raw, out, capsys, content):
    (raw / "info/query_IDX.txt").write_text(content)
    assert prepare_tree(raw, out) == 1
    message = capsys.readouterr().err
    assert "expected: all infrared rows are listed, no visible one" in message
    assert "track_test_info.txt:" in message


def test_rows_that_overlap_repeat_or_leave_names_out_are_remarked(raw, out, capsys):
    table = raw / "info/track_train_info.txt"
    edit(table, "2 9 12 0001 2\n", "2 9 12 0001 2\n2 9 12 0001 2\n2 10 12 0001 2\n")
    edit(table, "1 17 20 0002 2\n", "1 18 20 0002 2\n")
    assert prepare_tree(raw, out) == 0
    told = capsys.readouterr().out
    overlap = "track_train_info.txt:4: 4 of 4 frames belong to row 3, too; both rows are used"
    assert f"{overlap} (and 1 more such)" in told
    assert "train_name.txt: lines 17 to 17 belong to no row of track_train_info.txt" in told
    assert len(read_partition(out / "partition.json").tracklets) == 22


def test_a_name_that_is_listed_twice_is_remarked(raw, out, capsys):
    edit(raw / "info/train_name.txt", "0001M1D2T1F6.jpg", "0001M1D2T1F1.jpg")
    assert prepare_tree(raw, out) == 0
    told = capsys.readouterr().out
    assert "train_name.txt:2: 0001M1D2T1F1.jpg is listed in line 1, too" in told
    assert "1 images are in no list and are left out" in told


def test_identities_that_are_left_in_one_modality_go_out_of_training_and_stay_in_the_test(
    tmp_path, out
):
    walks = shorten(shorten(WALKS, 2, pid=3, modality="infrared"), 1, pid=504, modality="visible")
    write_vcm_tree(tmp_path / "raw", walks)
    assert prepare_tree(tmp_path / "raw", out) == 0
    partition = read_partition(out / "partition.json")
    assert {t.pid for t in partition.tracklets} == {"0001", "0002", "0503", "0504"}
    reasons = [d["reason"] for d in partition.source["dropped"]]
    assert reasons.count("training identity 0003 is left with visible only") == 2
    assert partition.source["counts"]["test_identities_in_one_modality"] == 1
    assert partition.source["counts"]["queries_without_match"]["test infrared_to_visible"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(("least", "dropped"), [("1", 0), ("2", 1), ("4", 2), ("12", 3), ("13", 4)])
def test_a_tracklet_is_dropped_below_the_least_length_and_not_at_it(tmp_path, out, least, dropped):
    lengths = (1, 3, 11, 12)
    walks = [Walk(w.half, w.pid, w.modality, w.camera, 24) for w in [*WALKS, *people("Test", (9,))]]
    walks += [Walk("Test", 9, "visible", 7, length) for length in lengths]
    write_vcm_tree(tmp_path / "raw", walks)
    assert prepare_tree(tmp_path / "raw", out, "--min-frames", least) == 0
    found = read_partition(out / "partition.json").source["dropped"]
    assert [d["frames"] for d in found] == list(lengths[:dropped])
    assert all(f"at least {least} needed" in d["reason"] for d in found)


def test_cameras_of_both_modalities_share_their_numbers(raw, out):
    assert prepare_tree(raw, out) == 0
    partition = read_partition(out / "partition.json")
    cameras = {t.path: t.camid for t in partition.tracklets}
    assert cameras["0503/ir/D2-T1"] == cameras["0503/rgb/D2-T3"] == 2
    assert partition.protocol["ignore"] == "same_pid_camid"


def test_an_image_of_one_channel_with_an_upper_case_extension_in_a_folder_with_leftovers(raw, out):
    folder = raw / "Train/0001/ir/D2"
    (folder / "1.jpg").unlink()
    (folder / "1.JPG").write_bytes(jpeg(9, gray=True))
    for leftover in ("._1.JPG", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / leftover).write_bytes(b"\0")
    assert prepare_tree(raw, out, "--form", "opengait", "--height", "8", "--width", "4") == 0
    (frame,) = read_frames(out / "0001/ir/D2-T1", [0])
    assert (frame == frame[:1]).all()


def test_counts_that_are_not_the_official_ones_are_warned_of(raw, out, capsys, monkeypatch):
    from opengait_ext.prepare.vcm import run as vcm_report

    monkeypatch.setattr(vcm_report, "OFFICIAL_ROWS", {"Train": 12, "Test": 9})
    assert prepare_tree(raw, out) == 0
    told = capsys.readouterr().out
    assert "Train, rows of the list                    12 official       12 found\n" in told
    assert "Test, rows of the list                      9 official        8 found   differs" in told
    assert "warning: 5 of 6 counts are not those of HITSZ-VCM; results on these data" in told
    assert prepare_tree(raw, out, "--anew", "--name", "Other") == 0
    assert "official" not in capsys.readouterr().out


@pytest.mark.parametrize("form", ["packed", "opengait"])
def test_the_end_tells_the_time_and_the_disk(raw, out, capsys, form):
    assert prepare_tree(raw, out, "--form", form) == 0
    size = sum(path.stat().st_size for path in out.rglob("0-frames.*")) / 1e6
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{out}: 20 tracklets and partition.json, {size:.1f} MB of disk, after ")
