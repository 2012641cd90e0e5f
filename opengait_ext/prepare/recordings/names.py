"""Names in a user's own recordings: identities, cameras, the order of files; faults."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from opengait_ext import ordering
from opengait_ext.data.words import UNKNOWN, is_made_up, is_missing, is_nobody
from opengait_ext.errors import UserError
from opengait_ext.prepare.faults import listed

_NUMBERED = re.compile(r"[^0-9]*([0-9]{1,9})")
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_OURS = ("partition.json", "dropped.csv", "damaged.txt", "tracklets.csv")
_LONGEST = 100
_MANY = 1000


class OwnDataError(UserError):
    """A user's recordings are faulty; the message names the places."""


def told(error: Exception) -> str:
    """Return the message of an error, with its type if it was not written for users."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


class Faults:
    """A collection of faults, so that all of them are shown at once.

    Attributes:
        texts: The faults, at most a thousand.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Add one fault: place, value, what was expected."""
        if not self.are_many:
            self.texts.append(text)

    @property
    def are_many(self) -> bool:
        """Return whether there are so many faults that more would not help the user."""
        return len(self.texts) >= _MANY

    def raise_if_any(self, head: str) -> None:
        """Raise OwnDataError with the first faults and their number, if there are any."""
        if self.texts:
            raise OwnDataError(f"{head}: {self.shown()}\nNothing was written.")

    def shown(self) -> str:
        """Return the number of faults and the first ones, a line each."""
        least = "at least " if self.are_many else ""
        noun = "fault" if len(self.texts) == 1 else "faults"
        return listed(f"{least}{len(self.texts)} {noun}", self.texts)


def natural_key(name: str) -> tuple[Any, str]:
    """Return the sort key of a name without regard to case: ``2.jpg`` comes before ``10.jpg``."""
    return ordering.natural_key(name.lower()), name


def normal(name: str) -> str:
    """Return a name in one Unicode form (macOS stores accents as separate characters)."""
    return unicodedata.normalize("NFC", name.strip())


def pid_of(name: str) -> str:
    """Return the pid that a name or a field stands for; empty if the person is unknown."""
    return "" if is_nobody(name) else normal(name)


def camera_of(name: str) -> str:
    """Return the camera that a name or a field stands for; empty for a missing value."""
    return "" if is_missing(name) else normal(name)


def pid_fault(pid: str) -> str | None:
    """Return why a pid cannot name a folder on every system; None if it can."""
    if _UNSAFE.search(pid):
        return f'pid {pid!r} holds one of < > : " / \\ | ? * or a control character'
    if pid.startswith(".") or pid.endswith(".") or _RESERVED.fullmatch(pid) or pid in _OURS:
        return f"pid {pid!r} cannot name a folder on every system"
    if is_made_up(pid.lower()):
        return f"pid {pid!r}: names that begin with '{UNKNOWN}-' are kept for people without a pid"
    if len(pid) > _LONGEST:
        return f"pid {pid[:20]!r}... is longer than {_LONGEST} letters"
    return None


def check_people(pids: Iterable[str], faults: Faults) -> None:
    """Note every pid that cannot name a folder, and pids that may be two spellings of one."""
    folders: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for pid in sorted(set(pids) - {""}):
        fault = pid_fault(pid)
        if fault:
            faults.add(f"{fault}; rename it")
        twin = folders.setdefault(pid.lower(), pid)
        if twin != pid:
            faults.add(
                f"pids {twin!r} and {pid!r} would share a folder on Windows and macOS; rename one"
            )
            continue
        twin = numbers.setdefault(_without_padding(pid), pid)
        if twin != pid:
            faults.add(
                f"pids {twin!r} and {pid!r} differ only in leading zeros or '.0'; write one "
                "person's pid in one way, or rename one of two people"
            )


def _without_padding(pid: str) -> str:
    """Return a pid with its numbers shortened as a spreadsheet or pandas would."""
    whole = re.sub(r"(?<=[0-9])\.0+$", "", pid.lower())
    return re.sub(r"(?<![0-9.])0+(?=[0-9])", "", whole)


def number_cameras(names: Iterable[str]) -> dict[str, int]:
    """Return a number for every camera.

    Names with one number, at their end (``cam2``, ``D10``, ``7``), keep it if all names have one
    and all numbers differ. Otherwise the cameras are numbered from 1 in natural order.

    Args:
        names: Names of the cameras; one name in both modalities is one camera.
    """
    ordered = sorted(set(names), key=natural_key)
    matches = [_NUMBERED.fullmatch(name) for name in ordered]
    numbers = [int(match[1]) for match in matches if match]
    if len(set(numbers)) < len(ordered):
        numbers = list(range(1, len(ordered) + 1))
    return dict(zip(ordered, numbers, strict=True))
