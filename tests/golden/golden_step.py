"""A training step of DinoGRLReleased on the golden frames, and what it must give.

The arrays are those of the whole set where there is one, else the smaller ``network.npz``.
"""

import functools
import gc
import os
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from golden_values import FOLDER, GIVEN, SALT, load
from released_network import (
    blacked_out,
    buffer_summary,
    golden_batch,
    golden_network,
    golden_weights,
    gradient_summary,
    published,
    tame,
    ten_losses,
)
from torch import Tensor, nn

from opengait_ext.losses import LOSSES
from opengait_ext.models.dinogrl_released import compared_of

SEED = int(os.environ.get("DINOGRL_GOLDEN_SEED", "0"))  # of the frames
WHOLE = bool(GIVEN) or FOLDER.is_dir()
FRAMES = 6  # that the transformer gets at a time: each is computed by itself
STREAMS = (("gait", "shape"), ("appearance", "app"))  # and their names in the arrays


class Bounds(NamedTuple):
    """What a step may differ by."""

    losses: Any  # each as a part of itself
    maps: float  # their root mean square, of the deviation
    norms: float  # of gradients, of themselves
    entries: float  # of gradients, of the largest
    zeros: float  # of gradients that are 0 in theory, of that of the weight beside
    statistics: float  # of the largest
    triplets: float  # of the largest


# The authors' losses of identities are computed in float32 in either run. A float32 step of a
# network with random weights decides some maxima and signs otherwise: of N layers each turns a
# share of the gradient around that is as large as the error of its input.
# In float64, too, the table of positions is resized in float32, as Meta's code does it; processors
# round that differently (ATEN_CPU_CAPABILITY=default: maps 4.6e-6, gradients 4.4e-4, statistics
# 1.1e-5; avx2, avx512: 2.5e-8, 1e-5, 5e-8).
BOUNDS = {
    torch.float64: Bounds(
        np.array([2e-9] * 5 + [6e-6] * 5), 1.5e-5, 1.5e-3, 1.5e-3, 1e-9, 4e-5, 2e-5
    ),
    torch.float32: Bounds(np.full(10, 1e-4), 2.5e-4, 4e-2, 0.12, 1e-4, 1e-3, 1e-3),
}


def golden_arrays() -> dict[str, np.ndarray]:
    """Return the arrays of the full network."""
    if not WHOLE:
        return load("network.npz")
    files = {"eval": "full_eval.npz", "train": "full_train.npz", "override": "mask_override.npz"}
    return {
        f"{kind}/{name}": array
        for kind, file in files.items()
        for name, array in load(file, FOLDER).items()
    }


def weights_of(arrays):
    """Return the golden weights by our names."""
    override = {
        name.removeprefix("override/"): array
        for name, array in arrays.items()
        if name.startswith("override/")
    }
    assert len(override) == 2
    return golden_weights(SALT, override)


class Step:
    """One training step without blacking out, and another loss with it.

    Args:
        arrays: The golden ones.
        dtype: The precision of all of it.
        whole: Whether all gradients are made; otherwise none goes further back than the last block
            of either ResNet, and the ResNets need no memory for it.
        backward: Whether there is a backward pass.

    Attributes:
        losses: The ten losses.
        maps: The 35 parts of each stream.
        silhouettes: ``[24, 64, 32]`` bool.
        model: After the step, with its gradients.
        buffers: After the step, by our names.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        dtype: torch.dtype,
        whole: bool = False,
        backward: bool = True,
        place: Any = None,
    ) -> None:
        gc.collect()  # networks of earlier tests refer to themselves
        model = golden_network(weights_of(arrays), mask_dropout=0.0, blackout=0.0).train()
        self.dtype, self.model = dtype, place(model) if place else model
        tame(model.to(dtype) if whole else _widened(model, dtype))
        if not whole:
            _cut(model)
        frames = golden_batch(SEED, dtype)
        tokens = [model.dinov2(some) for some in frames[0][0].flatten(0, 1).split(FRAMES)]
        joined = tuple(torch.cat(kind) for kind in zip(*tokens, strict=True))
        del tokens
        model.dinov2 = _Known(joined)  # frozen, and of the same frames from here on
        with torch.set_grad_enabled(backward):
            features = model(frames)["training_feat"]
            self.losses, total = ten_losses(features)
        if backward:
            total.backward()
        self.maps = {
            stream: features[f"{stream}_triplet"]["embeddings"].detach() for stream, _ in STREAMS
        }
        self.silhouettes = features["diversity"]["maps"].detach().sum(1) > 0.5
        self.buffers = {name: value.clone() for name, value in model.named_buffers()
                        if name in model.state_dict()}  # fmt: skip

    def blacked_out_losses(self, seed: int) -> np.ndarray:
        """Return the losses of the same frames where Python's generator blacks maps out."""
        self.model.blackout = 0.2
        random.seed(seed)
        with torch.no_grad():
            return ten_losses(self.model(golden_batch(SEED, self.dtype))["training_feat"])[0]


def _widened(model, dtype):
    """Bring each part of a model to a precision when it is first called, for less memory."""

    def widen(part, _inputs):
        part.to(dtype)

    model.pbmge.to(dtype)
    for part in (*model.children(), *model.necks.values()):
        part.register_forward_pre_hook(widen)
    return model


