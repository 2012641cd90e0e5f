"""Work of any length in several processes that tell how far they are and stop when asked."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

import cv2

from opengait_ext.errors import UserError
from opengait_ext.prepare.progress import Progress
from opengait_ext.prepare.work import LACK, Pool

Tell = Callable[[int], None]
_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
_PAUSE = 0.2  # seconds between two looks at what the processes have done
_SHARED: dict[str, Any] = {}


class StoppedError(BaseException):
    """The first process asked to stop; no failure of the work."""


def run_all(
    work: Callable[[_Job, Tell], _Result], jobs: Sequence[_Job], workers: int, progress: Progress
) -> Iterator[_Result]:
    """Does all jobs; gives the results in the order of the jobs, as they come.

    Args:
        work: Does one job, and calls its second argument now and then with how much it has done
            since the last time; a function of a module, so that processes find it.
        jobs: What to do.
        workers: Processes; 1 works in this one.
        progress: Gets what the work tells.

    Raises:
        UserError: If a process died, for lack of memory as a rule.
    """
    be_quiet()
    if workers <= 1 or len(jobs) <= 1:
        yield from (work(job, progress.add) for job in jobs)
        return
    context = get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    pool = Pool(min(workers, len(jobs)), context, _start, (counter, stop))
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


def _start(counter: Any, stop: Any) -> None:
    be_quiet()
    _SHARED.update(counter=counter, stop=stop)


def be_quiet() -> None:
    """Keeps OpenCV and FFmpeg from writing into the line of progress; faults are told by us."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.setLogLevel(0) if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel(0)


def _work(work: Callable[[Any, Tell], Any], job: Any) -> Any:
    try:
        return work(job, _count)
    except StoppedError:
        return None


def _count(amount: int) -> None:
    """Adds to what is done; ends the work if the first process wants it."""
    if _SHARED["stop"].is_set():
        raise StoppedError
    with _SHARED["counter"].get_lock():
        _SHARED["counter"].value += amount
