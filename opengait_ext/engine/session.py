"""A whole run: checks, data, training, test."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..config import ConfigError
from .catalog import Catalog, own_catalog
from .data import ready_partition
from .devices import choose_device
from .distributed import process_group
from .holding import held
from .idle import idle_in_test
from .progress import LiveLine, logging_to
from .provenance import config_file
from .run import OUTPUT, Run, described_device
from .sections import check
from .tester import check_tasks, chosen_checkpoint, test
from .training import train

logger = logging.getLogger(__name__)


def run(
    cfg: Mapping[str, Any],
    phase: Literal["train", "test", "both"] = "both",
    device: str = "auto",
    log_to_file: bool = False,
    command: list[str] | None = None,
    catalog: Catalog | None = None,
    output: str | Path = OUTPUT,
) -> dict[str, Any]:
    """Train and test the model of a config, on any device.

    Runs in one process, or in all that torchrun started.

    Args:
        cfg: The sections of the config file.
        phase: ``train``, ``test``, or both, one after the other.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        log_to_file: Also write the log to ``<output folder>/logs``.
        command: The command line, for the record.
        catalog: The components that the config can name; None: those of this package.
        output: Root folder of all runs.

    Returns:
        The content of ``metrics.json``; after training alone, the iteration. After a test, all
        processes except the first return an empty dict.

    Raises:
        ConfigError: If the config is invalid; names all faults.
        UserError: If data or a checkpoint are missing or do not fit, or a loss is not finite.
        Stopped: If a signal ended the training; its state is saved.
    """
    settings = check(cfg, catalog or own_catalog(), phase)
    chosen = choose_device(device)
    live = LiveLine()
    with process_group(chosen.type) as group:
        this = Run(settings, chosen, group, list(command or []), live, Path(output))
        logs = this.folder / "logs" if log_to_file else None
        _check_hints(this, phase)
        with held(this.folder, group), logging_to(logs, live, group.rank):
            if group.leads:
                this.store.mend()
            _introduce(this, phase)
            partition = ready_partition(settings.data, group)
            if phase == "both":  # fail before the training, not after it
                check_tasks(this, partition, settings.evaluator.split)
            iteration = train(this, partition) if phase != "test" else 0
            if phase == "train":
                return {"iteration": iteration}
            path, selection = chosen_checkpoint(this, this.store, trained=phase == "both")
            return test(this, partition, path, selection)


def _introduce(this: Run, phase: str) -> None:
    settings = this.settings
    parts = {"train": ("trainer",), "test": ("evaluator",)}.get(phase, ("trainer", "evaluator"))
    precisions = [
        this.computation(getattr(settings, name).precision, f"{name}_cfg.precision").described
        + (" in training" if name == "trainer" else " in the test")
        for name in parts
    ]
    logger.info(
        "host embedded; device %s; processes: %d; precision: %s",
        described_device(this.device), this.group.size, ", ".join(precisions),
    )  # fmt: skip
    if phase != "train" and this.group.leads:
        for line in idle_in_test(settings.config):
            logger.warning("%s", line)
    logger.info(
        "config %s; seed %d; output %s",
        config_file(this.command) or "of the calling program", settings.trainer.seed, this.folder,
    )  # fmt: skip


def _check_hints(this: Run, phase: str) -> None:
    """Look up named checkpoints before data are read or prepared."""
    if phase == "test":
        chosen_checkpoint(this, this.store, trained=False)
    elif this.settings.trainer.restore_hint != 0:
        this.store.find(this.settings.trainer.restore_hint)
    hint = this.settings.evaluator.restore_hint
    if phase == "both" and isinstance(hint, str) and hint != "auto" and not Path(hint).is_file():
        raise ConfigError(f"evaluator_cfg.restore_hint: there is no {hint}")
