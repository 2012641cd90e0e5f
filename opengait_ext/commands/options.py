"""Values of options that several commands take."""

from argparse import ArgumentTypeError

from ..data.words import WORDS, modality_of


def modality(word: str) -> str:
    """Return ``visible`` or ``infrared`` for any word of the vocabulary.

    Raises:
        ArgumentTypeError: If the word is none of it.
    """
    found = modality_of(word)
    if found is None:
        raise ArgumentTypeError(f"{word!r}, expected one of {WORDS}")
    return found


def among(word: str) -> str:
    """Return ``other``, ``any``, ``visible`` or ``infrared``.

    Raises:
        ArgumentTypeError: If the word is none of these, or of the vocabulary of modalities.
    """
    if word in ("other", "any"):
        return word
    found = modality_of(word)
    if found is None:
        raise ArgumentTypeError(f"{word!r}, expected other, any or one of {WORDS}")
    return found
