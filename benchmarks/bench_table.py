"""Text tables of results."""

from collections.abc import Sequence
from typing import Any

TITLES = ("row", "against", "ratio", "wanted", "ours", "plain", "memory", "rate", "share of limit")
GROWTH_TITLES = ("row", "by", "smallest", "twice", "four times", "exponent")


def table(results: Sequence[dict[str, Any]], size: str) -> str:
    """Return the table of both sides of each row; empty without results."""
    return _aligned([TITLES, *(line(result, size) for result in results)])


def growth_table(results: Sequence[dict[str, Any]]) -> str:
    """Return the table of the growth of cost; empty without results."""
    return _aligned([GROWTH_TITLES, *map(growth_line, results)])


def line(result: dict[str, Any], size: str) -> list[str]:
    """Return the cells of a row; requirements apply to the full size only."""
    names = [result["row"], result["against"]]
    if not result.get("measured", True):
        return [*names, f"not measured ({result['reason']})", *[""] * (len(TITLES) - 3)]
    rates = [
        f"{result[unit]:,.3g} {unit}" if result[unit] < 1000 else f"{result[unit]:,.0f} {unit}"
        for unit in ("GFLOP/s", "GB/s", "embeddings/s")
        if unit in result
    ]
    share = result.get("bound by", "")
    if "share" in result:
        digits = 0 if result["share"] >= 0.01 else 1
        share = f"{result['share']:.{digits}%} of {result['limit']}"
    return [
        *names, _ratio(result), _wanted(result, size), f"{result['seconds']:.3g} s",
        _plain(result), _memory(result), ", ".join(rates), share,
    ]  # fmt: skip


def growth_line(result: dict[str, Any]) -> list[str]:
    """Return the cells of a row of three sizes."""
    pairs = zip(result["sizes"], result["seconds"], strict=True)
    times = [f"{size:,}: {cost:.3g} s" for size, cost in pairs]
    return [result["row"], result["by"], *times, f"{result['exponent']:.2f}"]


def _ratio(result: dict[str, Any]) -> str:
    if "ratio" not in result:
        return "-"
    agree = result["difference"] <= result["difference_allowed"]
    warning = "" if agree else f", but they differ by {result['difference']:.1e}"
    return f"{result['ratio']:.3g} x{warning}"


def _wanted(result: dict[str, Any], size: str) -> str:
    if not result["ratio_wanted"]:
        return "-"
    missed = size == "full" and result["ratio"] < result["ratio_wanted"]
    return f"{result['ratio_wanted']:g} x{' missed' if missed else ''}"


def _plain(result: dict[str, Any]) -> str:
    if "seconds_plain" in result:
        return f"{result['seconds_plain']:.3g} s"
    return str(result["plain"])


def _memory(result: dict[str, Any]) -> str:
    if "mib" not in result:
        return ""
    plain = f" of {result['mib_plain']:,.0f}" if "mib_plain" in result else ""
    wanted = f" (wanted 1/{1 / result['memory_wanted']:.3g})" if "memory" in result else ""
    return f"{result['mib']:,.0f}{plain} MiB{wanted}"


def _aligned(cells: Sequence[Sequence[str]]) -> str:
    if len(cells) == 1:
        return ""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(row.rstrip() for row in rows)
