"""The note of the best checkpoint: ``{"iteration": ..., "score": ..., "measured_on": ...}``."""

import json
from pathlib import Path
from typing import Any


def noted_in(path: Path) -> dict[str, Any] | None:
    """Return the note in a file; None if the file holds no valid note."""
    try:
        return checked_note(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def checked_note(note: Any) -> dict[str, Any] | None:
    """Return the note if it is valid, else None."""
    if not isinstance(note, dict):
        return None
    iteration, score = note.get("iteration"), note.get("score")
    is_note = isinstance(iteration, int) and isinstance(score, (int, float))
    return note if is_note and isinstance(note.get("measured_on"), str) else None
