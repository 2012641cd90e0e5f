"""Which order of memory batch normalizations get: on the CPU float32 needs the plain one."""

import biggait_parts
import pytest
import test_agw
import test_dinogrl
import test_dinogrl_released
import torch
from torch import nn

from opengait_ext.engine.devices import Computation

MODELS = {
    "AGW": (test_agw.model, test_agw.batch),
    "BigGait": (biggait_parts.make, biggait_parts.batch),
    "DinoGRL": (test_dinogrl.make, test_dinogrl.batch),
    "DinoGRLReleased": (test_dinogrl_released.make, test_dinogrl_released.batch),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_no_map_is_normalized_channels_last_in_a_float32_training_on_the_cpu(name):
    make, batch = MODELS[name]
    model = Computation(torch.device("cpu")).place(make(), training=True).train()
    plain = {}
    for part, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda _module, given, part=part: plain.update({part: given[0].is_contiguous()})
            )
    model(batch())
    assert len(plain) > 15
    assert [part for part, fits in plain.items() if not fits] == []
