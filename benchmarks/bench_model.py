"""The released network with random weights, its inputs, and one training step."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from opengait_ext.config import load_config
from opengait_ext.engine.catalog import own_catalog
from opengait_ext.engine.devices import Computation
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.objective import Objective
from opengait_ext.engine.sections import check
from opengait_ext.models.dinogrl_released import DinoGRLReleased

CONFIG = Path(__file__).parents[1] / "configs" / "dinogrl_released_vcm.yaml"
FLOAT32 = Computation(torch.device("cpu"))
BFLOAT16 = Computation(torch.device("cpu"), torch.bfloat16)


def random_start(module: nn.Module) -> nn.Module:
    """Set random weights in normalizations that start at zero, so every path does work."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.weight is not None:
            nn.init.uniform_(layer.weight, 0.01, 0.05)
    return module


def network(size: str) -> DinoGRLReleased:
    """Build the released network with random weights."""
    section: dict[str, Any] = dict(load_config(CONFIG)["model_cfg"])
    section |= {"backbone_weights": None, "dinov2_weights": None, "mask_weights": None}
    if size == "small":
        section |= {"backbone": "resnet18", "image_size": [128, 64], "num_identities": 50}
        section["dinov2"] = {**section["dinov2"], "embed_dim": 192, "depth": 4, "num_heads": 3}
        section["dinov2"] |= {"input_size": [224, 112], "taps": [0, 1, 2, 3]}
        section |= {"map_size": [32, 16], "bins": [1, 2, 4, 8]}
    torch.manual_seed(0)
    model = DinoGRLReleased()
    model.build_network(section)
    return random_start(model)  # type: ignore[return-value]


def batch(size: str, tracklets: int, frames: int, device: torch.device | str = "cpu") -> list[Any]:
    """Return random frames: half visible, half infrared tracklets, four per identity."""
    height, width = (256, 128) if size == "full" else (128, 64)
    images = torch.randn(tracklets, frames, 3, height, width).to(device)
    kinds = (["rgb", "ir"] * tracklets)[:tracklets]
    labels = (torch.arange(tracklets) // 4).to(device)
    return [[images], labels, kinds, ["D1-T1"] * tracklets, None]


def embed(model: nn.Module, inputs: Any, computation: Computation) -> Tensor:
    """Return embeddings ``[n, d, p]`` in float32."""
    with torch.no_grad(), computation.autocast():
        return model(inputs)["inference_feat"]["embeddings"].float()


def objective() -> Objective:
    """Build all losses of the config file."""
    return Objective(check(load_config(CONFIG), own_catalog()).losses, Group())


def take(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    losses: Objective,
    inputs: Any,
    computation: Computation,
) -> Tensor:
    """Take a training step like the trainer; return the sum of the losses."""
    optimizer.zero_grad(set_to_none=True)
    with computation.autocast():
        features = model(inputs)["training_feat"]
    total = losses(features).total
    total.backward()
    optimizer.step()
    return total.detach()


def without_chance(model: DinoGRLReleased) -> DinoGRLReleased:
    """Return a copy without random dropping in training, so two sides can be compared."""
    model = copy.deepcopy(model)
    model.sasg.dropout.p, model.blackout = 0.0, 0.0
    return model


def counted(run: Callable[[], Any]) -> float:
    """Count the multiplications and additions of matrix products, convolutions and attention."""
    unknown: dict[Any, Any] = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention
    }
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        unknown[torch.ops.mkldnn._linear_pointwise] = _linear
    with FlopCounterMode(display=False, custom_mapping=unknown) as counter:
        run()
    return float(counter.get_total_flops())


def operations(model: nn.Module, inputs: Any) -> float:
    """Count the multiplications and additions of a forward pass."""
    model = copy.deepcopy(model).eval()
    return counted(lambda: embed(model, inputs, FLOAT32))


def training_operations(model: nn.Module, size: str, tracklets: int, frames: int) -> float:
    """Count the operations of a training step, extrapolated from two tracklets.

    Nearly all operations are proportional to the number of frames. The transformer is frozen and
    has no backward pass, so none is counted.
    """
    model, losses = copy.deepcopy(model), objective()
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    inputs = batch(size, 2, frames)
    return counted(lambda: take(model, optimizer, losses, inputs, FLOAT32)) * tracklets / 2


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)  # torch has formulas only for CUDA


def _linear(x: Any, weight: Any, *_: Any, **__: Any) -> int:
    return 2 * math.prod(x[:-1]) * math.prod(weight)
