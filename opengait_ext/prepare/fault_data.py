"""Faults of published data, as data: kind, place, value, what was expected, what to do.

Readers note faults; whoever needs them sorts them by kind. The sentence is made where it is shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from opengait_ext.prepare.faults import SourceError, listed

_LONGEST = 80  # letters of a value


class Kind(Enum):
    """What can be wrong, or odd, with published data."""

    EMPTY = auto()
    MALFORMED = auto()
    OUT_OF_RANGE = auto()
    CONTRADICTION = auto()
    FOREIGN_FRAME = auto()
    LISTED_TWICE = auto()
    IN_TWO_PARTS = auto()
    MISSING = auto()
    TWINS = auto()
    NO_IMAGES = auto()
    # Odd, but accepted
    UNUSED_NAMES = auto()
    UNLISTED_IMAGES = auto()
    UNLISTED_FOLDERS = auto()
    ONE_CAMERA = auto()


SENTENCES = {
    Kind.EMPTY: "holds no line, expected tracklets; get the list again",
    Kind.MALFORMED: "{quoted}, expected {expected}",
    Kind.OUT_OF_RANGE: "{quoted}, expected {expected}",
    Kind.CONTRADICTION: "{value}, but {expected}",
    Kind.FOREIGN_FRAME: "covers {value} of another identity, modality or camera than {expected}",
    Kind.LISTED_TWICE: "{value} is listed a second time",
    Kind.IN_TWO_PARTS: "is in {value}, expected in one of them",
    Kind.MISSING: "listed in {value}, but not there",
    Kind.TWINS: "which of this and {value} is {expected}? remove the other",
    Kind.NO_IMAGES: "holds no image, expected {expected}",
    Kind.UNUSED_NAMES: "lines {value} belong to no row of {expected}",
    Kind.UNLISTED_IMAGES: "{value:,} images are in no list and are left out",
    Kind.UNLISTED_FOLDERS: "{value:,} identities are in no list and are left out",
    Kind.ONE_CAMERA: "{value:,} identities are seen by one camera; they are left out",
}
KINDS = list(Kind)
ACCEPTED = frozenset(KINDS[KINDS.index(Kind.UNUSED_NAMES) :])


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong or odd.

    Args:
        kind: What.
        place: The file, image, tracklet or identity.
        value: What is there.
        expected: What should be there, in words.
        line: Of the file, from 1; 0 for the whole of it.
        advice: What helps against all faults of this kind, a sentence; told once.
    """

    kind: Kind
    place: str
    value: object = ""
    expected: object = ""
    line: int = 0
    advice: str = ""

    def __str__(self) -> str:
        where = f"{self.place}:{self.line}" if self.line else self.place
        quoted = repr(self.value)
        quoted = quoted if len(quoted) <= _LONGEST else f"{quoted[: _LONGEST - 3]}..."
        fields = {"value": self.value, "quoted": quoted, "expected": self.expected}
        return f"{where}: {SENTENCES[self.kind].format(**fields)}"


class Faults:
    """Collects what is wrong or odd, so that all of it is shown at once.

    Attributes:
        found: In the order of the data.
    """

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(
        self,
        kind: Kind,
        place: str,
        value: object = "",
        expected: object = "",
        line: int = 0,
        advice: str = "",
    ) -> None:
        """Note one fault."""
        self.found.append(Fault(kind, place, value, expected, line, advice))

    def refuse(self, head: str) -> None:
        """Raise SourceError with the first faults, their number and what helps, if there are any.

        Args:
            head: Where all of them are.
        """
        faults = [fault for fault in self.found if fault.kind not in ACCEPTED]
        if faults:
            text = listed(f"{head}: {len(faults)} faults, nothing was written", [*map(str, faults)])
            advices = dict.fromkeys(fault.advice for fault in faults if fault.advice)
            raise SourceError("\n".join([text, *advices]))

    def remarks(self) -> Iterator[str]:
        """Return a line for every kind that is odd and accepted: the first, and how many more."""
        for kind in KINDS:
            odd = [fault for fault in self.found if fault.kind is kind and kind in ACCEPTED]
            if odd:
                more = f" (and {len(odd) - 1:,} more such)" if len(odd) > 1 else ""
                yield f"{odd[0]}{more}"
