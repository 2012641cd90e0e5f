"""Stops a run between two iterations instead of in the middle of one."""

import logging
import signal
import threading
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(SystemExit):
    """A signal ended the run after its state was saved; the exit status is 128 + its number."""


class Interrupt:
    """Takes note of SIGTERM and SIGINT while the context is open; a second one ends at once.

    Attributes:
        number: The signal that came, or 0.
    """

    def __init__(self) -> None:
        self.number = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # nowhere else is it allowed
            for kind in _SIGNALS:
                self._previous[kind] = signal.signal(kind, self._note)
        return self

    def __exit__(self, *_: object) -> None:
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


def ignore_signals() -> None:
    """Leaves signals to the main process: a terminal sends them to the readers, too."""
    for kind in _SIGNALS:
        signal.signal(kind, signal.SIG_IGN)
