"""Assembly of a training run: data, model, losses, optimizer, and the state to resume from."""

import logging
import math
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ..data.dataset import TrackletDataset
from ..data.layout import Partition
from ..data.samplers import Draws
from ..evaluation.inputs import Embedded
from ..layers.synchronized import share_batches
from . import random_state
from .checkpoint import load_weights
from .data import check_identities
from .devices import Computation
from .effects import without_effect
from .embedding import embed, embedded_halves
from .holding import agreed, set_run_aside
from .idle import idle_here
from .journal import Journal
from .loader import make_loader
from .objective import Objective
from .optimizer import build_optimizer, named_parameters
from .options import VALIDATION_SPLIT
from .run import Run, make_model
from .state import TrainingState
from .steps import Step
from .summary import Summary
from .tester import evaluate, split_of
from .trained import check_goes_on, facts
from .trainer import Evaluate, Trainer

logger = logging.getLogger(__name__)


def train(run: Run, partition: Partition) -> int:
    """Train the model of a run to its last iteration.

    Returns:
        The last finished iteration.
    """
    settings, options, group = run.settings, run.settings.trainer, run.group
    computation = run.computation(options.precision, "trainer_cfg.precision", options.compile)
    dataset = settings.training.dataset(settings.data, partition, settings.data.train_splits)
    check_identities(settings.model.arguments, dataset)
    validation = _validation_set(run, partition)
    about = facts(run, partition, computation.precision)
    found, path = _found(run, about)
    start = found.get("iteration", 0) if found is not None and _goes_on(run) else 0
    draws = Draws(options.seed, start, options.total_iter, group.rank, group.size)
    sampler = settings.training.sampler(dataset=dataset, draws=draws)
    epoch = _describe(run, dataset, len(sampler.batch(0)))
    random_state.seed_everything(options.seed)
    state = _new_state(run, computation, epoch)
    store = run.store
    content = _restored(run, state, found, path)
    if group.leads:
        store.clean()
    unused = options.find_unused_parameters or bool(state.objective.off)
    model = group.wrapped(state.model, unused)
    trainer = Trainer(
        options,
        state,
        Step(model, state.objective, computation, state.scaler, options.accumulate),
        make_loader(
            dataset,
            sampler,
            settings.data.num_workers,
            computation.device,
            settings.data.loader_timeout,
        ),
        lambda batch: [dataset.tracklets[place].path for place in batch.positions.tolist()],
        store,
        about,
        group,
        _journal(run, state.iteration),
        _evaluation(run, state.model, partition, validation),
    )
    # The same seed in all processes: draws are for the whole batch, and each takes its share.
    random_state.seed_everything(options.seed + state.iteration)
    if content is not None and not state.restore_random(content, group, computation.device):
        logger.warning(
            "%s holds no random states for %d processes: from here on, the run is another than "
            "without the break", path, group.size,
        )  # fmt: skip
    del content, found
    trainer.run()
    return state.iteration


def _journal(run: Run, iteration: int) -> Journal:
    options, leads = run.settings.trainer, run.group.leads
    summary = Summary(run.folder, iteration) if leads else None
    return Journal(options.total_iter, options.log_iter, iteration, leads, summary, run.live)


def _describe(run: Run, dataset: TrackletDataset, share: int) -> int:
    """Log the sizes of data and batch; return the iterations per epoch.

    Args:
        run: The run.
        dataset: The training data.
        share: Tracklets per batch in this process.
    """
    settings = run.settings
    epoch = math.ceil(len(dataset) / (share * run.group.size))
    pieces = settings.trainer.accumulate
    logger.info(
        "training data: %d tracklets of %d identities; %d tracklets a batch (%d in each "
        "process%s); an epoch is %d iterations",
        len(dataset), len(dataset.pids), share * run.group.size, share,
        f", computed in {pieces} pieces" if pieces > 1 else "", epoch,
    )  # fmt: skip
    if run.group.leads:
        for line in without_effect(settings, epoch):
            logger.warning("%s", line)
        for line in idle_here(settings.config, run.group.size):
            logger.info("%s", line)
    return epoch


def _new_state(run: Run, computation: Computation, epoch: int) -> TrainingState:
    settings, options = run.settings, run.settings.trainer
    model = make_model(run, computation, training=True)
    if run.group.size > 1:
        if options.sync_batch_norm and computation.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        model = share_batches(model, run.group, options.sync_batch_norm)
    unused = options.find_unused_parameters
    objective = Objective(settings.losses, run.group, unused)
    if run.group.size > 1 and (unused or objective.off):
        model.register_forward_hook(objective.used)
    objective = objective.to(computation.device)
    optimizer = build_optimizer(settings.optimizer, named_parameters(model, objective))
    schedule = settings.schedule(optimizer=optimizer, iterations_per_epoch=epoch)
    return TrainingState(model, objective, optimizer, schedule, computation.scaler())


def _goes_on(run: Run) -> bool:
    """Return whether ``restore_hint`` asks for a full state instead of weights only."""
    hint = run.settings.trainer.restore_hint
    return hint == "auto" or (isinstance(hint, int) and hint > 0)


def _found(run: Run, about: dict[str, Any]) -> tuple[dict[str, Any] | None, Path | None]:
    """Return the checkpoint of ``restore_hint``; raise an error if it is of another training."""
    hint = run.settings.trainer.restore_hint
    path = run.store.find(hint) if hint != 0 else None
    if path is None:
        return None, None
    content = run.store.read(path)
    if _goes_on(run):
        agreed(run.group, partial(check_goes_on, run, content, path, about))
    return content, path


def _restored(
    run: Run, state: TrainingState, found: dict[str, Any] | None, path: Path | None
) -> dict[str, Any] | None:
    """Restore the state of ``restore_hint``; return the checkpoint from which training resumes."""
    strict = run.settings.trainer.restore_strict
    content = None
    if found is not None and path is not None:
        if _goes_on(run):
            state.restore(found, strict, path)
            content = found
            logger.info("going on from %s (iteration %d)", path, state.iteration)
        else:
            load_weights(state.model, found["model"], strict, path)
            logger.info("starting from the weights of %s, at iteration 0", path)
    run.group.barrier()  # every process has read its file before any is moved
    if run.group.leads:
        if _goes_on(run):
            run.store.set_aside(above=state.iteration)
        else:
            set_run_aside(run.folder)
    return content


def _validation_set(run: Run, partition: Partition) -> TrackletDataset | None:
    options = run.settings.trainer
    if not options.eval_iter:
        return None
    on_test = options.keep == "best_on_test"
    return split_of(run, partition, run.settings.evaluator.split if on_test else VALIDATION_SPLIT)


def _evaluation(
    run: Run, model: nn.Module, partition: Partition, dataset: TrackletDataset | None
) -> Evaluate:
    """Return the function that tests the model between two iterations."""
    options = run.settings.evaluator
    computation = run.computation(options.precision, "evaluator_cfg.precision", options.compile)

    def evaluation() -> tuple[float, dict[str, float]]:
        assert dataset is not None
        embeddings = embed(run, model, dataset, computation)
        halves = embedded_halves(run, model, dataset, computation)
        score, numbers = math.nan, {}
        if embeddings is not None:
            split = dataset.tracklets[0].split
            embedded = Embedded(embeddings, dataset.places, partition, halves)
            result = evaluate(run, embedded, split)
            logger.info("result\n%s", result)
            score = result.mean_average_precision
            numbers = {
                f"{split}/{name.removeprefix('scalar/')}": value
                for name, value in result.scalars().items()
            }
        return run.group.gather(score)[0], numbers

    return evaluation
