"""The lists and the index of BUPTCampus: what is accepted, and what every fault says."""

import pytest
from bupt_tree import (
    TRAINING,
    Walk,
    contents_of,
    edit,
    edit_index,
    image_of,
    prepare_tree,
    refused,
    walks_of,
    write_bupt_tree,
)

from opengait_ext.data.layout import read_partition
from opengait_ext.prepare.bupt.folders import read_published
from opengait_ext.prepare.faults import ACCEPTED, Faults, Kind

pytestmark = pytest.mark.slow


def test_line_ends_blank_lines_and_backslashes_change_nothing_but_a_remark(tmp_path, capsys):
    digests = []
    for folder in ("plain", "edited"):
        raw = tmp_path / folder
        lists = write_bupt_tree(raw)
        if folder == "edited":
            for path in lists.glob("*.txt"):
                lines = path.read_text().split("\n")
                path.write_bytes("\r\n".join(["", *lines, " "]).encode())
            text = (raw / "data_paths.json").read_text()
            (raw / "data_paths.json").write_text(text.replace("/", "\\\\"))
        assert prepare_tree(raw, tmp_path / f"{folder}_out", "--fake-ir") == 0
        told = capsys.readouterr().out
        assert ("paths with backslashes, read as /" in told) == (folder == "edited")
        partition = read_partition(tmp_path / f"{folder}_out" / "partition.json")
        digests.append(partition.source["digest"])
    assert digests[0] == digests[1]
    plain, edited = (contents_of(tmp_path / f"{name}_out") for name in ("plain", "edited"))
    assert plain == edited  # FakeIR among it: not the visible images in its place


def faults_of(raw, auxiliary=False):
    """Kind and place of all that the reader notes, but for what is odd in sound data, too."""
    faults = Faults()
    read_published(raw, auxiliary=auxiliary, faults=faults)
    return [(f.kind, f.where) for f in faults.found if f.kind not in ACCEPTED]


LINE, TEST_LINE = "1 RGB/IR CQ1 1", "1911 RGB LS3 1"


@pytest.mark.parametrize(
    ("file", "old", "new", "kind", "where"),
    [
        ("train.txt", LINE, "1 RGB/IR CQ1", Kind.MALFORMED, "train.txt:1"),
        ("train.txt", LINE, "1 RGB CQ1 1", Kind.MALFORMED, "train.txt:1"),
        ("train.txt", LINE, "x RGB/IR CQ1 1", Kind.MALFORMED, "train.txt:1"),
        ("train.txt", LINE, "../1 RGB/IR CQ1 1", Kind.MALFORMED, "train.txt:1"),
        ("train.txt", LINE, "1 RGB/IR CQ1 -1", Kind.MALFORMED, "train.txt:1"),
        ("train.txt", LINE, "1 RGB/IR CQ7 1", Kind.MALFORMED, "train.txt:1"),
        ("query.txt", TEST_LINE, "1911 RGB/IR LS3 1", Kind.MALFORMED, "query.txt:1"),
        ("query.txt", TEST_LINE, "1911 rgb LS3 1", Kind.MALFORMED, "query.txt:1"),
        ("train.txt", LINE, "0001 RGB/IR CQ1 1", Kind.NO_ENTRY, "train.txt:1"),
        ("gallery.txt", "1912 RGB CQ1 1", "1912 RGB CQ1 9", Kind.NO_ENTRY, "gallery.txt:5"),
        ("train.txt", LINE, f"{LINE}\n{LINE}", Kind.LISTED_TWICE, "train.txt:2"),
        (
            "query.txt",
            TEST_LINE,
            f"{TEST_LINE}\n3 RGB W4 1",
            Kind.IN_TWO_PARTS,
            "identity 3",
        ),
    ],
)
def test_a_fault_in_a_list_has_its_kind_and_place(tmp_path, file, old, new, kind, where):
    write_bupt_tree(tmp_path / "raw")
    edit(tmp_path / "raw" / file, old, new)
    found = faults_of(tmp_path / "raw")
    assert found[0] == (kind, where)
    assert {each for each, _ in found} == {kind}  # of a pair, each half


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 RGB/IR CQ1", "4 fields: identity modality camera tracklet"),
        ("1 RGB CQ1 1", "the modality RGB/IR"),
        ("x RGB/IR CQ1 1", "an identity and a tracklet in digits"),
        ("1 RGB/IR CQ7 1", "a camera of LS3, G25, CQ1, W4, TSG1, TSG2"),
    ],
)
def test_a_line_of_another_form_is_told_what_was_expected(tmp_path, capsys, line, expected):
    said = f"train.txt:1: {line!r}, expected {expected}"
    refused(tmp_path, capsys, lambda raw: edit(raw / "train.txt", LINE, line), said, "1 fault")


