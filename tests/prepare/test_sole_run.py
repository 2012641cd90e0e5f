"""Two preparations never work on one target at once."""

import subprocess
import sys

import pytest
from vcm_tree import ROOT, contents_of, prepare_tree, write_vcm_tree

from opengait_ext.lock import InUseError, locked
from opengait_ext.prepare.target import sole_run

HOLD = """
import sys, time
from pathlib import Path
from opengait_ext.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path):
    """Starts a process that holds the lock."""
    path.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.slow
def test_a_second_run_is_refused_and_goes_on_when_the_first_was_killed(tmp_path, capsys):
    write_vcm_tree(tmp_path / "raw")
    out = tmp_path / "out"
    assert prepare_tree(tmp_path / "raw", out) == 0
    before = contents_of(out)
    with hold(out / ".prepare.lock") as first:
        assert prepare_tree(tmp_path / "raw", out, "--anew") == 1
        said = f"--target {out}: another preparation is at work: in use by process {first.pid} "
        assert said in capsys.readouterr().err
        first.kill()
    assert (out / ".prepare.lock.holder").read_text().startswith(f"process {first.pid} on ")
    assert prepare_tree(tmp_path / "raw", out, "--anew") == 0
    assert contents_of(out) == before


def test_a_run_that_is_refused_leaves_no_folder(tmp_path):
    write_vcm_tree(tmp_path / "raw")
    (tmp_path / "raw" / "info" / "query_IDX.txt").unlink()
    assert prepare_tree(tmp_path / "raw", tmp_path / "deep" / "out") == 1
    assert not (tmp_path / "deep" / "out").exists()


def test_the_lock_goes_with_the_run_whatever_happens(tmp_path):
    def fail():
        with sole_run(tmp_path / "out"):
            (tmp_path / "out" / ".prepare.json").write_text("{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {".prepare.json", ".prepare.lock"}
    with sole_run(tmp_path / "out"):
        pass


def test_one_process_cannot_hold_a_lock_twice(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(InUseError), locked(tmp_path / "lock"):
        pass
    with locked(tmp_path / "lock"):
        pass
