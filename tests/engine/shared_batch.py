"""Trains small models on batches that several processes share; also run as one of these processes.

All in float64, so that what differs is not rounding.
"""

import json
import random
import sys
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import nn

from opengait_ext.config import build
from opengait_ext.data.collate import Batch
from opengait_ext.engine.devices import Computation
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.objective import Objective
from opengait_ext.engine.random_state import seed_everything
from opengait_ext.engine.steps import Step
from opengait_ext.layers.synchronized import share_batches
from opengait_ext.losses import LOSSES
from opengait_ext.models import MODELS
from opengait_ext.vision import torchvision

IDENTITIES, STEPS, SIZE = 4, 2, (32, 16)
DINO = {
    "embed_dim": 16, "depth": 4, "num_heads": 2, "patch_size": 14, "input_size": [56, 28],
    "pretrain_grid": 4, "taps": [0, 1, 2, 3],
}  # fmt: skip
OF_DINO = {"dinov2": DINO, "dinov2_weights": None}
RESNET = {"backbone": "resnet18", "backbone_weights": None}
MODEL_CFG = {
    "AGW": {**RESNET, "non_local": [0, 1, 1, 0]},
    "DinoGRL": {**OF_DINO, **RESNET, "bins": [1, 2], "part_channels": 8, "non_local": [0, 1, 0, 0]},
    "DinoGRLReleased": {
        **OF_DINO, **RESNET, "map_size": [8, 4], "bins": [1, 2], "part_channels": 8,
    },
    "BigGait": {
        **OF_DINO, "map_size": [8, 4], "channels": [8, 8, 16, 16], "bins": [1, 2],
        "part_channels": 8,
    },
}  # fmt: skip
IDENTITY = {"type": "CrossEntropyLoss", "scale": 16.0}
TRIPLET = {"type": "TripletLoss", "margin": 0.2}
MASK = {"type": "MaskLoss"}
SMOOTH = {"type": "SmoothnessLoss", "border": "zeros", "sum_channels": True}
DIVERSE = {"type": "DiversityLoss"}
STREAMS = {"gait_id": IDENTITY, "gait_triplet": TRIPLET}
STREAMS |= {"appearance_id": IDENTITY, "appearance_triplet": TRIPLET}
LOSS_CFG = {
    "AGW": {"appearance_id": {**IDENTITY, "scale": 1.0}, "appearance_triplet": TRIPLET},
    "DinoGRL": {**STREAMS, "mask": MASK, "smoothness": SMOOTH, "diversity": DIVERSE},
    "DinoGRLReleased": {
        **STREAMS, "mask": MASK, "mask_smoothness": SMOOTH, "gait_smoothness": SMOOTH,
        "diversity": DIVERSE,
    },
    "BigGait": {
        "softmax": IDENTITY, "triplet": TRIPLET, "shape_mse": MASK, "shape_connect": SMOOTH,
        "part_connect": SMOOTH, "part_diversity": DIVERSE,
    },
}  # fmt: skip
# Statistics that normalize in training, and pieces of a batch.
WAYS = {"running": ("running", 1), "batch": ("batch", 1), "pieces": ("batch", 3)}


class Wide(Computation):
    """Computes in float64."""

    def inputs(self, batch):
        (frames,), *others = super().inputs(batch)
        return [frames.double()], *others


def narrow_resnet(weights=None):
    """A ResNet of few channels and one block a stage: float64 is slow."""
    whole, channels = nn.Module(), (64, 8, 8, 16, 16)
    for number, (before, after) in enumerate(zip(channels[:-1], channels[1:], strict=True), 1):
        stride = 1 if number == 1 else 2
        around = nn.Sequential(nn.Conv2d(before, after, 1, stride), nn.BatchNorm2d(after))
        block = torchvision.models.resnet.BasicBlock(before, after, stride, around)
        whole.add_module(f"layer{number}", nn.Sequential(block))
    whole.fc = nn.Linear(channels[-1], 1)
    return whole


def make(name):
    torch.manual_seed(0)
    model = MODELS[name]()
    section = {"num_identities": IDENTITIES, "image_size": list(SIZE), **MODEL_CFG[name]}
    with patch.object(torchvision.models, "resnet18", narrow_resnet):
        model.build_network(section)
    model.init_parameters()
    for module in model.modules():  # those that start at zero shall have work to do
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.affine:
            nn.init.uniform_(module.weight, 0.2, 0.5)
    return model.double()


def whole_batch(step):
    """Tracklets of four identities, two of each modality of each, of unequal lengths."""
    rng = torch.Generator().manual_seed(step)
    labels = torch.arange(IDENTITIES).repeat_interleave(4)
    lengths = torch.arange(len(labels)) % 2 + 1
    frames = torch.randint(256, (1, int(lengths.sum()), 3, *SIZE), generator=rng)
    types = ["rgb", "rgb", "ir", "ir"] * IDENTITIES
    return Batch(
        frames.to(torch.uint8), labels, types, types, lengths[None].int(), torch.arange(len(labels))
    )


def share_of(batch, group, uneven):
    """The share of a process; an uneven one ends in the middle of an identity."""
    n = len(batch.labels)
    ends = [n * rank // group.size for rank in range(group.size + 1)]
    if uneven:
        ends = [end - (0 < end < n) for end in ends]
    mine = slice(ends[group.rank], ends[group.rank + 1])
    per_tracklet = batch.lengths[0].tolist()
    frames = batch.frames[0].split(per_tracklet)[mine]
    return Batch(
        torch.cat(frames)[None], batch.labels[mine], batch.types[mine], batch.views[mine],
        batch.lengths[:, mine], batch.positions[mine],
    )  # fmt: skip


def trained(name, way, group, uneven=False):
    """Losses of each step, and the state afterwards."""
    statistics, pieces = WAYS[way]
    model = share_batches(make(name), group, True) if group.size > 1 else make(name)
    model.train()
    for module in model.modules():
        if statistics == "running" and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    losses = {
        prefix: build(LOSSES, section, where=prefix) for prefix, section in LOSS_CFG[name].items()
    }
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.01, 0.9)
    step = Step(
        group.wrapped(model, find_unused_parameters=name == "BigGait"),
        Objective(losses, group),
        Wide(torch.device("cpu")),
        torch.amp.GradScaler("cpu", enabled=False),
        pieces,
    )
    seed_everything(1)
    told = []
    for number in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        terms, _ = step(share_of(whole_batch(number), group, uneven))
        optimizer.step()
        told.append({**terms.losses, **terms.info, "total": terms.total.detach()})
    drawn = [torch.rand(()), random.random()]  # the generators stand alike
    return {"losses": told, "state": model.state_dict(), "drawn": drawn}


if __name__ == "__main__":
    jobs, folder, rank, size = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting-{size}", rank=rank, world_size=size
    )
    for name, way, uneven in jobs:
        found = trained(name, way, Group(rank, size), uneven)
        if rank in (0, size - 1):
            torch.save(found, Path(folder, f"{name}-{way}-{uneven}-{size}-{rank}.pt"))
    dist.destroy_process_group()
