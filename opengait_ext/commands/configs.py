"""``opengait-ext configs``: the configs of the package, and every key of a config."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..edge import quiet_imports
from ..errors import UserError
from ..shipped import config_file, config_paths

HELP = "list the configs that come with the package; show one, or every key there is"


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add(
        "action",
        nargs="?",
        choices=("list", "show", "keys"),
        default="list",
        help="list them (default), show the one of NAME, or print docs/config.md: every key",
    )
    add("name", nargs="?", metavar="NAME", help="with show: a name of the list, or a config file")
    add("--all", action="store_true", help="with show: write every default, as YAML that runs")


def run(arguments: argparse.Namespace) -> int:
    """Print the list of configs, one config, or all keys.

    Raises:
        UserError: If the arguments do not fit together, or there is no such config.
    """
    if (arguments.action == "show") != (arguments.name is not None):
        raise UserError("expected: configs, configs show NAME [--all], or configs keys")
    if arguments.action == "keys":
        with quiet_imports():
            from ..engine.catalog import own_catalog
            from ..engine.reference import page

        sys.stdout.write(page(own_catalog()))
    elif arguments.action == "list":
        sys.stdout.write(_listed())
    else:
        sys.stdout.write(_shown(config_file(arguments.name), arguments.all))
    return 0


def _listed() -> str:
    """Return one line per config: name, model, data and description."""
    from ..config import load_config

    rows = [("NAME", "MODEL", "DATA", "DESCRIPTION")]
    for path in config_paths().values():
        config = load_config(path)
        model, data = config["model_cfg"]["model"], config["data_cfg"]["dataset_name"]
        rows.append((path.stem, model, data, _description(path)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _description(path: Path) -> str:
    """Return the first line of a config's head comment."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip()


def _shown(path: Path, every: bool) -> str:
    """Return the text of a config's file, or the config with every default."""
    text = path.read_text(encoding="utf-8")
    if not every:
        return text
    with quiet_imports():
        from ..config import load_config
        from ..engine.keys import with_every_key
        from ..engine.sections import check
        from ..upstream.zoo import zoo_catalog
        from ..yaml_text import written

    config, catalog = load_config(path), zoo_catalog(None)
    check(config, catalog)
    complete = with_every_key(config, catalog)
    head = [f"# {_description(path)}", f"# {path.name} with every default."]
    sections = [written({name: section}) for name, section in complete.items()]
    return "\n".join([*head, "", *sections])
