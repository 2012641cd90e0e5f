"""What the command lines of the preparation scripts have in common: numbers, the exit status."""

import argparse
from collections.abc import Callable

from opengait_ext import edge
from opengait_ext.prepare.packing import FORMS, available_cores


def status_of(work: Callable[[], bool | None], misuse: tuple[type[Exception], ...] = ()) -> int:
    """Runs a preparation and gives the exit status: 0 done, 1 refused or faulty, 130 stopped.

    Args:
        work: Returns False if it found faults that it has told of.
        misuse: Errors that count as misuse of the command line, status 2.
    """
    return edge.status_of(work, "stopped; the same command goes on from here", misuse)


def positive(text: str) -> int:
    """Reads a whole number from 1.

    Raises:
        ArgumentTypeError: If it is another one, or none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1")
    return int(text)


def fraction(text: str) -> float:
    """Reads a number from 0 to less than 1.

    Raises:
        ArgumentTypeError: If it is another one, or none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 to less than 1")
    return value


def add_writing(parser: argparse.ArgumentParser, damaged: str) -> None:
    """Adds what published data sets have in common: the form of the files, and how a run goes.

    Args:
        parser: Of the command line.
        damaged: What ``--skip-damaged`` does.
    """
    add = parser.add_argument
    add(
        "--form",
        choices=FORMS,
        default="packed",
        help="packed: images unchanged; opengait: decoded arrays (default: %(default)s)",
    )
    add("--height", type=positive, default=256, help="pixels, for --form opengait (256)")
    add("--width", type=positive, default=128, help="pixels, for --form opengait (128)")
    add(
        "--skip-damaged",
        action="store_true",
        help=damaged,
    )
    add("--anew", action="store_true", help="remove what is prepared in --target and begin again")
    add(
        "--workers",
        type=positive,
        default=available_cores(),
        metavar="N",
        help="processes (default: the cores of this machine, %(default)s)",
    )
