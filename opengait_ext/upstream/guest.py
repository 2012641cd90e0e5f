"""Adapter of our models to OpenGait's engine."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..config import ConfigError
from ..data.samplers import Draws
from ..engine import random_state
from ..engine.catalog import Catalog
from ..engine.checkpoint import load_weights, read_checkpoint
from ..engine.data import check_identities
from ..engine.devices import Computation
from ..engine.effects import without_effect
from ..engine.embedding import embed
from ..engine.loader import make_loader
from ..engine.optimizer import build_optimizer
from ..engine.options import VALIDATION_SPLIT
from ..engine.steps import map_tensors
from ..engine.tester import split_of
from ..errors import UserError
from ..evaluation.inputs import Embedded
from .config import EXTENSION, switched_on
from .guest_run import GuestRun, guest_run
from .guest_start import describe_checkpoint

logger = logging.getLogger(__name__)

_LOSSES = "loss_aggregator.losses."


class Guest:
    """Mixin that answers OpenGait's engine with the parts of this package.

    It comes before the model and OpenGait's ``BaseModel`` in the bases. OpenGait's training loop,
    sum of losses, test and checkpoints run unchanged. Batches, optimizer, schedule and embeddings
    are those of our engine, as configured. With a config for OpenGait itself, every method falls
    back to OpenGait's own.
    """

    catalog: Catalog  # source of the components in its config

    def __init__(self, cfgs: Mapping[str, Any], training: bool) -> None:
        self.run: GuestRun | None = None
        if EXTENSION in cfgs:
            self.run = guest_run(cfgs[EXTENSION], self.catalog)
            random_state.seed_everything(self.run.settings.trainer.seed)
        self.in_training = training
        self.epoch = 0
        self._told: list[str] = []
        _above(self).__init__(cfgs, training)

    def build_network(self, model_cfg: Mapping[str, Any]) -> None:
        """Build the network; relative paths are resolved from the folder the run was started in.

        Raises:
            ConfigError: If the model refuses a value of ``model_cfg``.
        """
        with _working_in(self.run.start if self.run else None):
            try:
                _above(self).build_network(model_cfg)
            except UserError:
                raise
            except ValueError as fault:
                raise ConfigError(f"model_cfg ({model_cfg['model']}): {fault}") from fault

    def init_parameters(self) -> None:
        """Load pretrained weights, and set the memory format of our engine."""
        with _working_in(self.run.start if self.run else None):
            _above(self).init_parameters()
        if self.run:
            module = cast(nn.Module, self)
            Computation(self.run.device).place(module, self.in_training)

    def get_loader(self, data_cfg: Any, train: bool = True) -> DataLoader[Any]:
        """Return batches of our data, sampled, read and transformed as in our engine."""
        if not self.run:
            return _above(self).get_loader(data_cfg, train)
        return self._training_loader(self.run) if train else self._test_loader(self.run)

    def _training_loader(self, run: GuestRun) -> DataLoader[Any]:
        settings = run.settings
        splits = settings.data.train_splits
        dataset = settings.training.dataset(settings.data, run.partition, splits)
        check_identities(settings.model.arguments, dataset)
        hint = self.engine_cfg["restore_hint"]  # type: ignore[attr-defined]
        start = hint if isinstance(hint, int) else 0
        draws = Draws(settings.trainer.seed, start, 0, run.group.rank, run.group.size)
        sampler = settings.training.sampler(dataset=dataset, draws=draws)
        batch = len(next(iter(sampler))) * run.group.size
        self.epoch = -(-len(dataset) // batch)
        logger.info(
            "training data: %d tracklets of %d identities; %d tracklets a batch; an epoch is "
            "%d iterations", len(dataset), len(dataset.pids), batch, self.epoch,
        )  # fmt: skip
        if run.group.leads:
            for line in without_effect(settings, self.epoch):
                logger.warning("%s", line)
        return make_loader(
            dataset, sampler, settings.data.num_workers, run.device, settings.data.loader_timeout
        )

    def _test_loader(self, run: GuestRun) -> DataLoader[Any]:
        split = VALIDATION_SPLIT if self.in_training else run.settings.evaluator.split
        dataset = split_of(run, run.partition, split)
        loader = make_loader(dataset, [], 0, run.device)  # the test forms its own batches
        seen: Any = loader.dataset
        # What OpenGait's test passes to the evaluator.
        seen.label_list = [tracklet.pid for tracklet in dataset.tracklets]
        seen.types_list = [tracklet.type for tracklet in dataset.tracklets]
        seen.views_list = [tracklet.view for tracklet in dataset.tracklets]
        return loader

    def get_optimizer(self, optimizer_cfg: Any) -> torch.optim.Optimizer:
        """Build the optimizer with all arguments; OpenGait drops keyword-only ones."""
        if not self.run:
            return _above(self).get_optimizer(optimizer_cfg)
        named: Iterator[tuple[str, nn.Parameter]] = self.named_parameters()  # type: ignore[attr-defined]
        ours = {_our_name(name): each for name, each in named}
        return build_optimizer(self.run.settings.optimizer, ours)

    def get_scheduler(self, scheduler_cfg: Mapping[str, Any]) -> Any:
        """Build the schedule, which may be one that torch lacks."""
        if not self.run:
            return _above(self).get_scheduler(scheduler_cfg)
        optimizer: Any = self.optimizer  # type: ignore[attr-defined]
        return self.run.settings.schedule(optimizer=optimizer, iterations_per_epoch=self.epoch)

    def resume_ckpt(self, restore_hint: int | str) -> None:
        """Resume from an iteration as OpenGait does; from a path, load only the weights."""
        if not self.run or isinstance(restore_hint, int):
            _above(self).resume_ckpt(restore_hint)
            return
        path = Path(restore_hint)
        content = read_checkpoint(path)
        strict: bool = self.engine_cfg["restore_ckpt_strict"]  # type: ignore[attr-defined]
        model: Any = self
        load_weights(model, content["model"], strict, path)
        self.iteration = 0 if self.in_training else content.get("iteration", 0)
        logger.info("the weights of %s", path)

    def save_ckpt(self, iteration: int) -> None:
        """Save as OpenGait does, and add our engine's facts about the training."""
        _above(self).save_ckpt(iteration)
        if self.run and self.run.group.leads:
            describe_checkpoint(self.run, iteration)

    def inputs_pretreament(self, inputs: Any) -> tuple[Any, ...]:
        """Move a batch to the device and normalize it.

        Raises:
            UserError: If a worker process found a faulty file.
        """
        if not self.run:
            return _above(self).inputs_pretreament(inputs)
        if isinstance(inputs, UserError):
            raise inputs
        return self._computation(self.run).inputs(inputs)

    def forward(self, inputs: tuple[Any, ...]) -> dict[str, Any]:
        """Return the outputs of the model, computed in the configured precision.

        Raises:
            ConfigError: If a configured loss gets no output of the model.
        """
        if not self.run:
            return _above(self).forward(inputs)
        with self._computation(self.run).autocast():
            outputs = _above(self).forward(inputs)
        if outputs["training_feat"]:
            _check_addressed(self.run, outputs["training_feat"])
            computed = self._computed(self.run, outputs["training_feat"])
            outputs["training_feat"] = map_tensors(computed, _wide)
        outputs["visual_summary"] = map_tensors(outputs["visual_summary"] or {}, _drawable)
        return outputs

    def inference(self, rank: int) -> dict[str, Any]:
        """Return the embeddings of the test tracklets, for any batches and number of processes."""
        if not self.run:
            return _above(self).inference(rank)
        model: Any = self
        dataset = self.test_loader.dataset.dataset  # type: ignore[attr-defined]
        computation = self._computation(self.run, test=True)
        with random_state.preserved(self.run.device):
            self.embeddings = embed(self.run, model, dataset, computation)
        if self.embeddings is None:  # not the first process
            return {"embeddings": None}
        embedded = Embedded(self.embeddings, dataset.places, self.run.partition)
        return {"embeddings": self.embeddings, "embedded": embedded}

    def _computed(self, run: GuestRun, features: Mapping[str, Any]) -> dict[str, Any]:
        """Drop the outputs for losses that are disabled or not configured."""
        on = [entry["log_prefix"] for entry in switched_on(run.settings.config)]
        known = [entry["log_prefix"] for entry in run.settings.config["loss_cfg"]]
        new = [key for key in _offered(features) if key not in known and key not in self._told]
        if new:
            self._told += new
            logger.warning(
                "loss_cfg leaves out losses that the model offers, so they are not computed: %s",
                ", ".join(new),
            )
        kept = {
            key: features[key] for key in features if key in on or key not in _offered(features)
        }
        if not kept:
            raise ConfigError("loss_cfg: all losses are switched off or left out")
        return kept

    def _computation(self, run: GuestRun, test: bool = False) -> Computation:
        training = bool(getattr(self, "training", False)) and not test
        options = run.settings.trainer if training else run.settings.evaluator
        name = "trainer_cfg" if training else "evaluator_cfg"
        return run.computation(options.precision, f"{name}.precision")


