"""Progress of a run: log lines, and a bar on a terminal."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from ..bars import Bar
from ..edge import explained, placed
from ..escaping import Formatter

logger = logging.getLogger(__name__)

_FORM = "[%(asctime)s] [%(levelname)s]: %(message)s"
_PAUSE = 0.2  # seconds between two updates of the bar
_SHAPE = "{percentage:3.0f}%|{bar:20}| {desc}"


class LiveLine:
    """Progress bar with a text behind it; silent if the stream is not a terminal.

    Args:
        stream: Stream to write to; None: standard error.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.active = self.stream.isatty()
        self._bar: Bar | None = None
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Return whether the bar is due for an update."""
        return self.active and time.monotonic() >= self._next

    def show(self, text: str, done: int, total: int) -> None:
        """Show a new state in place of the old one.

        Args:
            text: Text behind the bar.
            done: Finished units of work.
            total: All units of work.
        """
        if not self.active:
            return
        if self._bar is None:
            self._bar = Bar(
                self.stream, total, initial=done, bar_format=_SHAPE, leave=False, delay=1e-9
            )
        self._bar.total, self._bar.n = total, done
        self._bar.set_description_str(text, refresh=False)
        self._bar.refresh()
        self._next = time.monotonic() + _PAUSE

    def clear(self) -> None:
        """Clear the bar, so that other output can be written."""
        if self._bar is not None:
            self._bar.delay = 0  # it has been shown
            self._bar.close()
            self._bar = None


class _Console(logging.Handler):
    """Console handler that writes records above the bar, without those that the bar shows."""

    def __init__(self, live: LiveLine) -> None:
        super().__init__()
        self.live = live

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if self.live.active and getattr(record, "live", False):
            return
        self.live.clear()
        self.live.stream.write(self.format(record) + "\n")
        self.live.stream.flush()


class _LogFile(logging.FileHandler):
    """Log file that loses lines on a full disk instead of stopping the run."""

    _fails = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Report the error once, on the console."""
        fault = sys.exc_info()[1]
        if not self._fails and isinstance(fault, OSError):
            self._fails = True
            place = placed(fault, self.baseFilename)
            logger.warning("%s. The log goes on without the file", explained(place))


@contextmanager
def logging_to(folder: Path | None, live: LiveLine, rank: int = 0) -> Iterator[None]:
    """Send this package's log to the console and, if there is a folder, to a file.

    A program that configured logging itself keeps its own console handler.

    Args:
        folder: Folder of ``<date-time>.txt``; None: no file.
        live: The bar, which log lines must not break.
        rank: Index of this process; the first one logs reports, the others only warnings.
    """
    logger = logging.getLogger("opengait_ext")
    form = Formatter(_FORM, "%Y-%m-%d %H:%M:%S")
    handlers: list[logging.Handler] = []
    if not logging.getLogger().handlers:
        handlers.append(_Console(live))
    if folder is not None and rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        name = datetime.now().strftime("%Y-%m-%d-%H-%M-%S.txt")
        handlers.append(_LogFile(folder / name, encoding="utf-8"))
    level = logger.level
    logger.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    for handler in handlers:
        handler.setFormatter(form)
        logger.addHandler(handler)
    try:
        yield
    finally:
        live.clear()
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            with suppress(OSError):
                handler.close()


class Clock:
    """Clock for the speed of a run; only the time passed to `add` counts.

    Args:
        total: Units of all the work.
        done: Units finished before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self.done = done
        self._before = done
        self._seconds = 0.0

    def add(self, units: int, seconds: float) -> None:
        """Add finished units and the seconds they took."""
        self.done += units
        self._seconds += seconds

    @property
    def rate(self) -> float:
        """Return the speed in units per second."""
        return (self.done - self._before) / max(self._seconds, 1e-9)

    @property
    def left(self) -> str:
        """Return the expected remaining time, as text."""
        return duration((self.total - self.done) / self.rate) if self.rate else "?"


def duration(seconds: float) -> str:
    """Return a time as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
