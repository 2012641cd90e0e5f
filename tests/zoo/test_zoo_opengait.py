"""The zoo of a real checkout: OPENGAIT_ROOT names it.

Modules that OpenGait needs beside our own requirements: pip install 'opengait_ext[opengait]'.
"""

import copy
import importlib.util
import sys
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from opengait_ext.config import build, load_config
from opengait_ext.data.layout import read_array
from opengait_ext.engine.sections import check
from opengait_ext.losses import CrossEntropyLoss, TripletLoss
from opengait_ext.prepare.synth.align import align
from opengait_ext.schema import faults_of
from opengait_ext.upstream.zoo import STREAMS, zoo_catalog
from opengait_ext.upstream.zoo_keys import KEYS
from opengait_ext.upstream.zoo_model import HostBase
from opengait_ext.upstream.zoo_package import Package
from opengait_ext.upstream.zoo_recorded import Recorded

pytestmark = pytest.mark.needs_opengait

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = {
    "GaitSet": "gaitset",
    "GaitPart": "gaitpart",
    "GaitGL": "gaitgl",
    "Baseline": "gaitbase",
    "DeepGaitV2": "deepgaitv2",
    "SkeletonGaitPP": "skeletongaitpp",
    "BigGait__Dinov2_Gaitbase": "biggait_zoo",
}
OTHERS = {
    "GLN": {
        "in_channels": [1, 8, 8, 8],
        "bin_num": [16, 8, 4, 2, 1],
        "hidden_dim": 16,
        "lateral_dim": 16,
        "Lateral_pretraining": True,  # the second phase's logits fit no loss of upstream's
        "SeparateFCs": {"parts_num": 93, "in_channels": 16, "out_channels": 16},
    },
    "MultiGaitpp": {
        "Backbone": {
            "in_channels": 3,
            "blocks": [1, 1, 1, 1],
            "C": 2,
            "part1_channel": 2,
            "part2_channel": 1,
        },
        "SeparateBNNecks": {"class_num": 108},
    },
}


@pytest.fixture(scope="module")
def catalog(opengait):
    return zoo_catalog(opengait)


@pytest.fixture(scope="module")
def vision_weights(catalog, tmp_path_factory):
    """Random weights of DINOv2's form: Meta's are not asked for."""
    package = catalog.models._package
    vit = package.module("modeling.models.BigGait_utils.DINOv2").vit_small(logger=HostBase.msg_mgr)
    path = tmp_path_factory.mktemp("weights") / "dinov2.pth"
    torch.save(vit.state_dict(), path)
    return path


def section_of(name, request):
    if name in OTHERS:
        return {"model": name, **copy.deepcopy(OTHERS[name])}
    section = load_config(CONFIGS / f"{NAMES[name]}_synth.yaml")["model_cfg"]
    if "pretrained_dinov2" in section:
        section["pretrained_dinov2"] = str(request.getfixturevalue("vision_weights"))
    return section


@pytest.fixture(scope="module", params=[*NAMES, *OTHERS])
def built(request, catalog):
    """A model of the zoo, its name and its section."""
    torch.manual_seed(0)
    section = section_of(request.param, request)
    model = catalog.models[request.param]()
    model.build_network(section)
    model.init_parameters()
    return model, request.param, section


def inputs_of(name, lengths=(3, 3, 3, 3)):
    n, equal = len(lengths), len(set(lengths)) == 1
    shape = (n, lengths[0]) if equal else (1, sum(lengths))
    channels, size = (3, (96, 48)) if "BigGait" in name else (1, (64, 44))
    channels = 3 if name in STREAMS else channels
    counts = None if equal else torch.tensor([lengths], dtype=torch.int32)
    frames = torch.rand(*shape, channels, *size)
    views = [f"D{place}" for place in range(n)]
    return [frames], torch.arange(n) // 2, ["rgb", "ir"] * (n // 2), views, counts


def test_the_models_that_were_promised_are_offered(catalog):
    assert set(NAMES) <= set(catalog.models)
    assert set(KEYS) <= set(catalog.models)


@pytest.mark.parametrize("name", [*NAMES.values()])
def test_a_shipped_config_is_without_fault(catalog, name):
    check(load_config(CONFIGS / f"{name}_synth.yaml"), catalog, "both")


def test_our_schema_has_the_keys_that_the_model_reads(built, monkeypatch):
    model, name, section = built
    recorded = Recorded(section)
    monkeypatch.setattr(type(model), "_begun", True)
    other = type(model)()
    other.cfgs = {"data_cfg": {"dataset_name": ""}}
    other.build_network(recorded)
    known = {field.name for field in fields(KEYS[name])}
    assert recorded.read - {"model"} <= known
    assert faults_of(KEYS[name], {k: v for k, v in section.items() if k != "model"}) == []


