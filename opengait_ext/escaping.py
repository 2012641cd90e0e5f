"""Texts out of files on their way to a terminal, a log, a page or a table.

A name in a file may hold what a terminal obeys (ANSI sequences), what turns a line around
(bidirectional marks), or what ends a line. Whatever shows a text passes it through here, once,
at the edge; doing so twice changes nothing more.
"""

import logging
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

LONGEST = 2400  # bytes of a message: twenty lines of it fit
_SOME = 5  # names of tracklets in a message
_TAIL = 600  # of them at the end, where messages say what to do
# Of our pages: they load nothing, and run no script but one of a known digest.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
_FORMULA = "=+-@＝＋－＠\t\r"  # what a spreadsheet takes for the beginning of a formula


def escaped(text: object, keep: str = "") -> str:
    r"""Return a text whose characters are all seen, ``\x1b`` where there is an escape.

    Args:
        text: What is shown.
        keep: Characters that stay as they are.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        sign if sign in keep or sign.isprintable() or unicodedata.category(sign) == "Zs"
        else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )  # fmt: skip


def some(names: Sequence[Any]) -> str:
    """Return the first few names, escaped, and how many there are beside."""
    more = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return ", ".join(map(escaped, names[:_SOME])) + more


def told(message: object) -> str:
    """Return a message as users see it: escaped but for its lines, of at most ``LONGEST`` bytes."""
    text = escaped(message, "\n")
    content = text.encode()
    if len(content) <= LONGEST:
        return text
    head = content[: LONGEST - _TAIL - 60].decode(errors="ignore")
    tail = content[-_TAIL:].decode(errors="ignore")
    return f"{head} [... {len(text) - len(head) - len(tail)} characters left out ...] {tail}"


def cell(text: object) -> str:
    """Return a text for a CSV file; one that a spreadsheet would compute begins with a quote."""
    text = str(text)
    return ("'" if text.lstrip(" ").startswith(tuple(_FORMULA)) else "") + escaped(text)


class Formatter(logging.Formatter):
    """Formats log lines: escaped, and warnings of at most ``LONGEST`` bytes."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line without a traceback."""
        line = super().formatMessage(record)
        return told(line) if record.levelno >= logging.WARNING else escaped(line, "\n")

    def formatException(self, ei) -> str:  # type: ignore[no-untyped-def]  # noqa: N802
        """Return a traceback, whose last line holds a message."""
        return escaped(super().formatException(ei), "\n")


class _Escaping:
    """Is a stream that escapes what is written, but for the ends of lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(escaped(text, "\n"))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Escape what is printed inside."""
    with redirect_stdout(_Escaping(sys.stdout)):
        yield
