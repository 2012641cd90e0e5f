"""A clock that only tests move, so that what is faster does not hang on what else runs."""

from types import SimpleNamespace

from opengait_ext.engine import compiled


class Clock:
    """Seconds; forms of a part that are to be slow let some of them pass."""

    def __init__(self):
        self.seconds = 0.0

    def passes(self, seconds):
        """Let seconds pass."""
        self.seconds += seconds

    def put_in(self, monkeypatch):
        """Let the engine time forms by this clock, from zero."""
        self.seconds = 0.0
        monkeypatch.setattr(compiled, "time", SimpleNamespace(perf_counter=lambda: self.seconds))


CLOCK = Clock()
