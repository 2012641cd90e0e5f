"""Where commands end: a line, an exit status, no traceback."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opengait_ext import edge
from opengait_ext.data.layout import atomic_write
from opengait_ext.errors import UserError

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    path
    for path in (ROOT / "datasets" / "prep").glob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)


class MisuseError(Exception):
    pass


def raising(fault):
    def work():
        raise fault

    return work


@pytest.mark.parametrize(("result", "status"), [(None, 0), (True, 0), (False, 1), (0, 0), (3, 3)])
def test_a_command_ends_with_its_own_status(result, status):
    assert edge.status_of(lambda: result) == status


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (UserError("a.yaml: no such key"), 1, "a.yaml: no such key"),
        (MisuseError("give one"), 2, "give one"),
        (KeyboardInterrupt(), 130, "stopped; go on"),
        (MemoryError("of 3 GB"), 1, "out of memory (of 3 GB): the system has no memory left"),
        (OSError(errno.ENOSPC, "No space left on device", "x/a.pt"), 1,
         "x/a.pt: No space left on device: free some space"),
        (PermissionError(errno.EACCES, "Permission denied", b"x"), 1, "x: Permission denied: this"),
        (OSError(errno.EROFS, "Read-only file system", "x"), 1, "choose another"),
        (OSError(errno.EMFILE, "Too many open files"), 1, "Too many open files: raise the limit"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "output/a"), 1,
         "output/a: Not a directory: a file stands where a folder is needed; rename it"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "m.json"), 1, "rename it"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "no"), 1, "no: No such file"),
        (OSError("something"), 1, "something"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "who read the output is gone"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_one_line(fault, status, said, capsys, monkeypatch):
    monkeypatch.setattr(edge, "_drop_output", lambda stream: None)  # pytest's own
    assert edge.status_of(raising(fault), "stopped; go on", (MisuseError,)) == status
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_our_own_mistakes_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        edge.status_of(raising(ZeroDivisionError()))


def test_a_file_that_cannot_be_written_is_named_as_the_user_knows_it(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "inside").touch()
    with pytest.raises(OSError, match="there") as error:
        atomic_write(tmp_path / "there", b"x")
    assert error.value.filename == str(tmp_path / "there")
    assert error.value.filename2 is None
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def ended(program, stdout=subprocess.PIPE, **options):
    return subprocess.run(
        [sys.executable, "-c", program], stdout=stdout, stderr=subprocess.PIPE, text=True, **options
    )


PRINTS = (
    "import sys\nfrom opengait_ext.edge import status_of\n"
    "sys.exit(status_of(lambda: print('line\\n' * 3)))\n"
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
def test_an_output_on_a_full_disk_is_a_line_also_at_the_very_end():
    with Path("/dev/full").open("w") as full:
        done = ended(PRINTS, stdout=full)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "No space left on device: free some space (df -h shows where), then start the same "
        "command again"
    )


def test_a_reader_that_went_away_is_a_line_also_at_the_very_end():
    reads, writes = os.pipe()
    os.close(reads)
    done = ended(PRINTS, stdout=writes)
    os.close(writes)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        "who read the output is gone (a pipe to head?); write it to a file"
    ]


def test_where_nobody_reads_messages_the_status_still_says_it():
    program = (
        "import os, sys\nfrom opengait_ext.edge import status_of\nfrom opengait_ext.errors import "
        "UserError\ndef work(): raise UserError('x')\nos.close(2)\nsys.exit(status_of(work))\n"
    )
    assert ended(program).returncode == 1


def test_an_import_that_is_stopped_ends_at_once_and_in_one_line():
    program = (
        "import os, signal, sys\nfrom opengait_ext.edge import quiet_imports, status_of\n"
        "def work():\n"
        "    with quiet_imports():\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "        except BaseException: pass  # as compiled modules do\n"
        "    print('went on')\n"
        "sys.exit(status_of(work))\n"
    )
    done = ended(program)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")


def test_after_the_imports_ctrl_c_is_python_s_again():
    before = signal.getsignal(signal.SIGINT)
    with edge.quiet_imports():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_all_scripts_were_found():
    assert len(SCRIPTS) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_hears_ctrl_c_before_it_imports_anything_slow(script, tmp_path):
    # A module that takes its time, in the place of one that every script imports.
    slow = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit('too late')\n"
    for name in ("cv2", "numpy", "torch", "own_box_files", "gait_faults", "bupt_lists"):
        (tmp_path / f"{name}.py").write_text(slow)
    program = (
        "import runpy, sys\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(script.parent)!r}]\n"
        f"sys.argv = [{str(script)!r}, '--help']\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    )
    done = ended(program)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")
