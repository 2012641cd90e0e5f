"""One process at a time, whatever the system and the folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opengait_ext.errors import UserError
from opengait_ext.lock import InUseError, locked

ROOT = Path(__file__).parents[1]
TAKE = """
import sys
from pathlib import Path
from opengait_ext.errors import UserError
from opengait_ext.lock import locked
try:
    with locked(Path(sys.argv[1])):
        print("held")
except UserError as fault:
    print(fault)
"""


def taken_by_another(path):
    command = [sys.executable, "-c", TAKE, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_another_process_hears_who_holds_the_lock_and_gets_it_afterwards(tmp_path):
    with locked(tmp_path / "lock"):
        said = taken_by_another(tmp_path / "lock")
        assert said.startswith(f"in use by process {os.getpid()} on {os.uname().nodename} since ")
        assert "need not be removed, the lock ends with its process" in said
    assert taken_by_another(tmp_path / "lock") == "held\n"


@pytest.mark.parametrize("account", ["", "\x1b[31mred\x00" + "x" * 1000, b"\xff\xfe"])
def test_what_stands_beside_the_lock_is_repeated_short_and_printable(tmp_path, account):
    with locked(tmp_path / "lock"):
        content = account.encode() if isinstance(account, str) else account
        (tmp_path / "lock.holder").write_bytes(content)
        with pytest.raises(InUseError) as error, locked(tmp_path / "lock"):
            pass
    said = str(error.value)
    assert len(said) < 400 + len(str(tmp_path))
    assert said.isprintable()
    assert r"\x1b[31mred\x00xx" in said or not str(account).startswith("\x1b")
    assert account or "a process that did not say which" in said


def test_a_holder_that_left_no_account_is_still_kept_apart(tmp_path):
    with locked(tmp_path / "lock"):
        (tmp_path / "lock.holder").unlink()
        with (
            pytest.raises(InUseError, match="a process that did not say which"),
            locked(tmp_path / "lock"),
        ):
            pass


def test_a_folder_that_cannot_be_made_or_written_is_a_sentence(tmp_path):
    (tmp_path / "output").write_text("a file")
    with (
        pytest.raises(UserError, match="output: a file stands where a folder is needed; rename it"),
        locked(tmp_path / "output" / "lock"),
    ):
        pass


def test_a_folder_that_was_made_for_a_lock_alone_goes_with_it(tmp_path):
    with locked(tmp_path / "new" / "lock"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    with locked(tmp_path / "new" / "lock"):
        (tmp_path / "new" / "file").write_text("kept")
    assert (tmp_path / "new" / "file").read_text() == "kept"
