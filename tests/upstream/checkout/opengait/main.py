"""Trains or tests what a config describes, one process for each device."""

import argparse
import random

import modeling.models as models
import torch
from torch import nn
from utils import config_loader
from utils.journal import start_log

PHASES = {"train": "run_train", "test": "run_test"}


def main(network, trainer, every):
    rank = torch.distributed.get_rank()
    start_log(rank == 0)
    random.seed(rank)
    torch.manual_seed(rank)
    kind = getattr(models, network["model"])
    learns = opt.phase == "train"
    model = kind(every, learns)
    if learns and trainer["sync_BN"]:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    here = torch.cuda.current_device()
    wrapped = nn.parallel.DistributedDataParallel(
        model,
        output_device=here,
        find_unused_parameters=trainer["find_unused_parameters"],
        device_ids=[here],
    )
    getattr(kind, PHASES[opt.phase])(wrapped)


words = argparse.ArgumentParser()
words.add_argument("--log_to_file", nargs="?", const="yes")
words.add_argument("--cfgs")
words.add_argument("--phase", choices=PHASES)
opt = words.parse_args()

if __name__ == "__main__":
    torch.distributed.init_process_group(init_method="env://", backend="nccl")
    if torch.cuda.device_count() != torch.distributed.get_world_size():
        raise SystemExit("as many processes as devices are needed")
    read = config_loader(opt.cfgs)
    main(read["model_cfg"], read["trainer_cfg"], read)
