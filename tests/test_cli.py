"""The command opengait-ext."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from opengait_ext import __version__, cli
from opengait_ext.errors import UserError
from opengait_ext.programs import OTHERS, PREPARE, command_of

ROOT = Path(__file__).parent.parent


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


def test_help_describes_all_commands_without_importing_what_takes_time():
    program = (
        "import sys\n"
        "for name in ('torch', 'cv2', 'numpy', 'yaml'): sys.modules[name] = None\n"
        "from opengait_ext.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
        ).stdout
        for words in (["--help"], ["prepare", "--help"])
    ]
    for name in cli.COMMANDS:
        entry = re.search(rf"^    {name}\s+(\S.*)$", said[0], re.MULTILINE)
        assert entry, name
    for name, program in PREPARE.items():
        assert re.search(rf"^    {name}\s+{program.help[:20]}", said[1], re.MULTILINE), name


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"opengait-ext {__version__}\n"


@pytest.mark.parametrize("name", ["train", "test"])
def test_train_and_test_are_the_launcher_with_that_phase(monkeypatch, tmp_path, name):
    asked = []
    monkeypatch.delenv("OPENGAIT_ROOT", raising=False)
    monkeypatch.setattr("opengait_ext.engine.run", lambda *given: asked.append(given))
    config = tmp_path / "config.yaml"
    config.write_text("trainer_cfg: {restore_hint: auto}\nevaluator_cfg: {restore_hint: auto}\n")
    assert cli.main([name, "--cfgs", str(config), "--device", "cpu", "--log-to-file"]) == 0
    (given,) = asked
    assert given[1:4] == (name, "cpu", True)


def test_train_takes_no_other_phase(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--cfgs", "x.yaml", "--phase", "test"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --phase test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["prepare"], 2, "required: NAME"),
        (["prepare", "vmc"], 2, "invalid choice: 'vmc'"),
        (["prepare", "vcm"], 2, "usage: opengait-ext prepare vcm "),
        (["check", "nowhere"], 2, "nowhere"),
        (["weights", "check", "nowhere.pt"], 1, "nowhere.pt"),
    ],
)
def test_programs_end_with_their_own_status(capsys, words, status, said):
    before = list(sys.argv)
    try:
        ended = cli.main(words)
    except SystemExit as exit:
        ended = exit.code
    assert ended == status
    assert said in capsys.readouterr().err
    assert sys.argv == before


SCRIPTS = sorted((ROOT / "datasets/prep").glob("*.py"))


def test_every_script_that_prepares_data_is_a_command_and_runs_the_same_program():
    left = {program.script: program for program in (*PREPARE.values(), *OTHERS.values())}
    assert len(SCRIPTS) > len(left) > 7
    for path in SCRIPTS:
        text = path.read_text()
        (module,) = re.findall(r"from opengait_ext\.(\S+) import main", text)
        if module.startswith("pretraining."):  # the demo's own tools
            assert command_of(f"datasets/prep/{path.name}") is None
            continue
        assert path.name in left, f"{path.name} needs a line in opengait_ext/programs.py"
        program = left.pop(path.name)
        assert callable(program.load_main())
        assert module == program.module
    assert not left


def test_a_script_is_found_as_a_command():
    assert command_of("datasets/prep/synth_streams.py") == ["prepare", "synth-streams"]
    assert command_of("datasets/prep/weights.py") == ["weights"]
    assert command_of("vcm.py") is None


@pytest.mark.slow
def test_the_package_can_be_run_by_its_name():
    command = [sys.executable, "-m", "opengait_ext", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("opengait-ext ")


def test_a_data_set_may_be_called_by_the_name_of_its_script(capsys):
    from opengait_ext.commands.prepare import main

    for name in ("vcm", "hitsz_vcm"):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert "usage: opengait-ext prepare vcm" in capsys.readouterr().out
