"""The command ``opengait-ext``: what to do with results and embeddings, one module a command."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from .edge import quiet_imports, status_of

COMMANDS = ("table", "report", "embed", "index", "search", "calibrate")


def main(command: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0 done, 1 refused, 2 misuse, 130 stopped."""
    results: list[int] = []
    status = status_of(
        lambda: results.append(run(list(sys.argv[1:] if command is None else command)))
    )
    if status:  # the command did not come to its end
        raise SystemExit(status)
    return results[0]


def run(words: list[str]) -> int:
    """Reads a command line and does what it says."""
    parser = argparse.ArgumentParser(
        prog="opengait-ext", description="Compare, look at and search what models give."
    )
    tasks = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        # Only the module that is asked for is imported whole; the others are named.
        if name in words[:1]:
            module = importlib.import_module(f".commands.{name}", __package__)
            task = tasks.add_parser(name, help=module.HELP, description=module.HELP)
            module.add_arguments(task.add_argument)
            task.set_defaults(run=module.run)
        else:
            tasks.add_parser(name, help=f"opengait-ext {name} --help")
    arguments = parser.parse_args(words)
    if arguments.command in ("embed", "index", "search", "calibrate", "report"):
        with quiet_imports():
            importlib.import_module(".api", __package__)
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