class _Known(nn.Module):
    """Return what is known already."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, _frames: Tensor) -> Any:
        return self.output


def _cut(model):
    """Leave no graph before the last block of either ResNet."""
    for encoder in (model.gait_encoder, model.appearance_encoder.stages):
        for block in [
            *encoder.layer1, *encoder.layer2, *encoder.layer3, *list(encoder.layer4)[:-1]
        ]:  # fmt: skip
            block.forward = torch.no_grad()(block.forward)
            for layer in block.modules():
                if isinstance(layer, nn.Conv2d):  # in float64 torch unfolds all it gets
                    layer.forward = functools.partial(_in_pieces, layer.forward)
    model.sasg.fuse = torch.no_grad()(model.sasg.fuse)
    model.sasg._priors = torch.no_grad()(model.sasg._priors)
    model.appearance_encoder._stem = torch.no_grad()(model.appearance_encoder._stem)
    model.sasg_maps = functools.partial(_learned_from, model.sasg_maps)


def _in_pieces(layer, maps):
    return torch.cat([layer(some) for some in maps.split(FRAMES)])


def _learned_from(make, frames):
    """Return maps without a graph, after the backward pass of the losses that see them alone."""
    made = make(frames)
    if torch.is_grad_enabled():
        ten_losses(compared_of(made))[1].backward()
    return made._replace(**{name: value.detach() for name, value in made._asdict().items()})


def check_losses(arrays, step):
    """Compare the ten losses."""
    expected = arrays["train/A_losses"]
    assert (np.abs(step.losses - expected) <= BOUNDS[step.dtype].losses * np.abs(expected)).all()


def map_errors(arrays, step):
    """Return the root mean square difference of either stream's parts, of their deviation."""
    errors = {}
    for stream, name in STREAMS:
        expected = arrays[f"train/A_{name}35_s8"]
        difference = step.maps[stream][:, ::8].double().numpy() - expected
        errors[stream] = float(np.sqrt(np.square(difference).mean()) / expected.std())
    return errors


def check_maps(arrays, step):
    """Compare the silhouettes and the 35 parts of both streams."""
    bits = np.packbits(step.silhouettes.flatten(1).numpy(), axis=1)
    assert np.array_equal(bits, arrays["train/A_foreground_bits"])
    errors = map_errors(arrays, step)
    assert max(errors.values()) <= BOUNDS[step.dtype].maps, errors


def check_gradients(arrays, step):
    """Compare the gradients that the step has, and return how many of how many."""
    bounds = BOUNDS[step.dtype]
    seen, wrong = 0, {}
    for ours, parameter in step.model.named_parameters():
        file, theirs = published(ours)
        name = f"train/A_grad/{file}/{theirs}"
        if name not in arrays or parameter.grad is None:
            continue
        seen += 1
        expected, found = arrays[name], gradient_summary(parameter.grad)
        if ".W1.0.bias" in name or ".W2.0.bias" in name:  # 0 in theory: a normalization follows
            beside = step.model.get_parameter(ours[: -len("bias")] + "weight").grad
            if np.abs(found).max() > bounds.zeros * gradient_summary(beside)[0]:
                wrong[name] = float(np.abs(found).max())
            continue
        differences = np.abs(found - expected)
        norms = float((differences[:2] / expected[:2]).max())
        entries = float(differences[2:].max() / max(np.abs(expected[2:]).max(), 1e-12))
        if norms > bounds.norms or entries > bounds.entries:
            wrong[name] = norms, entries
    assert wrong == {}
    return seen, len([name for name in arrays if name.startswith("train/A_grad/")])


def check_statistics(arrays, step):
    """Compare the running statistics."""
    seen = 0
    for ours, buffer in step.buffers.items():
        file, theirs = published(ours)
        name = f"train/A_buffer_after/{file}/{theirs}"
        if name in arrays:
            seen += 1
            difference = np.abs(buffer_summary(buffer) - arrays[name]).max()
            assert difference <= BOUNDS[step.dtype].statistics * np.abs(arrays[name]).max(), name
    assert seen == len([name for name in arrays if "A_buffer_after" in name]) == 20


def check_triplets(arrays, step):
    """Compare the triplet loss of each part."""
    labels = golden_batch(SEED)[1]
    loss = LOSSES["TripletLoss"](anchor_is_positive=True)
    for stream, name in STREAMS:
        found = np.array([float(loss(part, labels)[0]) for part in step.maps[stream].split(1, 2)])
        expected = arrays[f"train/A_triplet_parts_{name}"]
        limit = BOUNDS[step.dtype].triplets * expected.max()
        assert np.abs(found - expected).max() <= limit


def check_blacked_out(arrays, step):
    """Compare what is blacked out, and the losses then."""
    seed = int(arrays["train/B_python_random_seed"])
    lost = blacked_out(seed, [6] * 4)
    assert lost[0] == arrays["train/B_blacked_sequence"].tolist()
    assert lost[1] == arrays["train/B_blacked_branch_0denoising_1appearance"].tolist()
    expected = arrays["train/B_losses"]
    difference = np.abs(step.blacked_out_losses(seed) - expected)
    assert (difference <= BOUNDS[step.dtype].losses * np.abs(expected)).all(), difference
