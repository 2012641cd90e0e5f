"""Processes of a loader: bounded waiting, and clear errors when they die or hang."""

import errno
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from torch.utils.data import DataLoader

from ..errors import UserError
from .interrupt import blocked_signals
from .shared_memory import REMEDY

_LOOK = 1.0  # seconds between two checks of the processes
_LAST = 30.0  # seconds in which a wait must end once all processes are dead


class LoaderError(UserError):
    """Loader processes died, hang, or lack memory to hand a batch over."""


def batches_of(
    loader: Iterable[Any], gives_up: Callable[[], bool] = lambda: False
) -> Generator[Any, None, None]:
    """Yield the batches of a loader; closing it ends the loader's processes.

    Args:
        loader: A loader of ``make_loader``, or any iterable of batches.
        gives_up: Called while a batch does not arrive; True ends the batches.

    Raises:
        LoaderError: If a process died, or no batch arrived within the loader's time-out.
        UserError: A fault of a file, as raised in the process that read it.
    """
    if not isinstance(loader, DataLoader) or not loader.num_workers:
        yield from map(_checked, loader)
        return
    readers = _Readers(loader, gives_up)
    with _deaths_noticed_here():
        try:
            for batch in readers:
                yield _checked(batch)
        finally:
            readers.end()


def _checked(batch: Any) -> Any:
    if isinstance(batch, UserError):
        raise batch
    return batch


class _Readers:
    """The processes of a loader, and a thread that bounds the wait for them."""

    def __init__(self, loader: DataLoader[Any], gives_up: Callable[[], bool]) -> None:
        self._patience = loader.timeout
        self._gives_up = gives_up
        self._workers = loader.num_workers
        self._since: float | None = None  # start of the wait for a batch
        self._is_given_up = self._is_stuck = False
        self._is_over = threading.Event()
        before = set(multiprocessing.active_children())
        loader.timeout = 0
        try:
            with blocked_signals():  # until the processes ignore them
                self._iterator: Any = iter(loader)
        except OSError as fault:
            _kill(set(multiprocessing.active_children()) - before)
            raise LoaderError(
                f"the {self._workers} reading processes could not be started ({fault}); {REMEDY}"
            ) from fault
        finally:
            loader.timeout = self._patience
        self._processes = set(multiprocessing.active_children()) - before
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def __iter__(self) -> Iterator[Any]:
        while True:
            self._since = time.monotonic()
            try:
                batch = next(self._iterator)
            except StopIteration:
                self._since = None
                return
            except (RuntimeError, OSError, EOFError) as fault:
                if self._is_given_up:
                    return
                self._explain(fault)
                raise
            self._since = None
            yield batch

    def end(self) -> None:
        """End the processes: kill those that block, let healthy ones finish."""
        if self._since is not None:
            _kill(self._processes)
        self._iterator = None
        _kill(self._processes)
        self._is_over.set()
        self._watcher.join(_LOOK)

    def _watch(self) -> None:
        """Kill processes that are late for too long, which wakes the waiting process."""
        while not self._is_over.wait(_LOOK):
            waited = 0.0 if self._since is None else time.monotonic() - self._since
            self._is_given_up = waited > _LOOK and self._gives_up()
            self._is_stuck = waited > self._patience
            if self._is_given_up or self._is_stuck:
                break
        for process in self._processes if not self._is_over.is_set() else ():
            process.kill()
        end = time.monotonic()
        while not self._is_over.wait(_LOOK):
            if self._since is not None and time.monotonic() - max(end, self._since) > _LAST:
                os.write(
                    2, b"\nthe reading processes are gone, and the wait for them does not end\n"
                )
                os._exit(1)

    def _explain(self, fault: BaseException) -> None:
        """Raise a clear error for a fault of the processes; return if it is another fault."""
        if self._is_stuck:
            raise LoaderError(
                f"no batch came from {self._workers} reading processes for {self._patience:.0f} "
                "seconds. Is the disk of data_cfg.dataset_root reachable? If it is only slow, "
                "raise data_cfg.loader_timeout; data_cfg.num_workers: 0 reads in the main process"
            ) from fault
        sentinels = [process.sentinel for process in self._processes]
        # What a dying process leaves is seen before its death, on a busy machine long before.
        is_cut = isinstance(fault, (ConnectionError, EOFError))
        wait(sentinels, timeout=_LAST if is_cut else _LOOK)
        dead = [process for process in self._processes if not process.is_alive()]
        if dead:
            raise LoaderError(_death(dead[0].exitcode, self._workers)) from fault
        if _is_lack_of_files(fault):
            raise LoaderError(
                "too many open files: a batch could not be taken over from a reading process. "
                "Raise the limit (ulimit -n 4096), or lower data_cfg.num_workers "
                f"({self._workers})"
            ) from fault


def _death(status: int | None, workers: int) -> str:
    how = f"ended with exit status {status}"
    if status is not None and status < 0:
        how = f"was ended by {signal.Signals(-status).name}"
    if status == -getattr(signal, "SIGBUS", 0):
        return f"a reading process {how}: /dev/shm is full; {REMEDY}"
    return (
        f"a reading process {how}, for lack of memory as a rule; lower data_cfg.num_workers "
        f"({workers}), then start the same command again"
    )


def _is_lack_of_files(fault: BaseException) -> bool:
    # Without free descriptors, those attached to a message are dropped silently.
    lost = "ancdata" in str(fault)
    return lost or isinstance(fault, OSError) and fault.errno in (errno.EMFILE, errno.ENFILE)


def _kill(processes: Iterable[Any]) -> None:
    for process in processes:
        if process.is_alive():
            process.kill()  # they ignore SIGTERM
        process.join()


@contextmanager
def _deaths_noticed_here() -> Iterator[None]:
    """Keep torch's signal handler from raising a process's death at an arbitrary place."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        yield
        return
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before if before is not None else signal.SIG_DFL)
