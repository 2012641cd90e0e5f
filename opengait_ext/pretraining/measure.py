"""Measure how well the small ViT of the demo separates person and background on SynthVVI.

    python datasets/prep/pretrain_measure.py --source data/synth_vvi_raw \
        --weights datasets/prep/weights/vit_small_synth.pt \
        --mask-weights datasets/prep/weights/mask_synth.pt

Only this script reads the true silhouettes of the test people; nothing is written. It prints, per
modality, the mean intersection over union of three silhouettes with the true ones: that of the mask
branch, that of a linear map fitted to true silhouettes, and one fixed silhouette for all frames.
The last two learn from one half of the people. All three are measured on the other half.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from opengait_ext.engine.devices import DEVIATION, MEAN
from opengait_ext.layers.gait import CentralChannel, MaskBranch
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.prepare.options import status_of
from opengait_ext.pretraining.mask import fit_mask_branch
from opengait_ext.pretraining.run import SIZES
from opengait_ext.pretraining.silhouettes import Frame, intersection_over_union, test_frames
from opengait_ext.pretraining.views import FRAME
from opengait_ext.weights import load_weights

MAP = (FRAME[0] // 4, FRAME[1] // 4)  # rows and columns of the silhouettes, as in the model


@torch.no_grad()
def tokens_of(vit: VisionTransformer, frames: Sequence[Frame]) -> Tensor:
    """Return the last tokens ``[f, t, d]`` of the frames."""
    mean, deviation = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, DEVIATION))
    tokens = []
    for start in range(0, len(frames), 32):
        part = [cv2.resize(frame.pixels, FRAME[::-1]) for frame in frames[start : start + 32]]
        images = torch.from_numpy(np.stack(part)).permute(0, 3, 1, 2).float() / 255
        tokens.append(vit((images - mean) / deviation)[0])
    return torch.cat(tokens)


def maps_of(scores: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize scores ``[f, t, c]`` to the size of the maps: ``[f, c, *MAP]``."""
    return functional.interpolate(
        scores.transpose(1, 2).unflatten(2, grid), MAP, mode="bilinear", align_corners=False
    )


def read_by_linear_map(tokens: Tensor, silhouettes: Tensor, others: Tensor) -> Tensor:
    """Fit a linear map to silhouettes ``[f, t]``; return its output for ``others``."""
    mean, deviation = tokens.mean((0, 1)), tokens.std((0, 1)) + 1e-5
    probe = nn.Linear(tokens.shape[-1], 1)
    optimizer = torch.optim.Adam(probe.parameters(), lr=1e-2)
    inputs = (tokens - mean) / deviation
    for _ in range(200):
        found = probe(inputs).sigmoid().squeeze(-1)
        both = found * silhouettes
        loss = 1 - both.sum() / (found + silhouettes - both).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return probe((others - mean) / deviation)


def report(name: str, soft: Tensor | np.ndarray, frames: Sequence[Frame]) -> None:
    """Print the mean overlap of soft silhouettes ``[f, h, w]`` per modality."""
    overlap: dict[str, list[float]] = {"visible": [], "infrared": []}
    for mask, frame in zip(np.asarray(soft), frames, strict=True):
        size = frame.silhouette.shape[::-1]
        fitted = cv2.resize(mask, size)
        overlap[frame.modality].append(intersection_over_union(fitted, frame.silhouette))
    values = ", ".join(f"{kind} {np.mean(found):.3f}" for kind, found in overlap.items())
    print(f"{name}: {values}")


def run(arguments: argparse.Namespace) -> None:
    """Print the overlap of the three silhouettes with the true ones."""
    torch.manual_seed(0)
    vit = VisionTransformer(**SIZES).eval()
    branch = MaskBranch(SIZES["embed_dim"]).eval()
    if arguments.weights:
        load_weights(vit, arguments.weights, where="--weights")
    if arguments.mask_weights:
        load_weights(branch, arguments.mask_weights, where="--mask-weights")
    frames = list(test_frames(arguments.source, arguments.every))
    half = len(frames) // 2  # frames are ordered by person
    tokens = tokens_of(vit, frames)
    if not arguments.mask_weights:
        branch, _ = fit_mask_branch(tokens[:half])
    true = np.stack(
        [cv2.resize(f.silhouette.astype(np.float32), vit.grid[::-1], interpolation=cv2.INTER_AREA)
         for f in frames[:half]]
    )  # fmt: skip
    with torch.no_grad():
        found = CentralChannel(MAP)(maps_of(branch(tokens[half:]), vit.grid).softmax(1))
    report("mask branch", found[:, 0], frames[half:])
    read = read_by_linear_map(tokens[:half], torch.from_numpy(true).flatten(1), tokens[half:])
    report("linear map shown the truth", maps_of(read, vit.grid)[:, 0].sigmoid(), frames[half:])
    fixed = true.mean(0) + 0.1  # a threshold of 0.4, which overlaps most
    report("one silhouette for all", np.repeat(fixed[None], len(frames) - half, 0), frames[half:])


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure the silhouettes of the small ViT.")
    add = parser.add_argument
    add("--source", type=Path, default=Path("data/synth_vvi_raw"))
    add("--weights", help="of the ViT; without: random weights")
    add("--mask-weights", help="of the mask branch; without: fitted here to one half")
    add("--every", type=int, default=4, help="of the test frames, every so many")
    arguments = parser.parse_args(command)
    return status_of(lambda: run(arguments))
