import subprocess
import sys
from pathlib import Path

import pytest

from opengait import main as launcher

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _no_checkout(monkeypatch):
    monkeypatch.delenv("OPENGAIT_ROOT", raising=False)


@pytest.fixture
def checkout(tmp_path):
    """A folder with the files by which a checkout is known."""
    files = [f"opengait/{name}.py" for name in ("main", "modeling/base_model")]
    files += [f"opengait/modeling/{kind}/__init__.py" for kind in ("models", "losses")]
    for name in [*files, "configs/default.yaml"]:
        path = tmp_path / "OpenGait" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "OpenGait"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("trainer_cfg: {restore_hint: auto}\nevaluator_cfg: {restore_hint: auto}\n")
    return str(path)


def test_help_answers_without_loading_torch():
    program = (
        "import sys; sys.modules['torch'] = None; from opengait.main import main; main(['--help'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    for option in (
        "--cfgs",
        "--phase",
        "--iter",
        "--log-to-file",
        "--log_to_file",
        "--device",
        "--set",
        "--name",
        "--seed",
        "--output",
        "--opengait",
        "--host",
        "--upstream-cpu",
    ):
        assert option in answer.stdout


def test_a_missing_config_ends_in_one_clear_line(capsys):
    assert launcher.main(["--cfgs", "configs/none.yaml"]) == 1
    assert "configs/none.yaml: there is no such config file" in capsys.readouterr().err


def test_a_shipped_config_is_found_by_name_from_any_folder_and_said(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("opengait_ext.engine.run", lambda *given: asked.append(given))
    assert launcher.main(["--cfgs", "agw_synth", "--device", "cpu"]) == 0
    assert asked[0][0]["model_cfg"]["model"] == "AGW"
    said = f"agw_synth: {ROOT / 'configs/agw_synth.yaml'}, which comes with the package"
    assert said in capsys.readouterr().err


def test_a_checkout_brings_its_own_engine(checkout, config, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "opengait_ext.upstream.launch.run_inside", lambda *given, output: asked.append(given)
    )
    command = ["--cfgs", config, "--phase", "train", "--iter", "7"]
    assert launcher.main([*command, "--opengait", str(checkout), "--upstream-cpu"]) == 0
    monkeypatch.setenv("OPENGAIT_ROOT", str(checkout))
    assert launcher.main([*command, "--upstream-cpu", "--device", "cpu"]) == 0
    monkeypatch.delenv("OPENGAIT_ROOT")
    monkeypatch.chdir(checkout)
    assert launcher.main([*command, "--upstream-cpu"]) == 0
    for given in asked:
        place, sections, phase, log_to_file, on_cpu, words = given
        assert (place, phase, log_to_file, on_cpu) == (checkout, "train", False, True)
        assert sections["trainer_cfg"]["restore_hint"] == 7
        assert words == sys.argv
    assert len(asked) == 3


def test_a_checkout_lends_its_models_to_our_engine(checkout, config, monkeypatch):
    asked = {}
    monkeypatch.setattr("opengait_ext.upstream.zoo.zoo_catalog", lambda place: ("zoo", place))

    def run(sections, phase, device, log_to_file, command, catalog, output):
        asked.update(phase=phase, device=device, catalog=catalog)

    monkeypatch.setattr("opengait_ext.engine.run", run)
    options = ["--opengait", str(checkout), "--host", "embedded", "--device", "cpu"]
    assert launcher.main(["--cfgs", config, *options]) == 0
    assert asked == {"phase": "both", "device": "cpu", "catalog": ("zoo", checkout)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--opengait", "nowhere"], "--opengait: there is no folder nowhere"),
        (["--host", "upstream"], "Name one: --opengait DIR"),
        (["--opengait", "CHECKOUT", "--device", "mps"], "runs on cuda only"),
        (["--opengait", "CHECKOUT", "--device", "cpu"], "--host embedded"),
    ],
)
def test_a_host_that_cannot_be_is_refused(checkout, config, capsys, monkeypatch, options, message):
    monkeypatch.chdir(checkout.parent)
    options = [word.replace("CHECKOUT", str(checkout)) for word in options]
    assert launcher.main(["--cfgs", config, *options]) == 1
    assert message in capsys.readouterr().err


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
def test_iter_says_where_training_or_test_starts(config, monkeypatch, options, section):
    asked = {}

    def run(sections, phase, device, *further):
        asked.update(sections, phase=phase, device=device)

    monkeypatch.setattr("opengait_ext.engine.run", run)
    assert launcher.main(["--cfgs", config, "--iter", "40", "--device", "cpu", *options]) == 0
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
        "opengait-ext prepare vcm --source <download> --target data/hitsz_vcm",
        "dinov2_vits14_pretrain.pth",
    ):
        assert part in message


@pytest.fixture
def ran(monkeypatch):
    """What the engine was asked for."""
    asked = {}

    def run(sections, phase, device, log_to_file, command, catalog, output):
        asked.update(sections=sections, output=output)

    monkeypatch.setattr("opengait_ext.engine.run", run)
    return asked


DEMO = str(ROOT / "configs" / "dinogrl_synth.yaml")


def test_name_seed_and_output_have_options_of_their_own(ran, tmp_path):
    options = ["--name", "2024", "--seed", "5", "--output", str(tmp_path)]
    assert launcher.main(["--cfgs", DEMO, *options]) == 0
    names = [ran["sections"][each]["save_name"] for each in ("trainer_cfg", "evaluator_cfg")]
    assert names == ["2024", "2024"]
    assert ran["sections"]["trainer_cfg"]["seed"] == 5
    assert ran["output"] == tmp_path


def test_without_its_option_the_output_is_where_it_was(ran):
    assert launcher.main(["--cfgs", DEMO]) == 0
    assert ran["output"] == Path("output")


def test_a_key_that_the_file_leaves_out_is_set_and_a_loss_by_its_prefix(ran):
    changes = ["loss_cfg.smoothness.loss_term_weight=0", "trainer_cfg.compile=auto"]
    words = [word for change in changes for word in ("--set", change)]
    assert launcher.main(["--cfgs", DEMO, *words]) == 0
    losses = {each["log_prefix"]: each for each in ran["sections"]["loss_cfg"]}
    assert losses["smoothness"]["loss_term_weight"] == 0
    assert ran["sections"]["trainer_cfg"]["compile"] == "auto"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "1", "--set", "trainer_cfg.seed=2"], "--set trainer_cfg.seed=2 and --seed 1"),
        (["--name", "a", "--set", "trainer_cfg.save_name=b"], "and --name a give different"),
        (["--iter", "3", "--set", "trainer_cfg.restore_hint=2"], "and --iter 3 give different"),
        (["--set", "trainer_cfg.compil=auto"], "did you mean 'compile'?"),
    ],
)
def test_what_cannot_be_set_is_one_line(ran, capsys, options, message):
    assert launcher.main(["--cfgs", DEMO, *options]) == 1
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told
    assert not ran
