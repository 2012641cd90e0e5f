"""Checkpoints of a model: one file for each iteration that is kept."""

from pathlib import Path

import torch
from torch import distributed

STATEFUL = ("optimizer", "scheduler")


def folder_of(cfgs, section):
    """Below ``output``, unless the name of the data set is an absolute path."""
    wanted = (("data_cfg", "dataset_name"), ("model_cfg", "model"))
    return Path("output", *(cfgs[part][key] for part, key in wanted), section["save_name"])


def written(model, iteration):
    content = {name: getattr(model, name).state_dict() for name in STATEFUL}
    path = file_of(model, iteration)
    if distributed.get_rank() == 0:
        path.parent.mkdir(exist_ok=True)
        torch.save({**content, "iteration": iteration, "model": model.state_dict()}, path)


def restored(model, iteration):
    content = torch.load(file_of(model, iteration), map_location="cuda:0", weights_only=True)
    model.load_state_dict(content["model"])
    for name in STATEFUL:
        if hasattr(model, name):
            getattr(model, name).load_state_dict(content[name])
    model.iteration = content["iteration"]


def file_of(model, iteration):
    name = f"{model.engine_cfg['save_name']}-{iteration:05}.pt"
    return model.folder.joinpath("checkpoints", name)
