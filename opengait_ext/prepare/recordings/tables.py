"""Reader of a user's CSV files: any usual separator, columns by name, faults with line numbers."""

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from opengait_ext.prepare.recordings.names import Faults, OwnDataError

_SEPARATORS = (",", ";", "\t")


class Table:
    """The rows of a CSV file with a header.

        for line, (folder, pid) in Table(path, ("folder",), ("pid",), faults): ...

    Args:
        path: The file; UTF-8, separated by commas, semicolons or tabs.
        needed: Required columns.
        optional: Columns that may be missing; then their values are empty.
        faults: Collects rows that are too short.

    Raises:
        OwnDataError: If the file cannot be read, or a required column is missing.
    """

    def __init__(
        self, path: Path, needed: Sequence[str], optional: Sequence[str], faults: Faults
    ) -> None:
        self.path, self._faults = path, faults
        first = next(read_lines(path), "")
        self._separator = max(_SEPARATORS, key=first.count)
        self.header = [name.strip().lower() for name in first.split(self._separator)]
        self.header = [name.strip('"') for name in self.header]
        missing = [name for name in needed if name not in self.header]
        if missing:
            raise OwnDataError(
                f"{path}: no column {', '.join(map(repr, missing))} in its first line, which "
                f"reads {first[:200]!r}; expected {', '.join((*needed, *optional))}"
            )
        self._names = (*needed, *optional)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the stripped values, required columns first."""
        places = [self.header.index(n) if n in self.header else -1 for n in self._names]
        reader = csv.reader(read_lines(self.path), delimiter=self._separator)
        try:
            next(reader, None)
            for row in reader:
                if len(row) == len(self.header):
                    yield reader.line_num, [row[p].strip() if p >= 0 else "" for p in places]
                elif any(field.strip() for field in row):
                    self._faults.add(
                        f"{self.path}:{reader.line_num}: {len(row)} fields, expected "
                        f"{len(self.header)} as in the first line"
                    )
                    if self._faults.are_many:
                        return
        except csv.Error as error:
            raise OwnDataError(f"{self.path}:{reader.line_num}: {error}") from error


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        OwnDataError: If the file is missing or not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise OwnDataError(f"{path}: is not UTF-8 text ({error}); save it as UTF-8") from error
    except OSError as error:
        raise OwnDataError(f"{path}: cannot be read ({error})") from error


def number_of(text: str) -> float:
    """Return the finite number in a text; NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def whole_of(text: str) -> int | None:
    """Return the whole number in a text, also for ``12.0``; None for anything else."""
    value = number_of(text)
    return None if math.isnan(value) or value != math.floor(value) else int(value)
