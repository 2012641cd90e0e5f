"""The published checkpoints of DinoGRL: every tensor comes to its place in our network."""

import shlex

import pytest
import torch
from published_files import (
    NAMES,
    best_shape,
    filled,
    published,
    refused,
    write_published,
)

from opengait.main import arguments_of
from opengait_ext.engine.checkpoint import differences_of, read_checkpoint
from opengait_ext.models import MODELS
from opengait_ext.pretrained.run import main

# Where the tensors of each published file belong, by the beginnings of their names.
_STEM = {"resnet_conv.0.": "conv1.", "resnet_conv.1.": "bn1."}
_STAGES = {f"resnet_conv.{number}.": f"layer{number + 1}." for number in range(4)}
_ENHANCING = {"theta": "query", "phi": "key", "g.0": "value"}
_ENHANCING |= {"W1.0": "positive", "W1.1": "positive_norm"}
_ENHANCING |= {"W2.0": "negative", "W2.1": "negative_norm"}
_PRIOR_STEM = {"conv1.conv.": "0.", "bn1.": "1.", "layer1.0.": "3."}
_NECK = {"fc_bin": "weight", "bn1d.": "bn."}


def below(there, here, places):
    return {there + theirs: here + ours for theirs, ours in places.items()}


PLACES = {
    "model": {
        **below("image_encoder1.", "appearance_encoder.visible_stem.", _STEM),
        **below("image_encoder2.", "appearance_encoder.infrared_stem.", _STEM),
        **below("share_encoder.", "appearance_encoder.stages.", _STAGES),
        "FCs.fc_bin": "appearance_parts.linear.weight",
        **below("BNNecks.", "necks.appearance.", _NECK),
    },
    "attention": {
        **below("enhance_app_net_3.", "pbmge.appearance.0.", _ENHANCING),
        **below("enhance_shape_net_3.", "pbmge.gait.0.", _ENHANCING),
    },
    "shape": below(
        "dinov2.",
        "",
        {
            "dinov2.": "dinov2.",
            "Mask_Branch.bn_s.": "sasg.mask.norm.",
            "Mask_Branch.down_sampling.": "sasg.mask.encoder.",
            "Mask_Branch.up_sampling.": "sasg.mask.decoder.",
            "Denoising_Branch.bn_s.": "sasg.gait_prior.0.",
            "Denoising_Branch.down_sampling.0.": "sasg.gait_prior.1.",
            "Denoising_Branch.down_sampling.1.": "sasg.gait_prior.2.",
            "Denoising_Branch.down_sampling.3.": "sasg.gait_prior.4.",
            "Appearance_Branch.bn_s.": "sasg.appearance_prior.0.",
            "Appearance_Branch.down_sampling.": "sasg.appearance_prior.1.",
            "Appearance_Branch.bn_t.": "sasg.appearance_prior.2.",
            **below("gait_net.pre_part.forward_block.", "sasg.gait_stem.", _PRIOR_STEM),
            **below("gait_net.pre_rgb.forward_block.", "sasg.appearance_stem.", _PRIOR_STEM),
            "gait_net.fusion.conv.forward_block.": "sasg.fusion.conv.",
            **below("gait_net.post_backbone.", "gait_encoder.", _STAGES),
            "gait_net.FCs.fc_bin": "gait_parts.linear.weight",
            **below("gait_net.BNNecks.", "necks.gait.", _NECK),
        },
    ),
}
UNUSED = {  # of the network, by the words that say why
    "second normalization": ("dinov2.Mask_Branch.bn_t.", "dinov2.Denoising_Branch.bn_t."),
    "power of a pooling": ("share_encoder.GAP.", "dinov2.gait_net.post_backbone.GAP."),
    "graph modules": ("dinov2.gait_net.gcn_s.", "dinov2.gait_net.gcn_a."),
}
CLASSIFIERS = ("BNNecks.", "dinov2.gait_net.BNNecks.")
_ODD = "resnet_conv fc_bin FCs BNNecks bn1d encoder1 encoder2 share_ enhance_ app_net GAP gcn stgc"
_ODD += " bn_s bn_t _sampling Branch pre_part pre_rgb post_ forward_block gait_net theta phi .g. W1"
ODD = [*(_ODD + " W2 shape dinov2.dinov2").split()]


@pytest.fixture
def states():
    return published()


