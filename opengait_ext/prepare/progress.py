"""Progress of counted work: a tqdm bar on a terminal, an occasional line elsewhere."""

import sys
from types import TracebackType
from typing import TextIO

from opengait_ext.bars import Bar
from opengait_ext.escaping import escaped


class Progress:
    """Show how much of the work is done, its rate, and the remaining time.

        with Progress(len(jobs), "preparing", "frames") as progress:
            for job in jobs:
                progress.add(do(job))

    Args:
        total: Amount of all the work, in the unit.
        label: Name of the work, at the start of the line.
        unit: What is counted, plural.
        stream: Output stream; standard error by default, so that results can be piped.
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
        """Add to the amount of finished work."""
        self._bar.update(amount)

    @property
    def done(self) -> int:
        """Finished work. Set it to what an earlier run finished, which is not part of the rate."""
        return int(self._bar.n)

    @done.setter
    def done(self, amount: int) -> None:
        self._bar.n = self._bar.initial = amount
