"""Faults of published data, as data: kind, place, value, expected, advice.

Readers note faults; callers sort them by kind. The sentence is composed only where it is shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from opengait_ext.errors import UserError
from opengait_ext.escaping import escaped

SHOWN = 20
_LONGEST = 80  # characters of a value


class SourceError(UserError):
    """The published data are faulty; the message names the places."""


class Kind(Enum):
    """The kinds of faults and oddities of published data."""

    # Lists
    UNREADABLE = auto()
    EMPTY = auto()
    MALFORMED = auto()
    OUT_OF_RANGE = auto()
    FOREIGN_FRAME = auto()
    WRONG_QUERY = auto()
    LISTED_TWICE = auto()
    IN_TWO_PARTS = auto()
    CONTRADICTION = auto()
    NO_ENTRY = auto()
    UNEQUAL_PAIR = auto()
    # Files
    NO_HOME = auto()
    MISSING = auto()
    MISSING_FAKE = auto()
    TWINS = auto()
    NO_IMAGES = auto()
    NO_FOLDER = auto()
    NO_TRACKLET = auto()
    UNUSABLE = auto()
    CARRIES_CODE = auto()
    OTHER_CHANNELS = auto()
    # The resulting partition
    NOTHING_LEFT = auto()
    NO_SIDE = auto()
    ONE_VIEW = auto()
    # Odd, but accepted
    NAME_TWICE = auto()
    IMAGE_TWICE = auto()
    OVERLAP = auto()
    MIXED_TRACKLETS = auto()
    UNUSED_NAMES = auto()
    OTHER_LETTERS = auto()
    UNLISTED_IMAGES = auto()
    UNLISTED_FOLDERS = auto()
    STRAY_IMAGES = auto()
    IGNORED_MEMBERS = auto()
    BACKSLASHES = auto()
    UNSORTED = auto()
    FRAMES_TWICE = auto()
    OTHER_NUMBERS = auto()
    QUERY_IN_GALLERY = auto()
    SINGLE_FRAMES = auto()
    UNUSED_ENTRIES = auto()


# Templates by kind, filled with the fields of the fault; "quoted" is the repr of the value, cut.
SENTENCES = {
    Kind.UNREADABLE: "cannot be read as text ({value})",
    Kind.EMPTY: "holds no line, expected tracklets; get the list again",
    Kind.MALFORMED: "{quoted}, expected {expected}",
    Kind.OUT_OF_RANGE: "{quoted}, expected {expected}",
    Kind.FOREIGN_FRAME: "covers {value} of another identity, modality or camera than {expected}",
    Kind.WRONG_QUERY: "{value}, expected: all infrared rows are listed, no visible one",
    Kind.LISTED_TWICE: "{value} is listed a second time",
    Kind.IN_TWO_PARTS: "is in {value}, expected in one of them",
    Kind.CONTRADICTION: "{value}, but {expected}",
    Kind.NO_ENTRY: "{value}, expected a list of paths",
    Kind.UNEQUAL_PAIR: "{value} frames, expected equally many, because training takes frames of "
    "the same numbers from both",
    Kind.NO_HOME: "none of its {value} is there",
    Kind.MISSING: "listed in {value}, but not there",
    Kind.MISSING_FAKE: "not there, but --fake-ir needs it (published names below {value}/ hold "
    "RGB; they must not be renamed)",
    Kind.TWINS: "which of this and {value} is {expected}? remove the other",
    Kind.NO_IMAGES: "holds no image, expected {expected}",
    Kind.NO_FOLDER: "listed in {value}, but has no folder",
    Kind.NO_TRACKLET: "listed in {value}, but not there",
    Kind.UNUSABLE: "{value}",
    Kind.CARRIES_CODE: "{value}",
    Kind.OTHER_CHANNELS: "has {value} channels, {expected}",
    Kind.NOTHING_LEFT: "no tracklet is left for {value}",
    Kind.NO_SIDE: "no {value} is there, of types {expected}",
    Kind.ONE_VIEW: "has the view {value!r} alone: without pairs of one view, which the protocol "
    "leaves out, there is nothing to measure",
    Kind.NAME_TWICE: "{value} is listed in line {expected}, too",
    Kind.IMAGE_TWICE: "{value} is the image of line {expected}, too",
    Kind.OVERLAP: "{value} frames belong to row {expected}, too; both rows are used",
    Kind.MIXED_TRACKLETS: "covers frames of the tracklets {value}",
    Kind.UNUSED_NAMES: "lines {value} belong to no row of {expected}",
    Kind.OTHER_LETTERS: "{value:,} names ({expected}) differ from the list in the case of letters",
    Kind.UNLISTED_IMAGES: "{value:,} images are in no list and are left out",
    Kind.UNLISTED_FOLDERS: "{value:,} identities are in no list and are left out",
    Kind.STRAY_IMAGES: "{value:,} images are in no entry of {expected} and are left out",
    Kind.IGNORED_MEMBERS: "{value:,} links or names that lead elsewhere are ignored",
    Kind.BACKSLASHES: "{value:,} paths with backslashes, read as /",
    Kind.UNSORTED: "{value:,} tracklets whose frame numbers do not ascend; their order is kept",
    Kind.FRAMES_TWICE: "{value:,} frames are listed twice in their tracklet",
    Kind.OTHER_NUMBERS: "{value:,} of {expected} pairs have other frame numbers in infrared",
    Kind.QUERY_IN_GALLERY: "{value:,} tracklets are in {expected}, too",
    Kind.SINGLE_FRAMES: "{value:,} tracklets have a single frame",
    Kind.UNUSED_ENTRIES: "{value:,} tracklets are in none of the lists that were read",
}
KINDS = list(Kind)
ACCEPTED = frozenset(KINDS[KINDS.index(Kind.NAME_TWICE) :])


@dataclass(frozen=True)
class Fault:
    """One fault or oddity.

    Args:
        kind: Kind of the fault.
        place: The file, image, tracklet or identity.
        value: What was found.
        expected: What was expected, in words.
        line: Line in the file, from 1; 0 for the whole file.
        advice: The remedy for all faults of this kind, a sentence; shown once.
    """

    kind: Kind
    place: str
    value: object = ""
    expected: object = ""
    line: int = 0
    advice: str = ""

    @property
    def where(self) -> str:
        """The place with its line, ``train_name.txt:3``."""
        return f"{self.place}:{self.line}" if self.line else self.place

    @property
    def what(self) -> str:
        """The sentence without the place."""
        quoted = short(self.value)
        return SENTENCES[self.kind].format(value=self.value, quoted=quoted, expected=self.expected)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Faults:
    """A collection of faults and oddities, so that all are shown at once.

    Attributes:
        found: All faults, in the order of the data.
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
        """Add one fault; the arguments are those of `Fault`."""
        self.found.append(Fault(kind, place, value, expected, line, advice))

    def refuse(self, head: str) -> None:
        """Raise one error that shows the number of faults, the first of them, and the advice.

        Args:
            head: Where the faults are: the start of the message.

        Raises:
            SourceError: If there is a fault that is not accepted.
        """
        faults = [fault for fault in self.found if fault.kind not in ACCEPTED]
        if faults:
            number = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
            text = listed(f"{head}: {number}, nothing was written", faults)
            advices = dict.fromkeys(fault.advice for fault in faults if fault.advice)
            raise SourceError("\n".join([text, *advices]))

    def remarks(self) -> Iterator[str]:
        """Yield a line for each kind and place of oddities: the first one, and how many more."""
        odd: dict[tuple[Kind, str], list[Fault]] = {}
        for fault in self.found:
            if fault.kind in ACCEPTED:
                odd.setdefault((fault.kind, fault.place), []).append(fault)
        for first, *others in odd.values():
            yield f"{first} (and {len(others):,} more such)" if others else str(first)


def short(value: object) -> str:
    """Return the repr of a value, cut if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(head: str, lines: Sequence[object]) -> str:
    """Return a heading, the first lines of a list, and the number of the others."""
    more = len(lines) - SHOWN
    rest = [f"and {more} more"] if more > 0 else []
    return "\n  ".join([head, *map(escaped, lines[:SHOWN]), *rest])
