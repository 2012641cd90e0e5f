"""The lists of HITSZ-VCM: what is accepted, and what every fault says."""

import re
import shutil

import pytest
from vcm_tree import WALKS, contents_of, edit, prepare_tree, write_vcm_tree

from opengait_ext.data.layout import read_partition
from opengait_ext.prepare.faults import Faults, Kind
from opengait_ext.prepare.vcm.lists import LISTS, read_lists


def refused(tmp_path, capsys, change, *expected):
    """Publishes data with one defect, expects each text in the message and nothing written."""
    change(write_vcm_tree(tmp_path / "raw"))
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 1
    message = capsys.readouterr().err
    for text in expected:
        assert text in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ("split", "identities in Train/ and Test/, lists in info/"),
        ("flat", "identities in one folder, lists in info/"),
        ("beside", "identities in one folder, lists in the same folder"),
    ],
)
def test_every_published_layout_is_recognized_and_gives_the_same_files(
    tmp_path, capsys, layout, told
):
    write_vcm_tree(tmp_path / "raw", layout=layout)
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0
    assert f"{told}; 20 tracklets, 80 frames" in capsys.readouterr().out
    write_vcm_tree(tmp_path / "other")
    prepare_tree(tmp_path / "other", tmp_path / "expected")
    found, expected = contents_of(tmp_path / "out"), contents_of(tmp_path / "expected")
    assert {k: v for k, v in found.items() if k != "partition.json"} == {
        k: v for k, v in expected.items() if k != "partition.json"
    }


def test_line_ends_blank_lines_and_one_query_a_line_change_nothing(tmp_path):
    digests = []
    for folder in ("plain", "edited"):
        lists = write_vcm_tree(tmp_path / folder)
        if folder == "edited":
            for path in lists.iterdir():
                lines = path.read_text().split("\n")
                path.write_bytes("\r\n".join([*lines, "", " "]).encode())
            query = lists / "query_IDX.txt"
            query.write_text("\n".join(query.read_text().split()) + "\n\n")
        assert prepare_tree(tmp_path / folder, tmp_path / f"{folder}_out") == 0
        partition = read_partition(tmp_path / f"{folder}_out" / "partition.json")
        digests.append(partition.source["digest"])
        assert len(partition.tasks["test"]["infrared_to_visible"].query) == 4
    assert digests[0] == digests[1]


NAMES, ROWS, QUERY = "train_name.txt", "track_train_info.txt", "query_IDX.txt"
TEST_ROWS = "track_test_info.txt"
IMAGE, ROW = "0001M1D2T1F1.jpg", "1 1 4 0001 2"
CLAIM = "9" * 5000


def faults_of(lists):
    """Kind and place of all that the reader notes."""
    faults = Faults()
    read_lists(lambda name: (lists / name).read_bytes(), faults)
    return [(fault.kind, fault.where) for fault in faults.found]


