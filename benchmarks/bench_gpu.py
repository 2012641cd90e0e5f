"""Benchmark rows that need a GPU: a training step of the published size, embeddings per second.

Our side does what the trainer does: bfloat16 by autocast, kernels in channels-last order, the
config's Adam. The plain side is the same network in plain form, in torch's default float32 (TF32 in
convolutions only). Times include device synchronization. Memory is the peak allocated by torch for
one side, weights included. The code does not depend on the device, so it also runs on a CPU at a
small size.
"""

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from bench_measure import seconds
from bench_model import CONFIG, batch, counted, embed, network, objective, take, without_chance
from bench_plain import plain_copy
from torch import Tensor, nn

from opengait_ext.config import load_config
from opengait_ext.engine.devices import Computation, computes_bfloat16
from opengait_ext.engine.optimizer import bind_optimizer, build_optimizer
from opengait_ext.engine.random_state import seed_everything

TRACKLETS, FRAMES = 32, 6
ROUNDS = 5  # at least
_PRODUCTS = 10  # launched together, so launch overhead is negligible


@dataclass(frozen=True)
class GpuRow:
    """A row of the table.

    Attributes:
        name: Name of the measured part.
        against: The version it replaces.
        run: Function that measures a size on a device for a number of rounds.
    """

    name: str
    against: str
    run: Callable[[str, torch.device, int], dict[str, Any]]


@dataclass(frozen=True)
class Side:
    """The measurements of one side of a row.

    Attributes:
        result: The result to compare.
        times: Seconds of each round.
        mib: Peak memory in MiB; None on a CPU.
        flops: Operations of a pass, if requested.
    """

    result: Tensor
    times: list[float]
    mib: float | None
    flops: float = 0.0


def cuda() -> torch.device | None:
    """Return the GPU, or None."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else None


def measured(
    row: GpuRow, size: str, device: torch.device | None, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Measure a row; without a device or on failure, return the reason instead."""
    about = {"row": row.name, "against": row.against, "ratio_wanted": 0}
    if device is None:
        return about | {"measured": False, "reason": "no CUDA device"}
    try:
        return about | {"measured": True, **row.run(size, device, rounds)}
    except RuntimeError as fault:  # most likely out of memory; continue with the other rows
        return about | {"measured": False, "reason": str(fault).split("\n")[0]}


def training_step(
    size: str, device: torch.device, rounds: int, tracklets: int = TRACKLETS, frames: int = FRAMES
) -> dict[str, Any]:
    """Measure a training step: forward, all losses, backward, Adam."""
    seed_everything(0)
    inputs = batch(size, tracklets, frames, device)
    losses = objective().to(device)
    section = {**load_config(CONFIG)["optimizer_cfg"], "lr": 1e-6}  # labels are random
    entries = bind_optimizer(section)

    def side(model: nn.Module, computation: Computation, count: bool) -> Side:
        model = _placed(model.train(), computation, count)
        compared = without_chance(model)  # type: ignore[arg-type]
        with torch.no_grad(), computation.autocast():
            features = compared(inputs)["training_feat"]
        result = losses(features).total.detach().cpu()
        del compared, features
        optimizer = build_optimizer(entries, dict(model.named_parameters()))
        return _timed(
            lambda: take(model, optimizer, losses, inputs, computation),
            result, device, rounds, count,
        )  # fmt: skip

    ours, plain = _both(size, device, side)
    found = _compared(ours, plain, device, lambda x, y: abs(float(x / y) - 1))
    return found | {
        "difference of": "the sum of the losses",
        "difference_allowed": 0.1,
        "size": f"{tracklets} tracklets of {frames} frames",
        "optimizer": section["solver"],
    }


