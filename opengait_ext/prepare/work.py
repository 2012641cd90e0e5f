"""Processes of a preparation that leave signals to the first one, and end with it."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

import cv2

LACK = (
    "a process was ended from outside, for lack of memory as a rule; run the same command "
    "again with fewer --workers: what is finished is kept"
)


class Pool(ProcessPoolExecutor):
    """A pool whose processes hear no Ctrl-C, not even while they start.

    Args:
        workers: How many.
        context: Of multiprocessing; without it, one that spawns.
        initializer: Runs first in each process.
        initargs: Of it.
    """

    def __init__(
        self,
        workers: int,
        context: Any = None,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(
            workers,
            mp_context=context or get_context("spawn"),
            initializer=_start,
            initargs=(initializer, initargs),
        )

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand out a job; it may start a process."""
        with _blocked():
            return super().submit(*args, **kwargs)


@contextmanager
def _blocked() -> Iterator[None]:
    """Hold Ctrl-C back; a process that is started meanwhile holds it back, too."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops the others
    cv2.setNumThreads(0)
    Thread(target=_end_with_first, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_first() -> None:
    """End this process when the first one is gone, however: it would wait for work for ever."""
    first = parent_process()
    if first is not None:
        first.join()
        os._exit(1)
