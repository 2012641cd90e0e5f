"""``opengait-ext configs``, and the page of all keys."""

import subprocess
import sys
from pathlib import Path

import pytest

from opengait_ext import cli
from opengait_ext.config import load_config
from opengait_ext.engine.catalog import own_catalog
from opengait_ext.engine.keys import with_every_key
from opengait_ext.engine.reference import page
from opengait_ext.engine.sections import check
from opengait_ext.engine.shaping import shape_of
from opengait_ext.upstream.zoo import zoo_catalog
from opengait_ext.yaml_text import parse, written

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
CATALOG = zoo_catalog(None)
PAGE = page(own_catalog())


def answer(capsys, *words):
    assert cli.main(["configs", *words]) == 0
    return capsys.readouterr().out


def test_every_shipped_config_is_listed_with_model_data_and_description(capsys):
    head, *lines = answer(capsys).splitlines()
    assert head.split() == ["NAME", "MODEL", "DATA", "DESCRIPTION"]
    assert [line.split()[0] for line in lines] == [path.stem for path in CONFIGS]
    (line,) = [line for line in lines if line.startswith("dinogrl_vcm ")]
    assert line.split(maxsplit=3)[1:3] == ["DinoGRL", "HITSZ-VCM"]
    assert "both directions" in line


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_first_line_of_a_config_is_a_sentence(path):
    first = path.read_text().split("\n", 1)[0]
    assert first.startswith("# ")
    assert first.endswith(".")


def test_show_prints_the_file(capsys):
    assert answer(capsys, "show", "agw_vcm") == (ROOT / "configs/agw_vcm.yaml").read_text()
    assert answer(capsys, "show", str(CONFIGS[0])) == CONFIGS[0].read_text()


def test_show_all_prints_every_default_as_yaml_that_is_read_back(capsys, tmp_path):
    path = tmp_path / "whole.yaml"
    path.write_text(answer(capsys, "show", "dinogrl_synth", "--all"))
    config = load_config(path)
    check(config, own_catalog())
    assert config["trainer_cfg"]["compile"] == "never"
    assert config["loss_cfg"][1]["squared"] is False
    assert config["model_cfg"]["modalities"] == ["visible", "infrared"]
    assert "fused" in config["optimizer_cfg"]  # written in the file
    assert "foreach" not in config["optimizer_cfg"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_with_every_default_does_the_same(path):
    config = load_config(path)
    whole = parse(written(with_every_key(config, CATALOG)))
    check(whole, CATALOG)
    assert shape_of(whole, CATALOG) == shape_of(config, CATALOG)
    assert with_every_key(whole, CATALOG) == whole


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["show", "dinogrl_vmc"],
            "dinogrl_vmc: there is no such config file, and none of this name comes",
        ),
        (["show"], "expected: configs, configs show NAME [--all]"),
        (["list", "dinogrl_vcm"], "expected: configs, configs show NAME [--all]"),
    ],
)
def test_what_is_not_there_is_one_line(capsys, words, message):
    with pytest.raises(SystemExit) as error:
        cli.main(["configs", *words])
    assert error.value.code == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_list_needs_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from opengait_ext.cli import main; main(['configs'])"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)


def test_the_page_of_all_keys_is_that_of_the_code():
    assert (ROOT / "docs/config.md").read_text() == PAGE, (
        "write it anew: opengait-ext configs keys > docs/config.md"
    )


def test_every_key_of_the_page_has_a_type_and_an_explanation():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert len(rows) > 100
    assert not [row for row in rows if "|  |" in row]


def test_a_default_is_written_as_in_yaml():
    for row in (
        "| `loss_term_weight` | number | `1.0` |",
        "| `non_local` | list of integers | `[0, 2, 3, 0]` |",
        "| `value` | integer | `0` | Brightness",
        '| `note` | text | `""` |',
        "| `compile` | `never`, `auto` | `never` |",
    ):
        assert row in PAGE
