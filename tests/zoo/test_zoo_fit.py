"""A config of a zoo model that cannot work ends in a sentence."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from zoo_parts import MODEL_CFG

from opengait_ext.config import ConfigError, load_config
from opengait_ext.engine.data import DataError, check_identities
from opengait_ext.upstream.zoo_fit import (
    check_features,
    check_frames,
    misfits,
    speaking,
    without_effect,
)
from opengait_ext.upstream.zoo_keys import KEYS

SECTIONS = {
    "GaitSet": {
        "in_channels": [1, 4, 8, 8],
        "SeparateFCs": {"parts_num": 6, "in_channels": 8, "out_channels": 8},
        "bin_num": [2, 1],
    },
    "GLN": {
        "in_channels": [1, 8, 8, 8],
        "bin_num": [16, 8, 4, 2, 1],
        "hidden_dim": 16,
        "lateral_dim": 16,
        "Lateral_pretraining": True,
        "SeparateFCs": {"parts_num": 93, "in_channels": 16, "out_channels": 16},
    },
    "GaitGL": {"channels": [4, 4, 8], "class_num": 4},
    "Baseline": {
        "backbone_cfg": {
            "type": "ResNet9",
            "block": "BasicBlock",
            "in_channel": 1,
            "channels": [4, 4, 8, 8],
            "layers": [1, 1, 1, 1],
            "strides": [1, 2, 2, 1],
        },
        "SeparateFCs": {"parts_num": 16, "in_channels": 8, "out_channels": 6},
        "SeparateBNNecks": {"parts_num": 16, "in_channels": 6, "class_num": 4},
        "bin_num": [16],
    },
    "DeepGaitV2": {
        "Backbone": {"mode": "2d", "in_channels": 1, "layers": [1] * 4, "channels": [4] * 4},
        "SeparateBNNecks": {"class_num": 4},
    },
    "SkeletonGaitPP": {
        "Backbone": {"in_channels": 3, "blocks": [1, 1, 1, 1], "C": 1},
        "SeparateBNNecks": {"class_num": 4},
    },
}


def changed(name, place, value):
    section = copy.deepcopy(SECTIONS[name])
    *above, last = place.split(".")
    node = section
    for key in above:
        node = node[key]
    node[last] = value
    return section


@pytest.mark.slow
def test_no_config_that_is_shipped_has_a_fault():
    judged = set()
    for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml")):
        section = load_config(path)["model_cfg"]
        assert list(misfits(section["model"], section)) == [], path
        judged.add(section["model"])
    assert set(KEYS) - {"GLN", "MultiGaitpp"} <= judged


@pytest.mark.parametrize("name", SECTIONS)
def test_a_config_that_fits_has_no_fault(name):
    assert list(misfits(name, SECTIONS[name])) == []


@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        ("GaitSet", "in_channels", [1, 4, 8], "in_channels has 3 entries ([1, 4, 8]); expected 4"),
        ("GaitSet", "in_channels", [], "in_channels is empty; expected at least one entry"),
        ("GaitSet", "in_channels", [3, 4, 8, 8], "in_channels.0 is 3: expected 1, GaitSet reads"),
        ("GaitSet", "bin_num", [4, 1], "parts_num is 6; expected 10, the sum of bin_num ([4, 1])"),
        ("GaitSet", "SeparateFCs.in_channels", 9, "is 9; expected 8, in_channels.3"),
        ("GaitSet", "SeparateFCs.out_channels", 0, "out_channels is 0; expected whole numbers"),
        ("GaitGL", "channels", [4, 4], "channels has 2 entries ([4, 4]); expected 3 or 4"),
        ("GLN", "bin_num", [16], "bin_num is [16]; expected [16, 8, 4, 2, 1]: GLN pools so"),
        ("GLN", "SeparateFCs.parts_num", 31, "31; expected 93, the sum of bin_num"),
        ("GLN", "lateral_dim", 8, "SeparateFCs.in_channels is 16; expected 8, lateral_dim"),
        ("GLN", "Lateral_pretraining", False, "GLN's second phase gives logits [n, 1, k], which"),
        ("Baseline", "backbone_cfg.strides", [1, 2, 2], "strides has 3 entries ([1, 2, 2])"),
        ("Baseline", "SeparateFCs.in_channels", 4, "is 4; expected 8, backbone_cfg.channels.3"),
        ("Baseline", "SeparateBNNecks.parts_num", 8, "is 8; expected 16, SeparateFCs.parts_num"),
        ("Baseline", "SeparateBNNecks.in_channels", 8, "expected 6, SeparateFCs.out_channels"),
        ("DeepGaitV2", "Backbone.channels", [4] * 5, "Backbone.channels has 5 entries"),
        ("SkeletonGaitPP", "Backbone.in_channels", 2, "Backbone.in_channels is 2; expected 3"),
    ],
)
def test_values_that_do_not_fit_each_other_are_named_with_what_fits(name, place, value, told):
    (fault,) = [line for line in misfits(name, changed(name, place, value)) if told in line]
    assert fault


def test_the_block_that_widens_is_not_taken_for_the_plain_one():
    section = changed("Baseline", "backbone_cfg.block", "Bottleneck")
    section["SeparateFCs"]["in_channels"] = 32
    assert list(misfits("Baseline", section)) == []


def test_of_a_model_that_nobody_knows_no_value_is_judged():
    assert list(misfits("TheirOwn", {"axis": -1, "bin_num": [], "in_channels": [0]})) == []


@pytest.mark.parametrize(
    ("name", "channels", "size", "told"),
    [
        ("GaitGL", 3, (64, 44), "reads silhouettes, one channel; the frames have 3. Name the"),
        ("Baseline", 3, (64, 44), r"backbone_cfg.in_channel is 1, but the frames have 3 channels."),
        ("DeepGaitV2", 3, (64, 44), "Backbone.in_channels is 1, but the frames have 3 channels."),
        ("SkeletonGaitPP", 1, (64, 44), "is 3, but the frames have 1 channel. Name a stream of 3"),
        ("DeepGaitV2", 1, (64, 64), "the frames are 64 columns wide; expected 44 or 88"),
    ],
)
def test_frames_that_a_model_does_not_read_are_refused(name, channels, size, told):
    frames = torch.zeros(2, 3, channels, *size)
    with pytest.raises(ConfigError, match=rf"model_cfg \({name}\): .*{told}"):
        check_frames(name, SECTIONS[name], frames)
    right = 3 if name == "SkeletonGaitPP" else 1
    check_frames(name, SECTIONS[name], torch.zeros(2, 3, right, 64, 44))


def test_fewer_classes_than_a_label_asks_for_are_refused():
    features = {"softmax": {"logits": torch.zeros(4, 3, 2), "labels": None}, "early": torch.ones(1)}
    check_features("Any", features, torch.tensor([0, 1, 2, 2]))
    with pytest.raises(
        ConfigError, match=r"3 classes apart in softmax .*the identity 3 .*class_num"
    ):
        check_features("Any", features, torch.tensor([0, 1, 2, 3]))


def test_what_a_foreign_model_raises_becomes_a_sentence_with_its_words_and_the_frames():
    frames = torch.zeros(2, 3, 1, 8, 6)
    for fault in (RuntimeError("size 62 and 63\nlong"), AssertionError(), IndexError("range")):
        words = f"{type(fault).__name__}(: (size 62 and 63|range))?"
        with (
            pytest.raises(ConfigError, match=rf"take frames \[2, 3, 1, 8, 6\] .*: {words}\. Comp"),
            speaking("Any", frames),
        ):
            raise fault


def test_memory_that_runs_out_is_left_to_the_engine():
    with pytest.raises(torch.cuda.OutOfMemoryError), speaking("Any", torch.zeros(1, 1, 1, 1, 1)):
        raise torch.cuda.OutOfMemoryError("too much")


def test_keys_of_the_second_phase_are_without_effect_in_the_first():
    assert without_effect("GLN", {**SECTIONS["GLN"], "class_num": 4}) == ["hidden_dim", "class_num"]
    assert without_effect("GaitSet", SECTIONS["GaitSet"]) == []


def hosted(models, **changes):
    model = models["MiniGait"]()
    model.build_network({**copy.deepcopy(MODEL_CFG), **changes})
    return model


def test_a_hosted_model_says_so_in_training_and_in_a_test(models):
    frames = torch.rand(2, 3, 2, 8, 6)  # its first layer has one channel
    inputs = ([frames], torch.tensor([0, 1]), ["rgb"] * 2, ["v"] * 2, None)
    for model in (hosted(models).train(), hosted(models).eval()):
        with pytest.raises(ConfigError, match="does not take frames.*expected input.*1 channels"):
            model(inputs)
    inputs = ([frames[:, :, :1]], torch.tensor([0, 5]), *inputs[2:])
    with pytest.raises(ConfigError, match=r"4 classes apart in softmax \(logits \[2, 4, 2\]\)"):
        hosted(models).train()(inputs)


def test_whatever_a_foreign_constructor_raises_is_a_sentence(models):
    with pytest.raises(ConfigError, match="refuses it: UserWarning: Initializing zero-element"):
        hosted(models, backbone_cfg={"type": "Tiny", "width": 0})


def test_the_terms_of_opengait_are_told_once_for_all_models_of_a_run(models, caplog):
    caplog.set_level("INFO")
    for _ in range(2):
        hosted(models)
    assert sum("academic use only" in line for line in caplog.messages) == 1


def test_a_number_of_classes_that_is_none_is_left_to_the_model():
    three = SimpleNamespace(pids=["a", "b", "c"])
    check_identities({"class_num": "74", "Necks": {"class_num": None}}, three)
    with pytest.raises(DataError, match="class_num is 2, but the training data have 3 identities"):
        check_identities({"Necks": {"class_num": 2}}, three)
