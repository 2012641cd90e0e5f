"""Pre-training of the demo's small ViT, which stands in for DINOv2, on unlabeled frames.

    python datasets/prep/pretrain_vit.py --source data/synth_vvi \
        --target datasets/prep/weights/vit_small_synth.pt --iterations 900

Reads the training frames of a prepared data set, both modalities, without labels. Writes the
weights of the ViT (float16, Meta's names) and beside them ``mask_synth.pt``, the mask branch fitted
to its tokens. The same command resumes an interrupted run. Needs lightly.
"""

import argparse
import hashlib
import io
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from opengait_ext.data.layout import atomic_write
from opengait_ext.engine.devices import (
    DEVIATION,
    MEAN,
    Computation,
    choose_computation,
    choose_device,
)
from opengait_ext.errors import UserError
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.prepare.options import status_of
from opengait_ext.prepare.progress import Progress
from opengait_ext.pretraining.losses import WEIGHTS, Network, Objective, Seen
from opengait_ext.pretraining.mask import fit_mask_branch
from opengait_ext.pretraining.views import (
    Frames,
    Views,
    cut,
    draw_box,
    draw_frames,
    load_frames,
    look_up,
    recolor,
)
from opengait_ext.weights import read_file

# As in configs/dinogrl_synth.yaml.
SIZES: dict[str, Any] = {"embed_dim": 128, "depth": 6, "num_heads": 4, "image_size": (224, 112)}
SIZES |= {"pretrain_grid": 16, "taps": (1, 3, 4, 5)}
WHOLE, PART, LOCAL = (16, 8), (12, 6), (3, 3)  # token grids of the views
LOCALS, JUDGED = 4, 6  # local views per frame, of the student and of the teacher
CALM, STRONG = 0.15, 0.5  # strength of color changes, for the teacher and for the student
WHOLE_SHARE = 0.2  # share of the iterations that use whole frames, half as many
FRAMED_FROM, FRAMED_SHARE = 0.3, 0.7  # start in the run; share of iterations on unchanged frames
POSITION_SIZE = 0.5  # amplitude of the waves that initialize the position table
MASKED = 0.6  # largest share of masked patches, in half of the large views
WARMUP, FINAL_RATE, WEIGHT_DECAY, CLIP = 20, 0.05, 0.05, 3.0
TEACHER_STEP = 0.05  # update of the teacher toward the student at the start; 0 at the end
FITTED = 640  # frames used to fit the mask branch
SAVED_EVERY = 60.0  # seconds
SAME = ("iterations", "minutes", "seed", "batch", "rate", "frames")  # equal in a run and its state


