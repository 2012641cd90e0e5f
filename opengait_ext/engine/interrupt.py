"""Signals that stop a run between two iterations instead of within one."""

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GRACE = 5.0  # seconds for an orderly end after a second signal


class Stopped(SystemExit):
    """A signal ended the run after its state was saved; the exit status is 128 + its number."""


class Interrupt:
    """Record SIGTERM and SIGINT while the context is open; a second signal ends the process.

    Python handles signals only between two bytecode instructions. Therefore a thread listens too:
    it ends the process some seconds after the second signal if nothing else has ended it.

    Attributes:
        number: The received signal, or 0.
    """

    def __init__(self) -> None:
        self.number = 0
        self._previous: dict[signal.Signals, Any] = {}
        self._is_left = threading.Event()

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # not allowed elsewhere
            for kind in _SIGNALS:
                self._previous[kind] = signal.signal(kind, self._note)
            self._ears, self._mouth = socket.socketpair()
            self._mouth.setblocking(False)
            self._woken = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_left.set()
        if self._previous:
            signal.set_wakeup_fd(self._woken)
            self._mouth.close()  # the thread reads end of file and ends
            self._listener.join(_GRACE)
        for kind, handler in self._previous.items():
            signal.signal(kind, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise SystemExit(128 + number)
        self.number = number
        logger.info(
            "%s: this iteration is finished and saved, then the run stops; "
            "once more stops at once, unsaved",
            signal.Signals(number).name,
        )

    def _listen(self) -> None:
        count = 0
        with self._ears:
            while received := self._ears.recv(1):
                if received[0] not in _SIGNALS:
                    continue
                count += 1
                if count > 1 and not self._is_left.wait(_GRACE):
                    _end_now(received[0])


def _end_now(number: int) -> None:
    """Kill this process and its loader processes at once."""
    name = signal.Signals(number).name
    os.write(2, f"\n{name} came again: ended at once; the last checkpoint holds\n".encode())
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(128 + number)


def ignore_signals() -> None:
    """Ignore signals in a loader process: a terminal sends them to all, the main one acts."""
    for kind in _SIGNALS:
        signal.signal(kind, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Block signals in this context; a process started meanwhile inherits the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