def embeddings(
    size: str, device: torch.device, rounds: int, tracklets: int = TRACKLETS, frames: int = FRAMES
) -> dict[str, Any]:
    """Measure the computation of whole embeddings."""
    seed_everything(0)
    inputs = batch(size, tracklets, frames, device)

    def side(model: nn.Module, computation: Computation, count: bool) -> Side:
        model = _placed(model.eval(), computation, count)
        result = embed(model, inputs, computation).flatten(1).cpu()
        return _timed(lambda: embed(model, inputs, computation), result, device, rounds, count)

    ours, plain = _both(size, device, side)
    found = _compared(
        ours, plain, device,
        lambda x, y: 1 - float(nn.functional.cosine_similarity(x, y).min()),
    )  # fmt: skip
    return found | {
        "difference of": "1 - cosine",
        "difference_allowed": 1e-3,
        "size": f"{tracklets} tracklets of {frames} frames",
        "embeddings/s": tracklets / found["seconds"],
    }


@cache
def peak(device: torch.device) -> float:
    """Measure the GFLOP/s of a matrix product in bfloat16."""
    side = 8192 if device.type == "cuda" else 512
    x = torch.randn(side, side, device=device).bfloat16()

    def run() -> None:
        for _ in range(_PRODUCTS):
            x @ x
        _finish(device)

    run()
    return _PRODUCTS * 2 * side**3 / min(seconds(run, 0.1) for _ in range(7)) / 1e9


def _both(
    size: str, device: torch.device, side: Callable[[nn.Module, Computation, bool], Side]
) -> tuple[Side, Side | None]:
    """Run both sides, one on the device at a time; None for the plain side if out of memory."""
    model = network(size)
    plain = plain_copy(model)
    # A processor that only emulates bfloat16 takes minutes; float32 is as informative there.
    lowest = torch.bfloat16 if computes_bfloat16(device) else torch.float32
    ours = side(model, Computation(device, lowest), True)
    _clear(model, device)
    try:
        return ours, side(plain, Computation(device), False)
    except torch.cuda.OutOfMemoryError:
        return ours, None
    finally:
        _clear(plain, device)


def _placed(model: nn.Module, computation: Computation, is_ours: bool) -> nn.Module:
    """Move a model to the device, ours as the engine does, the plain one unchanged."""
    return computation.place(model) if is_ours else model.to(computation.device)


def _clear(model: nn.Module, device: torch.device) -> None:
    model.zero_grad(set_to_none=True)
    model.to("cpu")
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _timed(
    run: Callable[[], Any], result: Tensor, device: torch.device, rounds: int, count: bool
) -> Side:
    """Time a pass on a device, after two that select kernels and allocate memory."""

    def finished() -> None:
        run()
        _finish(device)

    finished()
    finished()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = [seconds(finished) for _ in range(rounds)]
    mib = torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None
    return Side(result, times, mib, counted(run) if count else 0.0)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _compared(
    ours: Side, plain: Side | None, device: torch.device, gap: Callable[[Tensor, Tensor], float]
) -> dict[str, Any]:
    taken = statistics.median(ours.times)
    rate, limit = ours.flops / taken / 1e9, peak(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    found: dict[str, Any] = {
        "seconds": taken,
        "times": {"ours": ours.times, "plain": plain.times if plain else []},
        "GFLOP/s": rate,
        "share": rate / limit,
        "limit": "the GPU's bfloat16",
        "limit GFLOP/s": limit,
        "device": name,
    }
    if ours.mib is not None:
        found["mib"] = ours.mib
    if plain is None:
        return found | {"plain": "out of memory"}
    slower = statistics.median(plain.times)
    if plain.mib is not None:
        found["mib_plain"] = plain.mib
    return found | {
        "seconds_plain": slower,
        "ratio": slower / taken,
        "difference": gap(ours.result, plain.result),
    }


ROWS = [
    GpuRow("GPU, training step, bfloat16", "the published pipeline's work in float32",
           training_step),
    GpuRow("GPU, embedding, bfloat16", "the same", embeddings),
]  # fmt: skip
