"""Progress of counted work: a bar of tqdm on a terminal, a line now and then elsewhere."""

import sys
from types import TracebackType
from typing import TextIO

from opengait_ext.bars import Bar
from opengait_ext.escaping import escaped


class Progress:
    """Show how much of counted work is done, how fast, and how long it will take yet.

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
        self._bar = Bar(stream or sys.stderr, total, desc=escaped(label), unit=f" {unit}")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar.is_log:
            self._bar.refresh()
        self._bar.close()

    def add(self, amount: int = 1) -> None:
        """Count finished work."""
        self._bar.update(amount)

    @property
    def done(self) -> int:
        """Finished work; set to what an earlier run had finished, it does not count as speed."""
        return int(self._bar.n)

    @done.setter
    def done(self, amount: int) -> None:
        self._bar.n = self._bar.initial = amount
