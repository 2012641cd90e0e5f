"""The check of a machine with a GPU: dry, it runs on the CPU; a section that fails stops none."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("gpu_check")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_check_of_a_gpu_runs_dry_and_writes_one_file(gpu_check, tmp_path):
    command = [sys.executable, str(BENCHMARKS / "gpu_check.py"), "--dry", "--json"]
    path = tmp_path / "found.json"
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(path.read_text())
    assert written["dry"]
    assert {"protocol", "config", "seed", "versions", "commit", "device"} <= set(written)
    assert list(written["sections"]) == list(gpu_check.LIMITS)
    assert all(section["held"] for section in written["sections"].values())
    assert written["sections"]["embeddings"]["embeddings/s"] > 0
    assert written["sections"]["training"]["share"] > 0
    assert sum(gpu_check.LIMITS.values()) < 8 * 60


def test_a_section_that_fails_leaves_the_others_their_results(gpu_check, tmp_path, monkeypatch):
    def section(name, dry):
        return {"held": name != "ranking", "reason": "said so"}

    monkeypatch.setattr(gpu_check, "section", section)
    path = tmp_path / "found.json"
    assert gpu_check.main(["--dry", "--json", str(path), "--sections", "ranking", "tests"]) == 1
    found = json.loads(path.read_text())["sections"]
    assert [result["held"] for result in found.values()] == [False, True]
    assert gpu_check.main(["--dry", "--json", str(path), "--sections", "tests"]) == 0


def test_a_section_that_dies_or_hangs_says_so(gpu_check, monkeypatch):
    monkeypatch.setattr(gpu_check, "LIMITS", {"tests": 60})
    monkeypatch.setattr(sys, "executable", "false")
    assert gpu_check.section("tests", True)["reason"] == "exit status 1: no message"

    def hangs(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hangs)
    assert gpu_check.section("tests", False)["reason"] == "not finished after 60 seconds"


def test_without_a_gpu_the_check_names_the_way_to_run_dry(gpu_check, monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "_has_cuda", lambda: False)
    with pytest.raises(SystemExit):
        gpu_check.main([])
    assert "torch finds no CUDA device here; --dry runs on the CPU" in capsys.readouterr().err
