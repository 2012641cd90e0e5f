"""Data loader: the number of its processes, and their hand-over of batches."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ..data.collate import collate
from ..data.dataset import TrackletDataset
from ..errors import UserError
from .interrupt import ignore_signals
from .readers import LoaderError
from .shared_memory import REMEDY, Plan, plan_reading

logger = logging.getLogger(__name__)

PATIENCE = 600  # seconds without a batch after which a loader is considered stuck


def make_loader(
    dataset: TrackletDataset,
    sampler: Any,
    workers: int,
    device: torch.device,
    patience: float = PATIENCE,
    plan: Callable[[int, int], Plan] = plan_reading,
) -> DataLoader[Any]:
    """Return a loader for a dataset.

    Its processes draw no random numbers from the main process, compute with one thread each, and
    ignore signals. There are fewer of them if shared memory cannot hold the batches.

    Args:
        dataset: The tracklets.
        sampler: Source of lists of requests.
        workers: Number of processes; 0: the main process reads.
        device: Target of the batches; memory is pinned for cuda.
        patience: Seconds without a batch after which ``batches_of`` gives up.
        plan: Function from the number of processes and the bytes of the largest batch to the
            plan.
    """
    chosen = plan(workers, _largest_batch(dataset, sampler)) if workers else Plan(0, 0)
    if chosen.reason:
        logger.warning("%s", chosen.reason)
    return DataLoader(
        _Speaking(dataset),
        batch_sampler=sampler,
        collate_fn=_collated,
        num_workers=chosen.workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=start_worker,
        prefetch_factor=chosen.prefetch if chosen.workers else None,
        timeout=patience if chosen.workers else 0,
        generator=torch.Generator(),
    )


def _largest_batch(dataset: TrackletDataset, sampler: Any) -> int:
    """Return the bytes of the largest batch's frames, estimated from one tracklet."""
    batches = sampler if isinstance(sampler, Sequence) else [next(iter(sampler), [])]
    requests = [request for batch in batches[:1] for request in batch]
    if not requests:
        return 0
    counts = {place: _frames(dataset, place) for batch in batches for place, _ in batch}
    try:
        frames = dataset[min(requests, key=lambda request: counts[request[0]])].frames
    except (UserError, OSError):
        return 0  # the process that reads it reports the fault
    if isinstance(sampler, Sequence):
        most = max(sum(counts[place] for place, _ in batch) for batch in batches)
    else:  # the draws of coming batches are not known
        longest = max(_frames(dataset, place) for place in range(len(dataset)))
        most = len(requests) * longest
    return most * frames.nbytes // len(frames)


def _frames(dataset: TrackletDataset, place: int) -> int:
    return dataset.frames or dataset.tracklets[place].frames


class _Speaking(Dataset[Any]):
    """A dataset that returns errors as samples: a loader's process would bury the message."""

    def __init__(self, dataset: TrackletDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, request: tuple[int, int]) -> Any:
        try:
            return self.dataset[request]
        except UserError as fault:
            return fault
        except (OSError, MemoryError) as fault:
            path = self.dataset.root / self.dataset.tracklets[request[0]].path
            reason = str(fault) or type(fault).__name__
            return LoaderError(f"{path}: this tracklet cannot be read ({reason})")


def _collated(samples: Sequence[Any]) -> Any:
    faults = [sample for sample in samples if isinstance(sample, UserError)]
    if faults:
        return faults[0]
    try:
        return _shared(collate(samples))
    except UserError as fault:
        return fault


def _shared(batch: Any) -> Any:
    """Return a batch in shared memory; moved here, where a lack of memory can be reported.

    Raises:
        LoaderError: If there is no room; torch alone would drop the batch and wait forever.
    """
    if get_worker_info() is None:
        return batch
    try:
        for part in batch:
            if isinstance(part, torch.Tensor):
                part.share_memory_()
    except (RuntimeError, OSError) as fault:
        text = str(fault).strip().split("\n")[0]
        if "Too many open files" in text:
            raise LoaderError(
                f"a batch could not be handed over ({text}): raise the limit (ulimit -n 4096), "
                "or lower data_cfg.num_workers"
            ) from fault
        raise LoaderError(f"a batch could not be handed over ({text}): {REMEDY}") from fault
    return batch


def start_worker(number: int) -> None:
    """Set up a process of the loader."""
    ignore_signals()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
