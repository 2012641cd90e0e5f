import pytest
import torch
from torch import nn

from opengait_ext.config import ConfigError
from opengait_ext.data.collate import Batch
from opengait_ext.engine.devices import (
    DEVIATION,
    MEAN,
    Computation,
    choose_computation,
    choose_device,
    computes_bfloat16,
)

CPU = torch.device("cpu")


def test_the_cpu_is_always_there_and_auto_finds_something():
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    missing = [kind for kind in there if not there[kind]]
    if kind := missing[-1] if missing else "":
        with pytest.raises(ConfigError, match=rf"--device {kind}: .* \(there is: .*cpu\)"):
            choose_device(kind)


def test_auto_takes_bfloat16_where_the_processor_computes_in_it():
    expected = "bfloat16" if computes_bfloat16(CPU) else "float32"
    assert choose_computation(CPU, "auto", "trainer_cfg.precision").precision == expected


def test_an_emulated_precision_says_so():
    described = choose_computation(CPU, "bfloat16", "x").described
    assert ("emulated" in described) is not computes_bfloat16(CPU)
    assert choose_computation(CPU, "float32", "x").described == "float32"


def test_float16_is_not_for_the_cpu():
    with pytest.raises(ConfigError, match=r"trainer_cfg.precision: float16 needs cuda or mps"):
        choose_computation(CPU, "float16", "trainer_cfg.precision")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_lowers_products_to_the_precision(dtype):
    with Computation(CPU, dtype).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
    assert not Computation(CPU, dtype).scaler().is_enabled()


def test_frames_arrive_normalized_in_opengaits_tuple():
    frames = torch.randint(256, (2, 3, 3, 4, 2), dtype=torch.uint8)
    batch = Batch(frames, torch.tensor([1, 0]), ["rgb", "ir"], ["a", "b"], None, torch.arange(2))
    (images,), labels, types, views, lengths = Computation(CPU).inputs(batch)
    assert images.dtype is torch.float32
    for channel in range(3):
        expected = (frames[:, :, channel].float() / 255 - MEAN[channel]) / DEVIATION[channel]
        torch.testing.assert_close(images[:, :, channel], expected)
    assert (labels.tolist(), types, views, lengths) == ([1, 0], ["rgb", "ir"], ["a", "b"], None)


def test_silhouettes_arrive_from_0_to_1():
    frames = torch.randint(256, (2, 3, 1, 4, 2), dtype=torch.uint8)
    batch = Batch(frames, torch.tensor([1, 0]), ["rgb", "ir"], ["a", "b"], None, torch.arange(2))
    (images,), *_ = Computation(CPU).inputs(batch)
    torch.testing.assert_close(images, frames / 255, rtol=0, atol=0)


def test_a_model_may_ask_for_the_plain_order_of_memory():
    model = nn.Conv2d(3, 4, 3)
    model.channels_last = False
    assert Computation(CPU).place(model).weight.is_contiguous()


def test_kernels_lie_channels_last():
    model = Computation(CPU).place(nn.Conv2d(3, 4, 3))
    assert model.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("dtype", "plain"), [(torch.float32, True), (torch.bfloat16, False)])
def test_a_training_in_float32_on_the_cpu_keeps_the_plain_order(dtype, plain):
    model = Computation(CPU, dtype).place(nn.Conv2d(3, 4, 3), training=True)
    assert model.weight.is_contiguous() == plain
