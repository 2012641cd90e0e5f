"""A tiny model, dataset and config for the tests of the engine; also run as a program."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from torch import nn

from opengait_ext.data import SAMPLERS, TRANSFORMS
from opengait_ext.data.layout import (
    FOLDERS,
    INFRARED,
    VISIBLE,
    Partition,
    Task,
    Tracklet,
    write_partition,
    write_tracklet,
)
from opengait_ext.engine.catalog import Catalog
from opengait_ext.evaluation import EVALUATORS
from opengait_ext.losses import LOSSES
from opengait_ext.models.base import BaseModel, frames_of
from opengait_ext.registry import Registry

SIZE = (16, 8)
SPLITS = {"train": ("1", "2", "3", "4"), "val": ("5", "6"), "test": ("7", "8", "9")}


class Tiny(BaseModel):
    """Convolution, batch normalization, dropout, two parts."""

    def build(
        self,
        num_identities: int,
        channels: int = 6,
        dropout: float = 0.5,
        normalize: bool = True,
        poison: int = -1,
        second: bool = False,
    ) -> None:
        if channels < 2:
            raise ValueError(f"channels: expected 2 or more, found {channels}")
        self.convolution = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.normalization = nn.BatchNorm2d(channels) if normalize else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_identities)
        self.second = nn.Linear(channels, num_identities) if second else None
        self.poison = poison

    def forward(self, inputs):
        frames, lengths = frames_of(inputs)
        maps = self.normalization(self.convolution(frames)).relu()  # [f, c, h, w]
        pooled = torch.stack([half.mean((2, 3)) for half in maps.chunk(2, dim=2)], dim=-1)
        embeddings = torch.stack([part.mean(0) for part in pooled.split(lengths)])  # [n, c, p]
        embeddings = self.dropout(embeddings)
        if self.iteration == self.poison:
            embeddings = embeddings * float("nan")
        logits = self.classifier(embeddings.transpose(1, 2)).transpose(1, 2)  # [n, k, p]
        training_feat = {}
        if not self.training:
            torch.rand(())  # a test draws numbers, too
        else:
            training_feat = {
                "id": {"logits": logits, "labels": inputs[1]},
                "triplet": {"embeddings": embeddings, "labels": inputs[1]},
                "decay": embeddings.square().mean(),
            }
            if self.second is not None:  # parameters that one loss alone needs
                second = self.second(embeddings.transpose(1, 2)).transpose(1, 2)
                training_feat["second"] = {"logits": second, "labels": inputs[1]}
        return {
            "training_feat": training_feat,
            "visual_summary": {
                "image/maps": maps[:3, :2].sigmoid(),
                "scalar/norm": embeddings.norm(),
            },
            "inference_feat": {"embeddings": embeddings},
        }


def catalog_of(*models):
    return Catalog(Registry("model", models), LOSSES, SAMPLERS, TRANSFORMS, EVALUATORS)


CATALOG = catalog_of(Tiny)


def signalling(number, iteration, times=1):
    """Gives the tiny model, sending signals to its own process in one iteration."""

    class Signalling(Tiny):
        def forward(self, inputs):
            if self.iteration == iteration:
                for _ in range(times):
                    os.kill(os.getpid(), number)
            return super().forward(inputs)

    Signalling.__name__ = "Tiny"
    return Signalling


def prepare(root):
    """Writes a dataset of nine identities, two tracklets per modality, and its partition."""
    tracklets = []
    rng = np.random.default_rng(0)
    for split, pids in SPLITS.items():
        for pid in pids:
            for number, modality in enumerate((VISIBLE, VISIBLE, INFRARED, INFRARED)):
                path = f"{pid}/{FOLDERS[modality]}/D{number}-T{number}"
                color = rng.integers(0, 255, 3)
                images = [
                    simplejpeg.encode_jpeg(
                        np.clip(rng.normal(color, 20, (*SIZE, 3)), 0, 255).astype(np.uint8)
                    )
                    for _ in range(4)
                ]
                write_tracklet(root / path, images)
                tracklets.append(Tracklet(path, pid, number, modality, len(images), split))
    tasks = {split: _tasks(tracklets, split) for split in ("val", "test")}
    partition = Partition(
        "Toy", tracklets, tasks, {"name": "toy", "ignore": "none"}, {"digest": "d"}
    )
    write_partition(root / "partition.json", partition)
    return partition


def _tasks(tracklets, split):
    place = {
        modality: [
            position
            for position, tracklet in enumerate(tracklets)
            if (tracklet.split, tracklet.modality) == (split, modality)
        ]
        for modality in (VISIBLE, INFRARED)
    }
    return {
        "infrared_to_visible": Task(place[INFRARED], place[VISIBLE]),
        "visible_to_infrared": Task(place[VISIBLE], place[INFRARED]),
    }


def make_config(root, changes=None):
    """Gives a config; ``changes`` are ``{"section.key": value}``."""
    config = {
        "data_cfg": {
            "dataset_name": "Toy",
            "dataset_root": str(root),
            "dataset_partition": str(root / "partition.json"),
            "train_splits": ["train"],
            "num_workers": 0,
            "prepare": {"run": False, "access": "ask the author", "commands": ["make.py --all"]},
        },
        "model_cfg": {"model": "Tiny", "num_identities": 4},
        "loss_cfg": [
            {"type": "CrossEntropyLoss", "log_prefix": "id", "scale": 4.0},
            {
                "type": "TripletLoss",
                "log_prefix": "triplet",
                "loss_term_weight": 0.5,
                "margin": 0.2,
            },
        ],
        "optimizer_cfg": {"solver": "Adam", "lr": 0.01, "weight_decay": 0.0005},
        "scheduler_cfg": {
            "scheduler": "WarmupSteps",
            "unit": "iteration",
            "warmup": 2,
            "warmup_factor": 0.01,
            "milestones": [4],
            "gamma": 0.1,
        },
        "trainer_cfg": {
            "save_name": "toy",
            "seed": 3,
            "total_iter": 6,
            "log_iter": 2,
            "save_iter": 100,
            "eval_iter": 0,
            "keep": "last",
            "restore_hint": "auto",
            "restore_strict": True,
            "precision": "float32",
            "accumulate": 1,
            "clip_grad_norm": 1.0,
            "sampler": {
                "type": "IdentitySampler",
                "identities": 2,
                "visible": 2,
                "infrared": 2,
                "frames": 2,
                "frame_rule": "random_in_run",
            },
            "transform": [
                {"type": "Resize", "height": SIZE[0], "width": SIZE[1]},
                {"type": "PadCrop", "padding": 2},
                {"type": "HorizontalFlip", "probability": 0.5},
                {"type": "ChannelErasing", "probability": 0.5},
            ],
        },
        "evaluator_cfg": {
            "save_name": "toy",
            "restore_hint": "auto",
            "restore_strict": True,
            "precision": "float32",
            "eval_func": "evaluate_cross_modality",
            "metric": "euclidean",
            "split": "test",
            "sampler": {
                "type": "OrderedSampler",
                "batch_size": 5,
                "frames": 2,
                "frame_rule": "first_in_run",
            },
            "transform": [{"type": "Resize", "height": SIZE[0], "width": SIZE[1]}],
        },
    }
    return changed(config, changes or {})


def changed(config, changes):
    """Gives a copy of a config with values set by place; ``...`` removes one."""
    config = copy.deepcopy(config)
    for place, value in changes.items():
        *sections, key = [int(word) if word.isdigit() else word for word in place.split(".")]
        node = config
        for section in sections:
            node = node[section]
        if value is ...:
            del node[key]
        else:
            node[key] = value
    return config


def weights(folder, iteration):
    """Gives the content of a run's checkpoint."""
    path = Path(folder, "output/Toy/Tiny/toy/checkpoints", f"toy-{iteration:05d}.pt")
    return torch.load(path, weights_only=True)


def same(first, second):
    """Tells whether two nested contents are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def start(configs, phase, folder, rank=0, ports=(), size=2):
    """Runs configs, one after the other, in another process; with ports, one of several."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size) if ports else "1",
        "MASTER_ADDR": "127.0.0.1",
        "PORTS": " ".join(map(str, ports)),
    }
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(configs), phase],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=folder,
        env=environment,
    )


if __name__ == "__main__":
    from opengait_ext.engine import run

    torch.set_num_threads(1)
    ports = os.environ["PORTS"].split()
    for place, section in enumerate(json.loads(sys.argv[1])):
        if ports:
            os.environ["MASTER_PORT"] = ports[place]
        run(section, sys.argv[2], "cpu", False, sys.argv, CATALOG)
