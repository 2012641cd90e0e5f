"""Comparison of runs: one table for all runs that were measured in the same way.

Runs whose configs differ only in seed and name become one row: mean and sample standard
deviation over the seeds. Runs that were measured in another way (protocol, camera rule,
distance, split, data, frames, re-ranking) never share a column. This module needs the standard
library only.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .records import Record, RecordError

Columns = tuple[tuple[str, str], ...]
# Keys in which the runs of one config may differ.
_FREE = (("trainer_cfg", "seed"), ("trainer_cfg", "save_name"), ("evaluator_cfg", "save_name"))
_TESTED = ("data_cfg", "model_cfg", "evaluator_cfg")
_FRAMES = "0-frames"  # data_cfg.stream of models that read camera frames
_SHOWN = 4  # differences of two configs that a warning lists


class Cell(NamedTuple):
    """A score over several runs, as a fraction; NaN where there is none.

    Attributes:
        mean: Mean over the runs.
        spread: Sample standard deviation; NaN for a single run.
    """

    mean: float
    spread: float


@dataclass(frozen=True)
class Row:
    """The runs of one config.

    Attributes:
        model: Name of the model.
        config: Names of the runs, or the source of a published number.
        seeds: The seed of each run; empty for published numbers.
        cells: Values by direction and score.
        published: Whether the numbers are published ones, not measured here.
        remark: Note on the row for the reader.
    """

    model: str
    config: str
    seeds: list[int]
    cells: dict[tuple[str, str], Cell]
    published: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Comparison:
    """One table.

    Attributes:
        conditions: How all rows were measured.
        columns: Direction and score of each column.
        rows: Our rows first, sorted by the model's name.
        notes: Notes for the reader, one line each.
    """

    conditions: dict[str, str]
    columns: Columns
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def compare(records: Sequence[Record], strict: bool = False) -> list[Comparison]:
    """Return one table per way of measuring.

    Args:
        records: Records of the runs.
        strict: Whether more than one table is an error.

    Raises:
        RecordError: If ``strict`` and the runs were not all measured in the same way; the
            message names the differences.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(json.dumps(record.conditions()), []).append(record)
    apart = differing([group[0].conditions() for group in groups.values()])
    if strict and len(groups) > 1:
        files = "\n".join(
            f"  {group[0].path}: {_values(group[0], apart)}" for group in groups.values()
        )
        raise RecordError(
            f"the runs cannot stand in one table: they differ in {', '.join(apart)}\n{files}\n"
            "Give the runs of one kind, or leave --strict out for a table each"
        )
    return [_comparison(group) for group in groups.values()]


