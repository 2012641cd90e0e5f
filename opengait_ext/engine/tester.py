"""Test of a checkpoint: embedding of a split, evaluation, and the record of the result."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import ConfigError
from ..data.dataset import TrackletDataset
from ..data.layout import Partition
from ..evaluation.inputs import Embedded
from .checkpoint import CheckpointStore
from .data_record import described, discarded, source_of
from .devices import Computation
from .embedding import embed, embedded_halves
from .files import write_json, write_whole
from .holding import agreed
from .partial import PartialEmbeddings
from .provenance import Watch, last_edit
from .run import Run, load_model, provenance
from .trained import Training, check_tested

logger = logging.getLogger(__name__)


def test(run: Run, partition: Partition, path: Path, selection: str) -> dict[str, Any]:
    """Test a checkpoint; write ``test/metrics.json`` and ``test/embeddings.npz``.

    Args:
        run: The run.
        partition: The partition of the data.
        path: The checkpoint.
        selection: How it was chosen, for the record.

    Returns:
        The content of ``metrics.json``; an empty dict in all processes except the first.
    """
    watch = Watch()
    options = run.settings.evaluator
    computation = run.computation(options.precision, "evaluator_cfg.precision", options.compile)
    content = run.store.read(path)
    agreed(run.group, lambda: check_tested(run, content, path, options.restore_strict))
    model = load_model(run, computation, path, content, options.restore_strict)
    dataset = split_of(run, partition, options.split)
    iteration = int(content.get("iteration", 0))
    tested = Tested(
        path, selection, iteration, computation.precision, discarded(run, partition),
        Training.of(content),
    )  # fmt: skip
    del content
    partial = _partial(run, partition, path, computation)
    with closing(partial):
        embeddings = embed(run, model, dataset, computation, partial)
    halves = embedded_halves(run, model, dataset, computation)
    compiled = sorted({name for names in run.group.gather(computation.compiled) for name in names})
    tested = replace(tested, compiled=compiled)
    if embeddings is None:
        partial.remove()
        return {}
    embedded = Embedded(embeddings, dataset.places, partition, halves)
    result = evaluate(run, embedded, options.split)
    result = noted(result, dataset, tested, options.note)
    logger.info("result\n%s", result)
    content = record(run, partition, dataset, embeddings, result, tested, watch)
    partial.remove()
    return content


@dataclass(frozen=True)
class Tested:
    """Facts about the tested checkpoint.

    Attributes:
        path: The checkpoint.
        selection: How it was chosen.
        iteration: Its training iteration.
        precision: Precision of the forward pass.
        discarded: Text on what discard lists removed from the data.
        training: The checkpoint's facts about its training.
        host: The engine that trained and tested.
        compiled: Parts of the model that were called compiled, in any process.
    """

    path: Path
    selection: str
    iteration: int
    precision: str
    discarded: str
    training: Training
    host: str = "embedded"
    compiled: Sequence[str] = ()


def noted(result: Any, dataset: TrackletDataset, tested: Tested, note: str) -> Any:
    """Return an evaluator's result with notes on how its numbers came about."""
    notes = {
        "frames": f"{dataset.frames or 'all'} per tracklet ({dataset.frame_rule})",
        "checkpoint": f"{tested.path.name} ({tested.selection})",
        "discard lists": tested.discarded,
        **({"note": note} if note else {}),
    }
    return replace(result, notes={**result.notes, **notes})


def record(
    run: Run,
    partition: Partition,
    dataset: TrackletDataset,
    embeddings: np.ndarray,
    result: Any,
    tested: Tested,
    watch: Watch,
) -> dict[str, Any]:
    """Write ``test/metrics.json`` and ``test/embeddings.npz``; return the content of the former.

    Args:
        run: The run.
        partition: The partition of the data.
        dataset: The embedded tracklets.
        embeddings: ``[N, d, p]``, in the dataset's order.
        result: The evaluator's result, with its notes.
        tested: Facts about the checkpoint.
        watch: Stopwatch started with the test.
    """
    content = {
        "result": result.to_dict(),
        "protocol": partition.protocol,
        "data": {**described(run, partition), **tested.training.told_of_data(run)},
        "iteration": tested.iteration,
        "checkpoint": str(tested.path),
        "selection": tested.selection,
        "precision": tested.precision,
        "compiled": list(tested.compiled),
        "host": tested.host,
        **tested.training.told(run),
        "test_config": run.settings.config,
        "started_in": str(run.beginning),
        **{key: value for key, value in provenance(run).items() if key != "seed"},
        "time": watch.told(),
    }
    folder = run.folder / "test"
    _write_embeddings(folder / "embeddings.npz", embeddings, dataset)
    write_json(folder / "metrics.json", content)
    logger.info("written to %s", folder)
    if run.settings.evaluator.note:
        logger.info("note: %s", run.settings.evaluator.note)
    return content


