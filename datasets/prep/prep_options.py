"""Numbers on the command lines of the preparation scripts."""

import argparse


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
