"""The folders of BUPTCampus: where images, lists and index may be, and what is said if not."""

import shutil

import pytest
from bupt_tree import contents_of, edit, prepare_tree, refused, write_bupt_tree

from opengait_ext.data.layout import read_partition

pytestmark = pytest.mark.slow


def moved(raw):
    """Moves the lists and the index into DinoGRL's folder."""
    (raw / "inversing_bu").mkdir()
    for path in (*raw.glob("*.txt"), raw / "data_paths.json"):
        path.rename(raw / "inversing_bu" / path.name)


def flattened(raw):
    for path in list((raw / "DATA").iterdir()):
        path.rename(raw / path.name)
    (raw / "DATA").rmdir()


def wrapped(raw):
    (raw / "DATA").rename(raw / "moved")
    (raw / "DATA").mkdir()
    (raw / "moved").rename(raw / "DATA" / "DATA")


def untold(contents):
    """Leaves out the one file that tells where the data were found."""
    return {name: digest for name, digest in contents.items() if name != "partition.json"}


BESIDE = "lists in ./, data_paths.json in ./"
BELOW = "lists in inversing_bu/, data_paths.json in inversing_bu/"


@pytest.mark.parametrize(
    ("change", "source", "told"),
    [
        (None, "", f"images in DATA/, {BESIDE}"),
        (None, "DATA", f"images in DATA/, {BESIDE}"),
        (moved, "", f"images in DATA/, {BELOW}"),
        (moved, "DATA", f"images in DATA/, {BELOW}"),
        (flattened, "", f"images in ./, {BESIDE}"),
        (wrapped, "", f"images in DATA/DATA/, {BESIDE}"),
    ],
)
def test_data_or_its_parent_and_lists_beside_or_in_a_folder_give_the_same_files(
    tmp_path, capsys, change, source, told
):
    write_bupt_tree(tmp_path / "raw")
    if change:
        change(tmp_path / "raw")
    assert prepare_tree(tmp_path / "raw" / source, tmp_path / "out", "--auxiliary") == 0
    assert f"{told}; 53 tracklets, 167 frames" in capsys.readouterr().out
    write_bupt_tree(tmp_path / "other")
    prepare_tree(tmp_path / "other", tmp_path / "expected", "--auxiliary")
    assert untold(contents_of(tmp_path / "out")) == untold(contents_of(tmp_path / "expected"))


def test_a_download_that_wraps_its_folder_is_found(tmp_path, capsys):
    write_bupt_tree(tmp_path / "download" / "BUPTCampus")
    assert prepare_tree(tmp_path / "download", tmp_path / "out") == 0
    assert "images in BUPTCampus/DATA/, lists in BUPTCampus/" in capsys.readouterr().out


def test_lists_may_be_named_and_two_that_differ_must_be(tmp_path, capsys):
    raw = tmp_path / "raw"
    lists = write_bupt_tree(raw, lists=raw / "corrected")
    shutil.copytree(lists, raw / "inversing_bu")
    assert prepare_tree(raw, tmp_path / "out") == 0
    edit(lists / "train.txt", "1 RGB/IR CQ1 2\n", "")
    assert prepare_tree(raw, tmp_path / "two") == 1
    expected = f"{raw / 'corrected'} and {raw / 'inversing_bu'} hold different lists; choose with"
    assert expected in capsys.readouterr().err
    assert prepare_tree(raw, tmp_path / "two", "--lists", str(lists)) == 0
    paths = [t.path for t in read_partition(tmp_path / "two" / "partition.json").tracklets]
    assert "1/ir/D2-T1" in paths
    assert "1/ir/D2-T2" not in paths
    outside = tmp_path / "elsewhere"
    (raw / "inversing_bu").rename(outside)
    assert prepare_tree(raw, tmp_path / "three", "--lists", str(outside)) == 0
    assert "lists in the folder of --lists" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["train.txt", "query.txt", "gallery.txt"])
def test_a_missing_list_is_named(tmp_path, capsys, name):
    expected = f"{tmp_path / 'raw'}: {name} missing beside the other lists"
    refused(tmp_path, capsys, lambda raw: (raw / name).unlink(), expected)


def test_a_missing_index_is_named(tmp_path, capsys):
    expected = "data_paths.json is missing beside the lists, and in"
    refused(tmp_path, capsys, lambda raw: (raw / "data_paths.json").unlink(), expected)


def test_missing_data_say_what_was_expected(tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    assert prepare_tree(nowhere, tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert f"--source {nowhere}: no such folder; expected" in message
    assert "DATA/<pid>/<IR|RGB|FakeIR>/<camera>/<pid>_<IR|RGB>_<camera>_<tracklet>_" in message
    write_bupt_tree(tmp_path / "raw")
    assert prepare_tree(tmp_path / "raw", tmp_path / "out", "--lists", str(nowhere)) == 1
    assert f"--lists {nowhere}: no such folder" in capsys.readouterr().err


def test_a_folder_too_high_is_told_which_one_was_meant(tmp_path, capsys):
    write_bupt_tree(tmp_path / "a" / "b" / "c")
    assert prepare_tree(tmp_path / "a", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert "no lists here (found: ['b'])" in message
    assert f"did you mean --source {tmp_path / 'a' / 'b'}?" in message
    assert prepare_tree(tmp_path / "a" / "b", tmp_path / "out") == 0


def test_lists_without_any_of_their_identities_say_what_was_expected(tmp_path, capsys):
    refused(tmp_path, capsys, lambda raw: shutil.rmtree(raw / "DATA"),
            "no folder of an identity of the lists; expected")  # fmt: skip


@pytest.mark.parametrize("name", ["train_auxiliary.txt", "train_aux.txt"])
def test_the_auxiliary_list_is_found_under_both_names(tmp_path, name):
    raw = tmp_path / "raw"
    write_bupt_tree(raw)
    (raw / "train_auxiliary.txt").rename(raw / name)
    assert prepare_tree(raw, tmp_path / "out", "--auxiliary") == 0
    partition = read_partition(tmp_path / "out" / "partition.json")
    assert partition.source["auxiliary"] == name


def test_an_auxiliary_list_that_is_missing_or_there_twice_is_told(tmp_path, capsys):
    def second(raw):
        text = (raw / "train_auxiliary.txt").read_text()
        (raw / "train_aux.txt").write_text(text + "1 RGB/IR CQ1 1\n")

    refused(tmp_path, capsys, second, "train_auxiliary.txt and train_aux.txt differ; remove one",
            options=["--auxiliary"])  # fmt: skip

    def none(raw):
        for path in raw.glob("train_aux*"):
            path.unlink()

    refused(tmp_path, capsys, none, "--auxiliary needs train_auxiliary.txt or train_aux.txt, none",
            options=["--auxiliary"])  # fmt: skip
    assert prepare_tree(tmp_path / "raw", tmp_path / "out") == 0
