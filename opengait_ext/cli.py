"""The command ``opengait-ext`` with its subcommands."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from . import __version__
from .edge import quiet_imports, status_of
from .programs import OTHERS, run_program

# In the order of use; each has a module in `commands`, or is a program of its own.
COMMANDS = (
    "configs", "prepare", "check", "weights", "train", "test",
    "table", "report", "embed", "index", "search", "calibrate",
)  # fmt: skip
_NEED_TORCH = ("embed", "index", "search", "calibrate", "report")


def main(command: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 done, 1 error, 2 misuse, 130 stopped."""
    results: list[int] = []
    status = status_of(
        lambda: results.append(run(list(sys.argv[1:] if command is None else command)))
    )
    if status:  # the command did not finish
        raise SystemExit(status)
    return results[0]


def run(words: list[str]) -> int:
    """Parse a command line and run its command."""
    name = words[0] if words else ""
    if name in OTHERS:
        return run_program(OTHERS[name], f"opengait-ext {name}", words[1:])
    if name in COMMANDS:
        module = importlib.import_module(f".commands.{name}", __package__)
        if hasattr(module, "main"):  # it parses its command line itself
            return module.main(words[1:])
    arguments = _parser(name).parse_args(words)
    if name in _NEED_TORCH:
        with quiet_imports():
            importlib.import_module(".api", __package__)
    return arguments.run(arguments)


def _parser(asked: str) -> argparse.ArgumentParser:
    """Return the parser of all commands, with the options of the requested one only."""
    parser = argparse.ArgumentParser(
        prog="opengait-ext",
        description="Prepare data, train, test, compare and search: one command for all.",
        epilog="opengait-ext COMMAND --help tells the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"opengait-ext {__version__}")
    tasks = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        if name in OTHERS:
            tasks.add_parser(name, help=OTHERS[name].help)
            continue
        module = importlib.import_module(f".commands.{name}", __package__)
        task = tasks.add_parser(name, help=module.HELP, description=module.HELP)
        if name == asked:
            module.add_arguments(task.add_argument)
            task.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
