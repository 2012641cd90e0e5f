"""Shared command-line parts of the preparation scripts: number types, options, exit status."""

import argparse
from collections.abc import Callable

from opengait_ext import edge
from opengait_ext.prepare.packing import FORMS, available_cores


def status_of(work: Callable[[], bool | None], misuse: tuple[type[Exception], ...] = ()) -> int:
    """Run a preparation; return its exit status: 0 done, 1 refused or faulty, 130 stopped.

    Args:
        work: The preparation; returns False if it found faults, which it has reported.
        misuse: Errors that count as misuse of the command line (status 2).
    """
    return edge.status_of(work, "stopped; the same command goes on from here", misuse)


def positive(text: str) -> int:
    """Return the whole number in a text, at least 1.

    Raises:
        ArgumentTypeError: If the text is no such number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1")
    return int(text)


def fraction(text: str) -> float:
    """Return the number in a text, at least 0 and below 1.

    Raises:
        ArgumentTypeError: If the text is no such number.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 to less than 1")
    return value


def add_writing(parser: argparse.ArgumentParser, damaged: str) -> None:
    """Add the options common to published data sets: the form of the files, and how to run.

    Args:
        parser: Parser of the command line.
        damaged: Help text of ``--skip-damaged``.
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
