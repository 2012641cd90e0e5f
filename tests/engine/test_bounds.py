"""Numbers in a config with which no run begins or ends: each a line with the place."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from opengait_ext.config import Bound, ConfigError, bind_model, load_config
from opengait_ext.engine.bounds import faults_of_numbers
from opengait_ext.engine.catalog import own_catalog
from opengait_ext.engine.run import _check_size, make_model
from opengait_ext.engine.sections import check
from opengait_ext.models import MODELS


@pytest.mark.parametrize(
    "change",
    [
        "trainer_cfg.seed=4294967296",
        "trainer_cfg.seed=-1",
        "model_cfg.num_identities=2000000000",
        "model_cfg.num_identities=0",
        "model_cfg.image_size.0=0",
        "model_cfg.bins.1=-2",
        "model_cfg.part_channels=1000000000000",
        "model_cfg.dinov2.embed_dim=0",
        "model_cfg.dinov2.num_heads=0",
        "model_cfg.dinov2.patch_size=0",
        "model_cfg.dinov2.pretrain_grid=100000",
        "model_cfg.dinov2.depth=100000",
        "data_cfg.num_workers=100000",
        "trainer_cfg.total_iter=100000000000",
        "trainer_cfg.accumulate=0",
        "trainer_cfg.sampler.frames=2000000000",
        "trainer_cfg.sampler.identities=-1",
        "trainer_cfg.sampler.visible=-1",
        "trainer_cfg.transform.0.height=0",
        "trainer_cfg.transform.0.width=1000000",
        "trainer_cfg.transform.1.padding=100000",
        "evaluator_cfg.sampler.batch_size=0",
        "evaluator_cfg.sampler.batch_size=1000000000",
        "evaluator_cfg.sampler.frames=-1",
    ],
)
def test_a_number_that_no_run_can_have_is_refused_with_its_place_and_bounds(change):
    place, _, value = change.partition("=")
    section, *keys = place.split(".")
    where = section + "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in keys)
    with pytest.raises(ConfigError) as fault:
        check(load_config("configs/dinogrl_synth.yaml", [change]), own_catalog())
    (line,) = str(fault.value).splitlines()
    assert line.startswith(f"{where}: expected ")
    assert line.endswith(f", found {value}")


@pytest.mark.parametrize(
    ("key", "value"),
    [("warmup", -1), ("milestones", 0), ("step_size", 0), ("T_max", 0)]
    + [("ranks", 0), ("block_size", 0), ("confidence", -1), ("margin", math.nan)],
)
def test_a_number_that_a_component_cannot_take_is_refused(key, value):
    (fault,) = faults_of_numbers({"section": {key: value}})
    assert fault.startswith(f"section.{key}: expected ")


def test_numbers_of_keys_without_bounds_pass():
    assert not [*faults_of_numbers({"a": 10**12, "seed": 2**32 - 1, "frames": 0, "seeds": [-1]})]
    assert [*faults_of_numbers({"a": [{"bins": [1, 0]}]})] == [
        "a[0].bins[1]: expected 1 or more, found 0"
    ]


class Large(nn.Module):
    def build_network(self, section):
        self.small = nn.Linear(2, 2)
        self.head = nn.Linear(section["width"], section["width"], bias=False)


def test_a_model_that_no_machine_holds_is_refused_before_memory_is_taken():
    said = r"model_cfg \(Large\): a model of 1,000,000,000,006 values.* head.weight \[1000000, 1000"
    with pytest.raises(ConfigError, match=said):
        _check_size(Bound("model_cfg", Large, {"width": 10**6}))
    _check_size(Bound("model_cfg", Large, {"width": 10}))
    _check_size(Bound("model_cfg", Large, {}))  # the real one tells what is missing


def test_looking_at_the_size_draws_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    section = load_config("configs/dinogrl_synth.yaml")["model_cfg"]
    _check_size(bind_model(MODELS, section))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("fault", [MemoryError(), RuntimeError("can't allocate memory: 9 bytes")])
def test_a_model_without_room_is_a_sentence(fault):
    class Full(nn.Module):
        def build_network(self, section):
            raise fault

    settings = SimpleNamespace(model=Bound("model_cfg", Full, {}))
    with pytest.raises(ConfigError, match=r"model_cfg \(Full\): there is no memory for a model"):
        make_model(SimpleNamespace(settings=settings), None)
