"""Escaping of texts from files for a terminal, a log, a page or a table.

A name in a file may contain ANSI sequences that a terminal obeys, bidirectional marks that reverse
a line, or line ends. Every output escapes its texts with this module, once, at the edge; escaping
twice has no further effect.
"""

import logging
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

LONGEST = 2400  # maximum bytes of a message: about twenty lines
_SOME = 5  # maximum names of tracklets in a message
_TAIL = 600  # bytes to keep at the end, where messages have the remedy
# Content security policy of our pages: load nothing, run only the script of a known digest.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
_FORMULA = "=+-@＝＋－＠\t\r"  # characters that start a formula in a spreadsheet


def escaped(text: object, keep: str = "") -> str:
    r"""Return a text with all invisible characters escaped, such as ``\x1b``.

    Args:
        text: The text to show.
        keep: Characters to leave unescaped.
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
    """Return the first few names, escaped, and the number of the others."""
    more = f" and {len(names) - _SOME} more" if len(names) > _SOME else ""
    return ", ".join(map(escaped, names[:_SOME])) + more


def told(message: object) -> str:
    """Return a message for users: escaped except for line ends, at most ``LONGEST`` bytes."""
    text = escaped(message, "\n")
    content = text.encode()
    if len(content) <= LONGEST:
        return text
    head = content[: LONGEST - _TAIL - 60].decode(errors="ignore")
    tail = content[-_TAIL:].decode(errors="ignore")
    return f"{head} [... {len(text) - len(head) - len(tail)} characters left out ...] {tail}"


def cell(text: object) -> str:
    """Return a text for a CSV file; a text that a spreadsheet would evaluate gets a quote."""
    text = str(text)
    return ("'" if text.lstrip(" ").startswith(tuple(_FORMULA)) else "") + escaped(text)


class Formatter(logging.Formatter):
    """Log formatter that escapes lines and limits warnings to ``LONGEST`` bytes."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line without a traceback."""
        line = super().formatMessage(record)
        return told(line) if record.levelno >= logging.WARNING else escaped(line, "\n")

    def formatException(self, ei) -> str:  # type: ignore[no-untyped-def]  # noqa: N802
        """Return the traceback, escaped: its last line holds a message."""
        return escaped(super().formatException(ei), "\n")


class _Escaping:
    """Stream that escapes everything written to it, except for line ends."""

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
    """Escape everything that is printed inside the context."""
    with redirect_stdout(_Escaping(sys.stdout)):
        yield
