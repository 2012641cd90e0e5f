"""Texts of files never reach a terminal, a log, a page or a table as they are."""

import csv
import io
import logging
import math
import re
import sys

import pytest

from opengait import main as launcher
from opengait_ext import cli
from opengait_ext.errors import UserError
from opengait_ext.escaping import Formatter, cell, escaped, escaped_output, some, told
from opengait_ext.gallery.answers import told as answer_told
from opengait_ext.gallery.pictures import write_pictures
from opengait_ext.report import svg
from opengait_ext.report.comparison import Cell, Comparison, Row
from opengait_ext.report.formats import FORMATS, written

# ANSI, a line feed, a carriage return, a bidirectional override, C1, no character at all.
NASTY = "a\x1b[2Jb\nc\rd\u202ee\x9bf\u2028g\udc80h\x00i\u200bj"
SEEN = r"a\x1b[2Jb\nc\rd\u202ee\x9bf\u2028g\udc80h\x00i\u200bj"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069\udc80]")


def test_what_is_not_seen_is_written_as_its_number():
    assert escaped(NASTY) == SEEN
    assert escaped("T2 – äöü 東京 שלום é") == "T2 – äöü 東京 שלום é"
    assert escaped(7) == "7"
    assert escaped("a\nb\tc", keep="\n") == "a\nb\\tc"


def test_escaping_twice_changes_nothing_more():
    assert escaped(escaped(NASTY)) == SEEN
    assert told(told(NASTY)) == told(NASTY)


@pytest.mark.parametrize("sign", ["x", "é", "東", "\x1b"])
def test_a_message_has_at_most_some_2_kb_and_keeps_its_beginning_and_end(sign):
    message = told(f"place: {sign * 100_000}; do this")
    assert len(message.encode()) <= 2400
    assert message.startswith("place: ")
    assert message.endswith("; do this")
    assert "characters left out" in message
    assert told("two\nlines") == "two\nlines"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "＝"])
def test_a_formula_in_a_csv_file_begins_with_a_quote(start):
    assert cell(f"{start}1+1").startswith("'")
    assert cell("plain") == "plain"


def raising(*_):
    raise UserError(f"{NASTY}{'x' * 5000}; prepare again")


@pytest.mark.parametrize("host", ["launcher", "commands"])
def test_an_error_reaches_the_terminal_escaped_and_short(host, monkeypatch, capsys):
    if host == "launcher":
        monkeypatch.setattr(launcher, "start", raising)
        assert launcher.main(["--cfgs", "none.yaml"]) == 1
    else:
        monkeypatch.setattr("opengait_ext.commands.table.run", raising)
        with pytest.raises(SystemExit, match="1"):
            cli.main(["table", "none"])
    message = capsys.readouterr().err
    assert not RAW.search(message)
    assert "prepare again" in message
    assert len(message.encode()) < 2450


def test_what_commands_print_is_escaped_but_for_its_lines(capsys):
    with escaped_output():
        sys.stdout.write(f"one\n{NASTY}\n")
        print("three")
    assert capsys.readouterr().out == f"one\n{SEEN.replace(chr(92) + 'n', chr(10))}\nthree\n"


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_log_lines_are_escaped_and_warnings_are_short(level):
    record = logging.LogRecord("x", level, "", 0, "%s: %s", (NASTY, "y" * 5000), None)
    line = Formatter("[%(levelname)s] %(message)s").format(record)
    assert not RAW.search(line)
    assert (len(line) > 2400) == (level == logging.INFO)


def test_a_traceback_in_the_log_is_whole_but_escaped():
    try:
        raising()
    except UserError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "so", (), sys.exc_info())
    line = Formatter("%(message)s").format(record)
    assert "raising" in line
    assert "x" * 5000 in line
    assert not RAW.search(line)


def test_names_in_messages_are_on_one_line():
    assert some([NASTY, "b"]) == f"{SEEN}, b"


def table():
    name = f"=cmd|'/C calc'!A0{NASTY}"
    key = (f"there\n{NASTY}", "R1")
    row = Row(name, f"run%\n\\input{{x}}{NASTY}", [NASTY], {key: Cell(0.5, math.nan)}, remark=NASTY)
    return Comparison({"dataset": f"set\n\\input{{x}}{NASTY}"}, [key], [row], [f"note\n{NASTY}"])


@pytest.mark.parametrize("form", FORMATS)
def test_tables_of_every_format_hold_no_raw_character_of_a_record(form):
    text = written([table()], form)
    assert not RAW.search(text)
    assert SEEN in text or form == "latex"


def test_a_line_feed_does_not_end_a_comment_of_latex():
    for line in written([table()], "latex").splitlines():
        assert r"\input{" not in line or line.startswith("%")


def test_a_csv_file_has_as_many_lines_as_rows_and_no_formula():
    lines = list(csv.reader(io.StringIO(written([table()], "csv"))))
    assert len(lines) == 2
    assert not any(value.startswith(("=", "+", "-", "@")) for line in lines for value in line)
    assert lines[1][lines[0].index("model")].startswith("'=cmd")


def answer():
    record = {
        "path": NASTY,
        "pid": f"<b>{NASTY}",
        "camid": NASTY,
        "time": NASTY,
        "root": "nowhere",
        "camera": None,
    }
    match = {**record, "rank": 1, "distance": 0.5, "near": True, "row": 0, "modality": "visible"}
    query = {**record, "modality": "<i>", "among": "visible", "matches": [match]}
    query |= {"nobody": False, "itself": False}
    searches = {"visible": {"tracklets": 1, "how": NASTY}}
    threshold = {"distance": 1.0, "source": NASTY}
    return {"gallery": NASTY, "queries": [query], "searches": searches, "threshold": threshold}


def test_the_answer_of_a_search_tells_each_match_on_one_line():
    lines = answer_told(answer())
    assert not RAW.search("".join(lines[:2]))
    assert not any("\n" in line for line in lines[:2])


def test_the_page_of_a_search_is_escaped_and_forbids_itself_everything(tmp_path):
    write_pictures(tmp_path / "found.html", answer())
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert not RAW.search(page)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "<i>" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert page.index("Content-Security-Policy") < page.index("<style>")
    write_pictures(tmp_path / "found.png", answer())


def test_texts_in_charts_are_escaped():
    drawn = svg.text(0, 0, f"<{NASTY}", class_=NASTY)
    assert not RAW.search(drawn)
    assert "&lt;a" in drawn
