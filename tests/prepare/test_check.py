"""The check as a whole: exit status, report, quick look, digests, what is written where."""

import sys

import pytest
from check_trees import (
    A,
    check_alone,
    cut_frame,
    edit_partition,
    named,
    repack,
    results,
    run_check,
    sound_prepared,
    sound_raw,
    texts,
)
from vcm_tree import contents_of, edit

from opengait_ext.data.layout import read_frames, write_tracklet


@pytest.fixture
def data(tmp_path):
    return sound_prepared(tmp_path / "data")


@pytest.mark.slow
def test_the_exit_status_tells_faults_warnings_and_misuse(data, tmp_path, capsys):
    assert check_alone(data) == 0
    (data / "notes.txt").write_text("mine")
    assert check_alone(data) == 0
    assert check_alone(data, "--strict") == 1
    cut_frame(data)
    assert check_alone(data) == 1
    assert check_alone(tmp_path / "nowhere") == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert check_alone(tmp_path / "other") == 2
    assert "neither prepared (partition.json is missing) nor" in capsys.readouterr().err
    (data / "partition.json").unlink()
    assert check_alone(data) == 2
    assert "a preparation that is not finished" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        check_alone(data, "--min-frames", "0")
    assert stopped.value.code == 2


def test_nothing_in_the_data_is_changed(data):
    before = contents_of(data)
    cut_frame(data)
    damaged = contents_of(data)
    assert damaged != before
    run_check(data)
    assert contents_of(data) == damaged
    assert check_alone(data) == 1
    assert set(contents_of(data)) - set(damaged) == {".check.journal"}


def test_the_report_is_replaced_by_a_report_only(data, tmp_path, capsys):
    assert run_check(data)[0] == run_check(data)[0] == 0
    (tmp_path / "thesis.tex").write_text("mine")
    assert check_alone(data, "--report", tmp_path / "thesis.tex") == 2
    assert check_alone(data, "--report", data / "partition.json") == 2
    assert "is there and no report of a check; it is not replaced" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    assert check_alone(data, "--report", tmp_path / "none" / "r.json") == 2
    assert "its folder is not there or cannot be written to" in capsys.readouterr().err


def test_the_table_comes_last_and_names_the_first_example(data, capsys):
    cut_frame(data)
    check_alone(data)
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line[:2].strip().isdigit()]
    table = {row[1]: row[2:] for row in rows if len(row) > 2 and row[2] in ("ok", "fault")}
    assert len(table) == 18
    assert table["images"][:3] == ["fault", "1", f"{A}/0-frames.zip,"]
    assert table["files"] == ["ok"]
    assert out.rstrip().splitlines()[-2] == "1 faults, 0 warnings"


def test_many_faults_are_counted_and_only_the_first_are_kept(tmp_path):
    data = sound_raw(tmp_path / "raw")
    for path in data.rglob("*.jpg"):
        path.write_bytes(path.read_bytes()[:-40])
    status, report = run_check(data, "--min-frames", "3")
    images = results(report)["images"]
    assert images["faults"] == 80
    assert len(images["examples"]) == 50
    assert status == 1


def test_quick_looks_at_the_first_the_middle_and_the_last_frame_and_says_so(data, capsys):
    cut_frame(data, 1)
    assert run_check(data, "--quick")[0] == 0
    assert "of each tracklet only the first, the middle and the last frame" in (
        capsys.readouterr().out
    )
    for number in (0, 2, 3):
        cut_frame(data, number)
        status, report = run_check(data, "--quick")
        assert (status, named(report, "fault")) == (1, {"images"})
        assert report["frames_looked_at"] == "first, middle and last"
    assert "quick frames" in report["digests"]
    assert "frames" not in report["digests"]


