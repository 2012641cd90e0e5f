"""Measures every part beside what it replaces: one table, one file of results.

    make bench                                    # full size: half an hour on two cores
    python benchmarks/bench.py --size small       # a few minutes
    python benchmarks/bench.py --rows LGE ranking

Both sides of a row run in turn in one process, after they were found to give the same; the medians
count. The memory is that of a process of its own for each side, on top of its inputs. The share is
of what this machine can do at most: of a matrix product of 2048 x 2048, or of copying memory.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from bench_measure import Row, machine, measured, one_side

RESULTS = Path(__file__).with_name("results")
TITLES = ("row", "against", "ratio", "wanted", "ours", "plain", "memory", "share of limit")


def rows() -> list[Row]:
    """Gives all rows, in the order of the table."""
    import bench_data
    import bench_network

    return [*bench_network.ROWS, *bench_data.ROWS]


def line(result: dict[str, Any], size: str) -> list[str]:
    """Gives the cells of a row; what is wanted, is wanted of the full size."""
    memory = ""
    if "mib" in result:
        wanted = f" (wanted 1/{1 / result['memory_wanted']:.3g})" if "memory" in result else ""
        memory = f"{result['mib']:,.0f} of {result['mib_plain']:,.0f} MiB{wanted}"
    share = f"{result['share']:.0%} of {result['limit']}" if "share" in result else ""
    met = " missed" if size == "full" and result["ratio"] < result["ratio_wanted"] else ""
    return [
        result["row"], result["against"], f"{result['ratio']:.3g} x",
        f"{result['ratio_wanted']:g} x{met}", f"{result['seconds']:.3g} s",
        f"{result['seconds_plain']:.3g} s", memory, share,
    ]  # fmt: skip


def table(results: list[dict[str, Any]], size: str) -> str:
    """Gives the results as a table of text."""
    cells = [list(TITLES), *(line(result, size) for result in results)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(row.rstrip() for row in rows)


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--size", choices=("small", "full"), default="full", help="default: full")
    add("--rows", nargs="+", help="only rows whose names begin so")
    add("--rounds", type=int, default=5, help="of which the median is taken (5)")
    add("--threads", type=int, default=torch.get_num_threads(), help="of torch (all cores)")
    add("--no-memory", action="store_true", help="measure the time alone")
    add("--json", type=Path, help="file for the results (default: results/<date>.json here)")
    add("--one", nargs=2, metavar=("ROW", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        row = next(row for row in rows() if row.name == arguments.one[0])
        print(json.dumps(one_side(row, arguments.size, arguments.one[1])))
        return 0
    chosen = [row for row in rows() if row.name.startswith(tuple(arguments.rows or [""]))]
    if not chosen:
        parser.error(f"--rows: there are {', '.join(row.name for row in rows())}")
    path = arguments.json or RESULTS / f"{time.strftime('%Y-%m-%d')}-{arguments.size}.json"
    limits = machine()
    results: list[dict[str, Any]] = []
    for number, row in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {row.name}", file=sys.stderr, flush=True)
        results.append(measured(row, arguments, limits))
        write(path, arguments, limits, results)  # what is measured is kept, whatever comes
    print(table(results, arguments.size))
    print(", ".join(f"{name}: {value:,}" for name, value in limits.items()))
    print(f"written to {path}")
    return 0


def write(path: Path, arguments: argparse.Namespace, limits: Any, results: Any) -> None:
    """Writes the results with what they depend on."""
    from opengait_ext.engine.files import write_json
    from opengait_ext.engine.provenance import commit, versions

    about = {
        "date": time.strftime("%Y-%m-%d"),
        "size": arguments.size,
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "machine": limits,
        "versions": versions(),
        "commit": commit(),
    }
    path.parent.mkdir(exist_ok=True)
    write_json(path, {**about, "results": results})


if __name__ == "__main__":
    sys.exit(main())