class Pretraining:
    """Student, teacher and optimizer, and their progress.

    Iteration i draws everything from (seed, i), so a resumed run equals an uninterrupted one.

    Args:
        frames: The training frames.
        options: ``seed``, ``batch`` and ``rate`` of the command line.
        computation: Device and precision.
    """

    def __init__(self, frames: Frames, options: argparse.Namespace, computation: Computation):
        torch.manual_seed(options.seed)
        self.frames, self.options, self.computation = frames, options, computation
        device = computation.device
        self.student = Network(VisionTransformer(**SIZES)).to(device)
        start_positions(self.student.vit)
        self.teacher = Network(VisionTransformer(**SIZES)).to(device).requires_grad_(False)
        self.teacher.load_state_dict(self.student.state_dict())
        self.objective = Objective().to(device)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), weight_decay=WEIGHT_DECAY)
        self.mean, self.deviation = (
            torch.tensor(value, device=device).view(3, 1, 1) for value in (MEAN, DEVIATION)
        )
        self.iteration, self.seconds = 0, 0.0

    def step(self, share: float) -> dict[str, float]:
        """Train on one batch and return the losses; ``share`` is the finished part of the run."""
        slow = 0.5 * (1 + math.cos(math.pi * share))
        warm = min(1.0, (self.iteration + 1) / WARMUP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * warm * (FINAL_RATE + (1 - FINAL_RATE) * slow)
        losses = self._losses(share > FRAMED_FROM)
        self.optimizer.zero_grad()
        torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum().backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), CLIP)
        self.optimizer.step()
        with torch.no_grad():
            for own, other in zip(
                self.teacher.parameters(), self.student.parameters(), strict=True
            ):
                own.lerp_(other, TEACHER_STEP * slow)
        self.iteration += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _losses(self, may_be_framed: bool) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.options.seed, self.iteration])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        framed = may_be_framed and rng.random() < FRAMED_SHARE
        grid, count = PART, self.options.batch
        if framed or rng.random() < WHOLE_SHARE:
            grid, count = WHOLE, max(count // 2, 1)
        pairs = self.frames.pixels[draw_frames(self.frames, count, rng)]  # [b, 2, h, w, 3]
        first, second = pairs[:, 0], pairs[:, 1]
        boxes = {
            "large": [draw_box(grid, not framed, rng) for _ in range(count)],
            "taught": [draw_box(PART, True, rng) for _ in range(count)],
            "local": [draw_box(LOCAL, True, rng) for _ in range(LOCALS * count)],
        }
        large, taught = cut(first, boxes["large"], grid), cut(second, boxes["taught"], PART)
        local = cut(np.repeat(second, LOCALS, 0), boxes["local"], LOCAL)
        hidden = rng.uniform(0, MASKED, (count, 1)) * (rng.random((count, 1)) < 0.5)
        masked = torch.from_numpy(rng.random((count, grid[0] * grid[1])) < hidden)

        def seen(network: Network, views: Views, strength: float, at: np.ndarray) -> Seen:
            images = self._normalized(recolor(views.pixels, strength, generator))
            hiding = masked.to(images.device) if views is large else None
            with self.computation.autocast():
                tokens = network.vit.encode(images, hiding).float()
            tensors = (torch.from_numpy(a).float().to(images.device) for a in (views.places, at))
            return Seen(tokens, (views.places.shape[1], views.places.shape[2]), *tensors)

        judged = None
        with torch.no_grad():
            told = seen(self.teacher, taught, CALM, look_up(large.places, boxes["taught"]))
            if framed:
                drawn = [draw_box(LOCAL, True, rng) for _ in range(JUDGED * count)]
                pieces = cut(np.repeat(first, JUDGED, 0), drawn, LOCAL)
                at = look_up(pieces.places, [box for box in boxes["large"] for _ in range(JUDGED)])
                judged = seen(self.teacher, pieces, CALM, at)
        return self.objective(
            (self.student, self.teacher),
            seen(self.student, large, STRONG, large.places),
            told,
            seen(self.student, local, STRONG, local.places),
            judged,
        )

    def _normalized(self, images: Tensor) -> Tensor:
        return (images.to(self.computation.device) - self.mean) / self.deviation

    def state(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        parts = {name: getattr(self, name).state_dict() for name in _PARTS}
        return parts | {"iteration": self.iteration, "seconds": self.seconds}

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from a saved state."""
        for name in _PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.iteration, self.seconds = state["iteration"], state["seconds"]

    @torch.no_grad()
    def tokens_of(self, vit: VisionTransformer, count: int) -> Tensor:
        """Return the last tokens ``[f, t, d]`` of up to ``count`` whole frames."""
        total = len(self.frames.pixels)
        chosen = np.random.default_rng(self.options.seed).permutation(total)[:count]
        tokens = []
        for part in np.split(chosen, range(32, len(chosen), 32)):
            images = torch.from_numpy(self.frames.pixels[part]).permute(0, 3, 1, 2).float() / 255
            tokens.append(vit(self._normalized(images))[0])
        return torch.cat(tokens)


@torch.no_grad()
def start_positions(vit: VisionTransformer) -> None:
    """Initialize the position table with waves of several lengths in both directions.

    From small noise, as in DINOv2, a run this short never learns to use positions.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, in two dimensions.
    """
    side, channels = vit.pretrain_grid, vit.pos_embed.shape[-1]
    steps = torch.arange(side) + 0.5
    rates = 2 * math.pi / side * 2.0 ** torch.linspace(-1, 3, channels // 4)
    waves = steps[:, None] * rates
    line = torch.cat([waves.sin(), waves.cos()], 1)  # [side, d / 2]
    table = torch.cat(
        [line[:, None].expand(-1, side, -1), line[None].expand(side, -1, -1)], 2
    )  # [side, side, d]
    vit.pos_embed[0, 1:] = POSITION_SIZE * table.flatten(0, 1)


_PARTS = ("student", "teacher", "objective", "optimizer")


def train(run: Pretraining, checkpoint: Path, settings: dict[str, Any]) -> None:
    """Train to the end; save the state once a minute.

    Raises:
        UserError: If the state on disk was saved with other options.
    """
    if checkpoint.is_file():
        content = read_file(checkpoint)
        if content["settings"] != settings:
            raise UserError(
                f"{checkpoint}: made with other options ({content['settings']}); repeat these, "
                "or delete the file to start anew"
            )
        run.load_state(content)
        print(f"going on at iteration {run.iteration}")
    iterations, seconds = settings["iterations"], 60 * settings["minutes"]
    total, unit = (iterations, "iterations") if iterations else (round(seconds), "seconds")
    start = saved = time.monotonic() - run.seconds
    saved += run.seconds
    with Progress(total, "pre-training", unit) as progress:
        progress.done = run.iteration if iterations else int(run.seconds)
        while (done := run.iteration if iterations else int(run.seconds)) < total:
            losses = run.step(done / total)
            run.seconds = time.monotonic() - start
            if run.iteration % 50 == 0:
                shown = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
                print(f"iteration {run.iteration}: {shown}")
            if time.monotonic() - saved > SAVED_EVERY:
                save(run.state() | {"settings": settings}, checkpoint)
                saved = time.monotonic()
            progress.add((run.iteration if iterations else int(run.seconds)) - done)
    save(run.state() | {"settings": settings}, checkpoint)


def save(content: Any, path: Path) -> str:
    """Save content with torch atomically; return the sha256 of the file."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    atomic_write(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def write_weights(run: Pretraining, target: Path, mask_target: Path) -> None:
    """Write the teacher's ViT in float16, and a mask branch fitted to the written weights."""
    state = {name: value.cpu().half() for name, value in run.teacher.vit.state_dict().items()}
    vit = VisionTransformer(**SIZES)
    vit.load_state_dict(state)
    vit.to(run.computation.device).eval()
    branch, error = fit_mask_branch(run.tokens_of(vit, FITTED), run.options.seed)
    print(f"mask branch: {1 - error:.0%} of the variance of the tokens in two classes")
    for path, content in ((target, state), (mask_target, branch.cpu().state_dict())):
        digest = save(content, path)
        print(f"{path}: {path.stat().st_size:,} bytes, sha256 {digest}")


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Pre-train the small ViT of the demo.")
    add = parser.add_argument
    add("--source", type=Path, required=True, help="root of a prepared dataset")
    add("--target", type=Path, required=True, help="file for the weights of the ViT")
    add("--mask-target", type=Path, help="file for the mask branch (mask_synth.pt beside it)")
    add("--iterations", type=int, default=0, help="length of the run; equal runs are equal")
    add("--minutes", type=float, default=0.0, help="length of the run, where it has no iterations")
    add("--seed", type=int, default=0, help="of everything that is drawn (default: %(default)s)")
    add("--batch", type=int, default=32, help="frames an iteration (default: %(default)s)")
    add("--rate", type=float, default=1e-3, help="learning rate (default: %(default)s)")
    add("--frames", type=int, default=8, help="of a tracklet, in memory (default: %(default)s)")
    add("--threads", type=int, default=0, help="of the processor (default: torch's choice)")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    add("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    arguments = parser.parse_args(command)
    if (arguments.iterations > 0) == (arguments.minutes > 0):
        parser.error("give the length of the run: either --iterations or --minutes, above 0")
    if min(arguments.batch, arguments.frames) < 2:
        parser.error("--batch and --frames: expected at least 2")
    return arguments


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status."""
    arguments = arguments_of(command)
    cv2.setNumThreads(1)
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    mask_target = arguments.mask_target or arguments.target.with_name("mask_synth.pt")
    checkpoint = arguments.target.with_name(arguments.target.name + ".unfinished")
    settings = {name: getattr(arguments, name) for name in SAME}

    def work() -> None:
        device = choose_device(arguments.device)
        computation = choose_computation(device, arguments.precision, "--precision")
        run = Pretraining(load_frames(arguments.source, arguments.frames), arguments, computation)
        train(run, checkpoint, settings)
        write_weights(run, arguments.target, mask_target)
        checkpoint.unlink()
        print(f"{run.iteration} iterations in {run.seconds:.0f} seconds, {computation.described}")

    return status_of(work)
