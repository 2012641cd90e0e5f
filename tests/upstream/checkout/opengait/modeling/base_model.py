"""The engine of the stand-in: what a model of it can rely on, and nothing more."""

import os
from abc import ABCMeta, abstractmethod

import torch
from data.transform import get_transform
from evaluation import evaluator as evaluators
from torch import nn
from utils import get_ddp_module, get_msg_mgr, get_valid_args

from . import losses


class LossAggregator(nn.Module):
    def __init__(self, loss_cfg):
        super().__init__()
        sections = [loss_cfg] if isinstance(loss_cfg, dict) else loss_cfg
        self.losses = nn.ModuleDict({s["log_prefix"]: self.built(s) for s in sections})

    def built(self, section):
        loss = getattr(losses, section["type"])
        return get_ddp_module(loss(**get_valid_args(loss, section)).cuda())

    def forward(self, training_feat):
        total, info = 0.0, {}
        for key, value in training_feat.items():
            if key not in self.losses:
                info[f"scalar/{key}"] = value.mean().detach()
                total = total + value.mean()
                continue
            loss, told = self.losses[key](**value)
            info |= {f"scalar/{key}/{name}": number for name, number in told.items()}
            total = total + loss.mean() * self.losses[key].loss_term_weight
        return total, info


class MetaModel(metaclass=ABCMeta):
    @abstractmethod
    def get_loader(self, data_cfg):
        """Gives batches."""

    @abstractmethod
    def build_network(self, model_cfg):
        """Makes the layers."""

    @abstractmethod
    def init_parameters(self):
        """Draws the first weights."""


class BaseModel(MetaModel, nn.Module):
    def __init__(self, cfgs, training):
        super().__init__()
        self.msg_mgr = get_msg_mgr()
        self.cfgs = cfgs
        self.iteration = 0
        self.engine_cfg = cfgs["trainer_cfg" if training else "evaluator_cfg"]
        names = cfgs["data_cfg"]["dataset_name"], cfgs["model_cfg"]["model"]
        self.save_path = os.path.join("output/", *names, self.engine_cfg["save_name"])
        self.build_network(cfgs["model_cfg"])
        self.init_parameters()
        self.trainer_trfs = get_transform(cfgs["trainer_cfg"]["transform"])
        if training:
            self.train_loader = self.get_loader(cfgs["data_cfg"], train=True)
        if not training or self.engine_cfg["with_test"]:
            self.test_loader = self.get_loader(cfgs["data_cfg"], train=False)
            self.evaluator_trfs = get_transform(cfgs["evaluator_cfg"]["transform"])
        self.device = torch.distributed.get_rank()
        torch.cuda.set_device(self.device)
        self.to(device=torch.device("cuda", self.device))
        if training:
            self.loss_aggregator = LossAggregator(cfgs["loss_cfg"])
            self.optimizer = self.get_optimizer(cfgs["optimizer_cfg"])
            self.scheduler = self.get_scheduler(cfgs["scheduler_cfg"])
        self.train(training)
        if self.engine_cfg["restore_hint"] != 0:
            self.resume_ckpt(self.engine_cfg["restore_hint"])

    def build_network(self, model_cfg):
        raise NotImplementedError

    def init_parameters(self):
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight.data)

    def get_loader(self, data_cfg, train=True):
        raise NotImplementedError

    def get_optimizer(self, section):
        optimizer = getattr(torch.optim, section["solver"])
        wanted = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return optimizer(wanted, **get_valid_args(optimizer, section))

    def get_scheduler(self, section):
        schedule = getattr(torch.optim.lr_scheduler, section["scheduler"])
        return schedule(self.optimizer, **get_valid_args(schedule, section))

    def file_of(self, iteration):
        name = f"{self.engine_cfg['save_name']}-{iteration:0>5}.pt"
        return os.path.join(self.save_path, "checkpoints", name)

    def save_ckpt(self, iteration):
        if torch.distributed.get_rank() == 0:
            os.makedirs(os.path.join(self.save_path, "checkpoints"), exist_ok=True)
            parts = {"optimizer": self.optimizer, "scheduler": self.scheduler, "model": self}
            content = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**content, "iteration": iteration}, self.file_of(iteration))

    def resume_ckpt(self, hint):
        self.iteration = hint if isinstance(hint, int) else 0
        file = self.file_of(hint) if isinstance(hint, int) else hint
        content = torch.load(file, map_location=torch.device("cuda", self.device))
        self.load_state_dict(content["model"], strict=self.engine_cfg["restore_ckpt_strict"])
        if self.training:
            if not self.engine_cfg["optimizer_reset"]:
                self.optimizer.load_state_dict(content["optimizer"])
            if not self.engine_cfg["scheduler_reset"]:
                self.scheduler.load_state_dict(content["scheduler"])
        self.msg_mgr.log_info(f"restored {file}")

    def inputs_pretreament(self, inputs):
        raise NotImplementedError

    def train_step(self, total):
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        self.iteration += 1
        self.scheduler.step()
        return True

    def inference(self, rank):
        raise NotImplementedError

    @staticmethod
    def run_train(model):
        for inputs in model.train_loader:
            output = model(model.inputs_pretreament(inputs))
            total, info = model.loss_aggregator(output["training_feat"])
            model.train_step(total)
            model.msg_mgr.train_step(info, output["visual_summary"])
            if model.iteration % model.engine_cfg["save_iter"] == 0:
                model.save_ckpt(model.iteration)
                if model.engine_cfg["with_test"]:
                    model.eval()
                    scalars = BaseModel.run_test(model)
                    model.train()
                    if scalars:
                        model.msg_mgr.write_to_tensorboard(scalars)
            if model.iteration >= model.engine_cfg["total_iter"]:
                break

    @staticmethod
    def run_test(model):
        section = model.cfgs["evaluator_cfg"]
        if torch.distributed.get_world_size() != section["sampler"]["batch_size"]:
            raise ValueError("the batch size has to be the number of devices")
        rank = torch.distributed.get_rank()
        with torch.no_grad():
            found = model.inference(rank)
        if rank != 0:
            return None
        dataset = model.test_loader.dataset
        found["labels"], found["types"] = dataset.label_list, dataset.types_list
        found["views"] = dataset.views_list
        evaluator = getattr(evaluators, section["eval_func"])
        name = model.cfgs["data_cfg"]["test_dataset_name"]
        return evaluator(found, name, **get_valid_args(evaluator, section))