def _above(model: Any) -> Any:
    """Return the ``super`` of :class:`Guest` in a combined class."""
    return super(Guest, model)


def _check_addressed(run: GuestRun, training_feat: Mapping[str, Any]) -> None:
    """Refuse losses that no output addresses, which OpenGait would skip silently."""
    for section in run.settings.config["loss_cfg"]:
        prefix = section["log_prefix"]
        if not isinstance(training_feat.get(prefix), Mapping):
            raise ConfigError(
                f"loss_cfg does not fit the model: no output addresses the loss {prefix!r} "
                f"(the model returns: {', '.join(training_feat)})"
            )


def _our_name(name: str) -> str:
    """Return a parameter's name in our engine; OpenGait wraps and holds each loss itself."""
    if not name.startswith(_LOSSES):
        return name
    prefix, _, rest = name.removeprefix(_LOSSES).partition(".")
    return f"loss_cfg.{prefix}.{rest.removeprefix('module.')}"


def _offered(features: Mapping[str, Any]) -> list[str]:
    return [key for key, value in features.items() if isinstance(value, Mapping)]


def _drawable(tensor: Tensor) -> Tensor:
    """Split images ``[m, c, h, w]`` into channels if they are neither gray nor RGB."""
    odd = tensor.dim() == 4 and tensor.shape[1] not in (1, 3)
    return tensor.flatten(0, 1).unsqueeze(1) if odd else tensor


def _wide(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


@contextmanager
def _working_in(folder: Path | None) -> Iterator[None]:
    before = Path.cwd()
    if folder is not None:
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
