"""The sections of ``gpu_check.py``; each returns its measurements and whether it ``held``."""

import copy
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import bench_gpu
import torch
from bench_measure import seconds
from bench_model import CONFIG, batch, network, objective, without_chance
from torch import Tensor, nn

from opengait_ext.config import load_config
from opengait_ext.engine.devices import Computation, computes_bfloat16
from opengait_ext.engine.distributed import Group, process_group
from opengait_ext.engine.objective import Objective
from opengait_ext.engine.provenance import commit, now, versions
from opengait_ext.engine.random_state import seed_everything
from opengait_ext.evaluation.distance import part_distance
from opengait_ext.layers.synchronized import share_batches

ROOT = Path(__file__).parent.parent
_EQUAL = 1e-3  # relative tolerance in float32 with other kernels
_STEPS = 2


def about(dry: bool, seed: int) -> dict[str, Any]:
    """Return the conditions that the results depend on."""
    device = _device(dry)
    return {
        "date": now(),
        "dry": dry,
        "protocol": {
            "training": f"a step of {bench_gpu.TRACKLETS} tracklets of {bench_gpu.FRAMES} frames, "
            "bfloat16, median of three behind two that warm up" if not dry else "toy size",
            "share": "of the bfloat16 rate of a matrix product on the same device",
            "equality": f"float32 without TF32 against the CPU, {_EQUAL} of the largest value",
        },
        "config": load_config(CONFIG),
        "seed": seed,
        "versions": versions() | {"cuda": str(torch.version.cuda)},
        "commit": commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "devices": torch.cuda.device_count(),
        "bfloat16": computes_bfloat16(device),
    }  # fmt: skip


