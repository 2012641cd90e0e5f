"""Rows of the network: its parts, a whole embedding, a training step."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from bench_measure import Row, Sides
from bench_plain import enhance, make_maps, plain_copy
from torch import Tensor, nn

from opengait_ext.config import build, load_config
from opengait_ext.layers.enhancement import PBMGE, LocalGlobalEnhancement
from opengait_ext.layers.foreground import ForegroundBranches
from opengait_ext.losses import LOSSES
from opengait_ext.models.dinogrl_released import DinoGRLReleased

CONFIG = Path(__file__).parents[1] / "configs" / "dinogrl_released_vcm.yaml"
BINS = [1, 2, 4, 8, 16]
EXACT = 1e-4  # of the deviation of a result in float32


def gap(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Gives the largest difference as part of the deviation of what it differs from."""
    pairs = [(x.detach(), y.detach()) for x, y in zip(found, expected, strict=True)]
    return max(float((x - y).abs().max() / y.std().clamp_min(1e-12)) for x, y in pairs)


def backward(results: Sequence[Tensor]) -> None:
    """Runs the backward pass of a sum of squares."""
    torch.stack([result.square().sum() for result in results]).sum().backward()


def random_start(module: nn.Module) -> nn.Module:
    """Gives the normalizations that start at zero a weight, so that all of it has work to do."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.weight is not None:
            nn.init.uniform_(layer.weight, 0.01, 0.05)
    return module


def one_enhancement(size: str) -> Sides:
    """Enhances 32 vectors by one strip, forward and backward."""
    n, c = (32, 256) if size == "full" else (8, 128)
    torch.manual_seed(0)
    module = random_start(LocalGlobalEnhancement(c)).train()
    vector, strips = torch.randn(n, c), torch.randn(n, c, 1)

    def run(forward: Callable[..., Tensor]) -> list[Tensor]:
        results = [forward(vector.requires_grad_(), strips)]
        backward(results)
        return results

    return Sides(
        lambda: run(module),
        lambda: run(lambda *given: enhance(module, *given)),
        lambda: (gap(run(module), run(lambda *given: enhance(module, *given))), EXACT),
        notes={"size": f"{n} vectors of {c}, 1 strip"},
    )


def all_enhancements(size: str) -> Sides:
    """Enhances both streams at all granularities, in training."""
    n, c = (32, 256) if size == "full" else (8, 128)
    torch.manual_seed(0)
    module = random_start(PBMGE(c, BINS, share_granularities=True)).train()
    plain = plain_copy(module)
    parts = torch.randn(2, n, c, sum(BINS))

    def run(network: nn.Module) -> list[Tensor]:
        results = list(network(*(each.clone().requires_grad_() for each in parts)))
        backward(results)
        return results

    return Sides(
        lambda: run(module), lambda: run(plain), lambda: (gap(run(module), run(plain)), EXACT),
        notes={"size": f"{n} tracklets, 2 x {sum(BINS)} parts of {c}"},
    )  # fmt: skip


def branches(training: bool) -> Callable[[str], Sides]:
    """Gives the row of SASG's branches."""

    def make(size: str) -> Sides:
        frames, width = (24, 384) if size == "full" else (6, 128)
        torch.manual_seed(0)
        module = ForegroundBranches(width, 4, (32, 16), (64, 32), mask_dropout=0.0)
        last, joined = torch.randn(frames, 512, width), torch.randn(frames, 512, 4 * width)
        with torch.no_grad():  # a body in the middle, over a third of the frame
            toward = module.mask.encoder.weight[0] - module.mask.encoder.weight[1]
            last -= 4 * toward / toward.norm()
            last.view(frames, 32, 16, width)[:, 4:28, 4:12] += 8 * toward / toward.norm()
            for norm, tokens in (
                (module.mask.norm, last),
                (module.gait_prior.norm, joined),
                (module.appearance_prior.norm, joined),
            ):
                norm.running_mean = tokens.mean((0, 1))
                norm.running_var = tokens.var((0, 1))
            chances = module.eval()._pixels(module.mask(last)).softmax(-1)
            share = float((module.silhouettes(chances) != 0).float().mean())
        module.train(training)

        def run(forward: Callable[..., Any]) -> list[Tensor]:
            with torch.set_grad_enabled(training):
                made = forward(last, joined)
                results = [made.gait, made.appearance]
                if training:
                    backward([*results, made.reconstruction - made.target])
            return results

        def plain() -> list[Tensor]:
            return run(lambda *given: make_maps(module, *given))

        return Sides(
            lambda: run(module), plain, lambda: (gap(run(module), plain()), EXACT),
            notes={"size": f"{frames} frames, {width} channels, {share:.0%} foreground"},
        )  # fmt: skip

    return make


