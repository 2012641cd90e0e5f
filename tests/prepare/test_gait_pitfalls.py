"""What can be wrong with a gait data set: named with file and value, and nothing is written."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
from gait_trees import prepare, rgbs, silhouettes, write_files, write_tree

from opengait_ext.data.layout import read_partition

pytestmark = pytest.mark.slow

ONE = "075/nm-05/018"


@pytest.fixture
def casia(tmp_path):
    return write_tree(tmp_path, "casia_b")


def refused(capsys, benchmark, source, *options):
    """Prepares in vain; gives what was said."""
    assert prepare(benchmark, source, *options) == 1
    assert not (source / "partition.json").exists()
    return capsys.readouterr().err


def lists_of(source):
    return source.parent / "CASIA-B.json"


def edit_lists(source, **changes):
    content = json.loads(lists_of(source).read_text())
    lists_of(source).write_text(json.dumps({**content, **changes}))


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_carries_code_is_named_not_run_and_never_passed_over(casia, capsys, tmp_path):
    marker = tmp_path / "it ran"
    path = casia / ONE / "018.pkl"
    path.write_bytes(pickle.dumps([silhouettes(3), Hostile(marker)]))
    for options in ((), ("--skip-damaged",)):
        said = refused(capsys, "casia_b", casia, *options)
        assert f"{path}: refused, nothing was run: it asks for {os.mkdir.__module__}.mkdir" in said
        assert "A file that asks for classes is always refused" in said
        assert not marker.exists()


DAMAGE = [
    (b"", "damaged (it ends early"),
    (pickle.dumps(silhouettes(3))[:100], "damaged (it ends early"),
    (pickle.dumps(silhouettes(300, 64, 64))[:-9], "damaged (it ends early"),
    (pickle.dumps([silhouettes(3)]), "holds list, not an array"),
    (pickle.dumps(silhouettes(3) / 255), "holds float64 [3, 8, 8], not uint8"),
    (pickle.dumps(silhouettes(3)[0]), "holds uint8 [8, 8], not uint8"),
    (pickle.dumps(silhouettes(0)), "holds uint8 [0, 8, 8], not uint8"),
    (pickle.dumps(np.zeros((3, 2, 8, 8), np.uint8)), "holds uint8 [3, 2, 8, 8], not uint8"),
]


@pytest.mark.parametrize(("content", "reason"), DAMAGE)
def test_a_file_that_cannot_be_used_is_named_and_can_be_left_out(casia, capsys, content, reason):
    path = casia / ONE / "018.pkl"
    path.write_bytes(content)
    said = refused(capsys, "casia_b", casia)
    assert f"{path}: {reason}" in said
    assert "1 fault, nothing was written" in said
    assert "--skip-damaged leaves out" in said
    assert prepare("casia_b", casia, "--skip-damaged") == 0
    assert f"{ONE}: {path}: {reason}" in capsys.readouterr().out
    partition = read_partition(casia / "partition.json")
    assert ONE not in {tracklet.path for tracklet in partition.tracklets}
    assert [each["tracklet"] for each in partition.source["dropped"]] == [ONE]


def test_an_empty_folder_and_a_folder_without_the_file_are_named(casia, capsys):
    (casia / ONE / "018.pkl").rename(casia / ONE / "0018.pkl")
    (casia / "076/bg-01/000/000.pkl").unlink()
    said = refused(capsys, "casia_b", casia)
    assert f"{casia / ONE}/018.pkl: is missing (there are: 0018.pkl)" in said
    assert f"{casia}/076/bg-01/000: is empty" in said


def test_two_files_that_fit_one_name_are_named(tmp_path, capsys):
    source = write_tree(tmp_path, "sustech1k")
    write_files(source / "0001/00-nm/000", {"05-copy": rgbs(3)})
    said = refused(capsys, "sustech1k", source, "--kind", "rgb")
    assert "0001/00-nm/000: expected one file 05-*.pkl or .zip, found 05-000-Camera-RGB_raw" in said


def test_identities_of_the_lists_without_a_folder_are_named_and_can_be_allowed(casia, capsys):
    shutil.rmtree(casia / "076")
    shutil.rmtree(casia / "002")
    said = refused(capsys, "casia_b", casia)
    assert "identity '076': listed in TEST_SET of" in said
    assert "identity '002': listed in TRAIN_SET of" in said
    assert "--allow-missing works with" in said
    assert prepare("casia_b", casia, "--allow-missing") == 0
    partition = read_partition(casia / "partition.json")
    assert partition.source["absent"] == {"train": 1, "test": 1}
    assert "1 of the test half have no folder: 076" in capsys.readouterr().out


def test_listed_probes_that_are_not_there_are_named(tmp_path, capsys):
    source = write_tree(tmp_path, "gait3d")
    shutil.rmtree(source / "0002/camid33_videoid2/seq0")
    said = refused(capsys, "gait3d", source)
    assert "'0002-camid33_videoid2-seq0': listed in PROBE_SET of" in said
    assert prepare("gait3d", source, "--allow-missing") == 0
    task = read_partition(source / "partition.json").tasks["test"]["visible_to_visible"]
    assert (len(task.query), len(task.gallery)) == (1, 6)


def test_a_probe_without_a_match_is_counted(tmp_path, capsys):
    source = write_tree(tmp_path, "gait3d")
    for place in ("camid33_videoid2/seq1", "camid9_videoid1"):
        shutil.rmtree(source / "0002" / place)
    assert prepare("gait3d", source) == 0
    said = capsys.readouterr().out
    assert "test visible_to_visible: 1 probes without a match in the gallery" in said
    assert "one view only" not in said  # of lists that say who queries whom, views are not compared


def test_identities_that_were_seen_from_one_side_only_are_told(casia, capsys):
    for view in ("000", "090"):
        for folder in casia.glob(f"076/*/{view}"):
            shutil.rmtree(folder)
    assert prepare("casia_b", casia) == 0
    assert "1 test identities with one view only:\n  076" in capsys.readouterr().out


def test_files_that_are_no_pickles_and_folders_in_no_list_are_told_but_not_used(casia, capsys):
    (casia / "075/.DS_Store").write_bytes(b"")
    (casia / ONE / "notes.txt").write_text("")
    (casia / "999/nm-01/000").mkdir(parents=True)
    (casia / "readme.txt").write_text("")
    assert prepare("casia_b", casia) == 0
    said = capsys.readouterr().out
    assert "2 files that are no pickles; OpenGait itself stops at them:" in said
    assert f"{casia}/075/.DS_Store" in said
    assert f"{casia / ONE}/notes.txt" in said
    assert "1 folders in no list, not used:\n  999" in said
    assert len(read_partition(casia / "partition.json").tracklets) == 150


def test_a_condition_without_probes_is_named(casia, capsys):
    for folder in casia.glob("*/cl-0*"):
        folder.rename(folder.with_name(folder.name.replace("cl", "CL")))
    said = refused(capsys, "casia_b", casia)
    assert "condition CL: no probe is there, of types cl-01, cl-02 (types of the test half: CL" in (
        said
    )


def test_a_test_of_one_view_is_refused(casia, capsys):
    for view in ("000", "090"):
        for folder in casia.glob(f"07*/*/{view}"):
            shutil.rmtree(folder)
    assert "the test half: has the view '018' alone" in refused(capsys, "casia_b", casia)


def test_empty_rows_and_columns_of_the_matrix_are_told(casia, capsys):
    for folder in casia.glob("07*/bg-0*/090"):
        shutil.rmtree(folder)
    assert prepare("casia_b", casia) == 0
    said = capsys.readouterr().out
    assert "1 empty rows or columns of view matrices:" in said
    assert "condition BG: no probe in the view 090; its cells are left out of the mean" in said


def test_frames_of_different_sizes_are_told_and_channels_may_not_differ(casia, capsys):
    write_files(casia / ONE, {"018": silhouettes(3, 8, 6)})
    assert prepare("casia_b", casia) == 0
    said = capsys.readouterr().out
    assert "put Resize first in transform:\n  8 x 8: 149 tracklets\n  8 x 6: 1 tracklets" in said
    (casia / "partition.json").unlink()
    write_files(casia / ONE, {"018": rgbs(3)})
    said = refused(capsys, "casia_b", casia)
    assert f"{ONE}: has 3 channels, 149 other tracklets have 1" in said


def test_short_tracklets_are_dropped_with_their_number_of_frames(casia, capsys):
    write_files(casia / ONE, {"018": silhouettes(2)})
    assert prepare("casia_b", casia, "--min-frames", "3") == 0
    assert f"{ONE}: 2 frames, at least 3 needed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"TEST_SET": []}, "TEST_SET: [], expected a list of names"),
        ({"TRAIN_SET": "001"}, "TRAIN_SET: '001', expected a list of names"),
        ({"TRAIN_SET": ["001", 2]}, "TRAIN_SET: 2, expected the name of a folder"),
        ({"TRAIN_SET": ["../075"]}, "TRAIN_SET: '../075', expected the name of a folder"),
        ({"TRAIN_SET": ["001", "002", "001"]}, "TRAIN_SET: 001 is listed a second time"),
        ({"TRAIN_SET": ["001", "075"]}, "identity '075': is in TRAIN_SET and in TEST_SET"),
    ],
)
def test_lists_that_are_wrong_are_named(casia, capsys, changes, reason):
    edit_lists(casia, **changes)
    assert reason in refused(capsys, "casia_b", casia)


def test_lists_and_sources_that_are_not_there_are_named(casia, capsys, monkeypatch):
    lists_of(casia).write_text("{")
    assert "cannot be read as JSON" in refused(capsys, "casia_b", casia)
    lists_of(casia).unlink()
    monkeypatch.delenv("OPENGAIT_ROOT", raising=False)
    said = refused(capsys, "casia_b", casia)
    assert "CASIA-B.json: the lists of identities are neither in" in said
    assert "--lists <checkout>/datasets/CASIA-B/CASIA-B.json" in said


def test_another_folder_than_that_of_the_identities_is_named(casia, capsys):
    said = refused(capsys, "casia_b", casia / "001", "--lists", lists_of(casia))
    assert "holds no identity of" in said
    assert "but bg-01, bg-02" in said
    assert "is no folder" in refused(capsys, "casia_b", casia / "x", "--lists", lists_of(casia))


def test_a_kind_that_is_not_published_or_not_there_is_named(tmp_path, capsys):
    source = write_tree(tmp_path, "gait3d")
    said = refused(capsys, "gait3d", source, "--kind", "rgb")
    assert "Gait3D is published with silhouettes only" in said
    source = write_tree(tmp_path, "casia_b")
    said = refused(capsys, "casia_b", source, "--kind", "rgb")
    assert "has a file {view}-aligned-rgbs.pkl or {view}-rgbs.pkl" in said
    assert "has 000.pkl); choose another --kind" in said


def test_a_target_that_holds_other_things_is_refused(casia, capsys, tmp_path):
    target = tmp_path / "full"
    target.mkdir()
    (target / "thesis.txt").write_text("")
    assert prepare("casia_b", casia, "--target", target) == 1
    assert "is not empty and was not made by this script" in capsys.readouterr().err
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_many_faults_are_counted(casia, capsys):
    for path in casia.glob("075/*/*/*.pkl"):
        path.unlink()
    said = refused(capsys, "casia_b", casia)
    assert "30 faults, nothing was written" in said
    assert "and 10 more" in said
