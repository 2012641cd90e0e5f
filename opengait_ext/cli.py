"""The command ``opengait-ext``: what to do with results and embeddings, one module a command."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from .errors import UserError
from .escaping import escaped_output, told

COMMANDS = ("table", "report", "embed", "index", "search", "calibrate")


def main(command: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0 done, 1 refused, 2 misuse, 130 stopped."""
    words = list(sys.argv[1:] if command is None else command)
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
    try:
        with escaped_output():
            return arguments.run(arguments)
    except (UserError, OSError) as fault:
        parser.exit(1, f"\n{told(fault)}\n")
    except KeyboardInterrupt:
        parser.exit(130, "\nstopped\n")


if __name__ == "__main__":
    sys.exit(main())
