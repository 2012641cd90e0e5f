"""The program of the stand-in checkout: options, process group, model, one phase."""

import argparse
import os

import torch
from modeling import models
from utils import config_loader, get_ddp_module, get_msg_mgr, init_seeds

parser = argparse.ArgumentParser()
parser.add_argument("--cfgs")
parser.add_argument("--phase", default="train", choices=["train", "test"])
parser.add_argument("--log_to_file", action="store_true")
parser.add_argument("--iter", default=0)
opt = parser.parse_args()


if __name__ == "__main__":
    torch.distributed.init_process_group("nccl", init_method="env://")
    if torch.distributed.get_world_size() != torch.cuda.device_count():
        raise ValueError("as many processes as devices are expected")
    cfgs = config_loader(opt.cfgs)
    if opt.iter != 0:
        cfgs["evaluator_cfg"]["restore_hint"] = int(opt.iter)
        cfgs["trainer_cfg"]["restore_hint"] = int(opt.iter)
    training = opt.phase == "train"
    engine_cfg = cfgs["trainer_cfg" if training else "evaluator_cfg"]
    names = cfgs["data_cfg"]["dataset_name"], cfgs["model_cfg"]["model"], engine_cfg["save_name"]
    get_msg_mgr().start(os.path.join("output/", *names), engine_cfg)
    init_seeds(torch.distributed.get_rank())
    Model = getattr(models, cfgs["model_cfg"]["model"])
    model = Model(cfgs, training)
    if training and cfgs["trainer_cfg"]["sync_BN"]:
        model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    if cfgs["trainer_cfg"]["fix_BN"]:
        model.fix_BN()
    model = get_ddp_module(model, cfgs["trainer_cfg"]["find_unused_parameters"])
    if training:
        Model.run_train(model)
    else:
        Model.run_test(model)
