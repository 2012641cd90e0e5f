"""Which tests run when: those that need much memory never unless they are asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE = "tests/golden/test_golden_whole_step.py"


@pytest.mark.slow
@pytest.mark.parametrize(("options", "runs"), [([], False), (["-m", "large"], True)])
def test_what_needs_much_memory_runs_only_when_it_is_asked_for(options, runs):
    command = [sys.executable, "-m", "pytest", "--collect-only", *options, FILE]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert ("float64" in shown) == runs, shown
