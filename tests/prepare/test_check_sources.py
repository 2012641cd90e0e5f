"""The check of archives, of BUPTCampus, and of data that are not known."""

import shutil

import pytest
from bupt_tree import edit_index, image_of, prepare_tree, write_bupt_tree
from check_trees import named, paint, results, run_check, sound_raw, texts
from vcm_tree import edit

pytestmark = pytest.mark.slow


@pytest.fixture
def campus(tmp_path):
    write_bupt_tree(tmp_path / "campus")
    paint(tmp_path / "campus")
    return tmp_path / "campus"


@pytest.fixture
def archive(tmp_path):
    """Published data in one zip, and the folder they were."""
    raw = sound_raw(tmp_path / "raw")
    (tmp_path / "download").mkdir()
    return raw, tmp_path / "download"


def pack(raw, folder, form="zip"):
    shutil.make_archive(str(folder / "VCM"), form, raw)


ENDS = {"zip": "zip", "tar": "tar", "gztar": "tar.gz"}


@pytest.mark.parametrize("form", ENDS)
def test_archives_are_checked_without_being_unpacked(archive, tmp_path, form):
    raw, folder = archive
    pack(raw, folder, form)
    status, report = run_check(folder, "--min-frames", "3")
    assert (status, report["result"]) == (0, "ok"), report["checks"]
    digests = run_check(raw, "--min-frames", "3")[1]["digests"]
    assert report["digests"] == digests
    assert [path.name for path in folder.iterdir()] == [f"VCM.{ENDS[form]}"]
    assert not (tmp_path / ".unpacked").exists()


def test_faults_in_an_archive_are_told_with_the_member(archive):
    raw, folder = archive
    image = raw / "Train/0001/ir/D2/1.jpg"
    image.write_bytes(image.read_bytes()[:-40])
    (raw / "Train/0001/ir/D2/6.jpg").unlink()
    (raw / "Train/0001/ir/D2/999.jpg").write_bytes(b"")
    pack(raw, folder)
    status, report = run_check(folder, "--min-frames", "3")
    assert status == 1
    assert named(report, "fault") == {"files", "images"}
    assert "VCM.zip:Train/0001/ir/D2/6.jpg: listed in" in texts(report, "files")[0]
    assert texts(report, "images")[0].startswith("VCM.zip:Train/0001/ir/D2/1.jpg: cannot be")
    assert "VCM.zip:Train/0001/ir/D2/999.jpg: is in no list" in texts(report, "stray")[0]


def test_a_member_that_claims_too_much_is_not_read(archive, monkeypatch):
    from opengait_ext.prepare.check import tracklets as check_tracklets

    raw, folder = archive
    pack(raw, folder)
    monkeypatch.setattr(check_tracklets, "LARGEST", 100)
    _, report = run_check(folder, "--min-frames", "3")
    assert results(report)["images"]["faults"] == 80
    assert "is larger than 100 bytes" in texts(report, "images")[0]


def test_a_cut_archive_is_a_fault(archive):
    raw, folder = archive
    pack(raw, folder)
    path = folder / "VCM.zip"
    path.write_bytes(path.read_bytes()[:-500])
    status, report = run_check(folder, "--raw-kind", "hitsz_vcm")
    assert status == 1
    assert "is cut off or damaged" in texts(report, "lists")[0]


def test_letters_of_another_case_are_a_warning(archive):
    raw, _ = archive
    (raw / "Train/0001/ir/D2/1.jpg").rename(raw / "Train/0001/ir/D2/1.JPG")
    status, report = run_check(raw, "--min-frames", "3")
    assert status == 0
    expected = "Train/0001/ir/D2/1.JPG: is listed as 0001/ir/D2/1.jpg, in other letters"
    assert texts(report, "names") == [expected]


def test_sound_campus_data_have_no_fault(campus):
    status, report = run_check(campus)
    assert (status, named(report, "fault")) == (0, set()), report["checks"]
    assert report["kind"] == "bupt_campus"
    assert run_check(campus / "DATA")[0] == 0


CAMPUS = {
    "a cut frame": (
        lambda raw: cut(image_of(raw, 1, "RGB", "CQ1", 1, 0)),
        "images",
        "DATA/1/RGB/CQ1/1_RGB_CQ1_1_8535.jpg: cannot be decoded",
    ),
    "a missing frame": (
        lambda raw: image_of(raw, 1, "RGB", "CQ1", 1, 0).unlink(),
        "files",
        "1_RGB_CQ1_1_8535.jpg: listed in data_paths.json, but not there",
    ),
    "an identity in two parts": (
        lambda raw: edit(raw / "query.txt", "1911 RGB LS3 1", "1 RGB LS3 1"),
        "identities",
        "identity 1: is in train.txt and in query.txt",
    ),
    "pairs of unequal length": (
        lambda raw: edit_index(raw, lambda index: index["1"]["IR"]["CQ1"]["1"].pop()),
        "ranges",
        "12 visible and 11 infrared frames, expected equally",
    ),
    "a line of another form": (
        lambda raw: edit(raw / "query.txt", "1911 RGB LS3 1", "1911 RGB LS3"),
        "lists",
        "expected 4 fields",
    ),
    "no index": (
        lambda raw: (raw / "data_paths.json").write_text("{"),
        "lists",
        "is not the index of BUPTCampus",
    ),
}


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(("plant", "check", "message"), CAMPUS.values(), ids=CAMPUS)
def test_a_fault_of_campus_data_is_told_by_its_check(campus, plant, check, message):
    plant(campus)
    status, report = run_check(campus)
    assert status == 1
    assert check in named(report, "fault")
    assert any(message in text for text in texts(report, check)), texts(report, check)


def test_all_faults_of_campus_lists_are_counted(campus):
    from opengait_ext.prepare.bupt.folders import read_published

    rows = read_published(campus, auxiliary=True).rows
    expected = sum(len(row.files) for row in rows if row.modality == "visible")
    for path in (campus / "DATA").rglob("*_RGB_*.jpg"):
        if "FakeIR" not in path.parts:
            path.unlink()
    _, report = run_check(campus)
    entry = results(report)["files"]
    told = entry["faults"] + results(report)["lists"]["faults"]
    assert told == expected


def test_unknown_data_are_told_with_what_was_expected(tmp_path, capsys):
    from opengait_ext.prepare.check import run as check

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cat.jpg").write_bytes(b"")
    assert check.main([str(tmp_path / "other")]) == 2
    message = capsys.readouterr().err
    assert "(found: ['cat.jpg'])" in message
    assert "--raw-kind hitsz_vcm or bupt_campus tells what is missing" in message


def test_a_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    data = sound_raw(tmp_path / "raw")
    assert run_check(data, "--min-frames", "3", "--picture", str(tmp_path / "sizes.png"))[0] == 0
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")


def test_fake_ir_beside_prepared_frames_belongs_there_if_the_partition_says_so(campus, tmp_path):
    assert prepare_tree(campus, tmp_path / "out", "--fake-ir") == 0
    _, report = run_check(tmp_path / "out")
    assert texts(report, "stray") == []
    foreign = next((tmp_path / "out").glob("*/ir/*")) / "1-fake_ir.zip"
    foreign.write_bytes(b"")
    _, report = run_check(tmp_path / "out")
    assert len(texts(report, "stray")) == 1
