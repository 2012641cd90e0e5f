"""Looks at many tracklets in several processes, whatever becomes of these processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from opengait_ext.errors import UserError
from opengait_ext.prepare.check.findings import FAULT, Finding
from opengait_ext.prepare.check.tracklets import Checked, Job, check_tracklet
from opengait_ext.prepare.work import Pool

AHEAD = 4  # tracklets a process are handed out at once: what a stop loses
MOST_DEAD = 20


def check_all(
    job_of: Callable[[int], Job], count: int, workers: int
) -> Iterator[tuple[int, Checked]]:
    """Looks at all tracklets; gives the position of each and what it holds, as they come.

    A process that an image ends (a fault of a decoder, or memory) is a finding like others: the
    tracklets it may have had are looked at one by one, each in a process of its own.

    Args:
        job_of: Gives the job of a position; asked when its turn comes, so that memory is saved.
        count: Number of positions.
        workers: Processes; 1 works in this one.

    Raises:
        UserError: If ever more processes are ended, for lack of memory as a rule.
    """
    if workers <= 1:
        yield from ((number, check_tracklet(job_of(number))) for number in range(count))
        return
    waiting = iter(range(count))
    dead = 0
    while True:
        running: dict[Future[Checked], int] = {}
        pool = Pool(workers)
        try:
            yield from _in_processes(job_of, waiting, pool, running, AHEAD * workers)
            return
        except BrokenProcessPool:
            suspects = sorted(running.values())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        for number in suspects:
            checked = _alone(job_of(number))
            dead += checked is None
            if dead > MOST_DEAD:
                raise UserError(
                    f"{dead} processes were ended from outside, for lack of memory as a rule; run "
                    "the same command again with fewer --workers: what is finished is kept"
                )
            yield number, checked or _ended(job_of(number))


def _in_processes(
    job_of: Callable[[int], Job],
    waiting: Iterator[int],
    pool: Pool,
    running: dict[Future[Checked], int],
    ahead: int,
) -> Iterator[tuple[int, Checked]]:
    """Keeps the pool busy; what is left in ``running`` when it breaks has no result."""
    while True:
        for number in waiting:
            try:
                running[pool.submit(check_tracklet, job_of(number))] = number
            except BrokenProcessPool:
                running[Future()] = number  # refused, but not to be forgotten
                raise
            if len(running) >= ahead:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            checked = future.result()
            yield running.pop(future), checked


def _alone(job: Job) -> Checked | None:
    """Looks at a tracklet in a process of its own; gives None if that ends."""
    with Pool(1) as pool:
        try:
            return pool.submit(check_tracklet, job).result()
        except BrokenProcessPool:
            return None


def _ended(job: Job) -> Checked:
    text = "the process that read it was ended (a fault of a decoder, or memory)"
    return Checked(findings=[Finding("images", FAULT, 1, [(job.key, text)])])
