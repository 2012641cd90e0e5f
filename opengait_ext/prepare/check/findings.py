"""The checks of a data set by name, and their findings."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from opengait_ext.escaping import escaped

FAULT, WARNING = "fault", "warning"
KEPT = 50  # examples per severity and check in the report

CHECKS = {
    "files": "every listed file is there",
    "images": "every image opens and decodes completely",
    "ranges": "frame ranges and counts fit the names and files",
    "names": "identity, camera and modality of names and rows agree",
    "identities": "no identity is in two splits",
    "queries": "queries and galleries are of the expected modality",
    "matches": "every query has a match under the camera rule",
    "lengths": "no tracklet is shorter than the protocol needs",
    "duplicates": "no frame and no tracklet is there twice",
    "official": "the counts are the official ones",
    "stray": "no other files lie between the data",
    "digest": "lists and frames are those of this digest",
    "lists": "the lists can be read and follow their form",
    "empty": "no file and no tracklet is empty",
    "pixels": "infrared frames are gray, visible ones are not",
    "sides": "identities are seen in both modalities",
    "safety": "files hold images only: no code, no odd archive members",
    "contrast": "frames show something: no empty ones, no 16 bits cut to 8",
}


@dataclass(frozen=True)
class Finding:
    """One or several findings of one kind from one check.

    Args:
        check: Name of the check, of ``CHECKS``.
        severity: ``FAULT`` or ``WARNING``.
        count: Number of findings.
        examples: Place (below the root of the data) and text of the first ones.
    """

    check: str
    severity: str
    count: int
    examples: list[tuple[str, str]]


@dataclass
class Result:
    """The result of one check.

    Args:
        counts: Number of faults and of warnings.
        examples: The first faults and warnings, in the order of the data.
        numbers: Further counts for the report.
        note: A remark for the table.
    """

    counts: dict[str, int] = field(default_factory=lambda: {FAULT: 0, WARNING: 0})
    examples: dict[str, list[tuple[str, str]]] = field(
        default_factory=lambda: {FAULT: [], WARNING: []}
    )
    numbers: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def severity(self) -> str:
        """Return ``fault``, ``warning`` or ``ok``."""
        return next((s for s in (FAULT, WARNING) if self.counts[s]), "ok")

    @property
    def count(self) -> int:
        """Return the number of findings at the severity of the check."""
        return self.counts.get(self.severity, 0)

    @property
    def first(self) -> str:
        """Return the first example at the severity of the check, or the note."""
        examples = self.examples.get(self.severity)
        return ": ".join(examples[0]) if examples else self.note


class Findings:
    """The findings by check; those added first are shown first."""

    def __init__(self) -> None:
        self.results = {check: Result() for check in CHECKS}

    def add(self, check: str, severity: str, place: str, text: str, count: int = 1) -> None:
        """Add findings of one kind: the place, and a text with fault and expectation."""
        self.extend([Finding(check, severity, count, [(place, text)])])

    def fault(self, check: str, place: str, text: str) -> None:
        """Add one fault."""
        self.add(check, FAULT, place, text)

    def warn(self, check: str, place: str, text: str) -> None:
        """Add one warning."""
        self.add(check, WARNING, place, text)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings; only the first ``KEPT`` examples are kept."""
        for found in findings:
            result = self.results[found.check]
            result.counts[found.severity] += found.count
            examples = result.examples[found.severity]
            examples += map(tuple, found.examples[: KEPT - len(examples)])  # type: ignore[arg-type]

    def has(self, severity: str) -> bool:
        """Return whether any check has findings of this severity."""
        return any(result.counts[severity] for result in self.results.values())

    @property
    def severity(self) -> str:
        """Return the worst severity of all checks: ``fault``, ``warning`` or ``ok``."""
        return next((s for s in (FAULT, WARNING) if self.has(s)), "ok")


def as_plain(found: Finding) -> dict[str, Any]:
    """Return a finding as plain data for JSON."""
    return asdict(found)


def printable(text: str) -> str:
    """Return a text from the data with control characters escaped, which a terminal would obey."""
    return escaped(text)
