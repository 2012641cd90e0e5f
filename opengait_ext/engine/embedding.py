"""Embedding of a dataset's tracklets, shared among the processes of a run."""

import logging
import time
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import nn

from ..config import ConfigError
from ..data.dataset import TrackletDataset
from ..data.frames import Half
from ..errors import UserError
from .devices import Computation, is_out_of_memory
from .loader import make_loader
from .partial import PartialEmbeddings
from .progress import Clock
from .readers import batches_of
from .run import Run

logger = logging.getLogger(__name__)

_LOGGED = 20  # seconds between two log lines without a terminal


def embed(
    run: Run,
    model: nn.Module,
    dataset: TrackletDataset,
    computation: Computation,
    partial: PartialEmbeddings | None = None,
) -> np.ndarray | None:
    """Return the embeddings of all tracklets of a dataset.

    Args:
        run: The run; its processes share the work.
        model: The network; it is left in eval mode.
        dataset: The tracklets.
        computation: Device and precision.
        partial: Cache of this process's embeddings, from which an interrupted test resumes.

    Returns:
        float32 ``[N, d, p]`` in the dataset's order; None in all processes except the first.

    Raises:
        ConfigError: If the model's embeddings are not ``[n, d, p]``.
    """
    settings = run.settings
    sampler = settings.testing.sampler(
        dataset=dataset, rank=run.group.rank, world_size=run.group.size
    )
    parts = list(partial.parts) if partial else []
    requests = list(sampler)
    left = requests[len(parts) :]
    done = sum(map(len, requests)) - sum(map(len, left))
    report = _Report(run, sum(map(len, requests)), done)
    loader = make_loader(
        dataset, left, settings.data.num_workers, computation.device, settings.data.loader_timeout
    )
    model.eval()
    with torch.no_grad(), closing(batches_of(loader)) as batches:
        for batch in batches:
            features = _features(model, batch, computation)
            if features.dim() != 3 or len(features) != len(batch.labels):
                raise ConfigError(
                    f"{settings.model_name} gave embeddings {list(features.shape)} for "
                    f"{len(batch.labels)} tracklets; expected [tracklets, channels, parts]"
                )
            parts.append((batch.positions.numpy(), features.float().cpu().numpy()))
            if partial:
                partial.add(*parts[-1])
            report.add(len(batch.labels))
    run.live.clear()
    return _in_order(run.group.collect(parts), len(dataset))


def embedded_halves(
    run: Run, model: nn.Module, dataset: TrackletDataset, computation: Computation
) -> list[np.ndarray | None]:
    """Return embeddings of both halves of each tracklet, if the re-ranking needs them, else []."""
    rerank = run.settings.evaluate.arguments.get("rerank") or {}
    halves: tuple[Half, ...] = ("first", "second") if rerank.get("type") == "temporal" else ()
    return [embed(run, model, dataset.of_half(half), computation) for half in halves]


def _features(model: nn.Module, batch: Any, computation: Computation) -> torch.Tensor:
    try:
        return computation.forward(model, batch)["inference_feat"]["embeddings"]
    except (RuntimeError, MemoryError) as fault:
        if not is_out_of_memory(fault):
            raise
        raise UserError(
            f"{len(batch.labels)} tracklets with frames {list(batch.frames.shape)} do not fit in "
            f"the device's memory: lower batch_size in evaluator_cfg.sampler. ({fault})"
        ) from fault


class _Report:
    """Progress report of a test."""

    def __init__(self, run: Run, total: int, done: int) -> None:
        self._run = run
        self._clock = Clock(total, done)
        self._told = self._last = time.perf_counter()
        if done:
            logger.info("%d of %d tracklets were embedded before", done, total)

    def add(self, tracklets: int) -> None:
        now = time.perf_counter()
        self._clock.add(tracklets, now - self._last)
        self._last = now
        clock, live = self._clock, self._run.live
        if live.due and self._run.group.leads:
            live.show(self._text(), clock.done, clock.total)
        if now - self._told > _LOGGED or clock.done == clock.total:
            self._told = now
            logger.info("%s", self._text(), extra={"live": True})

    def _text(self) -> str:
        clock = self._clock
        return f"test: {clock.done}/{clock.total}  {clock.rate:.1f} tracklets/s  {clock.left} left"


def _in_order(shares: list[Any] | None, count: int) -> np.ndarray | None:
    if shares is None:
        return None
    positions = np.concatenate([part[0] for share in shares for part in share])
    embeddings = np.concatenate([part[1] for share in shares for part in share])
    order = np.argsort(positions)
    assert np.array_equal(positions[order], np.arange(count)), "a tracklet is missing or twice"
    return embeddings[order]
