"""The journal of the check: what a stop and a kill leave, what is looked at again; processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from check_trees import (
    check_alone,
    cut_frame,
    edit_partition,
    encoded,
    named,
    picture,
    run_check,
    sound_prepared,
    texts,
)
from vcm_tree import ROOT

from opengait_ext.data.layout import write_tracklet

SCRIPT = ROOT / "datasets" / "prep" / "check.py"


@pytest.fixture
def data(tmp_path):
    return sound_prepared(tmp_path / "data")


def test_a_second_check_looks_at_changed_files_only(data, capsys):
    journal = data / ".check.journal"
    check_alone(data)
    first = journal.read_text()
    check_alone(data)
    assert "20 of 20 tracklets were checked before" in capsys.readouterr().out
    assert journal.read_text() == first
    cut_frame(data)
    assert check_alone(data) == 1
    assert "19 of 20 tracklets were checked before" in capsys.readouterr().out
    assert check_alone(data) == 1, "the fault is known from the journal"
    assert check_alone(data, "--anew") == 1
    assert "checked before" not in capsys.readouterr().out.split("0 warnings")[-1]


def test_a_damaged_journal_costs_its_damaged_lines_only(data, capsys):
    journal = data / ".check.journal"
    check_alone(data)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 21
    broken = lines[3].replace(b'"gray": ', b'"gray": 1')
    journal.write_bytes(b"".join([*lines[:3], broken, *lines[4:-1], lines[-1][:-20]]))
    check_alone(data)
    assert "18 of 20 tracklets were checked before" in capsys.readouterr().out
    check_alone(data)
    assert "20 of 20 tracklets were checked before" in capsys.readouterr().out


def test_a_journal_of_other_data_is_not_believed(data, tmp_path, capsys):
    journal = tmp_path / "journal"
    assert check_alone(data, "--journal", journal) == 0
    copy = tmp_path / "copy"
    data.rename(copy)
    assert check_alone(copy, "--journal", journal) == 0
    assert "checked before" not in capsys.readouterr().out


def test_a_file_that_is_no_journal_is_left_alone(data, tmp_path, capsys):
    other = tmp_path / "thesis.tex"
    other.write_text("mine")
    assert check_alone(data, "--journal", other) == 2
    assert "is no journal of a check and is left alone" in capsys.readouterr().err
    assert other.read_text() == "mine"


def test_data_in_which_nothing_can_be_written_are_checked_all_the_same(data, tmp_path, capsys):
    (data / ".check.journal").mkdir()  # also a user who may do everything cannot write to it
    assert check_alone(data) == 0
    out = capsys.readouterr().out
    assert "give another place by --journal FILE" in out
    assert "if it is stopped, it cannot go on" in out
    assert check_alone(data, "--journal", data / ".check.journal") == 2
    assert check_alone(data, "--journal", tmp_path / "journal") == 0
    assert (tmp_path / "journal").stat().st_size > 1000


def test_what_may_pass_is_looked_at_again(data, monkeypatch):
    """A disk that was not there for a moment leaves no fault in the journal."""
    from opengait_ext.prepare.check import tracklets as check_tracklets

    real = check_tracklets.zipfile.ZipFile

    def fails(path, *rest):
        if "D3-T4" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    with monkeypatch.context() as moment:
        moment.setattr(check_tracklets.zipfile, "ZipFile", fails)
        status, report = run_check(data)
    assert status == 1
    assert any("Permission denied" in text for text in texts(report, "images"))
    assert run_check(data)[0] == 0


def eight_frames(content):
    for tracklet in content["tracklets"]:
        tracklet["frames"] = 8


def large_data(tmp_path):
    """Data that take a second: 20 tracklets of eight larger frames."""
    data = sound_prepared(tmp_path / "data")
    for number, file in enumerate(sorted(data.rglob("0-frames.zip"))):
        gray = "ir" in file.parts
        frames = [encoded(picture(8 * number + k, gray, (480, 640))) for k in range(8)]
        write_tracklet(file.parent, frames)
    edit_partition(data, eight_frames)
    cut_frame(data)
    return data


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_check_that_was_killed_goes_on_and_gives_the_same_report(tmp_path, workers, capsys):
    data = large_data(tmp_path)
    journal, report = tmp_path / "journal", tmp_path / "report.json"
    command = [sys.executable, str(SCRIPT), str(data), "--journal", str(journal)]
    for _ in range(5):  # a busy machine may let it finish before it is looked at
        journal.unlink(missing_ok=True)
        with subprocess.Popen(
            [*command, "--workers", workers], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            while process.poll() is None and lines_of(journal) < 4:
                time.sleep(0.002)
            process.kill()
        done = lines_of(journal) - 1
        if done < 20:
            break
    assert 3 <= done < 20
    assert process.returncode == -signal.SIGKILL
    status, resumed = run_check(data, "--journal", str(journal), report=report)
    assert f"{done} of 20 tracklets were checked before" in capsys.readouterr().out
    whole = report.read_bytes()
    assert (status, named(resumed, "fault")) == (1, {"images"})
    run_check(data, "--journal", str(journal), "--anew", report=report)
    assert report.read_bytes() == whole


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_an_interrupt_ends_with_130_and_the_journal_is_whole(tmp_path):
    data = large_data(tmp_path)
    command = [sys.executable, str(SCRIPT), str(data), "--workers", "2"]
    for _ in range(5):  # a busy machine may let it finish before it is looked at
        (data / ".check.journal").unlink(missing_ok=True)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            while process.poll() is None and lines_of(data / ".check.journal") < 3:
                time.sleep(0.002)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            _, error = process.communicate(timeout=240)
        if process.returncode != 1:  # that of a check that found the fault
            break
    assert process.returncode == 130, error
    assert b"the same command goes on from here" in error
    assert (data / ".check.journal").read_bytes().endswith(b"\n")


@pytest.mark.slow
def test_several_processes_give_the_same_report_as_one(data, tmp_path):
    cut_frame(data)
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    run_check(data, report=one)
    run_check(data, "--workers", "2", report=two)
    assert one.read_bytes() == two.read_bytes()


class Bomb:
    """Ends the process that unpickles it, as a decoder may that an image leads astray."""

    key = "0001/rgb/D3-T4"

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.slow
def test_a_process_that_died_is_a_finding_and_the_others_go_on():
    from opengait_ext.prepare.check.tracklets import IMAGES, Job, check_all

    jobs = [Job(f"t{n}", IMAGES, (), "", False) for n in range(9)]
    jobs[4] = Bomb()
    found = dict(check_all(jobs.__getitem__, len(jobs), 2))
    assert sorted(found) == list(range(9))
    assert [n for n, checked in found.items() if checked.findings] == [4]
    place, text = found[4].findings[0].examples[0]
    assert place == Bomb.key
    assert "the process that read it was ended" in text
    assert not found[4].signature, "it is looked at again another time"


@pytest.mark.slow
def test_processes_that_all_die_are_told_with_what_to_do(monkeypatch):
    from opengait_ext.errors import UserError
    from opengait_ext.prepare import work
    from opengait_ext.prepare.check.tracklets import check_all

    monkeypatch.setattr(work, "MOST_DEAD", 1)
    with pytest.raises(UserError, match="ended from outside.*fewer --workers"):
        list(check_all(lambda number: Bomb(), 3, 2))
