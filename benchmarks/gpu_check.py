"""Check of a machine with CUDA in less than eight minutes, with one file of results.

    make gpu-check                                # on a machine with a CUDA device
    python benchmarks/gpu_check.py --dry          # on the CPU, at toy size: does it run at all?

Each section runs in its own process for a limited time, so one that fails, hangs or runs out of
memory does not affect the others. The file is written after each. The exit status is 0 if all
sections held, else 1. Sections that this machine cannot run (two devices) are ignored.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_name("results")
# Time limit of each section in seconds; together less than eight minutes.
LIMITS = {
    "tests": 110, "equality": 50, "training": 110, "embeddings": 70, "ranking": 40, "processes": 70,
}  # fmt: skip
_DRY = 5  # factor on the limits on a shared CPU
_MARK = "result: "
_SEED = 0


def main(words: list[str] | None = None) -> int:
    """Run all sections or the named one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--dry", action="store_true", help="on the CPU, at toy size")
    add("--sections", nargs="+", choices=list(LIMITS), default=list(LIMITS), help="default: all")
    add("--json", type=Path, help="file for the results (default: results/<date>-gpu.json here)")
    add("--one", choices=list(LIMITS), help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.one:
        import gpu_sections

        result = gpu_sections.SECTIONS[arguments.one](arguments.dry)
        print(f"{_MARK}{json.dumps(result)}")
        return 0
    if not arguments.dry and not _has_cuda():
        parser.error("torch finds no CUDA device here; --dry runs on the CPU, at toy size")
    name = f"{time.strftime('%Y-%m-%d')}-gpu{'-dry' if arguments.dry else ''}.json"
    return check(arguments.sections, arguments.dry, arguments.json or RESULTS / name)


def check(sections: list[str], dry: bool, path: Path) -> int:
    """Run sections one after the other; return the exit status."""
    from gpu_sections import about

    from opengait_ext.engine.files import write_json

    found: dict[str, Any] = {}
    begin = time.perf_counter()
    for name in sections:
        found[name] = section(name, dry)
        print(f"{name}: {summary(found[name])}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = time.perf_counter() - begin
        write_json(path, about(dry, _SEED) | {"seconds": seconds, "sections": found})
    print(f"written to {path}")
    return 0 if all(result["held"] is not False for result in found.values()) else 1


def section(name: str, dry: bool) -> dict[str, Any]:
    """Run a section in its own process; return its result, or the reason of a failure."""
    command = [sys.executable, str(Path(__file__)), "--one", name, *(["--dry"] if dry else [])]
    limit = LIMITS[name] * (_DRY if dry else 1)
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, errors="replace",
            timeout=limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"held": False, "reason": f"not finished after {limit} seconds"}
    taken = {"taken": time.perf_counter() - begin}
    lines = done.stdout.splitlines()
    results = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
    if done.returncode or not results:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        return {"held": False, "reason": f"exit status {done.returncode}: {last}"} | taken
    return json.loads(results[-1]) | taken


def summary(result: dict[str, Any]) -> str:
    """Return the outcome of a section in one line."""
    word = {True: "held", False: "NOT held", None: "not measured"}[result["held"]]
    told = [f"{result['reason']}"] if "reason" in result else []
    told += [f"{key} {value:.4g}" for key, value in result.items() if isinstance(value, float)]
    return f"{word} ({', '.join(told)})" if told else word


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
