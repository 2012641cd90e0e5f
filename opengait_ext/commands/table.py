"""``opengait-ext table``: a table that compares runs."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from ..escaping import told

HELP = "put tested runs side by side: mean and spread over the seeds of each config"


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add("places", nargs="+", metavar="PLACE", help="metrics.json files, folders or patterns")
    add("--format", choices=("text", "markdown", "latex", "csv"), default="text")
    add("--published", action="store_true", help="also print published numbers, marked as such")
    add(
        "--strict",
        action="store_true",
        help="end with an error where runs were not measured in the same way, or a file is damaged",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the tables and return 1 if a file could not be read, else 0.

    Raises:
        RecordError: If no file could be read; with ``--strict`` also if a file is damaged or the
            runs were not all measured in the same way.
    """
    from ..report.comparison import compare
    from ..report.formats import written
    from ..report.published import with_published
    from ..report.records import RecordError, find_records, read_record

    records, damaged = [], []
    for path in find_records(arguments.places):
        try:
            records.append(read_record(path))
        except RecordError as fault:
            damaged.append(str(fault))
    if damaged and (arguments.strict or not records):
        raise RecordError("\n".join(damaged))
    comparisons = compare(records, arguments.strict)
    if arguments.published:
        comparisons = [with_published(comparison) for comparison in comparisons]
    sys.stdout.write(written(comparisons, arguments.format) + "\n")
    for message in damaged:
        sys.stderr.write(f"left out: {told(message)}\n")
    return 1 if damaged else 0
