"""A line of progress for preparation scripts: how much is done, how fast, how long yet."""

import sys
import time
from types import TracebackType
from typing import TextIO


class Progress:
    """Shows the progress of counted work: one line that renews itself, or a line now and then.

    On a terminal the line is rewritten ten times a second; into a file or a pipe a new line is
    written every ten seconds, and one at the end.

        with Progress(len(jobs), "preparing", "frames") as progress:
            for job in jobs:
                progress.add(do(job))

    Args:
        total: Of all the work, in the unit.
        label: What is being done, at the start of the line.
        unit: What is counted, plural.
        stream: Where to; standard error by default, so that results can be piped.
    """

    def __init__(self, total: int, label: str, unit: str, stream: TextIO | None = None) -> None:
        self.total, self.label, self.unit = total, label, unit
        self.stream = sys.stderr if stream is None else stream
        self.done = 0
        self._is_terminal = self.stream.isatty()
        self._pause = 0.1 if self._is_terminal else 10.0
        self._start = self._shown = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._show(last=True)

    def add(self, amount: int = 1) -> None:
        """Counts finished work."""
        self.done += amount
        if time.monotonic() - self._shown >= self._pause:
            self._show(last=False)

    def line(self) -> str:
        """Gives ``preparing  1,200 of 3,000 frames (40 %), 600 a second, 0:03 left``."""
        seconds = time.monotonic() - self._start
        rate = self.done / seconds if seconds > 0 else 0.0
        share = self.done / self.total if self.total else 1.0
        text = f"{self.label}  {self.done:,} of {self.total:,} {self.unit} ({share:.0%})"
        if self.done >= self.total or rate == 0.0:
            return f"{text}, {rate:,.0f} a second, {_clock(seconds)} in all"
        return f"{text}, {rate:,.0f} a second, {_clock((self.total - self.done) / rate)} left"

    def _show(self, last: bool) -> None:
        self._shown = time.monotonic()
        if self._is_terminal:
            self.stream.write("\r\x1b[K" + self.line() + ("\n" if last else ""))
        else:
            self.stream.write(self.line() + "\n")
        self.stream.flush()


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
