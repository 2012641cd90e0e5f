"""Number of loader processes and prefetched batches that this machine's free memory allows.

A loader process passes a batch through a file in ``/dev/shm``. Containers usually limit that to
64 MB, and a batch that does not fit never arrives.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PREFETCHED = 4  # batches that each process prefetches
_PLACE = Path("/dev/shm")
_IN_USE = 2  # batches that the main process holds while it waits for the next
_SPARE = 0.9  # fraction of the free memory to use: others need some too
_PAGE = 4096
_OWN_FILES = 24  # descriptors that a run opens in addition to its loader processes
_FILES_EACH = 8  # descriptors per loader process in the main process
REMEDY = (
    "give the container more (docker run --shm-size=8g, or --ipc=host), or read in the main "
    "process (data_cfg.num_workers: 0)"
)


class Plan(NamedTuple):
    """Processes and prefetching of a loader.

    Attributes:
        workers: Number of processes; 0: the main process reads.
        prefetch: Batches that each process prefetches.
        reason: Why these are fewer than requested, and the remedy; empty if they are not.
    """

    workers: int
    prefetch: int
    reason: str = ""


def free_shared_memory() -> int | None:
    """Return the free bytes of ``/dev/shm``; None where torch shares memory in another way."""
    if sys.platform != "linux":
        return None
    if not os.access(_PLACE, os.W_OK):
        return 0
    place = os.statvfs(_PLACE)
    return place.f_bavail * place.f_frsize if place.f_blocks else None  # none: without limit


def free_descriptors() -> int | None:
    """Return how many files this process may still open; None if the system does not tell.

    The soft limit is first raised as far as the process is allowed to.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):  # macOS promises more than it grants
            pass
    opened = Path("/proc/self/fd")
    if soft == resource.RLIM_INFINITY or not opened.is_dir():
        return None
    return soft - len(os.listdir(opened))


def plan_reading(
    workers: int,
    batch_bytes: int,
    memory: Callable[[], int | None] = free_shared_memory,
    descriptors: Callable[[], int | None] = free_descriptors,
) -> Plan:
    """Return the plan with the most prefetched batches, then the most processes, that fit.

    Args:
        workers: Requested number of processes.
        batch_bytes: Bytes of the largest batch.
        memory: Function that returns the free bytes of shared memory; None: enough.
        descriptors: Function that returns how many files may be opened; None: enough.
    """
    if not workers:
        return Plan(0, 0)
    free, files = memory(), descriptors()
    if free is not None:
        # The processes of a run on one machine share the memory and start at the same time.
        free = int(free * _SPARE) // _processes_here()
    for count in range(workers, 0, -1):
        for prefetch in range(PREFETCHED, 0, -1):
            fits = free is None or _needed(count, prefetch, batch_bytes) <= free
            if fits and (files is None or _files(count, prefetch) <= files):
                plan = Plan(count, prefetch)
                if plan == (workers, PREFETCHED, ""):
                    return plan
                return plan._replace(reason=_reason(plan, workers, batch_bytes, free, files))
    plan = Plan(0, 0)
    return plan._replace(reason=_reason(plan, workers, batch_bytes, free, files))


def _needed(workers: int, prefetch: int, batch_bytes: int) -> int:
    """Return the bytes of all batches, their indices and the queues' semaphores."""
    batches = workers * prefetch + _IN_USE
    return batches * (batch_bytes + 4 * _PAGE) + (3 * (workers + 1) + 5) * _PAGE


def _files(workers: int, prefetch: int) -> int:
    return _OWN_FILES + _FILES_EACH * (workers + prefetch)


def _reason(plan: Plan, workers: int, batch_bytes: int, free: int | None, files: int | None) -> str:
    wanted = f"data_cfg.num_workers: {workers} with {PREFETCHED} batches ahead of each"
    lacks = []
    needed = _needed(workers, PREFETCHED, batch_bytes)
    if free is not None and needed > free:
        lacks.append(
            f"needs {_size(needed)} of {_PLACE} (batches of {_size(batch_bytes)}), and this "
            f"process may take {_size(free)}; for the full speed {REMEDY}"
        )
    if files is not None and _files(workers, PREFETCHED) > files:
        lacks.append(
            f"needs {_files(workers, PREFETCHED)} more open files, and {max(files, 0)} are "
            "allowed; raise the limit (ulimit -n 4096)"
        )
    now = (
        f"{plan.workers} processes read {plan.prefetch} ahead each"
        if plan.workers
        else "the main process reads"
    )
    return f"{wanted} {'; it '.join(lacks)}. Now {now}; the batches stay the same"


def _processes_here() -> int:
    text = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, int(text)) if text.isdecimal() else 1


def _size(count: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
