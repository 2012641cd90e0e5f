"""Published numbers alongside ours; none of them was measured here."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from .comparison import Cell, Comparison, Row

FILE = Path(__file__).with_name("published.json")


def with_published(comparison: Comparison) -> Comparison:
    """Add published results on the same data set, every row marked as published.

    Source: the papers and tables named in ``published.json``, row by row.

    Args:
        comparison: A table of our runs.

    Returns:
        The table with the published rows after ours, or with a note that there are none.
    """
    dataset = comparison.conditions["dataset"]
    entries = [
        entry
        for entry in json.loads(FILE.read_text(encoding="utf-8"))["rows"]
        if entry["dataset"].lower() == dataset.lower()
    ]
    if not entries:
        note = f"nothing published is known about {dataset}"
        return replace(comparison, notes=[*comparison.notes, note])
    ours = f"{comparison.conditions['frames']}, camera rule {comparison.conditions['camera rule']}"
    note = (
        f"published: as printed there, not measured here, protocol and frames as far as known; "
        f"ours: frames {ours}"
    )
    rows = [_row(entry, comparison) for entry in entries]
    return replace(comparison, rows=[*comparison.rows, *rows], notes=[*comparison.notes, note])


def _row(entry: dict[str, Any], comparison: Comparison) -> Row:
    cells = {}
    for direction, score in comparison.columns:
        percent = (entry["scores"].get(direction) or {}).get(score)
        value = float("nan") if percent is None else percent / 100
        cells[direction, score] = Cell(value, float("nan"))
    frames = f"{entry['frames']} frames" if entry["frames"] else "frames not stated"
    config = ", ".join(filter(None, [frames, entry["venue"]]))
    remark = "; ".join(filter(None, [f"from {entry['source']}", entry["remark"]]))
    return Row(entry["method"], config, [], cells, published=True, remark=remark)
