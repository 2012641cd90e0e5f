"""What the command lines of the preparation scripts have in common: numbers, the exit status."""

import argparse
import sys
from collections.abc import Callable

from opengait_ext.errors import UserError


def status_of(work: Callable[[], bool | None]) -> int:
    """Runs a preparation and gives the exit status: 0 done, 1 refused or faulty, 130 stopped.

    Args:
        work: Returns False if it found faults that it has told of.
    """
    try:
        return 1 if work() is False else 0
    except (UserError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130


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
