"""Benchmark rows of the network: its parts, a whole embedding, a training step."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from bench_measure import Row, Sides
from bench_model import (
    BFLOAT16,
    FLOAT32,
    batch,
    counted,
    embed,
    network,
    objective,
    operations,
    random_start,
    take,
    training_operations,
    without_chance,
)
from bench_plain import enhance, plain_copy
from torch import Tensor, nn

from opengait_ext.layers.enhancement import PBMGE, LocalGlobalEnhancement
from opengait_ext.layers.foreground import ForegroundBranches

BINS = [1, 2, 4, 8, 16]
EXACT = 1e-4  # tolerance in float32, relative to the standard deviation of a result
LENGTHS = [2, 4, 6, 12]  # frames of the tracklets in a batch
CALLS = "calls of small operations"


def gap(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference relative to the standard deviation of the expected values."""
    pairs = [(x.detach(), y.detach()) for x, y in zip(found, expected, strict=True)]
    return max(float((x - y).abs().max() / y.std().clamp_min(1e-12)) for x, y in pairs)


def backward(results: Sequence[Tensor]) -> None:
    """Run the backward pass of a sum of squares."""
    torch.stack([result.square().sum() for result in results]).sum().backward()


def one_enhancement(size: str) -> Sides:
    """Enhance 32 vectors by one stripe, forward and backward."""
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
        notes={"size": f"{n} vectors of {c}, 1 strip", "bound by": CALLS},
    )


def all_enhancements(size: str) -> Sides:
    """Enhance both streams at all granularities, in training."""
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
        notes={"size": f"{n} tracklets, 2 x {sum(BINS)} parts of {c}", "bound by": CALLS},
    )  # fmt: skip


def branches(training: bool) -> Callable[[str], Sides]:
    """Return the function that prepares the row of SASG's branches."""

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
        published = plain_copy(module)

        def run(forward: Callable[..., Any]) -> list[Tensor]:
            with torch.set_grad_enabled(training):
                made = forward(last, joined)
                results = [made.gait, made.appearance]
                if training:
                    backward([*results, made.reconstruction - made.target])
            return results

        def plain() -> list[Tensor]:
            return run(published)

        return Sides(
            lambda: run(module), plain, lambda: (gap(run(module), plain()), EXACT),
            flops=lambda: counted(lambda: run(module)),
            notes={"size": f"{frames} frames, {width} channels, {share:.0%} foreground"},
        )  # fmt: skip

    return make


def embedding(bfloat16: bool) -> Callable[[str], Sides]:
    """Return the function that prepares the row of a whole embedding."""

    def make(size: str) -> Sides:
        model = network(size).eval()
        plain = plain_copy(model)
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = batch(size, 4, 6)
        computation = BFLOAT16 if bfloat16 else FLOAT32

        def difference() -> tuple[float, float]:
            one, other = embed(model, inputs, computation), embed(plain, inputs, FLOAT32)
            if bfloat16:
                cosine = nn.functional.cosine_similarity(one.flatten(1), other.flatten(1))
                return 1 - float(cosine.min()), 1e-3
            return gap([one], [other]), 1e-3

        return Sides(
            lambda: embed(model, inputs, computation), lambda: embed(plain, inputs, FLOAT32),
            difference, flops=lambda: operations(model, inputs), bfloat16=bfloat16, embeddings=4,
            notes={"size": "4 tracklets of 6 frames", "difference of": "1 - cosine" if bfloat16
                   else "part of the deviation"},
        )  # fmt: skip

    return make


def unequal(size: str) -> Sides:
    """Embed tracklets of unequal length in one batch and one by one."""
    model = network(size).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    (frames,), *_ = batch(size, 1, sum(LENGTHS))
    _, *about, _ = batch(size, len(LENGTHS), 1)
    together = [[frames], *about, torch.tensor([LENGTHS], dtype=torch.int32)]
    alone = [
        [[part], *(each[place : place + 1] for each in about), None]
        for place, part in enumerate(frames.split(LENGTHS, dim=1))
    ]

    def ours() -> Tensor:
        return embed(model, together, FLOAT32)

    def plain() -> Tensor:
        return torch.cat([embed(model, inputs, FLOAT32) for inputs in alone])

    return Sides(
        ours, plain, lambda: (gap([ours()], [plain()]), 1e-3),
        flops=lambda: operations(model, together), embeddings=len(LENGTHS),
        notes={"size": f"tracklets of {', '.join(map(str, LENGTHS))} frames",
               "difference of": "part of the deviation"},
    )  # fmt: skip


def step(bfloat16: bool) -> Callable[[str], Sides]:
    """Return the function that prepares the row of a training step, Adam included."""

    def make(size: str) -> Sides:
        model = network(size).train()
        plain = plain_copy(model)
        computation = BFLOAT16 if bfloat16 else FLOAT32
        model = computation.place(model, training=True)
        inputs, losses = batch(size, 8, 6), objective()
        made = {}
        for name, module, fused in (("ours", model, True), ("plain", plain, False)):
            trained = [p for p in module.parameters() if p.requires_grad]
            made[name] = torch.optim.Adam(trained, lr=1e-6, fused=fused, foreach=False)

        def difference() -> tuple[float, float]:
            random_state = torch.get_rng_state()
            totals = []
            for module, precision in ((model, computation), (plain, FLOAT32)):
                torch.set_rng_state(random_state)
                module = without_chance(module)
                unmoved = torch.optim.SGD(module.parameters(), 0.0)
                totals.append(float(take(module, unmoved, losses, inputs, precision)))
            return abs(totals[0] / totals[1] - 1), 0.1 if bfloat16 else 1e-2

        return Sides(
            lambda: take(model, made["ours"], losses, inputs, computation),
            lambda: take(plain, made["plain"], losses, inputs, FLOAT32), difference,
            flops=lambda: training_operations(model, size, 8, 6), bfloat16=bfloat16,
            notes={"size": "8 tracklets of 6 frames", "difference of": "the sum of the losses"},
        )  # fmt: skip

    return make


ROWS = [
    Row("LGE, forward and backward", "products of all pairs", 60, 1 / 20, one_enhancement),
    Row("PBMGE, training", "60 calls of the above in a row", 60, 1 / 20, all_enhancements),
    Row("SASG branches, eval", "all channels to the finer grid first", 3, 1 / 4, branches(False)),
    Row("SASG branches, training", "the same", 2, 0, branches(True)),
    Row("embedding, float32", "the published pipeline's work", 1.35, 0, embedding(False)),
    Row("embedding, bfloat16", "the same in float32", 2.5, 0, embedding(True)),
    Row("unequal tracklets, float32", "ours, one tracklet at a time", 0, 0, unequal),
    Row("training step, float32", "the published pipeline's work", 1.25, 0.6, step(False)),
    Row("training step, bfloat16", "the same in float32", 2.2, 0.6, step(True)),
]
