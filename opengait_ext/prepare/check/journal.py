"""Crash-safe journal of a check: a stopped check resumes.

A text file with one line per tracklet, each with a checksum and appended by one write. A line that
a kill cut off fails its checksum and is ignored.
"""

import base64
import json
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from opengait_ext.data.layout import atomic_write
from opengait_ext.errors import UserError
from opengait_ext.prepare.check.findings import Finding
from opengait_ext.prepare.check.tracklets import VERSION, Checked

NAME = ".check.journal"
_HEAD = "opengait_ext/check/journal"


class JournalError(UserError):
    """The journal cannot be written to its place."""


class Journal:
    """The finished tracklets of a check, kept in a file.

        with Journal(path, root, anew=False) as journal:
            before = journal.get(key)
            journal.add(key, checked)

    Args:
        path: The file; None keeps nothing.
        root: Folder of the data; the journal of another folder is started anew.
        anew: Whether to discard earlier entries.

    Raises:
        JournalError: If the file cannot be written, or is no journal.
    """

    def __init__(self, path: Path | None, root: Path, anew: bool) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._lines: dict[str, str] = {}
        if path is None:
            return
        head = json.dumps([_HEAD, VERSION, ascii(str(root.resolve()))])
        try:
            lines, is_sound = _read(path, head)
            self._lines = {} if anew else lines
            if anew or not is_sound:
                whole = "".join(map(_line, [head, *self._lines.values()]))
                atomic_write(path, whole.encode())
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise JournalError(
                f"{path}: the journal cannot be written ({error.strerror}); "
                "give another place by --journal FILE"
            ) from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def get(self, key: str) -> Checked | None:
        """Return the result of a tracklet; None if it was not checked yet."""
        line = self._lines.get(key)
        return None if line is None else _checked_of(json.loads(line))

    def signature(self, key: str) -> str:
        """Return the signature of a tracklet's files at its last check; empty if there is none."""
        checked = self.get(key)
        return checked.signature if checked else ""

    def add(self, key: str, checked: Checked) -> None:
        """Append the result of a tracklet."""
        if self._file is not None and checked.signature:
            line = json.dumps(_content_of(key, checked))
            try:
                self._file.write(_line(line).encode())
            except OSError as error:
                raise JournalError(
                    f"{self.path}: the journal cannot be written ({error.strerror})"
                ) from error


def _line(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def _read(path: Path, head: str) -> tuple[dict[str, str], bool]:
    """Return the last intact line of every key, and whether the file needs no repair."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}, False
    texts = []
    is_sound = content.endswith(b"\n")
    for raw in content.split(b"\n"):
        line = raw.decode("ascii", errors="replace")
        if line and _line(line[9:]) == line + "\n":
            texts.append(line[9:])
        else:
            is_sound = is_sound and not raw
    if content and (not texts or _HEAD not in texts[0]):
        if path.name != NAME:  # then it may be a file of the user
            raise JournalError(f"{path}: is no journal of a check and is left alone")
        aside = path.with_name(f"{NAME}.damaged")
        os.replace(path, aside)
        print(f"{path}: is damaged and was renamed to {aside.name}; all is checked again")
        return {}, False
    if not texts or texts[0] != head:
        return {}, False
    lines = {json.loads(text)["key"]: text for text in texts[1:]}
    return lines, is_sound and len(lines) == len(texts) - 1


def _content_of(key: str, checked: Checked) -> dict[str, object]:
    return {
        "key": key,
        "signature": checked.signature,
        "frames": checked.frames,
        "digests": base64.b64encode(checked.digests).decode(),
        "damaged": checked.damaged,
        "sizes": checked.sizes,
        "gray": checked.gray,
        "flat": checked.flat,
        "findings": [[f.check, f.severity, f.count, f.examples] for f in checked.findings],
    }


def _checked_of(content: dict[str, object]) -> Checked:
    fields = dict(content)
    del fields["key"]
    fields["digests"] = base64.b64decode(str(content["digests"]))
    fields["sizes"] = [tuple(size) for size in content["sizes"]]  # type: ignore[attr-defined]
    fields["findings"] = [
        Finding(check, severity, count, [(place, text) for place, text in examples])
        for check, severity, count, examples in content["findings"]  # type: ignore[attr-defined]
    ]
    return Checked(**fields)  # type: ignore[arg-type]
