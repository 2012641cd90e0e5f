"""What our engine does before and after a run, done around OpenGait's engine."""

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
        start: Where it was started: relative paths begin there.
    """

    start: Path = Path()

    @property
    def folder(self) -> Path:
        """Gives the output folder, which both hosts share, as an absolute path."""
        return self.start / super().folder

    @property
    def beginning(self) -> Path:
        """Return the folder where relative paths of the config begin."""
        return self.start

    @cached_property
    def partition(self) -> Partition:
        """Reads the partition of the data."""
        return read_partition(Path(self.settings.data.dataset_partition))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint holds beside the state of the training."""
        options = self.settings.trainer
        computation = self.computation(options.precision, "trainer_cfg.precision")
        return facts(self, self.partition, computation.precision)


def guest_run(extension: Mapping[str, Any], catalog: Catalog) -> GuestRun:
    """Gives the run that our section in a translated config describes.

    Args:
        extension: That section.
        catalog: Where components come from.
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
    """Gets ready for OpenGait's training loop as our engine does for its own.

    Args:
        model: A married model, not wrapped.

    Returns:
        Whether there is anything left to train.
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
    """Writes what our engine writes after a test, into the same files.

    Args:
        model: A married model, not wrapped, after OpenGait's test.
        result: What our evaluator made of its embeddings.
        watch: Runs since the test began.
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
