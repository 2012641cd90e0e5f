"""Comparisons as text, Markdown, LaTeX or CSV; scores in percent."""

import csv
import io
import math
from collections.abc import Callable, Sequence

from ..escaping import cell as csv_cell
from ..escaping import escaped
from .comparison import Cell, Columns, Comparison, Row, differing

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def text_of(comparison: Comparison) -> str:
    """Return aligned columns, the directions above their scores."""
    head = ["model", "runs", "n", *(escaped(score) for _, score in comparison.columns)]
    table = [head, *([*_facts(row), *_cells(row, comparison.columns)] for row in comparison.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(_pad, range(len(head)), cells, widths)).rstrip() for cells in table]
    above = " " * (sum(widths[:3]) + 6)
    at = 3
    for direction, count in _spans(comparison.columns):
        span = sum(widths[at : at + count]) + 2 * (count - 1)
        above += escaped(direction.replace("_", " "))[:span].ljust(span) + "  "
        at += count
    legend = [_condition_line(comparison), "percent; mean ± sample standard deviation of n runs"]
    notes = [*comparison.notes, *_remarks(comparison)]
    parts = [*legend, "", above.rstrip(), *lines, *([""] if notes else []), *notes]
    return "\n".join(map(escaped, parts))


def markdown_of(comparison: Comparison) -> str:
    """Return a Markdown table with its conditions above."""
    heads = ["model", "runs", "n"]
    heads += [f"{direction.replace('_', ' ')} {score}" for direction, score in comparison.columns]
    lines = [heads, ["---", "---", *["---:"] * (len(heads) - 2)]]
    lines += [[*_facts(row), *_cells(row, comparison.columns)] for row in comparison.rows]
    table = [f"| {' | '.join(map(_markdown, line))} |" for line in lines]
    notes = [f"- {_markdown(note)}" for note in [*comparison.notes, *_remarks(comparison)]]
    legend = f"{_markdown(_condition_line(comparison))}; percent, mean ± spread of n runs."
    return "\n".join([legend, "", *table, "", *notes]).rstrip()


def latex_of(comparison: Comparison) -> str:
    """Return a ``tabular`` for the package booktabs."""
    spans = _spans(comparison.columns)
    above = [
        rf"\multicolumn{{{count}}}{{c}}{{{_latex(direction.replace('_', ' '))}}}"
        for direction, count in spans
    ]
    heads = ["model", "runs", "$n$", *(_latex(score) for _, score in comparison.columns)]
    rows = [
        [*map(_latex, _facts(row)), *(_latex_cell(row.cells[key]) for key in comparison.columns)]
        for row in comparison.rows
    ]
    notes = [_condition_line(comparison), *comparison.notes, *_remarks(comparison)]
    return "\n".join(
        [
            *(f"% {escaped(note)}" for note in notes),
            rf"\begin{{tabular}}{{llr{'r' * len(comparison.columns)}}}",
            r"\toprule",
            " & ".join(["", "", "", *above]) + r" \\",
            " & ".join(heads) + r" \\",
            r"\midrule",
            *(" & ".join(row) + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def csv_of(comparison: Comparison) -> str:
    """Return CSV with a header; the conditions have columns of their own."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    heads = [*comparison.conditions, "kind", "model", "runs", "n", "seeds", "remark"]
    for direction, score in comparison.columns:
        heads += [f"{direction} {score}", f"{direction} {score} spread"]
    writer.writerow(map(csv_cell, heads))
    for row in comparison.rows:
        kind = "published" if row.published else "measured"
        # Only the remark, if any, says how a published number was measured.
        known = ("dataset", "split") if row.published else tuple(comparison.conditions)
        line = [value if key in known else "" for key, value in comparison.conditions.items()]
        line += [kind, row.model, row.config, "" if row.published else str(len(row.seeds))]
        line = [csv_cell(value) for value in (*line, " ".join(map(str, row.seeds)), row.remark)]
        for key in comparison.columns:
            line += [_number(row.cells[key].mean), _number(row.cells[key].spread)]
        writer.writerow(line)
    return file.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": text_of,
    "markdown": markdown_of,
    "latex": latex_of,
    "csv": csv_of,
}


def written(comparisons: Sequence[Comparison], form: str) -> str:
    """Return all tables in one format; if there are several, the reason comes first.

    Args:
        comparisons: The tables.
        form: One of ``FORMATS``.
    """
    tables = [FORMATS[form](comparison) for comparison in comparisons]
    if len(tables) > 1 and form != "csv":
        apart = differing([comparison.conditions for comparison in comparisons])
        sign = "% " if form == "latex" else ""
        reason = (
            f"{sign}{len(tables)} tables, because the runs differ in {', '.join(apart)}: such "
            "numbers do not belong in one column."
        )
        tables = [reason, *tables]
    return "\n\n".join(tables)


def percent(value: float) -> str:
    """Return a fraction in percent with one decimal, or a dash for NaN."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _remarks(comparison: Comparison) -> list[str]:
    """Return each remark once, with the rows that it is about."""
    rows: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.remark:
            rows.setdefault(row.remark, []).append(f"{row.model} ({row.config})")
    return [f"{remark}: {', '.join(names)}" for remark, names in rows.items()]


def _facts(row: Row) -> list[str]:
    return [
        escaped(row.model),
        escaped(row.config),
        "published" if row.published else str(len(row.seeds)),
    ]


def _cells(row: Row, columns: Columns) -> list[str]:
    return [_cell(row.cells[key]) for key in columns]


def _cell(cell: Cell) -> str:
    spread = "" if math.isnan(cell.spread) else f" ± {percent(cell.spread)}"
    return percent(cell.mean) + spread


def _latex_cell(cell: Cell) -> str:
    spread = "" if math.isnan(cell.spread) else rf" $\pm$ {percent(cell.spread)}"
    return percent(cell.mean).replace("-", "--") + spread


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(100 * value)


def _pad(place: int, cell: str, width: int) -> str:
    return cell.ljust(width) if place < 2 else cell.rjust(width)


def _spans(columns: Columns) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for direction, _ in columns:
        counts[direction] = counts.get(direction, 0) + 1
    return list(counts.items())


def _condition_line(comparison: Comparison) -> str:
    return "; ".join(
        f"{name}: {value[:12] if name == 'data digest' else value}"
        for name, value in comparison.conditions.items()
    )


def _markdown(text: str) -> str:
    return escaped(text).replace("|", "\\|").replace("<", "&lt;")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in escaped(text))
