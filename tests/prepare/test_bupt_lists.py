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


LINE = "1 RGB/IR CQ1 1"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("train.txt", LINE, "1 RGB/IR CQ1", "train.txt:1: '1 RGB/IR CQ1', expected 4 fields"),
        ("train.txt", LINE, "1 RGB CQ1 1", "'1 RGB CQ1 1', expected the modality RGB/IR"),
        ("train.txt", LINE, "x RGB/IR CQ1 1", "expected an identity and a tracklet in digits"),
        ("train.txt", LINE, "../1 RGB/IR CQ1 1", "expected an identity and a tracklet in digits"),
        ("train.txt", LINE, "1 RGB/IR CQ1 -1", "expected an identity and a tracklet in digits"),
        ("train.txt", LINE, "1 RGB/IR CQ7 1", "expected a camera of LS3, G25, CQ1, W4, TSG1, TSG2"),
        ("query.txt", "1911 RGB LS3 1", "1911 RGB/IR LS3 1", "expected the modality RGB or IR"),
        ("query.txt", "1911 RGB LS3 1", "1911 rgb LS3 1", "expected the modality RGB or IR"),
        (
            "train.txt",
            LINE,
            "0001 RGB/IR CQ1 1",
            "train.txt:1: '0001 RGB/IR CQ1 1': data_paths.json[0001][RGB][CQ1][1] holds nothing, "
            "expected a list of paths",
        ),
        (
            "gallery.txt",
            "1912 RGB CQ1 1",
            "1912 RGB CQ1 9",
            "gallery.txt:5: '1912 RGB CQ1 9': data_paths.json[1912][RGB][CQ1][9] holds nothing",
        ),
        ("train.txt", LINE, f"{LINE}\n{LINE}", f"train.txt:2: '{LINE}': RGB is listed a second"),
        (
            "query.txt",
            "1911 RGB LS3 1",
            "1911 RGB LS3 1\n3 RGB W4 1",
            "identity 3 is in train.txt and in query.txt, expected in one of them",
        ),
    ],
)
def test_a_fault_in_a_list_is_named_with_file_and_line(tmp_path, capsys, file, old, new, expected):
    refused(tmp_path, capsys, lambda raw: edit(raw / file, old, new), expected, "faults")


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


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            rename("1_RGB_CQ1_1_", "2_RGB_CQ1_1_"),
            "data_paths.json[1][RGB][CQ1][1][2]: '1/RGB/CQ1/2_RGB_CQ1_1_8537.jpg', expected "
            "1/RGB/CQ1/1_RGB_CQ1_1_<frame>.jpg",
        ),
        (rename("_RGB_", "_IR_"), "[2]: '1/RGB/CQ1/1_IR_CQ1_1_8537.jpg', expected"),
        (rename("1/RGB/CQ1/1_RGB_CQ1_1_", "1/IR/CQ1/1_IR_CQ1_1_"), "[2]: '1/IR/CQ1/1_IR"),
        (rename("/RGB/CQ1/1_RGB_CQ1", "/RGB/LS3/1_RGB_LS3"), "[2]: '1/RGB/LS3/1_RGB_LS3_1_8537"),
        (rename("CQ1_1_8537", "CQ1_2_8537"), "[2]: '1/RGB/CQ1/1_RGB_CQ1_2_8537.jpg', expected"),
        (rename("1/RGB", "../1/RGB"), "[2]: '../1/RGB/CQ1/1_RGB_CQ1_1_8537.jpg', expected"),
        (rename(".jpg", ".png"), "[2]: '1/RGB/CQ1/1_RGB_CQ1_1_8537.png', expected"),
        (a_number, "data_paths.json[1][RGB][CQ1][1][2]: 7, expected"),
        (emptied, "data_paths.json[1][RGB][CQ1][1] holds [], expected a list of paths"),
        (no_list, "[1] holds '1/RGB/CQ1/1_RGB_CQ1_1_8535.jpg', expected a list of paths"),
        (
            fewer,
            "train.txt:1: '1 RGB/IR CQ1 1': 12 visible and 11 infrared frames, expected equally "
            "many, because training takes frames of the same numbers from both",
        ),
    ],
)
def test_a_fault_in_the_index_is_named_with_its_place(tmp_path, capsys, change, expected):
    refused(tmp_path, capsys, lambda raw: edit_index(raw, change), expected, "1 faults")


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
    refused(tmp_path, capsys, lambda raw: (raw / "gallery.txt").write_text("\n"),
            "gallery.txt: no tracklet")  # fmt: skip


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


def test_an_auxiliary_identity_among_the_others_is_refused(tmp_path, capsys):
    def change(raw):
        edit(raw / "train_auxiliary.txt", "2830 RGB/IR TSG1 1", "1911 RGB/IR G25 1")

    expected = "identity 1911 is in train_auxiliary.txt and in query.txt, expected in one of them"
    refused(tmp_path, capsys, change, expected, options=["--auxiliary"])


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
        "1 tracklets are both in query.txt and in gallery.txt",
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