def network(size: str) -> DinoGRLReleased:
    """Builds the released network from random weights."""
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


def batch(size: str, tracklets: int, frames: int) -> Any:
    """Gives random frames of half visible, half infrared tracklets."""
    height, width = (256, 128) if size == "full" else (128, 64)
    images = torch.randn(tracklets, frames, 3, height, width)
    kinds = ["rgb", "ir"] * (tracklets // 2)
    labels = torch.arange(tracklets) // 4
    return [images], labels, kinds, ["D1-T1"] * tracklets, None


def embedding(bfloat16: bool) -> Callable[[str], Sides]:
    """Gives the row of a whole embedding."""

    def make(size: str) -> Sides:
        model = network(size).eval()
        plain = plain_copy(model)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = batch(size, 4, 6)

        def embed(network: nn.Module, low: bool) -> Tensor:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
                return network(inputs)["inference_feat"]["embeddings"].float()

        def difference() -> tuple[float, float]:
            one, other = embed(model, bfloat16), embed(plain, False)
            if bfloat16:
                cosine = nn.functional.cosine_similarity(one.flatten(1), other.flatten(1))
                return 1 - float(cosine.min()), 1e-3
            return gap([one], [other]), 1e-3

        return Sides(
            lambda: embed(model, bfloat16), lambda: embed(plain, False), difference,
            flops=operations(model, inputs), bfloat16=bfloat16,
            notes={"size": "4 tracklets of 6 frames", "difference of": "1 - cosine" if bfloat16
                   else "part of the deviation"},
        )  # fmt: skip

    return make


def step(bfloat16: bool) -> Callable[[str], Sides]:
    """Gives the row of a training step: forward, all losses, backward, Adam."""

    def make(size: str) -> Sides:
        config = load_config(CONFIG)
        model = network(size).train()
        plain = plain_copy(model)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = batch(size, 8, 6)
        sections = config["loss_cfg"]
        losses = {s["log_prefix"]: build(LOSSES, _without(s), where="loss_cfg") for s in sections}

        def take(network: nn.Module, optimizer: torch.optim.Optimizer, low: bool) -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                features = network(inputs)["training_feat"]
            total = torch.stack(
                [
                    losses[s["log_prefix"]](**_float(features[s["log_prefix"]]))[0]
                    * s["loss_term_weight"]
                    for s in sections
                ]
            ).sum()
            total.backward()
            optimizer.step()
            return total.detach()

        made = {}
        for name, module, fused in (("ours", model, True), ("plain", plain, False)):
            trained = [p for p in module.parameters() if p.requires_grad]
            made[name] = torch.optim.Adam(trained, lr=1e-6, fused=fused, foreach=False)

        def difference() -> tuple[float, float]:
            random_state = torch.get_rng_state()
            totals = []
            for module in (copy.deepcopy(model), copy.deepcopy(plain)):
                torch.set_rng_state(random_state)
                module.sasg.dropout.p, module.blackout = 0.0, 0.0
                low = bfloat16 and not totals
                totals.append(float(take(module, torch.optim.SGD(module.parameters(), 0.0), low)))
            return abs(totals[0] / totals[1] - 1), 0.1 if bfloat16 else 1e-2

        return Sides(
            lambda: take(model, made["ours"], bfloat16),
            lambda: take(plain, made["plain"], False),
            difference, flops=3 * operations(model, inputs), bfloat16=bfloat16,
            notes={"size": "8 tracklets of 6 frames", "difference of": "the sum of the losses"},
        )  # fmt: skip

    return make


def operations(model: nn.Module, inputs: Any) -> float:
    """Counts the multiplications and additions of a forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        copy.deepcopy(model).eval()(inputs)
    return float(counter.get_total_flops())


def _without(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "log_prefix"}


def _float(features: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.float() if value.is_floating_point() else value
            for key, value in features.items()}  # fmt: skip


ROWS = [
    Row("LGE, forward and backward", "products of all pairs", 60, 1 / 20, one_enhancement),
    Row("PBMGE, training", "60 calls of the above in a row", 60, 1 / 20, all_enhancements),
    Row("SASG branches, eval", "all channels to the finer grid first", 3, 1 / 4, branches(False)),
    Row("SASG branches, training", "the same", 2, 0, branches(True)),
    Row("embedding, float32", "the published pipeline's work", 1.35, 0, embedding(False)),
    Row("embedding, bfloat16", "the same in float32", 2.5, 0, embedding(True)),
    Row("training step, float32", "the published pipeline's work", 1.25, 0.6, step(False)),
    Row("training step, bfloat16", "the same in float32", 2.2, 0.6, step(True)),
]
