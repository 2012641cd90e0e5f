"""What the shipped configs say about themselves holds: complete ones, and those of the paper."""

import copy
import inspect
import re
from pathlib import Path

import pytest
import torch
import yaml

from opengait_ext.config import load_config
from opengait_ext.engine.keys import parts_of, written
from opengait_ext.engine.optimizer import bind_optimizer, shared_out
from opengait_ext.engine.sections import check
from opengait_ext.models import MODELS
from opengait_ext.upstream.zoo import zoo_catalog
from opengait_ext.vision import torchvision

CONFIGS = sorted((Path(__file__).parent.parent / "configs").rglob("*.yaml"))
OWN = [path for path in CONFIGS if load_config(path)["model_cfg"]["model"] in MODELS]

COMPLETE = "Every key stands here"
DEFAULTS = "A key that does not stand here has the default of its component."
# The recipe of the paper: its own model, and its baseline.
PAPER = [
    path
    for path in OWN
    if path.stem in ("dinogrl_vcm", "dinogrl_bupt", "dinogrl_bupt_10frames", "agw_vcm")
]


def name_of(path):
    return path.stem


def head_of(path):
    lines = path.read_text().split("\n\ndata_cfg:")[0].splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines)


def wanted_of(part):
    """The keys that a complete config has to name at a place."""
    if part.place[0] != "optimizer_cfg":
        return set(part.keys) - {"verbose"}  # an old option of torch's schedules
    # What moves the weights; torch's keyword-only arguments choose how it computes a step.
    parameters = inspect.signature(part.component).parameters
    how = {name for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    return set(part.keys) - how - {"match"}


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_a_head_says_what_holds_of_keys_that_are_left_out(path):
    head = head_of(path)
    assert (COMPLETE in head) != (DEFAULTS in head)
    assert "inherited" not in head


def test_the_configs_of_published_data_are_complete():
    complete = {path.stem for path in CONFIGS if COMPLETE in head_of(path)}
    assert complete == {path.stem for path in CONFIGS if "synth" not in path.stem}
    assert len(complete) >= 10


@pytest.mark.parametrize(
    "path", [path for path in CONFIGS if COMPLETE in head_of(path)], ids=name_of
)
def test_a_config_that_says_so_names_every_key_of_every_component(path):
    missing = {
        written(part.place): sorted(wanted_of(part) - set(part.given))
        for part in parts_of(load_config(path), zoo_catalog(None))
        if wanted_of(part) - set(part.given)
    }
    assert missing == {}


@pytest.mark.slow
@pytest.mark.parametrize("path", OWN, ids=name_of)
def test_the_entries_of_a_shipped_optimizer_share_its_model_out(path):
    config = load_config(path)
    model = on_meta(config)
    named = dict(model.named_parameters())
    shares = shared_out(bind_optimizer(config["optimizer_cfg"]), named)
    taken = [name for share in shares for name in share]
    assert sorted(taken) == sorted(name for name, each in named.items() if each.requires_grad)
    assert len(set(taken)) == len(taken)
    assert all(shares)


def on_meta(config):
    with torch.device("meta"):
        model = MODELS[config["model_cfg"]["model"]]()
        model.build_network(config["model_cfg"])
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in PAPER if path.stem.endswith("_vcm")], ids=name_of
)
def test_a_tenth_of_the_rate_goes_to_what_starts_from_published_weights_and_no_more(path, tmp_path):
    config = load_config(path)
    section = config["model_cfg"]
    torch.manual_seed(0)
    weights = torchvision.models.resnet18(weights=None).state_dict()
    published = {
        key: torch.rand_like(value) if value.is_floating_point() else value
        for key, value in weights.items()
    }
    torch.save(published, tmp_path / "resnet18.pth")
    section |= {
        "num_identities": 3,
        "backbone": "resnet18",
        "backbone_weights": str(tmp_path / "resnet18.pth"),
        "non_local": [0, 1, 1, 0],
    }
    if "dinov2" in section:
        small = {"embed_dim": 16, "depth": 4, "num_heads": 2, "input_size": [112, 56]}
        section["dinov2"] |= {**small, "taps": [0, 1, 2, 3]}
        section |= {"dinov2_weights": None, "part_channels": 8}
    model = MODELS[section["model"]]()
    model.build_network(section)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    model.init_parameters()
    loaded = [
        name
        for name, each in model.named_parameters()
        if each.requires_grad and not torch.equal(each, before[name])
    ]
    entries = bind_optimizer(config["optimizer_cfg"])
    tenth, whole = shared_out(entries, dict(model.named_parameters()))
    assert tenth == loaded
    assert any("non_local" in name for name in whole)
    rates = [entry["lr"] for entry in config["optimizer_cfg"]]
    assert rates == [0.01, 0.1]