@pytest.mark.parametrize(
    ("file", "old", "new", "kind", "where"),
    [
        (NAMES, IMAGE, f"1{IMAGE}", Kind.MALFORMED, f"{NAMES}:1"),
        (NAMES, "0001M1D2T1F6.jpg", "0001m1D2T1F6.jpg", Kind.MALFORMED, f"{NAMES}:2"),
        (NAMES, IMAGE, "0001M3D2T1F1.jpg", Kind.MALFORMED, f"{NAMES}:1"),
        (NAMES, IMAGE, f"{IMAGE}.jpg", Kind.MALFORMED, f"{NAMES}:1"),
        (NAMES, IMAGE, "../1M1D2T1F1.jpg", Kind.MALFORMED, f"{NAMES}:1"),
        (NAMES, IMAGE, f"0001M1D2T{CLAIM}F1.jpg", Kind.MIXED_TRACKLETS, f"{ROWS}:1"),
        (NAMES, "0001M1D2T1F6.jpg", IMAGE, Kind.NAME_TWICE, f"{NAMES}:2"),
        (NAMES, "0001M1D2T1F6.jpg", "0001M1D2T9F1.jpg", Kind.IMAGE_TWICE, f"{NAMES}:2"),
        (ROWS, ROW, "1 1 4 0009 2", Kind.FOREIGN_FRAME, f"{ROWS}:1"),
        (ROWS, ROW, "2 1 4 0001 2", Kind.FOREIGN_FRAME, f"{ROWS}:1"),
        (ROWS, ROW, "1 1 4 0001 3", Kind.FOREIGN_FRAME, f"{ROWS}:1"),
        (ROWS, ROW, "1 1 99 0001 2", Kind.OUT_OF_RANGE, f"{ROWS}:1"),
        (ROWS, ROW, "1 0 4 0001 2", Kind.OUT_OF_RANGE, f"{ROWS}:1"),
        (ROWS, ROW, "1 4 1 0001 2", Kind.OUT_OF_RANGE, f"{ROWS}:1"),
        (ROWS, ROW, "3 1 4 0001 2", Kind.MALFORMED, f"{ROWS}:1"),
        (ROWS, ROW, "1e0 1 4 0001 2", Kind.MALFORMED, f"{ROWS}:1"),
        (ROWS, ROW, "1 1 4 0001", Kind.MALFORMED, f"{ROWS}:1"),
        (ROWS, ROW, f"1 1 {CLAIM} 0001 2", Kind.MALFORMED, f"{ROWS}:1"),
        (ROWS, "1 5 8 0001 10", "1 5 7 0001 10", Kind.UNUSED_NAMES, NAMES),
        (QUERY, "1 2", "1 9", Kind.MALFORMED, f"{QUERY}:1"),
        (QUERY, "1 2", "1 x", Kind.MALFORMED, f"{QUERY}:1"),
        (QUERY, "1 2", f"1 2 {CLAIM}", Kind.MALFORMED, f"{QUERY}:1"),
        (QUERY, "1 2", "1 1 2", Kind.LISTED_TWICE, f"{QUERY}:1"),
        (QUERY, "1 2", "1 2 3", Kind.WRONG_QUERY, f"{TEST_ROWS}:3"),
        (QUERY, "1 2", "1", Kind.WRONG_QUERY, f"{TEST_ROWS}:2"),
    ],
)
def test_a_fault_in_a_list_has_its_kind_and_place(tmp_path, file, old, new, kind, where):
    lists = write_vcm_tree(tmp_path / "raw")
    edit(lists / file, old, new)
    first, *rest = faults_of(lists)
    assert first == (kind, where)
    follows = {Kind.UNUSED_NAMES, Kind.WRONG_QUERY, Kind.MIXED_TRACKLETS}
    assert {each for each, _ in rest} <= follows


def test_a_row_that_takes_the_frames_of_another_is_noted_and_accepted(tmp_path):
    lists = write_vcm_tree(tmp_path / "raw")
    edit(lists / ROWS, "2 45 48 0003 3\n", "2 45 48 0003 3\n2 47 48 0003 3\n")
    assert faults_of(lists) == [(Kind.OVERLAP, f"{ROWS}:13")]


def test_sound_lists_have_no_fault(tmp_path):
    assert faults_of(write_vcm_tree(tmp_path / "raw")) == []


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    ("content", "kind"), [(b"\n", Kind.EMPTY), (b"\xff\xfe\x00", Kind.UNREADABLE), (None, None)]
)
def test_a_list_that_holds_nothing_is_named_without_what_follows_from_it(
    tmp_path, name, content, kind
):
    lists = write_vcm_tree(tmp_path / "raw")
    if content is None:
        (lists / name).unlink()
        kind = Kind.UNREADABLE
    else:
        (lists / name).write_bytes(content)
    found = faults_of(lists)
    assert found[0] == (kind, name)
    assert {each for each, _ in found[1:]} <= {Kind.UNUSED_NAMES, Kind.MALFORMED}


def test_an_identity_in_both_halves_is_refused(tmp_path):
    lists = write_vcm_tree(tmp_path / "raw")
    for file in ("test_name.txt", TEST_ROWS):
        text = (lists / file).read_text()
        (lists / file).write_text(re.sub(r"(?m)0503(?=M| )", "0001", text))
    assert faults_of(lists) == [(Kind.IN_TWO_PARTS, "identity 0001")]


def test_the_faults_of_lists_are_refused_together_and_nothing_is_written(tmp_path, capsys):
    def change(lists):
        edit(lists / NAMES, IMAGE, f"1{IMAGE}")
        edit(lists / QUERY, "1 2", "1 2 3")

    expected = (f"{NAMES}:1: '10001M1", f"{TEST_ROWS}:3: row 3 is visible", "info: 2 faults")
    refused(tmp_path, capsys, change, *expected)


def test_missing_images_are_counted_and_the_first_twenty_named(tmp_path, capsys):
    def change(lists):
        for path in sorted((lists.parent / "Train").rglob("*.jpg"))[:23]:
            path.unlink()

    missing = str(tmp_path / "raw" / "Train" / "0001" / "ir" / "D10" / "1.jpg")
    expected = (f"{missing}: listed in train_name.txt, but not there", "23 faults", "and 3 more")
    refused(tmp_path, capsys, change, *expected)


def test_a_missing_list_is_named(tmp_path, capsys):
    expected = "info: query_IDX.txt missing beside the other lists"
    refused(tmp_path, capsys, lambda lists: (lists / "query_IDX.txt").unlink(), expected)


