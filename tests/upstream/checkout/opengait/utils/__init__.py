"""What the parts of the stand-in share."""

import inspect
import json
import os
import random

import numpy as np
import torch
import yaml


class Messages:
    """Keeps the losses of each iteration, and what an image or a curve would have shown."""

    def start(self, folder, engine_cfg):
        os.makedirs(folder, exist_ok=True)
        self.file = os.path.join(folder, "messages.jsonl")
        self.log_info(engine_cfg)

    def log_info(self, text):
        self.write({"info": repr(text)})

    def train_step(self, info, summary):
        told = {key: value for key, value in {**summary, **info}.items() if "scalar" in key}
        self.write({key: float(torch.as_tensor(value).detach()) for key, value in told.items()})

    def write_to_tensorboard(self, scalars):
        self.write({f"test {key}": float(value) for key, value in scalars.items()})

    def write(self, content):
        with open(self.file, "a") as file:
            file.write(json.dumps(content) + "\n")


class Silence:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None


messages = Messages()


def get_msg_mgr():
    return messages if torch.distributed.get_rank() == 0 else Silence()


def config_loader(path):
    with open("./configs/default.yaml") as file:
        merged = yaml.safe_load(file)
    with open(path) as file:
        merge(yaml.safe_load(file), merged)
    return merged


def merge(source, target):
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(value, target[key])
        else:
            target[key] = value


def get_valid_args(target, given):
    function = target if inspect.isfunction(target) else target.__init__
    return {
        key: value for key, value in given.items() if key in inspect.getfullargspec(function)[0]
    }


def init_seeds(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


class Passing(torch.nn.parallel.DistributedDataParallel):
    """Hands attributes of the wrapped module on."""

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)


def get_ddp_module(module, find_unused_parameters=False):
    if not list(module.parameters()):
        return module
    device = torch.cuda.current_device()
    return Passing(
        module,
        device_ids=[device],
        output_device=device,
        find_unused_parameters=find_unused_parameters,
    )


def ddp_all_gather(features, requires_grad=True):
    parts = [torch.ones_like(features) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, features.contiguous())
    if requires_grad:
        parts[torch.distributed.get_rank()] = features
    return torch.cat(parts)
