"""Measures both sides of a row: time in turn in one process, memory each in its own process."""

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
_PROBE = 0.2  # of what the machine can do at most
BENCH = Path(__file__).with_name("bench.py")


@dataclass(frozen=True)
class Sides:
    """What a row compares, ready to run.

    Attributes:
        ours: One pass of ours.
        plain: The same work as the published code does it.
        difference: Gives the largest difference of their results, and what is allowed.
        flops: Counts those of our pass, once that is measured; none if arithmetic is no limit.
        bytes: That our pass has to move at least; 0 if that is not what limits it.
        bfloat16: Whether our pass computes in it.
        embeddings: That our pass gives; 0 if it gives something else.
        plain_share: Of the work that the plain side does; its time is extrapolated from there.
        kept: What has to live as long as the sides, a temporary folder for instance.
        notes: What else is to be said.
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
        name: What is measured.
        against: What it replaces.
        wanted: How many times as fast it shall be at least; 0: nothing is asked.
        memory: Which part of the plain side's memory it may take; 0: nothing is asked; None: it is
            not measured either.
        make: Gives the sides for ``small`` or ``full``.
    """

    name: str
    against: str
    wanted: float
    memory: float | None
    make: Callable[[str], Sides]


def machine() -> dict[str, float]:
    """Measures what this machine can do at most: matrix products, convolutions and copying."""
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
    """Checks that both sides give the same, and measures them."""
    sides = row.make(arguments.size)
    gap, allowed = sides.difference()
    assert gap <= allowed, f"{row.name}: the sides differ by {gap:.1e}, allowed are {allowed:.1e}"
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(arguments.rounds):
        for name in times:  # in turn, so that both see the same machine
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
    """Runs one side in this process; gives the memory that a pass took on top of its inputs."""
    sides = row.make("small")
    getattr(sides, side)()  # loads the code that it calls, some 10 MiB
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
        # Libraries differ: on some processors convolutions are twice as fast as products.
        most = max(limits[f"{kind} GFLOP/s"], limits[f"{kind} convolution GFLOP/s"])
        return {"GFLOP/s": rate, "share": rate / most, "limit": kind}
    if sides.bytes:
        rate = sides.bytes / taken / 1e9
        return {"GB/s": rate, "share": rate / limits["copy GB/s"], "limit": "memory"}
    return {}


def seconds(run: Callable[[], Any], least: float = _SHORT) -> float:
    """Times a pass; of one shorter than ``least`` the mean of several, behind one that warms up."""
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
    """Gives the peak of this process' memory, in MiB (on Linux).

    Not by getrusage, whose number a process takes over from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _forget_peak() -> None:
    """Makes the peak what is held now, without what making the inputs took meanwhile.

    A system that does not allow it leaves the old peak, which hides all that is smaller.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # free memory goes back, as a pass would take it again
        Path("/proc/self/clear_refs").write_text("5")
