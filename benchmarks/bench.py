"""Measure every part against the version it replaces: two tables, one file of results.

    make bench                                    # full size: half an hour on two cores
    python benchmarks/bench.py --size small       # a few minutes
    python benchmarks/bench.py --rows LGE ranking growth

Both sides of a row are first checked for equal results, then run in turn in one process; medians
are reported. Memory is measured in a separate process for each side, on top of its inputs. The
share is relative to the peak of this machine: a matrix product of 2048 x 2048 or a convolution of
512 channels, whichever is faster, or copying memory. GPU rows are measured if there is a GPU. The
second table shows the growth of cost: each part at three sizes, and the exponent.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from bench_measure import Row, machine, measured, one_side
from bench_table import growth_table, table

RESULTS = Path(__file__).with_name("results")


def rows() -> list[Row]:
    """Return all rows that compare two sides on this machine, in table order."""
    import bench_data
    import bench_network

    return [*bench_network.ROWS, *bench_data.ROWS]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--size", choices=("small", "full"), default="full", help="default: full")
    add("--rows", nargs="+", help="only rows whose names begin so")
    add("--rounds", type=int, default=5, help="of which the median is taken (5)")
    add("--threads", type=int, default=torch.get_num_threads(), help="of torch (all cores)")
    add("--no-memory", action="store_true", help="measure the time alone")
    add("--growth", action=argparse.BooleanOptionalAction, default=True,
        help="measure how cost grows")  # fmt: skip
    add("--json", type=Path, help="file for the results (default: results/<date>.json here)")
    add("--one", nargs=2, metavar=("ROW", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        row = next(row for row in rows() if row.name == arguments.one[0])
        print(json.dumps(one_side(row, arguments.size, arguments.one[1])))
        return 0
    run(parser, arguments)
    return 0


def run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Measure the chosen rows; print and write the results."""
    import bench_gpu
    import bench_growth

    kinds: dict[str, list[Any]] = {
        "results": rows(),
        "gpu": bench_gpu.ROWS,
        "growth": bench_growth.ROWS if arguments.growth else [],
    }
    wanted = tuple(arguments.rows or [""])
    chosen = [
        (kind, row) for kind, some in kinds.items() for row in some if row.name.startswith(wanted)
    ]
    if not chosen:
        names = (row.name for some in kinds.values() for row in some)
        parser.error(f"--rows: there are {'; '.join(names)}")
    path = arguments.json or RESULTS / f"{time.strftime('%Y-%m-%d')}-{arguments.size}.json"
    device, limits = bench_gpu.cuda(), machine()
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for number, (kind, row) in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: {row.name}", file=sys.stderr, flush=True)
        if kind == "results":
            result = measured(row, arguments, limits)
        elif kind == "gpu":
            rounds = max(arguments.rounds, bench_gpu.ROUNDS)
            result = bench_gpu.measured(row, arguments.size, device, rounds)
        else:
            result = bench_growth.measured(row, arguments)
        found[kind].append(result)
        write(path, arguments, limits, found)  # keep results even if a later row fails
    for text in (table(found["results"] + found["gpu"], arguments.size),
                 growth_table(found["growth"])):  # fmt: skip
        if text:
            print(f"{text}\n")
    print(", ".join(f"{name}: {value:,}" for name, value in limits.items()))
    print(f"written to {path}")


def write(path: Path, arguments: argparse.Namespace, limits: Any, found: dict[str, Any]) -> None:
    """Write the results and the conditions they depend on."""
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
    write_json(path, about | found)


if __name__ == "__main__":
    sys.exit(main())
