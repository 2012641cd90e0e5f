"""Ended with SIGKILL at any moment, the preparation leaves whole files, and goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest
from vcm_tree import (
    ROOT,
    WALKS,
    contents_of,
    files_below,
    jpeg,
    pack_files,
    prepare_tree,
    write_vcm_tree,
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")

# Ends itself before or after a certain call that changes files; without one, counts these calls.
KILLED = """
import io, os, signal, sys
from opengait_ext.prepare.vcm import run as hitsz_vcm
moment, calls = int(sys.argv[1]), 0
CHANGES = (os.mkdir, os.fsync, os.replace, os.unlink)
def changes_files(function):
    return isinstance(function.__self__, io.BufferedWriter) or function in CHANGES
def watch(frame, event, function):
    global calls
    if event in ("c_call", "c_return") and changes_files(function):
        calls += 1
        if calls == moment:
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(watch)
status = hitsz_vcm.main(sys.argv[2:])
sys.setprofile(None)
print("calls", calls)
sys.exit(status)
"""
MOMENTS = [0.001, 0.2, 0.31, 0.42, 0.5, 0.61, 0.7, 0.8, 0.999]  # of all calls


def prepare_and_die(source, target, moment=0):
    """Runs the script in a process that dies at a call; gives 0, or their number if it lived."""
    command = ["--source", str(source), "--target", str(target), "--min-frames", "3"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(moment), *command, "--workers", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return 0
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def whole_files(root):
    """Return the checksums of what has its final name, without the lock of a run."""
    found = contents_of(root) if root.exists() else {}
    return {name: d for name, d in found.items() if not name.endswith((".tmp", ".holder"))}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["", ".zip", ".tgz"])
def test_a_killed_run_leaves_whole_files_and_the_same_command_ends_with_the_same(tmp_path, suffix):
    write_vcm_tree(tmp_path / "raw")
    source = tmp_path / "raw"
    if suffix:
        source = pack_files(files_below(source), tmp_path / f"data{suffix}")
    calls = prepare_and_die(source, tmp_path / "whole")
    expected = contents_of(tmp_path / "whole")
    assert len(expected) == 23
    some = 0
    for share in MOMENTS:
        out = tmp_path / str(share)
        assert prepare_and_die(source, out, max(1, round(share * calls))) == 0
        left = whole_files(out)
        plain_tars = [name for name in left if name.startswith(".unpacked/")]
        assert len(plain_tars) <= (suffix == ".tgz")
        assert {name: left[name] for name in left if name not in plain_tars}.items() <= (
            expected.items()
        )
        some += 0 < len(left) < len(expected)
        assert prepare_tree(source, out) == 0
        assert contents_of(out) == expected
    assert some >= 4


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_arrives(tmp_path):
    write_vcm_tree(tmp_path / "raw")
    prepare_and_die(tmp_path / "raw", tmp_path / "whole")
    kills, calls = 0, 0
    while not calls:
        kills += 1
        calls = prepare_and_die(tmp_path / "raw", tmp_path / "out", 15 * kills)
    assert kills > 5
    assert contents_of(tmp_path / "out") == contents_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_file_that_is_renewed_is_the_old_or_the_new_one(tmp_path):
    raw, whole = tmp_path / "raw", tmp_path / "whole"
    write_vcm_tree(raw)
    assert prepare_tree(raw, whole) == 0
    old = contents_of(whole)
    targets = [tmp_path / str(share) for share in MOMENTS]
    for target in targets:
        assert prepare_tree(raw, target) == 0
    for number, path in enumerate(sorted(raw.rglob("*.jpg"))):
        path.write_bytes(jpeg(number + 111) + b"\0")
        os.utime(path, (time.time() - 60.0, time.time() - 60.0))
    calls = prepare_and_die(raw, whole)
    new = contents_of(whole)
    renewed = [name for name in new if new[name] != old[name]]
    assert len(renewed) == 20
    seen = set()
    for share, target in zip(MOMENTS, targets, strict=True):
        assert prepare_and_die(raw, target, max(1, round(share * calls))) == 0
        left = whole_files(target)
        assert set(new) - set(left) <= {"partition.json"}  # it stands for files of one state
        assert all(left[name] in (old[name], new[name]) for name in left)
        seen.add(sum(left[name] == new[name] for name in renewed))
        assert prepare_tree(raw, target) == 0
        assert contents_of(target) == new
    assert len(seen) >= 4
    assert {0, 20} <= seen


@pytest.mark.slow
def test_the_processes_of_a_killed_run_end_with_it(tmp_path):
    write_vcm_tree(tmp_path / "raw", [walk for walk in WALKS for _ in range(10)])
    out = tmp_path / "out"
    command = [str(ROOT / "datasets/prep/hitsz_vcm.py"), "--source", str(tmp_path / "raw")]
    process = subprocess.Popen(
        [sys.executable, *command, "--target", str(out), "--min-frames", "3", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    while process.poll() is None and not any(out.rglob("0-frames.zip")):
        time.sleep(0.001)
    process.kill()
    # Its processes hold the other end of the pipe: reading ends when the last of them has.
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL
    assert prepare_tree(tmp_path / "raw", out) == 0
    assert len(list(out.rglob("0-frames.zip"))) == 200
    assert not list(out.rglob("*.tmp"))
