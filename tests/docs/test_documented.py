"""Every command line of README and docs is one that the programs take; `run.py` runs them."""

import re

import pytest
from documented import PAGES, ROOT, Line, documented, is_command, lines_of
from parsing import parse
from plan import unused

from opengait_ext.errors import UserError
from opengait_ext.prepare.synth.files import Options, write_lists
from opengait_ext.shipped import config_paths

LINES = list(dict.fromkeys(line.text for line in documented()))
HEADS = sorted(
    {
        match[1]
        for path in config_paths().values()
        for match in re.finditer(r"^# .*?(python .*)$", path.read_text(), re.MULTILINE)
    }
)


def test_the_commands_were_found():
    assert len(PAGES) > 8
    assert len(LINES) > 60
    assert len(HEADS) > 40


def test_the_plan_of_the_run_speaks_of_no_command_that_is_gone():
    assert not unused(LINES)


@pytest.mark.slow
@pytest.mark.parametrize("text", LINES)
def test_a_documented_command_is_taken_by_its_program(text):
    parse(text)


@pytest.mark.slow
@pytest.mark.parametrize("text", HEADS)
def test_the_command_of_a_config_file_is_taken_by_its_program(text):
    parse(text.replace("--opengait DIR", "--opengait ."))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "python datasets/prep/hitsz_vcm.py --source a --traget b",
        "python datasets/prep/none.py",
        "opengait-ext prepare vmc --source a --target b",
        "opengait-ext search --gallery g --query q",
        "python -m opengait.main --cfgs dinogrl_synt",
        "python -m opengait.main --cfgs dinogrl_synth --set trainer_cfg.total_itre=3",
        "make tset",
        "make bench BENCH='--sizes small'",
        "pip install -c constraints.txt -e '.[serch]'",
        "pytest tests/none.py",
        "torchrun --nproc-per-nodes 2 -m opengait.main --cfgs dinogrl_synth",
        'python -c "from opengait_ext.upstream.hook import instal"',
    ],
)
def test_a_wrong_command_is_not_taken(text, capsys):
    with pytest.raises((SystemExit, AssertionError, UserError)):
        parse(text)


def test_commands_are_found_in_every_kind_of_code(tmp_path, monkeypatch):
    page = ROOT / "README.md"
    text = (
        "Say `make demo`, or `python a.py\n--b` or `make`.\n\n```\npython c.py --d \\\n    e\n"
        "opengait-ext f   # then\ndata/\n```\n```yaml\npython: no\n```\n    python g.py h\n"
    )
    monkeypatch.setattr(type(page), "read_text", lambda self, encoding: text)
    assert lines_of(page) == [
        Line("README.md:5", "python c.py --d e"),
        Line("README.md:7", "opengait-ext f"),
        Line("README.md:13", "python g.py h"),
        Line("README.md:1", "make demo"),
        Line("README.md:1", "python a.py --b"),
    ]
    assert not is_command("data/")


def test_the_query_that_the_pages_search_for_is_a_tracklet_of_the_demo(tmp_path):
    queries = {match for text in LINES for match in re.findall(r"data/synth_vvi/(\S+)", text)}
    write_lists(tmp_path, Options(train_identities=120, test_identities=20, seed=0))
    rows = (tmp_path / "info/track_test_info.txt").read_text().splitlines()
    known = {}
    for number, row in enumerate(rows, 1):
        code, first, last, pid, camera = row.split()
        folder = {"1": "ir", "2": "rgb"}[code]
        known[f"{pid}/{folder}/D{camera}-T{number}"] = int(last) - int(first) + 1
    assert queries
    assert all(known[query] >= 12 for query in queries)
