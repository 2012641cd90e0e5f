"""The command lines that README.md and docs/*.md show."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "datasets/prep/weights/README.md",
    ROOT / "tests/golden/README.md",
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(?=python )(.*)$", re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)", re.DOTALL)
_PROGRAMS = ("python", "opengait-ext", "make", "pip", "torchrun", "git", "cd", "pytest")
_SHELLS = ("", "bash", "sh")


class Line(NamedTuple):
    """One command line of a page.

    Attributes:
        place: File and line.
        text: What stands there, its continuations joined, without a comment.
    """

    place: str
    text: str


def is_command(text: str) -> bool:
    """Return whether a text is a command with at least one word behind its program."""
    words = text.split()
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return len(words) > 1 and words[0] in _PROGRAMS


def documented() -> list[Line]:
    """Return all command lines, in the order of the pages."""
    return [line for page in PAGES for line in sorted(lines_of(page), key=_number)]


def lines_of(page: Path) -> list[Line]:
    """Return the command lines of a page: in fenced or indented code, and between backticks."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in _FENCE.finditer(text):
        if block[1] in _SHELLS:
            found += _commands(page, text, block.start(2), block[2])
    bare = _FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    for line in _INDENTED.finditer(bare):
        found += _commands(page, text, line.start(1), line[1])
    for span in _SPAN.finditer(bare):
        if is_command(span[1]):
            found.append(_line(page, text, span.start(), " ".join(span[1].split())))
    return found


def _commands(page: Path, text: str, start: int, block: str) -> list[Line]:
    joined = re.sub(r"\\\n", lambda _: "  ", block)  # as long as before, so that lines are counted
    found, place = [], start
    for line in joined.splitlines(keepends=True):
        command = " ".join(re.sub(r"\s+# .*$", "", line.rstrip()).split())
        command = re.sub(r"\s+#.*$", "", command) if command.endswith("once") else command
        if is_command(command):
            found.append(_line(page, text, place, command))
        place += len(line)
    return found


def _line(page: Path, text: str, start: int, command: str) -> Line:
    number = text.count("\n", 0, start) + 1
    return Line(f"{page.relative_to(ROOT).as_posix()}:{number}", command)


def _number(line: Line) -> int:
    return int(line.place.rsplit(":", 1)[1])


if __name__ == "__main__":
    for line in documented():
        print(*line, sep="\t")
