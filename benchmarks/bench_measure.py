"""Measurement of both sides of a row: time in one process, memory in a process per side."""

import argparse
import contextlib
import ctypes
import gc
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

_SHORT = 0.4  # seconds
_PROBE = 0.2  # seconds of each probe of the machine's peak
BENCH = Path(__file__).with_name("bench.py")


@dataclass(frozen=True)
class Sides:
    """Both sides of a row, ready to run.

    Attributes:
        ours: One pass of our side.
        plain: The same work in the form of the published code.
        difference: Function that returns the largest difference of the results and the tolerance.
        flops: Function that counts the operations of our pass after the measurement; None if
            arithmetic is not the limit.
        bytes: Fewest bytes that our pass must move; 0 if memory traffic is not the limit.
        bfloat16: Whether our pass computes in bfloat16.
        embeddings: Number of embeddings per pass; 0 if it computes something else.
        plain_share: Share of the work done by the plain side; its time is extrapolated.
        kept: An object that must live as long as the sides, such as a temporary folder.
        notes: Additional entries of the result.
    """

    ours: Callable[[], Any]
    plain: Callable[[], Any]
    difference: Callable[[], tuple[float, float]]
    flops: Callable[[], float] | None = None
    bytes: float = 0.0
    bfloat16: bool = False
    embeddings: int = 0
    plain_share: float = 1.0
    kept: Any = None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: Name of the measured part.
        against: The version it replaces.
        wanted: Required speed-up; 0 for no requirement.
        memory: Largest allowed fraction of the plain side's memory; 0 for no requirement; None to
            skip the measurement.
        make: Function that returns the sides for ``small`` or ``full``.
    """

    name: str
    against: str
    wanted: float
    memory: float | None
    make: Callable[[str], Sides]


def machine() -> dict[str, float]:
    """Measure the peak of this machine: matrix products, convolutions and copying."""
    limits = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        x = torch.randn(2048, 2048).to(dtype)
        least = min(seconds(lambda x=x: x @ x, _PROBE) for _ in range(7))
        limits[f"{name} GFLOP/s"] = round(2 * 2048**3 / least / 1e9, 1)
        kernels = torch.nn.Conv2d(512, 512, 3, padding=1, bias=False, dtype=dtype)
        kernels = kernels.requires_grad_(False).to(memory_format=torch.channels_last)
        maps = torch.randn(16, 512, 16, 16).to(dtype, memory_format=torch.channels_last)
        least = min(seconds(lambda k=kernels, m=maps: k(m), _PROBE) for _ in range(7))
        count = 2 * maps.numel() * kernels.weight[0].numel()
        limits[f"{name} convolution GFLOP/s"] = round(count / least / 1e9, 1)
    source = torch.empty(2**27, dtype=torch.uint8)
    target = torch.empty_like(source)
    least = min(seconds(lambda: target.copy_(source)) for _ in range(7))
    limits["copy GB/s"] = round(2 * source.numel() / least / 1e9, 1)
    return limits


def measured(row: Row, arguments: argparse.Namespace, limits: dict[str, float]) -> dict[str, Any]:
    """Check that both sides have equal results, then measure them."""
    sides = row.make(arguments.size)
    gap, allowed = sides.difference()
    assert gap <= allowed, f"{row.name}: the sides differ by {gap:.1e}, allowed are {allowed:.1e}"
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(arguments.rounds):
        for name in times:  # in turn, for equal conditions
            times[name].append(seconds(getattr(sides, name)))
    ours, plain = (statistics.median(times[name]) for name in ("ours", "plain"))
    plain /= sides.plain_share
    result = {
        "row": row.name,
        "against": row.against,
        "seconds": ours,
        "seconds_plain": plain,
        "ratio": plain / ours,
        "ratio_wanted": row.wanted,
        "difference": gap,
        "difference_allowed": allowed,
        "times": times,
        **_share(sides, ours, limits),
        **({"embeddings/s": sides.embeddings / ours} if sides.embeddings else {}),
        **sides.notes,
    }
    del sides
    gc.collect()
    if row.memory is not None and not arguments.no_memory:
        result |= _memory(row, arguments)
    return result


def one_side(row: Row, size: str, side: str) -> dict[str, float]:
    """Run one side in this process; return the memory of a pass on top of its inputs."""
    sides = row.make("small")
    getattr(sides, side)()  # loads its code, about 10 MiB
    sides = row.make(size)
    gc.collect()
    _forget_peak()
    before = _peak()
    getattr(sides, side)()
    return {"mib": _peak() - before}


def _memory(row: Row, arguments: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for side in ("ours", "plain"):
        command = [sys.executable, str(BENCH), "--size", arguments.size, "--one", row.name, side]
        command += ["--threads", str(arguments.threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[side] = json.loads(done.stdout.splitlines()[-1])["mib"]
    names = {"mib": round(found["ours"], 1), "mib_plain": round(found["plain"], 1)}
    if row.memory:
        names |= {"memory": found["ours"] / max(found["plain"], 1), "memory_wanted": row.memory}
    return names


def _share(sides: Sides, taken: float, limits: dict[str, float]) -> dict[str, Any]:
    if sides.flops:
        kind = "bfloat16" if sides.bfloat16 else "float32"
        rate = sides.flops() / taken / 1e9
        # Libraries differ: on some processors, convolutions are twice as fast as products.
        most = max(limits[f"{kind} GFLOP/s"], limits[f"{kind} convolution GFLOP/s"])
        return {"GFLOP/s": rate, "share": rate / most, "limit": kind}
    if sides.bytes:
        rate = sides.bytes / taken / 1e9
        return {"GB/s": rate, "share": rate / limits["copy GB/s"], "limit": "memory"}
    return {}


def seconds(run: Callable[[], Any], least: float = _SHORT) -> float:
    """Time a pass after a warm-up; for one shorter than ``least``, the mean of several."""
    begin = time.perf_counter()
    run()
    first = time.perf_counter() - begin
    if first > least:
        return first
    passes = math.ceil(least / first)
    begin = time.perf_counter()
    for _ in range(passes):
        run()
    return (time.perf_counter() - begin) / passes


def _peak() -> float:
    """Return the peak memory of this process in MiB (on Linux).

    Not by getrusage, whose value a process inherits from its parent.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _forget_peak() -> None:
    """Reset the peak to the current memory, to exclude temporary memory of making the inputs.

    A system that forbids this keeps the old peak, which hides smaller ones.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # return free memory, which a pass would reuse unseen
        Path("/proc/self/clear_refs").write_text("5")
