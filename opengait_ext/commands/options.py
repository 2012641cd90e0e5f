"""Types of options that several commands share."""

from argparse import ArgumentTypeError

from ..data.words import WORDS, modality_of


def modality(word: str) -> str:
    """Return ``visible`` or ``infrared`` for any known word for a modality.

    Raises:
        ArgumentTypeError: If the word is unknown.
    """
    found = modality_of(word)
    if found is None:
        raise ArgumentTypeError(f"{word!r}, expected one of {WORDS}")
    return found


def among(word: str) -> str:
    """Return ``other``, ``any``, ``visible`` or ``infrared``.

    Raises:
        ArgumentTypeError: If the word is none of these, nor another word for a modality.
    """
    if word in ("other", "any"):
        return word
    found = modality_of(word)
    if found is None:
        raise ArgumentTypeError(f"{word!r}, expected other, any or one of {WORDS}")
    return found