@pytest.mark.parametrize(
    ("count", "chosen"),
    [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (8, [0, 4, 7]), (25, [0, 12, 24])],
)
def test_quick_chooses_frames_of_a_tracklet_of_any_length(count, chosen):
    from opengait_ext.prepare.check.tracklets import chosen_frames

    assert chosen_frames(count, True) == chosen
    assert chosen_frames(count, False) == list(range(count))


def test_quick_finds_a_tracklet_that_lost_frames(data):
    repack(data / A / "0-frames.zip", lambda all: all[:-1])
    _, report = run_check(data, "--quick")
    assert texts(report, "ranges") == [f"{A}: holds 3 frames, partition.json says 4"]


def test_the_digests_tell_whether_lists_and_frames_are_the_same(tmp_path):
    one = sound_prepared(tmp_path / "one")
    two = sound_prepared(tmp_path / "elsewhere" / "two")
    published = sound_raw(tmp_path / "published")
    digests = run_check(one)[1]["digests"]
    assert run_check(two)[1]["digests"] == digests
    assert (
        run_check(published, "--min-frames", "3")[1]["digests"]["lists"]
        == (digests["published lists"])
    )
    frames = read_frames(two / A, [1, 0, 2, 3])
    write_tracklet(two / A, frames)
    changed = run_check(two)[1]["digests"]
    assert changed["frames"] != digests["frames"]
    assert changed["lists"] == digests["lists"]
    edit(two / "partition.json", '"min_frames": 3', '"min_frames": 2')
    assert run_check(two)[1]["digests"]["lists"] != digests["lists"]


def turn_around(content):
    """Lists the same tracklets in the opposite order."""
    last = len(content["tracklets"]) - 1
    content["tracklets"].reverse()
    for directions in content["tasks"].values():
        for task in directions.values():
            for side, places in task.items():
                task[side] = [last - place for place in places]


def test_the_digest_of_the_frames_does_not_depend_on_the_order_of_the_list(data):
    before = run_check(data)[1]["digests"]
    edit_partition(data, turn_around)
    status, report = run_check(data)
    assert status == 0
    assert report["digests"]["frames"] == before["frames"]
    assert report["digests"]["lists"] != before["lists"]


def test_the_lists_of_published_data_have_the_digest_of_the_preparation_faulty_or_not(tmp_path):
    data = sound_raw(tmp_path / "raw")
    sound = run_check(data, "--min-frames", "3")[1]["digests"]["lists"]
    text = (data / "info" / "query_IDX.txt").read_text()
    (data / "info" / "query_IDX.txt").write_text(text.replace(" ", "\r\n") + "\n\n")
    assert run_check(data, "--min-frames", "3")[1]["digests"]["lists"] == sound
    (data / "info" / "query_IDX.txt").write_text(text + " 99")
    assert run_check(data, "--min-frames", "3")[1]["digests"]["lists"] != sound


def test_the_report_counts_lengths_and_sizes(data):
    histograms = run_check(data)[1]["histograms"]
    assert histograms["frames a tracklet"] == {"infrared": {"4": 10}, "visible": {"4": 10}}
    assert histograms["height in pixels"] == {"infrared": {"32": 40}, "visible": {"32": 40}}
    assert histograms["width in pixels"] == {"infrared": {"16": 40}, "visible": {"16": 40}}


def test_a_picture_without_matplotlib_is_refused_before_the_work(data, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert check_alone(data, "--picture", data.parent / "sizes.png") == 2
    assert "--picture needs matplotlib: pip install 'matplotlib" in capsys.readouterr().err
    assert not (data / ".check.journal").exists()


def test_a_picture_replaces_a_picture_only(data, monkeypatch, capsys):
    from opengait_ext.prepare.check import run as check

    monkeypatch.setattr(check, "check_matplotlib", lambda: None)
    before = (data / "partition.json").read_bytes()
    assert check_alone(data, "--picture", data / "partition.json") == 2
    assert "is there and no PNG; it is not replaced" in capsys.readouterr().err
    assert (data / "partition.json").read_bytes() == before
