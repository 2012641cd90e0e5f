"""Process pools whose workers leave Ctrl-C to the main process and end with it."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

import cv2

from opengait_ext.errors import UserError
from opengait_ext.prepare.progress import Progress

Tell = Callable[[int], None]
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
AHEAD = 4  # jobs per process that are submitted ahead: what a stop loses
MOST_DEAD = 20
_PAUSE = 0.2  # seconds between two updates of the progress
_SHARED: dict[str, Any] = {}
LACK = (
    "a process was ended from outside, for lack of memory as a rule; run the same command "
    "again with fewer --workers: what is finished is kept"
)


class Pool(ProcessPoolExecutor):
    """A process pool whose workers ignore Ctrl-C, even while they start.

    Args:
        workers: Number of processes.
        context: Multiprocessing context; a spawning one by default.
        initializer: Called first in each process.
        initargs: Arguments of the initializer.
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
        """Submit a job; this may start a process."""
        with _blocked():
            return super().submit(*args, **kwargs)


@contextmanager
def _blocked() -> Iterator[None]:
    """Block Ctrl-C; a process started meanwhile inherits the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process stops the workers
    cv2.setNumThreads(0)
    Thread(target=_end_with_first, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_first() -> None:
    """End this process when the main process is gone, because it would wait for work forever."""
    first = parent_process()
    if first is not None:
        first.join()
        os._exit(1)


def run_in_order(
    work: Callable[[_Job], _Result], jobs: Sequence[_Job], workers: int, chunk: int
) -> Iterator[_Result]:
    """Do many small jobs; yield the results in the order of the jobs as they become ready.

    Args:
        work: Function that does one job, at module level so that it can be pickled.
        jobs: The jobs.
        workers: Number of processes; 1 works in this process.
        chunk: Number of jobs that a process gets at once.

    Raises:
        UserError: If a process died, usually for lack of memory.
    """
    if workers <= 1 or len(jobs) <= chunk:
        yield from map(work, jobs)
        return
    pool = Pool(workers)
    try:
        yield from pool.map(work, jobs, chunksize=chunk)
    except BrokenProcessPool as error:
        raise UserError(LACK) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def run_whatever_dies(
    work: Callable[[_Job], _Result],
    job_of: Callable[[int], _Job],
    count: int,
    workers: int,
    ended: Callable[[_Job], _Result],
) -> Iterator[tuple[int, _Result]]:
    """Do all jobs in a pool that survives worker crashes; yield position and result of each.

    A job that kills its process (a crash of a decoder, or lack of memory) has a result like any
    other: the jobs that were running then are repeated one by one, each in its own process.

    Args:
        work: Function that does one job, at module level so that it can be pickled.
        job_of: Function from a position to its job; called late, which saves memory.
        count: Number of positions.
        workers: Number of processes; 1 works in this process, which a crash then ends.
        ended: Function from a job that killed its process to its result.

    Raises:
        UserError: If more than ``MOST_DEAD`` processes died, usually for lack of memory.
    """
    if workers <= 1:
        yield from ((number, work(job_of(number))) for number in range(count))
        return
    waiting = iter(range(count))
    dead = 0
    while True:
        running: dict[Future[_Result], int] = {}
        pool = Pool(workers)
        try:
            yield from _in_processes(work, job_of, waiting, pool, running, AHEAD * workers)
            return
        except BrokenProcessPool:
            suspects = sorted(running.values())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        for number in suspects:
            try:
                with Pool(1) as alone:
                    result = alone.submit(work, job_of(number)).result()
            except BrokenProcessPool:
                dead += 1
                if dead > MOST_DEAD:
                    raise UserError(f"{dead} times {LACK}") from None
                result = ended(job_of(number))
            yield number, result


def _in_processes(
    work: Callable[[_Job], _Result],
    job_of: Callable[[int], _Job],
    waiting: Iterator[int],
    pool: Pool,
    running: dict[Future[_Result], int],
    ahead: int,
) -> Iterator[tuple[int, _Result]]:
    """Keep the pool busy; jobs left in ``running`` when it breaks have no result."""
    while True:
        for number in waiting:
            try:
                running[pool.submit(work, job_of(number))] = number
            except BrokenProcessPool:
                running[Future()] = number  # the broken pool refused it; keep it among the suspects
                raise
            if len(running) >= ahead:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            result = future.result()
            yield running.pop(future), result


class StoppedError(BaseException):
    """The main process asked the worker to stop; the work itself did not fail."""


def run_all(
    work: Callable[[_Job, Tell], _Result], jobs: Sequence[_Job], workers: int, progress: Progress
) -> Iterator[_Result]:
    """Do a few long jobs with progress; yield the results in the order of the jobs.

    Args:
        work: Function that does one job. It calls its second argument now and then with the amount
            done since the last call. At module level, so that it can be pickled.
        jobs: The jobs.
        workers: Number of processes; 1 works in this process.
        progress: Shows the amounts that the work reports.

    Raises:
        UserError: If a process died, usually for lack of memory.
    """
    be_quiet()
    if workers <= 1 or len(jobs) <= 1:
        yield from (work(job, progress.add) for job in jobs)
        return
    context = get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    pool = Pool(min(workers, len(jobs)), context, _share, (counter, stop))
    told = 0
    try:
        futures = deque(pool.submit(_work, work, job) for job in jobs)
        while futures:
            future = futures.popleft()
            while not future.done():
                wait([future], timeout=_PAUSE)
                told += _tell(progress, counter.value - told)
            yield future.result()
        _tell(progress, counter.value - told)
    except BrokenProcessPool as error:
        raise UserError(LACK) from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _tell(progress: Progress, amount: int) -> int:
    progress.add(amount)
    return amount


def _share(counter: Any, stop: Any) -> None:
    be_quiet()
    _SHARED.update(counter=counter, stop=stop)


def be_quiet() -> None:
    """Silence OpenCV and FFmpeg, whose messages would break the progress line; we report faults."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.setLogLevel(0) if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel(0)


def _work(work: Callable[[Any, Tell], Any], job: Any) -> Any:
    try:
        return work(job, _count)
    except StoppedError:
        return None


def _count(amount: int) -> None:
    """Add to the shared count of finished work; raise StoppedError if a stop is asked for."""
    if _SHARED["stop"].is_set():
        raise StoppedError
    with _SHARED["counter"].get_lock():
        _SHARED["counter"].value += amount
