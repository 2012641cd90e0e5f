"""Rows that need a GPU: a training step of the published size, and embeddings a second.

Ours is what the trainer does: bfloat16 by autocast, kernels in channels-last order, the config's
Adam. The plain side is the same network in plain form, in float32 as torch computes it (TF32 in
convolutions alone). Every time ends when the device has finished; the memory is the largest that
torch held for one side, weights included. Nothing here asks which kind of device it is given, so
all of it runs on a CPU as well, at a size that one can bear.
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
_PRODUCTS = 10  # at a time, so that starting one takes no time


@dataclass(frozen=True)
class GpuRow:
    """A row of the table.

    Attributes:
        name: What is measured.
        against: What it replaces.
        run: Gives the numbers of a size, a device and a number of rounds.
    """

    name: str
    against: str
    run: Callable[[str, torch.device, int], dict[str, Any]]


@dataclass(frozen=True)
class Side:
    """What one side of a row came to.

    Attributes:
        result: What is compared.
        times: Of all rounds, in seconds.
        mib: Largest memory; None on a CPU.
        flops: Of a pass, if asked for.
    """

    result: Tensor
    times: list[float]
    mib: float | None
    flops: float = 0.0


def cuda() -> torch.device | None:
    """Gives the GPU, if there is one."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else None


def measured(
    row: GpuRow, size: str, device: torch.device | None, rounds: int = ROUNDS
) -> dict[str, Any]:
    """Measures a row; without a device, or where it fails, says why it is not measured."""
    about = {"row": row.name, "against": row.against, "ratio_wanted": 0}
    if device is None:
        return about | {"measured": False, "reason": "no CUDA device"}
    try:
        return about | {"measured": True, **row.run(size, device, rounds)}
    except RuntimeError as fault:  # of the memory, most likely; the other rows are still wanted
        return about | {"measured": False, "reason": str(fault).split("\n")[0]}


def training_step(
    size: str, device: torch.device, rounds: int, tracklets: int = TRACKLETS, frames: int = FRAMES
) -> dict[str, Any]:
    """Measures a training step: forward, all losses, backward, Adam."""
    seed_everything(0)
    inputs = batch(size, tracklets, frames, device)
    losses = objective().to(device)
    section = {**load_config(CONFIG)["optimizer_cfg"], "lr": 1e-6}  # random labels teach nothing
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
    """Measures whole embeddings."""
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
    """Measures the GFLOP/s of a matrix product in bfloat16."""
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
    """Runs both sides, one of which is on the device at a time; None: it has not the memory."""
    model = network(size)
    plain = plain_copy(model)
    # A processor that only emulates bfloat16 takes minutes for it, and shows no less in float32.
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
    """Put a model on the device; ours as the engine does, plain as it is."""
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
    """Times a pass on a device, behind two that choose kernels and take memory."""

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