@pytest.mark.parametrize("path", PAPER, ids=name_of)
def test_a_config_of_the_paper_has_the_values_that_the_paper_states(path):
    config = load_config(path)
    losses = {entry["log_prefix"]: entry for entry in config["loss_cfg"]}
    for prefix, entry in losses.items():
        if prefix.endswith("_id"):  # Eq. 2: one-hot labels, plain logits
            assert (entry["label_smoothing"], entry["scale"]) == (0.0, 1.0)
        if prefix.endswith("_triplet"):  # Eq. 3: squared distances
            assert entry["squared"] is True
            assert entry["anchor_is_positive"] is False
            assert entry["normalized"] is True  # a departure, which its comment explains
    weights = {prefix: entry["loss_term_weight"] for prefix, entry in losses.items()}
    if config["model_cfg"]["model"] == "DinoGRL":
        assert weights == {  # Eq. 17, 18 and section 4.1
            "appearance_id": 1.0, "appearance_triplet": 1.0, "gait_id": 1.0, "gait_triplet": 1.0,
            "mask": 1.0, "smoothness": 0.02, "diversity": 5.0,
        }  # fmt: skip
        mask = losses["mask"]  # Eq. 5: a length, and nothing divides it
        assert (mask["normalized"], mask["squared"]) == (False, False)
        assert losses["smoothness"]["sum_channels"] is False
    trainer = config["trainer_cfg"]
    # Section 4.1: these four augmentations and no other.
    assert [entry["type"] for entry in trainer["transform"]] == [
        "Resize", "PadCrop", "HorizontalFlip", "ChannelErasing", "ChannelAdaptiveGray",
    ]  # fmt: skip
    assert (trainer["transform"][0]["height"], trainer["transform"][0]["width"]) == (256, 128)
    sampler = trainer["sampler"]
    assert (sampler["identities"], sampler["visible"], sampler["infrared"]) == (8, 4, 4)
    schedule = config["scheduler_cfg"]
    assert (schedule["unit"], schedule["milestones"], schedule["gamma"]) == ("epoch", [35, 80], 0.1)
    assert trainer["total_iter"] == 200 * schedule["iterations_per_epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("path", PAPER, ids=name_of)
def test_the_departures_are_named_and_the_literal_rate_is_valid(path):
    text = path.read_text()
    (line,) = re.findall(r"^ *# (optimizer_cfg: \{.*\})$", text, re.MULTILINE)
    literal = yaml.safe_load(line)["optimizer_cfg"]
    config = load_config(path)
    rest = config["optimizer_cfg"][1]
    assert literal == rest
    assert literal["lr"] == 0.1
    changed = copy.deepcopy(config) | {"optimizer_cfg": literal}
    check(changed, zoo_catalog(None))
    (share,) = shared_out(bind_optimizer(literal), dict(on_meta(config).named_parameters()))
    assert share
    departures = re.findall(r"^ *# Departure: (.*)", text, re.MULTILINE)
    assert [each[:20] for each in departures] == ["at unit length, as i", "the paper names one "]


def differences(first, second, place=""):
    """The places at which two nested contents differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in {**first, **second}:
            yield from differences(first.get(key), second.get(key), f"{place}.{key}".lstrip("."))
    elif first != second:
        yield place


def loaded(stem):
    return load_config(CONFIGS[0].parent / f"{stem}.yaml")


@pytest.mark.parametrize(
    ("other", "also"),
    [
        ("agw_synth", set()),
        ("dinogrl_released_synth", set()),
        ("biggait_synth", {"trainer_cfg.find_unused_parameters"}),
    ],
)
def test_the_demo_configs_differ_where_their_heads_say(other, also):
    found = set(differences(loaded("dinogrl_synth"), loaded(other)))
    names = {"trainer_cfg.save_name", "evaluator_cfg.save_name"}
    rest = {place for place in found if not place.startswith(("model_cfg.", "loss_cfg"))}
    assert rest == names | also


def test_the_configs_of_bupt_differ_in_their_frames_alone():
    found = set(differences(loaded("dinogrl_bupt"), loaded("dinogrl_bupt_10frames")))
    parts = ("trainer_cfg", "evaluator_cfg")
    assert loaded("dinogrl_bupt")["optimizer_cfg"] == loaded("dinogrl_vcm")["optimizer_cfg"]
    assert found == {f"{part}.{key}" for part in parts for key in ("save_name", "sampler.frames")}


@pytest.mark.parametrize("stem", ["dinogrl_ccpg", "dinogrl_sustech1k"])
def test_the_configs_of_gait_data_are_the_papers_but_for_what_one_modality_changes(stem):
    ours, paper = loaded(stem), loaded("dinogrl_vcm")
    assert ours["loss_cfg"] == paper["loss_cfg"]
    tenth, rest = ours["optimizer_cfg"]
    assert rest == paper["optimizer_cfg"][1]
    lost = {"appearance_encoder.infrared_stem."}
    assert set(paper["optimizer_cfg"][0].pop("match")) - set(tenth.pop("match")) == lost
    assert tenth == paper["optimizer_cfg"][0]
    assert ours["trainer_cfg"]["transform"] == paper["trainer_cfg"]["transform"][:-1]
    found = set(differences(ours["model_cfg"], paper["model_cfg"]))
    assert found == {"num_identities", "modalities"}
    epoch = paper["scheduler_cfg"]["iterations_per_epoch"]
    for key in ("warmup", "milestones"):
        wanted = paper["scheduler_cfg"][key]
        wanted = [each * epoch for each in wanted] if isinstance(wanted, list) else wanted * epoch
        assert ours["scheduler_cfg"][key] == wanted
    found = set(differences(ours["trainer_cfg"], paper["trainer_cfg"]))
    assert found == {"sampler.visible", "sampler.infrared", "transform"}
