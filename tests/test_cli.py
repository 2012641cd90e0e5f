"""The command opengait-ext."""

import subprocess
import sys
from types import ModuleType

import pytest

from opengait_ext import cli
from opengait_ext.errors import UserError


@pytest.fixture
def command(monkeypatch):
    """A command that does what its argument says."""
    module = ModuleType("opengait_ext.commands.table")
    module.HELP = "Do what is said."
    module.add_arguments = lambda add: add("what")

    def run(arguments):
        if arguments.what == "refuse":
            raise UserError("table: nothing to do")
        if arguments.what == "stop":
            raise KeyboardInterrupt
        return 0

    module.run = run
    monkeypatch.setitem(sys.modules, "opengait_ext.commands.table", module)


def test_a_command_runs_with_its_arguments(command):
    assert cli.main(["table", "go"]) == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["table", "refuse"], 1, "table: nothing to do"),
        (["table", "stop"], 130, "stopped"),
        (["table"], 2, "the following arguments are required: what"),
        (["tabel"], 2, "invalid choice: 'tabel'"),
        ([], 2, "required: COMMAND"),
    ],
)
def test_refusals_and_misuse_have_their_own_status(command, capsys, words, status, said):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == status
    assert said in capsys.readouterr().err


def test_help_names_all_commands_without_importing_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from opengait_ext.cli import main\n"
        "main(['--help'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in cli.COMMANDS)