def paths_of(index):
    return index["1"]["RGB"]["CQ1"]["1"]


def rename(old, new):
    def change(index):
        paths_of(index)[2] = paths_of(index)[2].replace(old, new)

    return change


def fewer(index):
    del index["1"]["IR"]["CQ1"]["1"][-1]


def emptied(index):
    paths_of(index).clear()


def no_list(index):
    index["1"]["RGB"]["CQ1"]["1"] = "1/RGB/CQ1/1_RGB_CQ1_1_8535.jpg"


def a_number(index):
    paths_of(index)[2] = 7


PATHS = "data_paths.json[1][RGB][CQ1][1]"


@pytest.mark.parametrize(
    ("change", "kind", "where"),
    [
        (rename("1_RGB_CQ1_1_", "2_RGB_CQ1_1_"), Kind.MALFORMED, f"{PATHS}[2]"),
        (rename("_RGB_", "_IR_"), Kind.MALFORMED, f"{PATHS}[2]"),
        (rename("1/RGB/CQ1/1_RGB_CQ1_1_", "1/IR/CQ1/1_IR_CQ1_1_"), Kind.MALFORMED, f"{PATHS}[2]"),
        (rename("/RGB/CQ1/1_RGB_CQ1", "/RGB/LS3/1_RGB_LS3"), Kind.MALFORMED, f"{PATHS}[2]"),
        (rename("CQ1_1_8537", "CQ1_2_8537"), Kind.MALFORMED, f"{PATHS}[2]"),
        (rename("1/RGB", "../1/RGB"), Kind.MALFORMED, f"{PATHS}[2]"),
        (rename(".jpg", ".png"), Kind.MALFORMED, f"{PATHS}[2]"),
        (a_number, Kind.MALFORMED, f"{PATHS}[2]"),
        (emptied, Kind.NO_ENTRY, "train.txt:1"),
        (no_list, Kind.NO_ENTRY, "train.txt:1"),
        (fewer, Kind.UNEQUAL_PAIR, "train.txt:1"),
    ],
)
def test_a_fault_in_the_index_has_its_kind_and_place(tmp_path, change, kind, where):
    write_bupt_tree(tmp_path / "raw")
    edit_index(tmp_path / "raw", change)
    assert faults_of(tmp_path / "raw") == [(kind, where)]


def test_a_path_of_another_form_is_told_what_was_expected(tmp_path, capsys):
    said = f"{PATHS}[2]: '1/RGB/CQ1/2_RGB_CQ1_1_8537.jpg', expected 1/RGB/CQ1/1_RGB_CQ1_1_<frame>."
    change = rename("1_RGB_CQ1_1_", "2_RGB_CQ1_1_")
    refused(tmp_path, capsys, lambda raw: edit_index(raw, change), said, "1 fault")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "is not the index of BUPTCampus (Expecting"),
        ("[]", "holds list, expected identity -> modality -> camera -> tracklet"),
        (
            '{"1": {"IR": {}, "IR": {}}}',
            "is not the index of BUPTCampus (the key 'IR' is there twice in one place)",
        ),
        ("[" * 100_000, "is not the index of BUPTCampus (maximum recursion"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path, capsys, text, expected):
    place = f"{tmp_path / 'raw' / 'data_paths.json'}: "
    refused(
        tmp_path, capsys, lambda raw: (raw / "data_paths.json").write_text(text), place + expected
    )


