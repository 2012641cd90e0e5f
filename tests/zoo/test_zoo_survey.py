"""Which models of a checkout are offered, and why the others are not."""

import pytest

from opengait_ext.config import ConfigError, bind_model
from opengait_ext.upstream.zoo import zoo_catalog

OFFERED = ("MiniGait", "Another", "OddGait", "GuardedGait")


@pytest.mark.parametrize("name", OFFERED)
def test_a_model_without_a_known_hindrance_is_offered(models, name):
    assert name in models
    assert name in list(models)
    assert models[name].__name__ == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("OwnLoop", r"its own get_optimizer\(\), which only upstream's training loop calls"),
        ("Heir", r"its own get_optimizer\(\)"),
        ("Several", "trains on several data sets at once"),
        ("HardGait", "line 2 of its file, or of one that it imports, moves tensors to CUDA"),
        ("TwoStreams", "reads two streams of a tracklet, and the embedded engine gives one"),
    ],
)
def test_a_model_that_needs_more_than_our_engine_gives_is_refused_with_the_reason(
    models, name, reason
):
    assert name not in list(models)
    with pytest.raises(KeyError, match=rf"{name} of .*\.py cannot run in this engine: .*{reason}"):
        models[name]


def test_ours_hides_a_model_of_the_same_name_and_says_so(models, caplog):
    assert models["AGW"].__module__ == "opengait_ext.models.agw"
    assert models["AGW"]
    told = [line for line in caplog.messages if "AGW" in line]
    assert len(told) == 1
    assert "AGW is ours, not that of" in told[0]
    assert "zz_ours.py" in told[0]


def test_an_unknown_name_is_answered_with_the_nearest(models):
    with pytest.raises(KeyError, match="no model is called 'MiniGiat' - did you mean 'MiniGait'"):
        models["MiniGiat"]


def test_without_a_checkout_the_known_models_can_be_checked_but_not_built():
    models = zoo_catalog(None).models
    section = {"model": "GaitSet", "in_channels": [1, 2, 3, 4], "binnum": [1], "SeparateFCs": {}}
    with pytest.raises(ConfigError) as error:
        bind_model(models, section)
    for line in (
        "unknown key 'binnum' - did you mean 'bin_num'?",
        "missing key 'bin_num'",
        "SeparateFCs: missing key 'parts_num'",
    ):
        assert line in str(error.value)
    with pytest.raises(ValueError, match="GaitSet comes with a clone of OpenGait"):
        models["GaitSet"]()
    assert models["DinoGRL"].__module__ == "opengait_ext.models.dinogrl"


def test_a_key_that_the_file_of_a_model_never_mentions_is_unknown(models):
    section = {"model": "MiniGait", "backbone_cfg": {}, "secnd": True}
    with pytest.raises(ConfigError, match="unknown key 'secnd' - did you mean 'second'?"):
        bind_model(models, section)