def differing(conditions: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the conditions that are not the same everywhere."""
    return [
        name for name in conditions[0] if len({each.get(name) for each in conditions}) > 1
    ]  # every record states all of them


def config_differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Return the values in which two configs differ: ``section.key: old -> new``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            line
            for key in {**old, **new}
            for line in config_differences(
                old.get(key), new.get(key), f"{place}.{key}" if place else str(key)
            )
        ]
    return [] if old == new else [f"{place}: {json.dumps(old)} -> {json.dumps(new)}"]


def _values(record: Record, names: Sequence[str]) -> str:
    conditions = record.conditions()
    return "; ".join(f"{name}: {conditions[name]}" for name in names)


def _comparison(records: Sequence[Record]) -> Comparison:
    rows: dict[str, list[Record]] = {}
    for record in records:
        key = json.dumps([_decisive(record), record.content.get("iteration")], sort_keys=True)
        rows.setdefault(key, []).append(record)
    groups = sorted(rows.values(), key=lambda group: (group[0].model, group[0].save_name))
    notes: list[str] = []
    columns = _columns(records)
    first: dict[str, Record] = {}
    numbers: dict[str, int] = {}
    table = []
    for group in groups:
        members = _once(group, notes)
        model = members[0].model
        numbers[model] = numbers.get(model, 0) + 1
        several = sum(each[0].model == model for each in groups) > 1
        name = f"{model} [{numbers[model]}]" if several else model
        table.append(_row(name, members, columns))
        if model in first:
            notes.append(f"{name}: {_difference(first[model], members[0])}")
        first.setdefault(model, members[0])
        notes += _warnings(name, members)
    return Comparison(records[0].conditions(), columns, table, notes)


def _columns(records: Sequence[Record]) -> Columns:
    """Return every direction and score that any run has, in the order of first appearance."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for direction, scores in record.directions.items():
            found.setdefault(direction, {}).update(dict.fromkeys(scores))
    return tuple((direction, score) for direction, scores in found.items() for score in scores)


def _row(name: str, records: Sequence[Record], columns: Columns) -> Row:
    cells = {}
    for direction, score in columns:
        values = [record.directions.get(direction, {}).get(score, math.nan) for record in records]
        cells[direction, score] = cell_of(values)
    seeds = [record.content.get("seed", 0) for record in records]
    return Row(name, ", ".join(record.save_name for record in records), seeds, cells)


def cell_of(values: Sequence[float]) -> Cell:
    """Return mean and sample standard deviation; NaN if any value is NaN."""
    if any(math.isnan(value) for value in values):
        return Cell(math.nan, math.nan)
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return Cell(statistics.fmean(values), spread)


def _once(records: Sequence[Record], notes: list[str]) -> list[Record]:
    """Remove copies: the same seed with the same scores counts once."""
    kept: dict[str, Record] = {}
    for record in sorted(records, key=lambda each: (str(each.content.get("seed")), each.path)):
        key = json.dumps([record.content.get("seed"), record.directions], sort_keys=True)
        if key in kept:
            notes.append(f"{record.path}: the same seed and scores as {kept[key].path}; left out")
        kept.setdefault(key, record)
    return list(kept.values())


def _decisive(record: Record) -> dict[str, Any]:
    """Return the settings that determine the scores: of training, and of the test if different."""
    test = {f"{name} in the test": section for name, section in _fixed(record.config).items()
            if name in _TESTED}  # fmt: skip
    trained = _fixed(record.training_config)
    for name in _TESTED:
        if trained.get(name) == test.get(f"{name} in the test"):
            test.pop(f"{name} in the test", None)
    return {**trained, **test}


def _fixed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the keys in which the runs of one config may differ."""
    return {
        section: {key: value for key, value in values.items() if (section, key) not in _FREE}
        if isinstance(values, Mapping)
        else values
        for section, values in config.items()
    }


def _difference(first: Record, other: Record) -> str:
    lines = config_differences(_decisive(first), _decisive(other))
    reached = [each.content.get("iteration") for each in (first, other)]
    if reached[0] != reached[1]:
        lines.append(f"iteration: {reached[0]} -> {reached[1]}")
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return f"differs from [1] in {'; '.join(lines[:_SHOWN])}{more}"


def _stream(record: Record) -> str:
    """Return the stream that a model read: the frames, or given silhouettes."""
    section = record.config.get("data_cfg")
    return str(section.get("stream", _FRAMES)) if isinstance(section, Mapping) else _FRAMES


def _warnings(name: str, records: Sequence[Record]) -> list[str]:
    seeds = [record.content.get("seed") for record in records]
    notes = []
    if len(set(map(str, seeds))) < len(seeds):
        notes.append(f"{name}: several runs of one seed (seeds {', '.join(map(str, seeds))})")
    commits = {json.dumps(record.content.get("commit"), sort_keys=True) for record in records}
    if len(commits) > 1:
        notes.append(f"{name}: the runs come from {len(commits)} states of the code")
    peeked = [record for record in records if "test" in str(record.content.get("selection"))]
    if peeked:
        notes.append(f"{name}: the checkpoint was chosen on the test split (best_on_test)")
    streams = {_stream(record) for record in records}
    if streams != {_FRAMES}:
        notes.append(f"{name}: reads {', '.join(sorted(streams))} of the data, not the frames")
    return notes