def test_a_list_that_is_no_text_is_named(tmp_path, capsys):
    def change(lists):
        (lists / "query_IDX.txt").write_bytes(b"\xff\xfe\x00")

    refused(tmp_path, capsys, change, "query_IDX.txt: cannot be read as text")


def test_missing_data_say_what_was_expected(tmp_path, capsys):
    assert prepare_tree(tmp_path / "nowhere", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert f"--source {tmp_path / 'nowhere'}: no such folder or archive; expected one of" in message
    assert "<pid>/<ir|rgb>/D<camera>/<frame>.jpg" in message


def test_a_folder_above_the_data_will_do(tmp_path, capsys):
    write_vcm_tree(tmp_path / "download" / "VCM")
    assert prepare_tree(tmp_path / "download", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "identities in VCM/Train/ and VCM/Test/, lists in VCM/info/" in told


def test_the_three_folders_may_lie_in_different_places(tmp_path, capsys):
    write_vcm_tree(tmp_path / "raw")
    (tmp_path / "raw" / "Test").rename(tmp_path / "Test")
    options = ["--source", str(tmp_path / "Test"), "--source", str(tmp_path / "raw" / "info")]
    assert prepare_tree(tmp_path / "raw" / "Train", tmp_path / "out", *options) == 0
    assert "identities in Train/ and Test/, lists in info/; 20 tracklets" in capsys.readouterr().out


def test_a_folder_of_several_data_sets_is_refused_with_their_names(tmp_path, capsys):
    lists = [write_vcm_tree(tmp_path / "data" / name) for name in ("a", "b")]
    assert prepare_tree(tmp_path / "data", tmp_path / "out") == 1
    assert f"several data sets ({lists[0]}, {lists[1]}); give one" in capsys.readouterr().err


def test_prepared_data_beside_the_published_ones_are_not_taken_for_them(tmp_path, capsys):
    write_vcm_tree(tmp_path / "data" / "raw")
    assert prepare_tree(tmp_path / "data", tmp_path / "data" / "a") == 0
    expected = contents_of(tmp_path / "data" / "a")
    assert prepare_tree(tmp_path / "data", tmp_path / "data" / "b") == 0
    assert contents_of(tmp_path / "data" / "b") == expected


def test_the_folder_of_most_identities_is_the_home_of_a_half(tmp_path, capsys):
    write_vcm_tree(tmp_path / "raw")
    shutil.copytree(tmp_path / "raw" / "Train" / "0001", tmp_path / "raw" / "Copy" / "0001")
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0
    assert "identities in Train/ and Test/, lists in info/" in capsys.readouterr().out


def test_a_folder_without_lists_is_told_what_it_holds(tmp_path, capsys):
    (tmp_path / "raw" / "papers").mkdir(parents=True)
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert "no lists here (found: ['papers'])\nexpected one of" in message
    assert "<pid>/<ir|rgb>/D<camera>/<frame>.jpg" in message


@pytest.mark.parametrize("half", ["Train", "Test"])
def test_a_half_whose_images_are_missing_altogether_is_named(tmp_path, capsys, half):
    def change(lists):
        (lists.parent / half).rename(tmp_path / "elsewhere")

    expected = {
        "Train": "3 identities (0001, 0002, 0003, ...)",
        "Test": "2 identities (0503, 0504, ...)",
    }
    start = f"the {half} half: none of its {expected[half]} is there"
    refused(tmp_path, capsys, change, start, "\nexpected one of\n")


def test_a_wrapped_folder_is_found(tmp_path, capsys):
    write_vcm_tree(tmp_path / "raw")
    (tmp_path / "raw" / "Train").rename(tmp_path / "raw" / "moved")
    (tmp_path / "raw" / "Train").mkdir()
    (tmp_path / "raw" / "moved").rename(tmp_path / "raw" / "Train" / "Train")
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0
    assert "identities in Train/Train/ and Test/, lists in info/" in capsys.readouterr().out


def test_what_is_odd_but_harmless_is_remarked(tmp_path, capsys):
    lists = write_vcm_tree(tmp_path / "raw", WALKS)
    edit(lists / "track_train_info.txt", "1 5 8 0001 10\n", "1 5 7 0001 10\n")
    edit(lists / "track_train_info.txt", "2 9 12 0001 2\n", "2 9 12 0001 2\n2 9 12 0001 2\n")
    folder = tmp_path / "raw" / "Train" / "0001" / "ir" / "D2"
    for stray in ("999.jpg", "._1.jpg", "Thumbs.db"):
        (folder / stray).write_bytes(b"stray")
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "train_name.txt: lines 8 to 8 belong to no row of track_train_info.txt" in told
    assert "track_train_info.txt:4: 4 of 4 frames belong to row 3, too; both rows are" in told
    assert "2 images are in no list and are left out" in told