def tests(dry: bool) -> dict[str, Any]:
    """Run the tests marked ``gpu``; in a dry run, only check that there are any."""
    words = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider"]
    words += ["--collect-only"] if dry else ["--timeout=100"]
    done = subprocess.run(
        [*words, "tests/engine/test_cuda.py"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = (done.stdout.strip() or done.stderr.strip() or "no message").splitlines()[-1]
    skipped = not dry and "skipped" in last
    return {"held": done.returncode == 0 and not skipped, "reason": last}


def equality(dry: bool) -> dict[str, Any]:
    """Compare embeddings, losses and gradients with those of the CPU in float32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    seed_everything(0)
    model = without_chance(network("small"))
    inputs = batch("small", 8, 2)
    sides = [_passes(model, inputs, device) for device in (torch.device("cpu"), _device(dry))]
    gaps = {}
    for name, expected in sides[0].items():
        gap = (sides[1][name] - expected).abs().max() / expected.abs().max()
        gaps[f"difference of {name}"] = float(gap)
    return {"held": all(gap <= _EQUAL for gap in gaps.values()), **gaps}


def training(dry: bool) -> dict[str, Any]:
    """Measure a training step in bfloat16: time, memory, share of the peak."""
    sizes = (4, 1) if dry else (bench_gpu.TRACKLETS, bench_gpu.FRAMES)
    size, rounds = ("small", 1) if dry else ("full", 3)
    return _held(bench_gpu.training_step(size, _device(dry), rounds, *sizes))


def embeddings(dry: bool) -> dict[str, Any]:
    """Measure embeddings per second in bfloat16."""
    sizes = (2, 1) if dry else (bench_gpu.TRACKLETS, bench_gpu.FRAMES)
    size, rounds = ("small", 1) if dry else ("full", 3)
    return _held(bench_gpu.embeddings(size, _device(dry), rounds, *sizes))


def ranking(dry: bool) -> dict[str, Any]:
    """Rank a gallery on the device; compare the distances with those of the CPU in float64."""
    torch.manual_seed(0)
    queries, gallery, parts = (20, 50, 2) if dry else (2000, 5000, 70)
    device = _device(dry)
    q, g = torch.randn(queries, 256, parts), torch.randn(gallery, 256, parts)
    on_device = q.to(device), g.to(device)

    def rank() -> Tensor:
        return part_distance(*on_device).argsort(1).cpu()

    some = slice(20)
    expected = part_distance(q[some].double(), g.double())
    found = part_distance(on_device[0][some], on_device[1]).double().cpu()
    gap = float(((found - expected).abs() / expected).max())
    taken = seconds(rank)
    return {
        "held": gap <= _EQUAL,
        "difference": gap,
        "seconds": taken,
        "queries/s": queries / taken,
        "size": f"{queries} x {gallery}, {parts} parts of 256",
    }


def processes(dry: bool) -> dict[str, Any]:
    """Train in two processes and in one; compare losses and weights."""
    if not dry and torch.cuda.device_count() < 2:
        return {"held": None, "reason": f"{torch.cuda.device_count()} CUDA device, two are needed"}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    found = {}
    for size in (1, 2):
        members = []
        for rank in range(size):
            environment = os.environ | {
                "WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            }  # fmt: skip
            command = [sys.executable, str(Path(__file__)), *(["--dry"] if dry else [])]
            members.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
            )
        outputs = [member.communicate()[0] for member in members]
        if any(member.returncode for member in members):
            return {"held": False, "reason": f"{size} processes: one of them failed"}
        found[size] = json.loads(outputs[0].splitlines()[-1])
    gaps = {
        f"difference of {name}": max(
            abs(one - other) / abs(one)
            for one, other in zip(found[1][name], found[2][name], strict=True)
        )
        for name in found[1]
    }
    return {"held": all(gap <= 10 * _EQUAL for gap in gaps.values()), **gaps}


def member(dry: bool) -> dict[str, list[float]]:
    """Train as one of the processes described by the environment variables."""
    device = _device(dry)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with process_group(device.type) as group:
        return _trained(device, group)


def _trained(device: torch.device, group: Group) -> dict[str, list[float]]:
    seed_everything(0)
    computation = Computation(device)
    model: nn.Module = computation.place(network("small"))
    if group.size > 1:
        if device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        model = share_batches(model, group, norms=True)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, 1e-4)
    losses = Objective(dict(zip((o := objective()).prefixes, o.losses, strict=True)), group)
    wrapped = group.wrapped(model.train())
    frames, labels, kinds, views, _ = batch("small", 16, 1)
    share = 16 // group.size
    mine = slice(group.rank * share, (group.rank + 1) * share)
    given = [
        [frames[0][mine].to(device)], labels[mine].to(device), kinds[mine], views[mine], None,
    ]  # fmt: skip
    seed_everything(1)
    told = []
    for _ in range(_STEPS):
        optimizer.zero_grad(set_to_none=True)
        terms = losses(wrapped(given)["training_feat"])
        terms.total.backward()
        optimizer.step()
        told.append(float(terms.total.detach()))
    norm = torch.stack([parameter.detach().norm() for parameter in parameters]).norm()
    return {"losses": told, "weights": [float(norm)]}


def _passes(model: nn.Module, inputs: Any, device: torch.device) -> dict[str, Tensor]:
    """Return embeddings, losses and the gradient of a layer that all gradients pass through."""
    model = Computation(device).place(copy.deepcopy(model))
    given = [[inputs[0][0].to(device)], inputs[1].to(device), *inputs[2:]]
    with torch.no_grad():
        embeddings = model.eval()(given)["inference_feat"]["embeddings"]
    model.zero_grad(set_to_none=True)
    total = objective().to(device)(model.train()(given)["training_feat"]).total
    total.backward()
    necks: Any = model.necks
    gradient = necks["gait"].weight.grad
    found = {"embeddings": embeddings, "losses": total.detach(), "gradient": gradient}
    return {name: value.float().cpu().clone() for name, value in found.items()}


def _held(found: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in found.items() if key != "times"} | {
        "rounds": found["times"]
    }
    gap = found.get("difference")
    return {"held": gap is None or gap <= found["difference_allowed"], **found}


def _device(dry: bool) -> torch.device:
    return torch.device("cpu") if dry else torch.device("cuda", 0)


SECTIONS = {
    "tests": tests,
    "equality": equality,
    "training": training,
    "embeddings": embeddings,
    "ranking": ranking,
    "processes": processes,
}


if __name__ == "__main__":
    print(json.dumps(member("--dry" in sys.argv)))