def check_tasks(run: Run, partition: Partition, split: str) -> None:
    """Raise an error for a split that cannot be tested.

    Raises:
        ConfigError: If the partition says nothing about who queries whom in this split.
    """
    if not partition.tasks.get(split):
        known = ", ".join(name for name, tasks in partition.tasks.items() if tasks) or "none"
        raise ConfigError(
            f"{run.settings.data.dataset_partition}: there is no retrieval task for the split "
            f"{split!r} (splits with tasks: {known})"
        )


def split_of(run: Run, partition: Partition, split: str) -> TrackletDataset:
    """Return the dataset of a split, read by the settings of ``evaluator_cfg``.

    Raises:
        ConfigError: If the partition says nothing about who queries whom in this split.
    """
    settings = run.settings
    check_tasks(run, partition, split)
    return settings.testing.dataset(settings.data, partition, [split])


def evaluate(run: Run, embedded: Embedded, split: str) -> Any:
    """Return the result of the evaluator of ``evaluator_cfg``.

    Args:
        run: The run.
        embedded: The embeddings.
        split: Split of the partition whose tasks are scored.

    Returns:
        The evaluator's result.
    """
    settings = run.settings
    return settings.evaluate(embedded=embedded, dataset=settings.data.dataset_name, split=split)


def chosen_checkpoint(run: Run, store: CheckpointStore, trained: bool) -> tuple[Path, str]:
    """Return the checkpoint to test, and how it was chosen.

    Args:
        run: The run.
        store: The run's checkpoints.
        trained: Whether this run has just trained; a hint of 0 then means ``auto``.

    Raises:
        ConfigError: If there is no checkpoint.
    """
    hint = run.settings.evaluator.restore_hint
    hint = "auto" if trained and hint == 0 else hint
    path = store.find(hint, run.settings.trainer.keep)
    if path is None:
        raise ConfigError(
            f"{store.folder}: there is no checkpoint to test; train first (--phase train), or "
            "give one as evaluator_cfg.restore_hint"
        )
    if hint != "auto":
        return path, "given by hand"
    keep = run.settings.trainer.keep
    best = store.best() if keep != "last" else None
    if keep != "last" and not best:
        logger.warning(
            "trainer_cfg.keep: %s: no checkpoint of this run was found the best so far, so the "
            "last one is tested", keep,
        )  # fmt: skip
    return path, f"best on {best['measured_on']}" if best else "last"


def _partial(
    run: Run, partition: Partition, path: Path, computation: Computation
) -> PartialEmbeddings:
    """Return the cache of embeddings; an earlier one is reused only under equal conditions."""
    facts = provenance(run)
    conditions = {
        "checkpoint": [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns],
        "precision": computation.precision,
        "tracklets": [[tracklet.path, tracklet.frames] for tracklet in partition.tracklets],
        "source": source_of(partition),  # different discard lists can leave equal numbers of frames
        "sections": [
            run.settings.config[name] for name in ("data_cfg", "model_cfg", "evaluator_cfg")
        ],
        **{name: facts[name] for name in ("versions", "commit", "device", "processes")},
        "edited": last_edit(),
    }
    name = f".embeddings-{run.group.rank}.partial"
    return PartialEmbeddings(run.folder / "test" / name, conditions)


def _write_embeddings(path: Path, embeddings: np.ndarray, dataset: TrackletDataset) -> None:
    tracklets = dataset.tracklets

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file,
                embeddings=embeddings,
                pid=np.array([tracklet.pid for tracklet in tracklets]),
                camid=np.array([tracklet.camid for tracklet in tracklets]),
                modality=np.array([tracklet.modality for tracklet in tracklets]),
                path=np.array([tracklet.path for tracklet in tracklets]),
                position=np.array(dataset.places),  # in the list of tracklets of the partition
            )

    write_whole(path, write)
