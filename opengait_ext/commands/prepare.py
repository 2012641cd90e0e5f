"""``opengait-ext prepare NAME``: the scripts of ``datasets/prep`` that write prepared data."""

import argparse

from ..programs import PREPARE, run_program

HELP = "prepare a data set or your own recordings for training, testing and searching"


def main(words: list[str]) -> int:
    """Run the preparation that the first word names and return its exit status."""
    parser = argparse.ArgumentParser(prog="opengait-ext prepare", description=HELP)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, program in PREPARE.items():
        names.add_parser(name, help=program.help)
    by_script = {program.script.removesuffix(".py"): name for name, program in PREPARE.items()}
    name = by_script.get(words[0], words[0]) if words else ""
    if name in PREPARE:
        return run_program(PREPARE[name], f"opengait-ext prepare {name}", words[1:])
    parser.parse_args(words)  # help or misuse: ends here
    return 2
