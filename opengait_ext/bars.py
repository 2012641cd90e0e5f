"""The progress bar of tqdm as this package shows it: one for preparation and training."""

import threading
from typing import Any, TextIO

from tqdm import tqdm

_PAUSE = 0.1  # seconds between two states on a terminal
_LOG_PAUSE = 10.0  # and between two lines in a file or a pipe


class Bar(tqdm):
    """A bar on a terminal; elsewhere a line every ten seconds.

    Neither a thread nor a lock between processes is made for it: the pools fork or spawn beside.

    Args:
        stream: Where it is shown.
        total: Of all the work.
        **options: Of tqdm.
    """

    monitor_interval = 0  # the thread would only correct what miniters=1 does not need

    def __init__(self, stream: TextIO, total: int, **options: Any) -> None:
        self.is_log = not stream.isatty()
        if self.is_log:
            # Nothing is shown at the start, and the state at the end once, by `close`.
            shape = (
                "{desc}: {percentage:.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
            )
            options |= {"bar_format": shape, "leave": False, "delay": 1e-9}
        super().__init__(
            total=total,
            file=_Lines(stream) if self.is_log else stream,
            mininterval=_LOG_PAUSE if self.is_log else _PAUSE,
            miniters=1,
            smoothing=0,  # the rate of the whole: pools give their results in bursts
            dynamic_ncols=not self.is_log,
            **options,
        )


Bar.set_lock(threading.RLock())


class _Lines:
    """A stream of lines: what tqdm would write over the last state begins a new line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            self._stream.write(f"{text}\n")

    def flush(self) -> None:
        self._stream.flush()