def network(classes, width=384):
    """State dict of the network that the published weights are for, without values."""
    sizes = {"embed_dim": width, "depth": 12, "num_heads": width // 64, "patch_size": 14}
    sizes |= {"input_size": [448, 224], "pretrain_grid": 37, "taps": [2, 5, 8, 11]}
    arguments = {"image_size": [256, 128], "dinov2_weights": None, "backbone_weights": None}
    with torch.device("meta"):
        model = MODELS["DinoGRLReleased"]()
        model.build(num_identities=classes, dinov2=sizes, **arguments)
    return model.state_dict()


def number_of(value):
    """The number that a stand-in repeats."""
    return value.flatten()[0].item()


def expected_numbers(states, classifier):
    """By our names, written from the table above."""
    expected = {}
    for option, state in states.items():
        for name, value in state.items():
            unused = [*sum(UNUSED.values(), ()), *(() if classifier else CLASSIFIERS)]
            if not name.startswith(tuple(unused)):
                (there,) = (place for place in PLACES[option] if name.startswith(place))
                expected[PLACES[option][there] + name[len(there) :]] = number_of(value)
    return expected


def test_the_stand_ins_have_the_published_numbers_of_tensors_and_values(states):
    tensors = {option: len(state) for option, state in states.items()}
    values = {option: sum(map(torch.numel, state.values())) for option, state in states.items()}
    assert tensors == {"model": 332, "attention": 40, "shape": 591}
    assert values["attention"] == 4120
    assert [round(values[option] / 1e6, 2) for option in ("model", "shape")] == [44.34, 109.75]


@pytest.mark.slow
@pytest.mark.parametrize("classifier", [False, True])
def test_every_published_tensor_comes_to_its_place_in_the_network(states, tmp_path, classifier):
    command = write_published(tmp_path, states)
    assert main([*command, *(["--keep-classifier"] if classifier else [])]) == 0
    weights = read_checkpoint(tmp_path / "out.pt")["model"]
    assert {name: number_of(value) for name, value in weights.items()} == expected_numbers(
        states, classifier
    )
    whole = network(classes=500)
    needed = {n: value for n, value in whole.items() if classifier or not n.startswith("necks.")}
    assert differences_of(needed, weights) == []
    assert [weights[name].dtype for name in needed] == [needed[name].dtype for name in needed]


@pytest.mark.slow
def test_no_name_of_the_product_is_a_published_oddity(states, tmp_path):
    theirs = [name for state in states.values() for name in state]
    assert all(any(odd in name for name in theirs) for odd in ODD)
    assert main([*write_published(tmp_path, states), "--keep-classifier"]) == 0
    names = read_checkpoint(tmp_path / "out.pt")["model"]
    assert [name for name in names if any(odd in name for odd in ODD)] == []


@pytest.mark.slow
def test_what_is_left_out_is_told_by_reason_and_kept_with_where_it_comes_from(
    states, tmp_path, capsys
):
    command = write_published(tmp_path, states)
    assert main(command) == 0
    blocks = capsys.readouterr().out.split("left out, ")[1:]
    content = torch.load(tmp_path / "out.pt", weights_only=True)
    assert list(content) == ["model", "source"]
    source = content["source"]
    assert source["tool"] == "datasets/prep/weights.py import-dinogrl"
    for option, facts in source["files"].items():
        path = tmp_path / NAMES[option]
        assert facts["name"] == path.name
        assert facts["bytes"] == path.stat().st_size
        assert len(facts["sha256"]) == 64
    assert len(blocks) == len(source["ignored"]) == 4
    for words, beginnings in {**UNUSED, "used in training alone": CLASSIFIERS}.items():
        names = [n for state in states.values() for n in state if n.startswith(beginnings)]
        (block,) = (block for block in blocks if words in block.splitlines()[0])
        (kept,) = (kept for reason, kept in source["ignored"].items() if words in reason)
        assert sorted(kept) == sorted(names)
        for name in names:
            assert f": {name}\n" in block


@pytest.mark.slow
def test_the_result_is_counted_and_the_printed_command_tests_it(states, tmp_path, capsys):
    command = write_published(tmp_path, states)
    command[-1] = str(tmp_path / "with space" / "vcm.pt")  # the folder is made
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f"{command[-1]}: 927 tensors, 103,085,313 values" in said
    assert "embed_dim: 384, depth: 12, num_heads: 6, patch_size: 14, pretrain_grid: 37" in said
    words = shlex.split(said.splitlines()[-1].removeprefix("test it:"))
    assert words[:3] == ["python", "-m", "opengait.main"]
    printed = arguments_of(words[3:])
    assert printed.cfgs == "configs/dinogrl_released_vcm.yaml"
    assert printed.phase == "test"
    assert printed.changes == [f"evaluator_cfg.restore_hint={command[-1]}"]


@pytest.mark.slow
def test_without_the_classifiers_their_numbers_of_identities_may_differ(states, tmp_path, capsys):
    states["shape"] = filled(best_shape(classes=1074))
    command = write_published(tmp_path, states)
    said = refused([*command, "--keep-classifier"], capsys)
    assert "best_model.pth: BNNecks.fc_bin is for 500" in said
    assert "best_shape.pth: dinov2.gait_net.BNNecks.fc_bin is for 1074" in said
    assert main(command) == 0


@pytest.mark.slow
def test_the_sizes_of_dinov2_are_read_off_the_file(states, tmp_path):
    states["shape"] = filled(best_shape(width=768))
    assert main(write_published(tmp_path, states)) == 0
    weights = read_checkpoint(tmp_path / "out.pt")["model"]
    needed = {n: v for n, v in network(1, width=768).items() if not n.startswith("necks.")}
    assert differences_of(needed, weights) == []
