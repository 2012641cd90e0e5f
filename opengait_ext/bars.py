"""Progress bars of preparation and training, based on tqdm."""

import threading
from typing import Any, TextIO

from tqdm import tqdm

_PAUSE = 0.1  # seconds between two states on a terminal
_LOG_PAUSE = 10.0  # seconds between two lines in a file or a pipe


class Bar(tqdm):
    """Progress bar on a terminal; elsewhere a line every ten seconds.

    It uses no thread and no lock between processes, because process pools fork or spawn meanwhile.

    Args:
        stream: Output stream.
        total: Total number of steps.
        **options: Options of tqdm.
    """

    monitor_interval = 0  # no monitor thread: miniters=1 does not need one

    def __init__(self, stream: TextIO, total: int, **options: Any) -> None:
        self.is_log = not stream.isatty()
        if self.is_log:
            # Show nothing at the start, and the final state once, by `close`.
            shape = (
                "{desc}: {percentage:.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
            )
            options |= {"bar_format": shape, "leave": False, "delay": 1e-9}
        super().__init__(
            total=total,
            file=_Lines(stream) if self.is_log else stream,
            mininterval=_LOG_PAUSE if self.is_log else _PAUSE,
            miniters=1,
            smoothing=0,  # the mean rate, because pools return their results in bursts
            dynamic_ncols=not self.is_log,
            **options,
        )


Bar.set_lock(threading.RLock())


class _Lines:
    """Stream that starts a new line where tqdm would overwrite the last state."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            self._stream.write(f"{text}\n")

    def flush(self) -> None:
        self._stream.flush()
