"""Immediate end on Ctrl-C while a command imports. Has no slow imports itself."""

import os
import signal
from typing import Any

STOPPED = 130


def end_at_once(number: int, frame: Any) -> None:
    """Handle SIGINT while nothing has started yet: print one line and exit."""
    os.write(2, b"\nstopped\n")
    os._exit(STOPPED)


def be_quiet_from_here() -> None:
    """End at once on Ctrl-C from now on; `edge.status_of` restores Python's handler."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
