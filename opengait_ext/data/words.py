"""The words that users write for the modalities, and for a person whom nobody knows.

One vocabulary for preparation, commands and the Python interface. Needs the standard library only.
"""

from opengait_ext.data.partition_faults import INFRARED, VISIBLE

MODALITY_WORDS = {
    **dict.fromkeys(("rgb", "visible", "vis", "color", "colour"), VISIBLE),
    **dict.fromkeys(("ir", "infrared", "nir", "thermal"), INFRARED),
}
WORDS = ", ".join(MODALITY_WORDS)
UNKNOWN = "unknown"  # begins the made-up pids of people without one
# What tables and re-ID lists hold in the place of a value that is missing. As pids they would make
# one person of many strangers.
_MISSING = {"", "-1", "-1.0", "nan", "none", "null", "na", "n/a", "#n/a", "<na>"}


def modality_of(word: str) -> str | None:
    """Return ``visible`` or ``infrared`` for a word that means it, or None.

    Args:
        word: In any case, with or without blanks around it.
    """
    return MODALITY_WORDS.get(word.strip().lower())


def is_missing(word: str) -> bool:
    """Whether a field holds no value: empty, ``-1``, ``nan``, ``None``, ``null``, ``NA``."""
    return word.strip().lower() in _MISSING


def is_nobody(word: str) -> bool:
    """Whether a word in the place of a pid means that nobody knows the person."""
    return is_missing(word) or word.strip().lower() == UNKNOWN


def is_made_up(pid: str) -> bool:
    """Whether a pid is the name that preparation gives to somebody unknown, ``unknown-00017``."""
    return pid == UNKNOWN or pid.startswith(f"{UNKNOWN}-")
