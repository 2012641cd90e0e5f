"""Reports of a training run: progress line, curves and images."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .objective import Terms
from .progress import Clock, LiveLine
from .summary import Summary, numbers_of

logger = logging.getLogger(__name__)


class Journal:
    """Collector of the numbers of each iteration that reports their means.

    Args:
        total: Iterations of the whole run.
        every: Iterations between two reports: a log line and a point of each curve.
        done: Iterations finished before.
        leads: Whether this process reports.
        summary: Writer of curves and images; None: none are written.
        live: The progress bar.
    """

    def __init__(
        self,
        total: int,
        every: int,
        done: int,
        leads: bool,
        summary: Summary | None,
        live: LiveLine,
    ) -> None:
        self.every = every
        self.leads = leads
        self.summary = summary
        self.live = live
        self._clock = Clock(total, done)
        self._interval = _Interval()
        self._start = self._waited = 0.0

    def begins(self) -> None:
        """Record that an iteration begins: it waits for its batch."""
        self._start = time.perf_counter()

    def has_batch(self) -> None:
        """Record that the batch has arrived."""
        self._waited = time.perf_counter() - self._start

    def ends(
        self,
        terms: Terms,
        visual_summary: Mapping[str, Any],
        gradient_norm: Tensor | None,
        tracklets: int,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Record that an iteration ended, and report if it is time to.

        Args:
            terms: The losses.
            visual_summary: The model's output of that name.
            gradient_norm: Norm of the gradient; None if it was not measured.
            tracklets: Number of tracklets in the batches of all processes.
            optimizer: The optimizer, for its learning rates.
        """
        numbers = {f"loss/{name}": loss for name, loss in terms.losses.items()}
        numbers |= terms.info | numbers_of(visual_summary)
        if gradient_norm is not None:
            numbers["gradient_norm"] = gradient_norm
        seconds = time.perf_counter() - self._start
        self._clock.add(1, seconds)
        self._interval.add({"loss/total": terms.total.detach(), **numbers}, tracklets)
        self._interval.seconds += seconds
        self._interval.waited += self._waited
        due = self._clock.done % self.every == 0 or self._clock.done == self._clock.total
        if self.leads and (due or self.live.due):
            means = self._interval.means()
            self.live.show(self._line(means), self._clock.done, self._clock.total)
            if due:
                logger.info("%s", self._line(means), extra={"live": True})
                self._draw(means, visual_summary, optimizer)
        if due:
            self._interval = _Interval()

    def tested(self, numbers: Mapping[str, float]) -> None:
        """Add the results of a test to the curves."""
        if self.summary:
            self.summary.scalars(numbers, self._clock.done)

    def close(self) -> None:
        """Clear the progress bar."""
        self.live.clear()

    def _draw(
        self,
        means: Mapping[str, float],
        visual_summary: Mapping[str, Any],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        if not self.summary:
            return
        rates = {
            f"learning_rate/{number}" if number else "learning_rate": float(entry["lr"])
            for number, entry in enumerate(optimizer.param_groups)
        }
        self.summary.scalars({**means, **rates}, self._clock.done)
        self.summary.images(visual_summary, self._clock.done)

    def _line(self, means: Mapping[str, float]) -> str:
        losses = ", ".join(
            f"{name.removeprefix('loss/')} {value:.3f}"
            for name, value in means.items()
            if name.startswith("loss/") and name != "loss/total"
        )
        return (
            f"iteration {self._clock.done}/{self._clock.total}  "
            f"loss {means['loss/total']:.3f} ({losses})  "
            f"data wait {100 * means['data_wait']:.0f} %  "
            f"{means['tracklets_per_second']:.1f} tracklets/s  {self._clock.left} left"
        )


class _Interval:
    """Sums since the last log line; they stay on the device until they are reported."""

    def __init__(self) -> None:
        self.seconds = self.waited = 0.0
        self._tracklets = 0
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, numbers: Mapping[str, Tensor], tracklets: int) -> None:
        self._tracklets += tracklets
        for name, number in numbers.items():
            self._sums[name] = self._sums[name] + number if name in self._sums else number.clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        return {
            **{name: float(total) / self._counts[name] for name, total in self._sums.items()},
            "data_wait": self.waited / self.seconds,
            "tracklets_per_second": self._tracklets / self.seconds,
        }
