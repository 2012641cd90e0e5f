"""Provenance of a result: versions, commit, time and config file."""

import platform
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..version import __version__

_PACKAGE = Path(__file__).parent.parent


def versions() -> dict[str, str]:
    """Return the versions of Python, of the numerical packages, and of this package."""
    from ..vision import torchvision

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "numpy": np.__version__,
        "opengait_ext": __version__,
    }


def commit() -> dict[str, Any] | None:
    """Return the commit of this package's checkout.

    Returns:
        ``{"hash": ..., "changed": ...}``, the latter whether files differ from the commit; None
        if the package is not in a git repository, or git is missing.
    """
    # A package installed inside another repository is not part of it.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    head = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
    return None if head is None else {"hash": head, "changed": bool(changes)}


def last_edit() -> int:
    """Return the latest modification time of this package's source files, in nanoseconds."""
    return max(path.stat().st_mtime_ns for path in _PACKAGE.rglob("*.py"))


def now() -> str:
    """Return the current time in ISO format, with the offset from UTC."""
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")


def config_file(command: list[str]) -> str:
    """Return the value of ``--cfgs`` on a command line, or an empty text."""
    for place, word in enumerate(command):
        if word == "--cfgs":
            return "".join(command[place + 1 : place + 2])
        if word.startswith("--cfgs="):
            return word.removeprefix("--cfgs=")
    return ""


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(_PACKAGE), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


class Watch:
    """Stopwatch of a test: start time and duration."""

    def __init__(self) -> None:
        self._started, self._begin = now(), time.perf_counter()

    def told(self) -> dict[str, Any]:
        """Return the entries for a record."""
        seconds = round(time.perf_counter() - self._begin, 1)
        return {"started": self._started, "finished": now(), "seconds": seconds}
