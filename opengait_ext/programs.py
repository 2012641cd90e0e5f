"""Table of all programs besides training: names, scripts, modules and descriptions.

``opengait-ext`` and ``data_cfg.prepare.commands`` use it. A new data set adds one line to
``PREPARE`` and one script of ten lines to ``datasets/prep``. This module has no slow imports.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from .edge import quiet_imports

FOLDER = "datasets/prep"


class Program(NamedTuple):
    """One program.

    Attributes:
        script: Its script in ``datasets/prep``.
        module: The module in ``opengait_ext`` with its ``main(words)``.
        help: One line, for ``--help``.
    """

    script: str
    module: str
    help: str

    def load_main(self) -> Callable[[list[str]], int]:
        """Import the program and return its ``main(words)``."""
        return importlib.import_module(f".{self.module}", __package__).main


PREPARE = {
    "vcm": Program(
        "hitsz_vcm.py", "prepare.vcm.run", "HITSZ-VCM, or data in its form such as SynthVVI"
    ),
    "bupt": Program("bupt_campus.py", "prepare.bupt.run", "BUPTCampus"),
    "sysu": Program("sysu_mm01.py", "prepare.sysu", "SYSU-MM01, pictures"),
    "regdb": Program("regdb.py", "prepare.regdb", "RegDB, pictures, one of ten trials"),
    "llcm": Program("llcm.py", "prepare.llcm", "LLCM, pictures"),
    "mars": Program("mars.py", "prepare.mars", "MARS, video of visible cameras"),
    "ilids": Program("ilids_vid.py", "prepare.ilids", "iLIDS-VID, one of ten splits"),
    "gait": Program("gait.py", "prepare.gait.run", "gait data sets, as OpenGait pickles them"),
    "recordings": Program(
        "own.py", "prepare.recordings.run", "your own folders of images, or videos with boxes"
    ),
    "synth": Program("synth_vvi.py", "prepare.synth.run", "generate SynthVVI; then prepare vcm"),
    "synth-streams": Program(
        "synth_streams.py", "prepare.synth.streams", "silhouettes and maps of SynthVVI"
    ),
}
OTHERS = {
    "check": Program(
        "check.py", "prepare.check.run", "check a data set, prepared or published, before training"
    ),
    "weights": Program(
        "weights.py", "pretrained.run", "import published weights, or see what a file holds"
    ),
}


def command_of(script: str) -> list[str] | None:
    """Return the subcommand of ``opengait-ext`` that runs a script of ``datasets/prep``.

    Args:
        script: Its path in a checkout, ``datasets/prep/hitsz_vcm.py``.

    Returns:
        The words, such as ``["prepare", "vcm"]``; None if it is not one of these scripts.
    """
    known = {program.script: ["prepare", name] for name, program in PREPARE.items()}
    known |= {program.script: [name] for name, program in OTHERS.items()}
    path = PurePath(script)
    return known.get(path.name) if path.parent.as_posix() == FOLDER else None


def here(command: str) -> str:
    """Return a command in the form that works in the current folder.

    Args:
        command: ``datasets/prep/x.py ...``, with or without ``python``, or any other command.

    Returns:
        The command with ``python``; or ``opengait-ext ...`` if the script does not exist here.
    """
    script, space, options = command.removeprefix("python ").partition(" ")
    words = command_of(script)
    if words and not Path(script).is_file():
        return f"opengait-ext {' '.join(words)}{space}{options}"
    is_bare = command.startswith(script) and script.endswith(".py")
    return f"python {command}" if is_bare else command


def run_program(program: Program, name: str, words: Sequence[str]) -> int:
    """Run a program and return its exit status.

    Args:
        program: The program to run.
        name: The name by which the user called it, for its usage lines.
        words: The arguments of its command line.
    """
    with quiet_imports():
        main = program.load_main()
    before = sys.argv
    sys.argv = [name, *words]  # argparse reads the program's name from here
    try:
        return main(list(words))
    finally:
        sys.argv = before
