"""Words that users write for modalities and for an unknown person.

Preparation, commands and the Python interface share this vocabulary. Needs the standard library
only.
"""

from opengait_ext.data.partition_faults import INFRARED, VISIBLE

MODALITY_WORDS = {
    **dict.fromkeys(("rgb", "visible", "vis", "color", "colour"), VISIBLE),
    **dict.fromkeys(("ir", "infrared", "nir", "thermal"), INFRARED),
}
WORDS = ", ".join(MODALITY_WORDS)
UNKNOWN = "unknown"  # prefix of the pids generated for unknown people
# Markers of a missing value in tables and re-ID lists. As pids they would merge many strangers
# into one person.
_MISSING = {"", "-1", "-1.0", "nan", "none", "null", "na", "n/a", "#n/a", "<na>"}


def modality_of(word: str) -> str | None:
    """Return the modality that a word means, ``visible`` or ``infrared``; None for other words.

    Args:
        word: The word; case and surrounding blanks do not matter.
    """
    return MODALITY_WORDS.get(word.strip().lower())


def is_missing(word: str) -> bool:
    """Return whether a field holds no value: empty, ``-1``, ``nan``, ``None``, ``null``, ``NA``."""
    return word.strip().lower() in _MISSING


def is_nobody(word: str) -> bool:
    """Return whether a word in place of a pid means an unknown person."""
    return is_missing(word) or word.strip().lower() == UNKNOWN


def is_made_up(pid: str) -> bool:
    """Return whether a pid was generated for an unknown person, such as ``unknown-00017``."""
    return pid == UNKNOWN or pid.startswith(f"{UNKNOWN}-")
