import subprocess
import sys
from pathlib import Path

import pytest

from opengait import main as launcher

ROOT = Path(__file__).parent.parent


def test_help_answers_without_loading_torch():
    program = (
        "import sys; sys.modules['torch'] = None; from opengait.main import main; main(['--help'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    for option in ("--cfgs", "--phase", "--iter", "--log_to_file", "--device", "--set"):
        assert option in answer.stdout


def test_a_missing_config_ends_in_one_clear_line(capsys):
    assert launcher.main(["--cfgs", "configs/none.yaml"]) == 1
    assert "configs/none.yaml: there is no such config file" in capsys.readouterr().err


def test_an_opengait_checkout_is_refused_until_it_is_possible(capsys):
    assert launcher.main(["--cfgs", "x.yaml", "--opengait", "somewhere"]) == 2
    assert "not yet possible" in capsys.readouterr().err


def test_an_unknown_option_is_refused():
    with pytest.raises(SystemExit) as error:
        launcher.main(["--cfgs", "x.yaml", "--phases", "train", "--nothing"])
    assert error.value.code == 2


@pytest.mark.parametrize(
    ("options", "section"),
    [
        ([], "trainer_cfg"),
        (["--phase", "train"], "trainer_cfg"),
        (["--phase", "test"], "evaluator_cfg"),
    ],
)
def test_iter_says_where_training_or_test_starts(tmp_path, monkeypatch, options, section):
    path = tmp_path / "config.yaml"
    path.write_text("trainer_cfg: {restore_hint: auto}\nevaluator_cfg: {restore_hint: auto}\n")
    asked = {}

    def run(config, **options):
        asked.update(config, **options)

    monkeypatch.setattr("opengait_ext.engine.run", run)
    assert launcher.main(["--cfgs", str(path), "--iter", "40", "--device", "cpu", *options]) == 0
    hints = {"trainer_cfg": "auto", "evaluator_cfg": "auto", section: 40}
    assert {name: asked[name]["restore_hint"] for name in hints} == hints
    assert asked["phase"] == (options[1] if options else "both")
    assert asked["device"] == "cpu"


def test_real_data_that_are_missing_end_in_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert launcher.main(["--cfgs", str(ROOT / "configs" / "dinogrl_vcm.yaml")]) == 1
    message = capsys.readouterr().err
    for part in (
        "data/hitsz_vcm/partition.json",
        "VCM-project233/HITSZ-VCM-data",
        "python datasets/prep/hitsz_vcm.py --source <download> --target data/hitsz_vcm",
        "dinov2_vits14_pretrain.pth",
    ):
        assert part in message
