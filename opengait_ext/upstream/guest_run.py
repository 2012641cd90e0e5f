"""The steps of our engine before and after a run, around OpenGait's engine."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.layout import Partition, read_partition
from ..engine import random_state
from ..engine.catalog import Catalog
from ..engine.checkpoint import read_checkpoint
from ..engine.data_record import discarded
from ..engine.devices import choose_device
from ..engine.distributed import Group
from ..engine.progress import LiveLine
from ..engine.provenance import Watch
from ..engine.run import Run
from ..engine.sections import check
from ..engine.tester import Tested, chosen_checkpoint, noted, record
from ..engine.trained import Training, facts
from .checkout import commit_of
from .cpu import is_patched

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuestRun(Run):
    """A run of one of our configs in OpenGait's engine.

    Attributes:
        start: The folder in which it was started, the base of relative paths.
    """

    start: Path = Path()

    @property
    def folder(self) -> Path:
        """Absolute path of the output folder, which both hosts share."""
        return self.start / super().folder

    @property
    def beginning(self) -> Path:
        """Base folder of relative paths in the config."""
        return self.start

    @cached_property
    def partition(self) -> Partition:
        """The partition of the data, read on first use."""
        return read_partition(Path(self.settings.data.dataset_partition))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Content of a checkpoint besides the training state."""
        options = self.settings.trainer
        computation = self.computation(options.precision, "trainer_cfg.precision")
        return facts(self, self.partition, computation.precision)


def guest_run(extension: Mapping[str, Any], catalog: Catalog) -> GuestRun:
    """Return the run described by our section in a translated config.

    Args:
        extension: Our section.
        catalog: Source of the components.
    """
    settings = check(extension["config"], catalog, extension["phase"])
    group = Group(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    device = choose_device("cpu" if is_patched() else "auto")
    command = list(extension.get("command", []))
    return GuestRun(
        settings, device, group, command, LiveLine(),
        output=Path(extension["output"]), start=Path(extension["folder"]),
    )  # fmt: skip


def begin_training(model: Any) -> bool:
    """Prepare OpenGait's training loop as our engine prepares its own.

    Args:
        model: A combined model, not wrapped.

    Returns:
        Whether any iterations are left.
    """
    run, iteration = model.run, model.iteration
    if iteration >= run.settings.trainer.total_iter:
        logger.info("the training is finished: iteration %d", iteration)
        return False
    if run.group.leads:
        run.store.set_aside(above=iteration)
    seed = run.settings.trainer.seed
    random_state.seed_everything(seed + run.group.rank + run.group.size * iteration)
    return True


def record_test(model: Any, result: Any, watch: Watch) -> None:
    """Write the same files as our engine after a test.

    Args:
        model: A combined model, not wrapped, after OpenGait's test.
        result: The result of our evaluator.
        watch: Stopwatch started with the test.
    """
    run, hint = model.run, model.engine_cfg["restore_hint"]
    path, selection = chosen_checkpoint(run, run.store, trained=True)
    given = run.store.path(hint) if isinstance(hint, int) else Path(hint)
    if given != path:
        path, selection = given, "given by hand"
    precision = run.computation(run.settings.evaluator.precision, "evaluator_cfg.precision")
    tested = Tested(
        path, selection, model.iteration, precision.precision, discarded(run, run.partition),
        Training.of(read_checkpoint(path)),
        f"OpenGait {commit_of(Path.cwd()) or 'without a commit'}",
    )  # fmt: skip
    dataset = model.test_loader.dataset.dataset
    noticed = noted(result, dataset, tested, run.settings.evaluator.note)
    record(run, run.partition, dataset, model.embeddings, noticed, tested, watch)