def test_a_batch_trains_every_parameter_that_asks_for_it(built, catalog):
    model, name, _ = copy.deepcopy(built)
    config = load_config(CONFIGS / f"{NAMES.get(name, 'gaitbase')}_synth.yaml")
    features = model.train()(inputs_of(name))["training_feat"]
    total = sum(value.mean() for value in features.values() if torch.is_tensor(value))
    for section in config["loss_cfg"]:
        if section["log_prefix"] not in features:
            continue  # GLN's first phase
        settings = {key: value for key, value in section.items() if key != "log_prefix"}
        loss = build(catalog.losses, settings, where="loss_cfg")
        total = total + loss(**features[section["log_prefix"]])[0]
    total.backward()
    asking = {key: value for key, value in model.named_parameters() if value.requires_grad}
    silent = [key for key, value in asking.items() if value.grad is None]
    assert total.isfinite()
    assert len(silent) < len(asking) / 2, silent  # some models carry layers that they do not use


def test_tracklets_of_unequal_length_share_a_test_batch(built):
    model, name, _ = built
    lengths = (4, 3, 6, 5)
    inputs = inputs_of(name, lengths)
    with torch.no_grad():
        together = model.eval()(inputs)["inference_feat"]["embeddings"]
        start = 0
        for place, length in enumerate(lengths):
            clip = [inputs[0][0][:, start : start + length]]
            pick = slice(place, place + 1)
            alone = model((clip, inputs[1][pick], inputs[2][pick], inputs[3][pick], None))
            torch.testing.assert_close(
                alone["inference_feat"]["embeddings"], together[pick], rtol=1e-4, atol=1e-5
            )
            start += length


def test_four_channels_choose_gaitgls_wide_variant(catalog):
    model = catalog.models["GaitGL"]()
    model.build_network({"model": "GaitGL", "channels": [4, 4, 8, 8], "class_num": 3})
    assert any(key.startswith("GLConvA0.1.") for key in model.state_dict())


def theirs(opengait, file):
    """A module of upstream's losses, without the package that imports all of them."""
    package = Package(opengait, HostBase)
    return package.module(f"modeling.losses.{file}")


@pytest.mark.parametrize("parts", [1, 4])
def test_our_triplet_loss_gives_the_numbers_of_upstreams(opengait, parts):
    embeddings = torch.randn(12, 8, parts, requires_grad=True)
    labels = torch.arange(4).repeat_interleave(3)  # equally often, as upstream demands
    loss = theirs(opengait, "triplet").TripletLoss(margin=0.2)
    value, _ = type(loss).forward.__wrapped__(loss, embeddings=embeddings, labels=labels)
    ours, _ = TripletLoss(margin=0.2, anchor_is_positive=True)(embeddings, labels)
    torch.testing.assert_close(ours, value.mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("scale", "smooth"), [(16, True), (1, False)])
def test_our_cross_entropy_gives_the_numbers_of_upstreams(opengait, scale, smooth):
    logits, labels = torch.randn(6, 5, 3), torch.tensor([0, 1, 2, 3, 4, 0])
    loss = theirs(opengait, "ce").CrossEntropyLoss(scale=scale, label_smooth=smooth)
    value, _ = loss(logits, labels)
    ours, _ = CrossEntropyLoss(scale=scale, label_smoothing=0.1 if smooth else 0.0)(logits, labels)
    torch.testing.assert_close(ours, value, rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # it leaves its files open
def test_silhouettes_are_aligned_as_opengaits_own_preparation_does_it(
    opengait, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    script = opengait / "datasets" / "pretreatment.py"
    spec = importlib.util.spec_from_file_location("pretreatment", script)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    rng, bodies = np.random.default_rng(0), []
    for number in range(6):
        body = np.zeros((110, 90), np.uint8)
        center = (45 + int(rng.integers(-25, 25)), 55)
        cv2.ellipse(body, center, (int(rng.integers(8, 25)), 45), 0, 0, 360, 255, -1)
        cv2.line(body, center, tuple(rng.integers(0, 90, 2).tolist()), 255, 5)
        bodies.append(body)
        cv2.imwrite(str(tmp_path / f"{number}.png"), body)
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    theirs.imgs2pickle((("001", "nm-01", "000"), paths), tmp_path / "out", 64)
    stored = read_array(tmp_path / "out" / "001" / "nm-01" / "000" / "000.pkl")[:, 0]
    ours = np.stack([align(body)[0] for body in bodies])
    np.testing.assert_array_equal(ours, stored[:, :, 10:-10])


REFUSED = (
    "BiggerGait__DINOv2", "DenoisingGait", "GaitEdge", "GaitGraph1", "GaitSSB_Pretrain", "GaitTR",
    "LidarGaitPlusPlus", "SMPLGait", "ScoNet", "SwinGait",
)  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_is_refused_with_a_reason(catalog, name):
    assert name not in list(catalog.models)
    with pytest.raises(KeyError, match=r"cannot run in this engine: (it|line) "):
        catalog.models[name]
