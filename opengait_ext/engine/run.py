"""A run: the parts shared by training and test."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..config import Bound, ConfigError
from ..errors import UserError
from .checkpoint import CheckpointStore, load_weights
from .devices import Computation, choose_computation, is_out_of_memory
from .distributed import Group
from .options import Compile
from .progress import LiveLine
from .provenance import commit, now, versions
from .settings import Settings

logger = logging.getLogger(__name__)

__all__ = ["OUTPUT", "Run", "load_model", "make_model", "now", "provenance"]

OUTPUT = Path("output")
_MOST_VALUES = 4 * 10**9  # 16 GB; the largest published DINOv2 has 1.1 * 10**9
_TOO_LARGE = re.compile("overflow|too large")  # messages about sizes that overflow


@dataclass(frozen=True)
class Run:
    """One run of one config.

    Attributes:
        settings: The checked config.
        device: Device of this process.
        group: The processes of the run.
        command: The command line.
        live: The progress bar.
        output: Root folder of all runs.
    """

    settings: Settings
    device: torch.device
    group: Group
    command: list[str]
    live: LiveLine
    output: Path = OUTPUT

    @property
    def folder(self) -> Path:
        """Return ``<output>/<dataset>/<model>/<save_name>``, OpenGait's layout."""
        settings = self.settings
        name = settings.trainer.save_name
        return self.output / settings.data.dataset_name / settings.model_name / name

    @property
    def beginning(self) -> Path:
        """Return the base folder of relative paths in the config."""
        return Path.cwd()

    @property
    def store(self) -> CheckpointStore:
        """Return the checkpoint store of the run."""
        options = self.settings.trainer
        return CheckpointStore(
            self.folder / "checkpoints", options.save_name, options.keep_checkpoints
        )

    def computation(self, precision: str, where: str, compile: Compile = "never") -> Computation:
        """Return the computation for a section's precision and compilation setting."""
        return choose_computation(self.device, precision, where, compile)


def make_model(
    run: Run, computation: Computation, pretrained: bool = True, training: bool = False
) -> nn.Module:
    """Return the model of the config, on the device.

    Args:
        run: The run.
        computation: Device and precision.
        pretrained: Whether to load the initial weights of training.
        training: Whether the model will be trained.

    Raises:
        ConfigError: If the model rejects a value of ``model_cfg``.
    """
    bound = run.settings.model
    _check_size(bound)
    try:
        model = _built(bound)
        if pretrained:
            model.init_parameters()
    except UserError:
        raise
    except ValueError as fault:
        raise ConfigError(f"model_cfg ({bound.name}): {fault}") from fault
    except (MemoryError, RuntimeError) as fault:
        if not (is_out_of_memory(fault) or _TOO_LARGE.search(str(fault))):
            raise
        raise ConfigError(
            f"model_cfg ({bound.name}): there is no memory for a model of these sizes; lower them"
        ) from fault
    return computation.place(model, training)


def _built(model: Bound) -> Any:
    """Return a network without its initial weights."""
    network = model.component()
    network.build_network({"model": model.name, **model.arguments})
    return network


def _check_size(model: Bound) -> None:
    """Raise an error for a model too large for any machine, before allocating memory.

    Raises:
        ConfigError: With its size and its largest part.
    """
    try:
        with torch.random.fork_rng([]), torch.device("meta"):  # shapes without values
            network = _built(model)
    except Exception:  # the real build reports faults of the config or of foreign code
        return
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    total = sum(shape.numel() for shape in shapes.values())
    if total > _MOST_VALUES:
        name = max(shapes, key=lambda each: shapes[each].numel())
        raise ConfigError(
            f"model_cfg ({model.name}): a model of {total:,} values, expected at most "
            f"{_MOST_VALUES:,}; the largest part is {name} {list(shapes[name])}: lower its sizes"
        )


def load_model(
    run: Run, computation: Computation, path: Path, content: Mapping[str, Any], strict: bool
) -> nn.Module:
    """Return the model with the weights of a checkpoint.

    Args:
        run: The run.
        computation: Device and precision.
        path: The checkpoint.
        content: Content of the checkpoint.
        strict: Whether the checkpoint must fit the model in every key.
    """
    # A checkpoint that must fit has all weights, including frozen ones.
    model = make_model(run, computation, pretrained=not strict)
    load_weights(model, content["model"], strict, path)
    iteration = content.get("iteration", 0)
    model.iteration = iteration
    logger.info("testing %s (iteration %d)", path, iteration)
    return model


def provenance(run: Run) -> dict[str, Any]:
    """Return the provenance entries of every record of a run."""
    return {
        "seed": run.settings.trainer.seed,
        "versions": versions(),
        "commit": commit(),
        "device": described_device(run.device),
        "processes": run.group.size,
        "command": run.command,
    }


def described_device(device: torch.device) -> str:
    """Return the name of a device, with its model if torch knows it."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()})"
    return str(device)
