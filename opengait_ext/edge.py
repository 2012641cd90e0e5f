"""Error handling of every command: one line for errors that a user can fix, and the exit status.

Needs the standard library only, so that it is available before slow imports.
"""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import UserError
from .escaping import escaped_output, told
from .quiet import STOPPED, end_at_once

_SPACE = "free some space (df -h shows where), then start the same command again"
_RIGHTS = "this user may not do that there; correct the rights of the folder, or choose another"
_FILES = "raise the limit (ulimit -n 4096), or take fewer workers"
_MEMORY = "the system has no memory left; take fewer workers or smaller batches"
_DISK = "the disk or the network behind it does not answer; look at it, then start again"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _MEMORY,
    errno.EIO: _DISK,
    errno.ESTALE: _DISK,
    errno.EEXIST: "a file stands where a folder is needed; rename it",
    errno.ENOTDIR: "a file stands where a folder is needed; rename it",
    errno.EISDIR: "a folder stands where a file is needed; rename it",
    errno.EFBIG: "the file grows beyond what is allowed (ulimit -f)",
}


def status_of(
    work: Callable[[], int | bool | None],
    stopped: str = "stopped",
    misuse: tuple[type[Exception], ...] = (),
) -> int:
    """Run a command and return its exit status.

    Args:
        work: The command; returns its status, or False if it found and reported faults.
        stopped: Message after Ctrl-C.
        misuse: Errors that count as misuse of the command line.

    Returns:
        0 done, 1 error, 2 misuse, 130 stopped.
    """
    if signal.getsignal(signal.SIGINT) is end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            with escaped_output():
                result = work()
            if result is None or isinstance(result, bool):
                return int(result is False)
            return result
        finally:
            sys.stdout.flush()  # here, where a full disk or a closed pipe can still be reported
    except misuse as fault:
        return _ended(told(fault), 2)
    except UserError as fault:
        return _ended(told(fault), 1)
    except BrokenPipeError:
        _drop_output(sys.stdout)
        return _ended("who read the output is gone (a pipe to head?); write it to a file", 1)
    except OSError as fault:
        _drop_output(sys.stdout)
        return _ended(told(explained(fault)), 1)
    except MemoryError as fault:
        return _ended(f"out of memory ({fault or 'no more said'}): {_MEMORY}", 1)
    except KeyboardInterrupt:
        return _ended(stopped, STOPPED)


def explained(fault: OSError) -> str:
    """Return the message for a system error: place, cause, remedy."""
    place = f"{os.fsdecode(fault.filename)}: " if isinstance(fault.filename, (str, bytes)) else ""
    text = fault.strerror or str(fault) or type(fault).__name__
    remedy = _REMEDIES.get(fault.errno or 0)
    return f"{place}{text}" + (f": {remedy}" if remedy else "")


def placed(fault: OSError, path: str | Path) -> OSError:
    """Return a system error that names the user's file instead of a temporary one."""
    return OSError(fault.errno, fault.strerror or str(fault), str(path))


@contextmanager
def quiet_imports() -> Iterator[None]:
    """End the process at once on Ctrl-C: an interrupted import hides it, or prints a traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, end_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ended(message: str, status: int) -> int:
    """Print the message of a command that failed and return the exit status."""
    try:
        sys.stderr.write(f"\n{message}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # stderr is closed
        _drop_output(sys.stderr)
    return status


def _drop_output(stream: Any) -> None:
    """Discard unwritten output, because Python would report the failure again at exit."""
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
