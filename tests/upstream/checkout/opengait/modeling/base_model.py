"""Model, trainer and tester in one; the parts that a guest does not answer for are small."""

from abc import ABCMeta

import data
import numpy
import torch
from data import sampler, transform
from torch import distributed, nn
from torch.utils.data import DataLoader
from utils import made, takes
from utils.journal import Journal

from . import disk, loops
from .total import Total


class BaseModel(nn.Module, metaclass=ABCMeta):
    def __init__(self, cfgs, training):
        nn.Module.__init__(self)
        trainer, evaluator = cfgs["trainer_cfg"], cfgs["evaluator_cfg"]
        self.iteration, self.cfgs = 0, cfgs
        self.engine_cfg = trainer if training else evaluator
        rank = distributed.get_rank()
        self.folder = disk.folder_of(cfgs, self.engine_cfg)
        self.journal = Journal(self.folder, self.engine_cfg, rank == 0)
        network = cfgs["model_cfg"]
        self.build_network(network)
        self.init_parameters()
        self.changes = [made(transform, each) for each in trainer["transform"]]
        self._open(training, trainer["with_test"] or not training)
        torch.cuda.set_device(rank)
        self.to(torch.device("cuda", rank))
        if training:
            self._learn(cfgs)
        self.train(training)
        hint = self.engine_cfg["restore_hint"]
        if hint != 0:
            self.resume_ckpt(hint)

    def _open(self, *wanted):
        """The loader for training, then the one for the test, where they are wanted."""
        for kind, asked in zip(("train", "test"), wanted, strict=True):
            if asked:
                loader = self.get_loader(self.cfgs["data_cfg"], train=kind == "train")
                setattr(self, f"{kind}_loader", loader)

    def _learn(self, cfgs):
        self.total = Total(cfgs["loss_cfg"]).cuda()
        for part in disk.STATEFUL:
            make = getattr(self, f"get_{part}")
            setattr(self, part, make(cfgs[f"{part}_cfg"]))

    def init_parameters(self):
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.125)

    def get_loader(self, section, train):
        part = self.cfgs["trainer_cfg" if train else "evaluator_cfg"]["sampler"]
        noise = data.Noise()
        return DataLoader(noise, batch_sampler=made(sampler, part, noise))

    def get_optimizer(self, optimizer_cfg):
        solver = getattr(torch.optim, optimizer_cfg["solver"])
        return solver(self.parameters(), **takes(solver, optimizer_cfg))

    def get_scheduler(self, scheduler_cfg):
        schedule = getattr(torch.optim.lr_scheduler, scheduler_cfg["scheduler"])
        return schedule(self.optimizer, **takes(schedule, scheduler_cfg))

    def inputs_pretreament(self, inputs):
        frames, people = inputs
        for change in self.changes:
            frames = change(frames)
        kinds = ["rgb"] * len(people)
        return [frames.cuda()], people.cuda(), kinds, kinds, None

    def inference(self, rank):
        batches = (self(self.inputs_pretreament(batch)) for batch in self.test_loader)
        found = [outputs["inference_feat"]["embeddings"].cpu().numpy() for outputs in batches]
        return {"embeddings": numpy.concatenate(found)}

    def save_ckpt(self, iteration):
        disk.written(self, iteration)

    def resume_ckpt(self, restore_hint):
        disk.restored(self, restore_hint)

    @staticmethod
    def run_train(wrapped):
        loops.training(wrapped, BaseModel.run_test)  # a subclass's own test is passed over

    @staticmethod
    def run_test(wrapped):
        return loops.testing(wrapped)