def test_an_index_or_a_list_that_is_no_text_is_named(tmp_path, capsys):
    for name in ("data_paths.json", "query.txt"):
        refused(
            tmp_path,
            capsys,
            lambda raw, name=name: (raw / name).write_bytes(b"\xff\xfe\x00"),
            f"{tmp_path / 'raw' / name}: cannot be read as text",
        )


def test_an_empty_list_is_refused(tmp_path, capsys):
    said = "gallery.txt: holds no line"
    refused(tmp_path, capsys, lambda raw: (raw / "gallery.txt").write_text("\n"), said)


def test_missing_images_are_counted_and_the_first_twenty_named(tmp_path, capsys):
    def change(raw):
        for path in sorted((raw / "DATA" / "1").rglob("*_[RI]*.jpg")):
            if "FakeIR" not in path.parts:
                path.unlink()

    missing = image_of(tmp_path / "raw", 1, "IR", "CQ1", 1, 0)
    expected = (f"{missing}: listed in data_paths.json, but not there", "50 faults", "and 30 more")
    refused(tmp_path, capsys, change, *expected)


def test_fake_ir_that_was_renamed_to_be_consistent_is_told(tmp_path, capsys):
    def change(raw):
        for path in sorted((raw / "DATA" / "1" / "FakeIR" / "LS3").iterdir()):
            path.rename(path.with_name(path.name.replace("RGB", "FakeIR")))

    missing = image_of(tmp_path / "raw", 1, "FakeIR", "LS3", 1, 0)
    expected = (
        f"{missing}: not there, but --fake-ir needs it (published names below FakeIR/ hold RGB; "
        "they must not be renamed)",
        "7 faults",
    )
    refused(tmp_path, capsys, change, *expected, options=["--fake-ir"])


def test_fake_ir_need_not_be_there_if_it_is_not_asked_for(tmp_path):
    write_bupt_tree(tmp_path / "raw", fake_ir=False)
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0


def test_an_auxiliary_identity_among_the_others_is_refused(tmp_path):
    write_bupt_tree(tmp_path / "raw")
    edit(tmp_path / "raw" / "train_auxiliary.txt", "2830 RGB/IR TSG1 1", "1911 RGB/IR G25 1")
    assert faults_of(tmp_path / "raw", auxiliary=True) == [(Kind.IN_TWO_PARTS, "identity 1911")]


def test_what_is_odd_but_harmless_is_remarked(tmp_path, capsys):
    raw = tmp_path / "raw"
    write_bupt_tree(raw, walks_of(7))

    def change(index):
        paths_of(index)[:2] = paths_of(index)[1::-1]
        one = index["3"]["IR"]["W4"]["1"]
        one[1] = one[0]

    edit_index(raw, change)
    edit(raw / "query.txt", "1911 RGB LS3 1\n", "1911 RGB LS3 1\n1911 IR G25 1\n")
    for stray in ("999.jpg", "._1.jpg", "Thumbs.db"):
        (raw / "DATA" / "1" / "IR" / "CQ1" / stray).write_bytes(b"stray")
    assert prepare_tree(raw, tmp_path / "out") == 0
    told = capsys.readouterr().out
    for remark in (
        "1 tracklets whose frame numbers do not ascend; their order is kept",
        "1 frames are listed twice in their tracklet",
        "2 of 9 pairs have other frame numbers in infrared",
        "query.txt: 1 tracklets are in gallery.txt, too",
        "5 tracklets have a single frame",
        "data_paths.json: 21 tracklets are in none of the lists that were read",
        f"{raw / 'DATA'}: 2 images are in no entry of data_paths.json and are left out",
    ):
        assert remark in told


def test_sound_data_are_not_remarked_upon(tmp_path, capsys):
    walks = [Walk("train", w.pid, w.camera, w.number, 3) for w in TRAINING[:4]]
    walks += [Walk("query", 5, "LS3", 1, 2), Walk("gallery", 5, "W4", 1, 2)]
    write_bupt_tree(tmp_path / "raw", walks)
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("12 tracklets, 32 frames")
    assert second == ""
