"""Every shipped config loads, checks and builds its network.

Those whose model comes from an OpenGait checkout are checked here against the keys that are known
of it, and built in tests/zoo, with a checkout.
"""

import copy
from pathlib import Path

import pytest
import torch

from opengait_ext.config import ConfigError, load_config
from opengait_ext.engine.sections import check
from opengait_ext.models import MODELS
from opengait_ext.upstream.zoo import zoo_catalog

CONFIGS = sorted((Path(__file__).parent.parent / "configs").rglob("*.yaml"))
OWN = [path for path in CONFIGS if load_config(path)["model_cfg"]["model"] in MODELS]
CATALOG = zoo_catalog(None)


def name_of(path):
    return path.stem


def test_the_configs_were_found():
    assert {"dinogrl_synth", "agw_synth", "dinogrl_vcm", "agw_vcm", "dinogrl_bupt"} <= {
        path.stem for path in OWN
    }
    assert {"gaitset_synth", "gaitbase_synth", "deepgaitv2_synth"} <= {
        path.stem for path in CONFIGS if path not in OWN
    }


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_a_shipped_config_is_without_fault(path):
    check(load_config(path), CATALOG, "both")


@pytest.mark.slow
@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_a_shipped_config_builds_its_network(path):
    section = load_config(path)["model_cfg"]
    with torch.device("meta"):
        model = MODELS[section["model"]]()
        model.build_network(section)
    assert sum(parameter.numel() for parameter in model.parameters()) > 1_000_000


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_a_shipped_config_says_how_to_use_it(path):
    head = path.read_text().split("data_cfg:")[0]
    host = "" if path in OWN else "--opengait DIR --host embedded "
    assert f"python -m opengait.main {host}--cfgs configs/{path.name}" in head


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_a_misspelled_key_of_any_section_is_an_error(path):
    config = load_config(path)
    for section in config:
        if section == "loss_cfg":
            continue
        spoilt = copy.deepcopy(config)
        part = spoilt[section]
        (part[0] if isinstance(part, list) else part)["savename"] = 1
        with pytest.raises(ConfigError, match="unknown key 'savename'"):
            check(spoilt, CATALOG, "both")


def test_the_two_demo_configs_differ_in_model_and_losses_only():
    dinogrl, agw = (
        load_config(CONFIGS[0].parent / f"{name}_synth.yaml") for name in ("dinogrl", "agw")
    )
    for config in (dinogrl, agw):
        del config["model_cfg"], config["loss_cfg"]
        del config["trainer_cfg"]["save_name"], config["evaluator_cfg"]["save_name"]
    assert dinogrl == agw
