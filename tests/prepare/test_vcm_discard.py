"""Discard lists: images that leave their tracklets before the short ones go out."""

import csv
import hashlib
import json

import pytest
from vcm_tree import WALKS, Walk, contents_of, people, prepare_tree, shorten, write_vcm_tree

from opengait_ext.data.layout import read_frames, read_partition

pytestmark = pytest.mark.slow

OTHERS = [*people("Train", (2, 3)), *people("Test", (503, 504))]


@pytest.fixture
def raw(tmp_path):
    write_vcm_tree(tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def write_list(tmp_path, *lines, half="train"):
    """Writes a discard list; gives the options that use it."""
    path = tmp_path / f"discard_{half}.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return f"--discard-{half}", str(path)


def partition_of(out):
    return read_partition(out / "partition.json")


def account_of(out):
    return partition_of(out).source["discard_lists"]


def reasons_of(out):
    with (out / "dropped.csv").open(newline="") as file:
        return {row["tracklet"]: row["reason"] for row in csv.DictReader(file)}


def strike(lists, half, unwanted):
    """Takes names out of the published lists by hand and numbers the rows anew."""
    name_list, row_list = lists / f"{half}_name.txt", lists / f"track_{half}_info.txt"
    names, kept, rows = name_list.read_text().split(), [], []
    for line in row_list.read_text().splitlines():
        modality, start, end, pid, camera = line.split()
        left = [name for name in names[int(start) - 1 : int(end)] if name not in unwanted]
        rows.append(f"{modality} {len(kept) + 1} {len(kept) + len(left)} {pid} {camera}\n")
        kept += left
    name_list.write_text("".join(f"{name}\n" for name in kept))
    row_list.write_text("".join(rows))


@pytest.mark.parametrize(
    "entry",
    [
        "0001M1D10T2F6.jpg",
        "0001/ir/D10/6.jpg",
        "Train/0001/ir/D10/6.jpg",
        "/some where/VCM/0001/rgb/D3/0001/ir/D10/6.jpg",
        "C:\\VCM\\Train\\0001\\ir\\D10\\6.jpg",
        "./Train\\0001/ir\\D10/6.jpg",
    ],
)
def test_an_image_may_be_listed_by_its_name_or_by_the_end_of_its_path(raw, out, entry):
    assert prepare_tree(raw, out, *write_list(raw.parent, entry)) == 0
    frames = {t.path: t.frames for t in partition_of(out).tracklets}
    assert frames.pop("0001/ir/D10-T2") == 3
    assert set(frames.values()) == {4}
    expected = [(raw / f"Train/0001/ir/D10/{n}.jpg").read_bytes() for n in (1, 11, 16)]
    assert read_frames(out / "0001/ir/D10-T2", range(3)) == expected
    assert account_of(out)["train"]["unknown_entries"] == 0


def test_line_ends_blanks_and_a_byte_order_mark_do_no_harm(raw, out):
    path = raw.parent / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf0001M1D10T2F6.jpg \r\n\r\n  \r\n0002/rgb/D3/11.jpg")
    assert prepare_tree(raw, out, "--discard-train", str(path)) == 0
    frames = {t.path: t.frames for t in partition_of(out).tracklets}
    assert [p for p, count in frames.items() if count == 3] == ["0001/ir/D10-T2", "0002/rgb/D3-T8"]


def test_discarded_images_are_gone_before_the_lengths_are_looked_at(tmp_path, out):
    from opengait_ext.prepare.vcm import run as hitsz_vcm

    walks = [Walk("Train", 1, "infrared", 2, 14), Walk("Train", 1, "infrared", 10, 20)]
    walks += [Walk(w.half, w.pid, w.modality, w.camera, 12) for w in [*people("Train", (1,))[2:],
                                                                      *OTHERS]]  # fmt: skip
    write_vcm_tree(tmp_path / "raw", walks)
    struck = (1, 26, 31, 46, 61)
    options = write_list(
        tmp_path,
        *(f"0001M1D2T1F{frame}.jpg" for frame in struck),
        *(f"Train/0001/ir/D10/{frame}.jpg" for frame in struck),
    )
    command = ["--source", str(tmp_path / "raw"), "--target", str(out), "--workers", "1"]
    assert hitsz_vcm.main([*command, *options]) == 0
    assert reasons_of(out) == {
        "0001/ir/D2-T1": "9 frames left of 14, 5 are in the discard list, at least 12 needed"
    }
    assert not (out / "0001/ir/D2-T1").exists()
    left = [frame for frame in range(1, 101, 5) if frame not in struck]
    expected = [(tmp_path / f"raw/Train/0001/ir/D10/{n}.jpg").read_bytes() for n in left]
    assert len(set(expected)) == 15
    assert read_frames(out / "0001/ir/D10-T2", range(15)) == expected
    assert {t.path: t.frames for t in partition_of(out).tracklets}["0001/ir/D10-T2"] == 15
    account = account_of(out)["train"]
    assert (account["removed_frames"], account["removed_tracklets"]) == (10, 1)


@pytest.mark.parametrize("form", ["packed", "opengait"])
def test_a_list_does_what_striking_its_names_from_the_published_lists_does(tmp_path, form):
    lists = write_vcm_tree(tmp_path / "raw")
    options = ["--form", form, "--height", "8", "--width", "4"]
    chosen = {}
    for half in ("train", "test"):
        names = (lists / f"{half}_name.txt").read_text().split()
        chosen[half] = [*names[::5], names[1], names[2]]
        options += write_list(tmp_path, *chosen[half], half=half)
    assert prepare_tree(tmp_path / "raw", tmp_path / "out", *options) == 0
    for half, names in chosen.items():
        strike(lists, half, names)
    assert prepare_tree(tmp_path / "raw", tmp_path / "by_hand", *options[:6]) == 0
    found, expected = partition_of(tmp_path / "out"), partition_of(tmp_path / "by_hand")
    assert 10 < len(found.tracklets) < 20
    assert (found.tracklets, found.tasks) == (expected.tracklets, expected.tasks)
    files, by_hand = contents_of(tmp_path / "out"), contents_of(tmp_path / "by_hand")
    frames = {path for path in files if "0-frames" in path}
    assert frames == {path for path in by_hand if "0-frames" in path}
    assert all(files[path] == by_hand[path] for path in frames)


def test_what_a_list_removes_is_counted_as_the_difference_to_a_preparation_without(tmp_path, out):
    walks = shorten(WALKS, 2, pid=3, modality="visible", camera=3)  # too short in any case
    write_vcm_tree(tmp_path / "raw", walks)
    entries = [f"0002/rgb/D{camera}/{frame}.jpg" for camera in (2, 3) for frame in (1, 6)]
    train = write_list(tmp_path, *entries, "0001/ir/D2/1.jpg", "0003/rgb/D3/1.jpg")
    listed = [f"0503/ir/D2/{frame}.jpg" for frame in (1, 6, 11, 16)]
    test = write_list(tmp_path, *listed, half="test")
    assert prepare_tree(tmp_path / "raw", tmp_path / "all") == 0
    assert prepare_tree(tmp_path / "raw", out, *train, *test) == 0
    before = {t.path: t for t in partition_of(tmp_path / "all").tracklets}
    after = {t.path for t in partition_of(out).tracklets}
    lost = [before[path].pid for path in set(before) - after]
    account = account_of(out)
    assert account["train"]["removed_tracklets"] == sum(pid != "0503" for pid in lost) == 4
    assert account["test"]["removed_tracklets"] == lost.count("0503") == 1
    assert account["train"]["removed_frames"] == account["train"]["entries"] == 6
    assert account["test"]["removed_frames"] == account["test"]["entries"] == 4
    discarded = "2 frames left of 4, 2 are in the discard list, at least 3 needed"
    alone = "training identity 0002 is left with infrared only by the discard list"
    assert reasons_of(out) == {
        "0002/ir/D2-T5": alone,
        "0002/ir/D10-T6": alone,
        "0002/rgb/D2-T7": discarded,
        "0002/rgb/D3-T8": discarded,
        "0003/rgb/D3-T12": "1 frames left of 2, 1 are in the discard list, at least 3 needed",
        "0503/ir/D2-T1": "0 frames left of 4, 4 are in the discard list, at least 3 needed",
    }


def test_queries_and_gallery_follow(raw, out):
    entries = [f"Test/0504/rgb/D2/{frame}.jpg" for frame in (1, 6)]
    entries += [f"Test/0503/ir/D10/{frame}.jpg" for frame in (1, 16)]
    assert prepare_tree(raw, out, *write_list(raw.parent, *entries, half="test")) == 0
    partition = partition_of(out)
    task = partition.tasks["test"]["infrared_to_visible"]
    paths = [tracklet.path for tracklet in partition.tracklets]
    assert [paths[p] for p in task.query] == ["0503/ir/D2-T1", "0504/ir/D2-T5", "0504/ir/D10-T6"]
    assert [paths[p] for p in task.gallery] == [
        "0503/rgb/D2-T3", "0503/rgb/D3-T4", "0504/rgb/D3-T8"
    ]  # fmt: skip
    other = partition.tasks["test"]["visible_to_infrared"]
    assert (other.query, other.gallery) == (task.gallery, task.query)


def test_an_identity_that_was_one_sided_before_is_not_laid_to_the_list(tmp_path, out):
    walks = shorten(WALKS, 2, pid=2, modality="visible")
    write_vcm_tree(tmp_path / "raw", walks)
    entries = [f"0002/ir/D2/{frame}.jpg" for frame in (1, 6)]
    assert prepare_tree(tmp_path / "raw", out, *write_list(tmp_path, *entries)) == 0
    reason = "training identity 0002 is left with infrared only"
    assert reasons_of(out)["0002/ir/D10-T6"] == reason
    assert account_of(out)["train"]["removed_tracklets"] == 0


def test_a_damaged_image_that_is_discarded_does_no_harm(raw, out):
    folder = raw / "Train/0001/ir/D2"
    (folder / "6.jpg").write_bytes(b"")
    options = write_list(raw.parent, "0001M1D2T1F6.jpg")
    assert prepare_tree(raw, out, *options) == 0
    (folder / "11.jpg").write_bytes(b"")
    assert prepare_tree(raw, out, *options, "--skip-damaged") == 0
    assert reasons_of(out) == {
        "0001/ir/D2-T1": "2 frames left of 4, 1 are in the discard list, 1 more are damaged, "
        "at least 3 needed"
    }
    account = account_of(out)["train"]
    assert (account["removed_frames"], account["removed_tracklets"]) == (1, 1)


def test_the_partition_and_the_summary_say_what_was_used(raw, out, capsys):
    entries = ("0001M1D2T1F6.jpg", "0001/ir/D2/6.jpg", "0001M1D2T1F7.jpg", "0503/ir/D2/6.jpg")
    options = write_list(raw.parent, *entries)
    assert prepare_tree(raw, out, *options) == 0
    content = (raw.parent / "discard_train.txt").read_bytes()
    assert account_of(out) == {
        "train": {
            "file": "discard_train.txt",
            "sha256": hashlib.sha256(content).hexdigest(),
            "entries": 3,
            "removed_frames": 1,
            "removed_tracklets": 0,
            "unknown_entries": 2,
        },
        "test": None,
    }
    told = capsys.readouterr().out
    assert "discard_train.txt: 2 of 3 entries name no Train image" in told
    assert "discard_train.txt:3: '0001M1D2T1F7.jpg'" in told
    assert "discard_train.txt:4: '0503/ir/D2/6.jpg'" in told
    assert (
        "discard list, train: discard_train.txt (3 entries, 2 of them name no image) removed "
        "1 frames and 0 tracklets"
    ) in told
    assert "discard list, test: none" in told
    assert str(raw.parent) not in (out / "partition.json").read_text()


def test_without_a_list_everything_is_as_before(raw, out, capsys):
    assert prepare_tree(raw, out) == 0
    assert "discard lists: none" in capsys.readouterr().out
    assert account_of(out) is None
    settings = json.loads((out / ".prepare.json").read_text())
    assert set(settings) == {"digest", "name", "min_frames", "validation", "form"}


def test_another_list_is_another_preparation(raw, out, capsys):
    assert prepare_tree(raw, out) == 0
    options = write_list(raw.parent, "0001M1D2T1F6.jpg", half="test")
    assert prepare_tree(raw, out, *options) == 1
    assert "discard_test: None there, '" in capsys.readouterr().err
    assert prepare_tree(raw, out, *options, "--anew") == 0
    assert prepare_tree(raw, out, *options) == 0
    before = contents_of(out)
    write_list(raw.parent, "0503M1D2T1F1.jpg", half="test")
    assert prepare_tree(raw, out, *options) == 1
    message = capsys.readouterr().err
    assert "discard_test: '" in message
    assert "add --anew" in message
    assert prepare_tree(raw, out) == 1
    assert "' there, None now" in capsys.readouterr().err
    assert contents_of(out) == before
    assert prepare_tree(raw, out, *options, "--anew") == 0
    expected = [(raw / f"Test/0503/ir/D2/{n}.jpg").read_bytes() for n in (6, 11, 16)]
    assert read_frames(out / "0503/ir/D2-T1", range(3)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "0001M1D2T1F6",
        "0001M3D2T1F6.jpg",
        "Train/0001M1D2T1F6.jpg",
        "0001M1D2T1F6.jpg 0001M1D2T1F11.jpg",
        "0001/ir/2/6.jpg",
        "0001/IR/D2/6.jpg",
        "10001/ir/D2/6.jpg",
        "Train/0001/ir/D2",
        "ir/D2/6.jpg",
        "0001/ir/D2/6.png",
        "# none",
    ],
)
def test_a_line_of_another_form_is_refused_with_its_place(raw, out, capsys, line):
    options = write_list(raw.parent, "0001M1D2T1F1.jpg", "", line)
    assert prepare_tree(raw, out, *options) == 1
    message = capsys.readouterr().err
    assert f"discard_train.txt:3: {line!r}, expected a name like 0001M2D3T1F126.jpg or" in message
    assert "1 fault, nothing was written" in message
    assert not out.exists()


def test_a_list_that_cannot_be_read_is_named(raw, out, capsys):
    assert prepare_tree(raw, out, "--discard-test", str(raw / "none.txt")) == 1
    assert "none.txt: cannot be read as text" in capsys.readouterr().err
    (raw / "none.txt").write_bytes(b"\xff\xfe\x00")
    assert prepare_tree(raw, out, "--discard-test", str(raw / "none.txt")) == 1
    assert "none.txt: cannot be read as text" in capsys.readouterr().err
    assert not out.exists()
