"""Configs and the demo's weights are found from any folder; a user's own files come first."""

from pathlib import Path

import pytest
import torch

from opengait_ext import shipped
from opengait_ext.errors import UserError
from opengait_ext.shipped import config_file, config_paths, weight_file
from opengait_ext.weights import load_weights

ROOT = Path(__file__).parent.parent
DEMO = "datasets/prep/weights/mask_synth.pt"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_configs_have_a_name():
    assert list(config_paths()) == sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    assert len(config_paths()) > 20


@pytest.mark.parametrize("name", ["agw_vcm", "agw_vcm.yaml", "configs/agw_vcm.yaml"])
def test_a_name_means_the_shipped_config_unless_there_is_a_file(folder, name):
    assert config_file(name) == ROOT / "configs/agw_vcm.yaml"
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine: 1\n")
    assert config_file(name) == Path(name)


@pytest.mark.parametrize("name", ["mine/agw_vcm", "agw_vcm.yml", "../configs/agw_vcm.yaml", ""])
def test_what_names_another_place_is_not_taken_for_a_name(name):
    with pytest.raises(UserError, match="there is no such config file"):
        config_file(name)


def test_a_name_that_is_nearly_right_is_told():
    with pytest.raises(UserError, match=r"dinogrl_sint: .* - did you mean dinogrl_synth\?"):
        config_file("dinogrl_sint")
    with pytest.raises(UserError, match=r"xyz: .* - known: agw_ilids, agw_llcm, "):
        config_file("xyz")


@pytest.mark.parametrize("start", ["", "elsewhere/"])
def test_the_demos_weights_are_in_the_package_unless_there_is_a_file(folder, start):
    path = folder / f"{start}{DEMO}" if start else Path(DEMO)
    assert weight_file(path) == ROOT / DEMO
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    assert weight_file(path) == path


@pytest.mark.parametrize(
    "path", ["mask_synth.pt", "weights/mask_synth.pt", "datasets/prep/weights/other.pt"]
)
def test_other_weights_are_where_their_path_says(path):
    assert weight_file(path) == Path(path)


def test_weights_are_loaded_from_the_package_and_the_log_says_which(caplog):
    caplog.set_level("INFO")
    content = torch.load(ROOT / DEMO, weights_only=True)
    renamed = {name: name.replace(".", "_") for name in content}
    module = torch.nn.ParameterDict(
        {renamed[name]: torch.zeros(value.shape) for name, value in content.items()}
    )
    found = load_weights(module, DEMO, where="model_cfg.mask_weights", names=renamed)
    assert found["file"] == str(ROOT / DEMO)
    assert str(ROOT / DEMO) in caplog.text


def test_an_installed_package_reads_its_own_copies(folder, monkeypatch):
    for name in ("configs/own.yaml", "demo_weights/mask_synth.pt"):
        (folder / "installed" / name).parent.mkdir(parents=True)
        (folder / "installed" / name).write_text("")
    monkeypatch.setattr(shipped, "_PACKAGE", folder / "installed")
    assert list(config_paths()) == ["own"]
    assert config_file("own") == folder / "installed/configs/own.yaml"
    assert weight_file(DEMO) == folder / "installed/demo_weights/mask_synth.pt"
