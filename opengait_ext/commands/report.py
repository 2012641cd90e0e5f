"""``opengait-ext report``: an HTML report of a tested run."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HELP = "write one HTML page of a tested run: curves, rank lists, distances, map, errors"


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add("run_folder", type=Path, metavar="RUN", help="output/<dataset>/<model>/<save_name>")
    add("--target", type=Path, metavar="FILE", help="the page (default: RUN/test/report.html)")
    add("--data", type=Path, metavar="ROOT", help="the prepared data (default: as tested)")
    add("--top", type=int, default=10, metavar="K", help="places of a rank list (default: 10)")
    add("--maps", action="store_true", help="also silhouettes and gait maps, by the checkpoint")
    add("--device", default="auto", metavar="NAME", help="for --maps: auto, cpu, cuda or mps")


def run(arguments: argparse.Namespace) -> int:
    """Write the report and print its path.

    Raises:
        UserError: If something for the report is missing; the message says what.
    """
    from ..data.layout import atomic_write
    from ..report.page import make_page
    from ..report.ranking import ReportError
    from ..report.sources import read_sources

    if not 1 <= arguments.top <= 100:
        raise ReportError(f"--top is {arguments.top}; expected 1 to 100 places")
    sources = read_sources(arguments.run_folder, arguments.data)
    maps = None
    if arguments.maps:
        from ..report.gait_maps import GaitPictures

        maps = GaitPictures(sources, arguments.device)
    content = make_page(sources, arguments.top, maps=maps).encode()
    target = arguments.target or sources.record.path.with_name("report.html")
    atomic_write(target, content)
    sys.stdout.write(f"{target}: {len(content) / 1e6:.1f} MB\n")
    return 0
