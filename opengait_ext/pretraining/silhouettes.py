"""Compare the silhouettes of a trained model with the true ones of SynthVVI.

    python datasets/prep/synth_silhouettes.py --run output/SynthVVI/DinoGRL/dinogrl

Prints the mean intersection over union per modality on the test frames. Draws frames, true
silhouettes, predicted silhouettes and gait maps side by side.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from opengait_ext.engine.checkpoint import CheckpointStore, load_weights, read_checkpoint
from opengait_ext.engine.devices import DEVIATION, MEAN
from opengait_ext.errors import UserError
from opengait_ext.models import MODELS
from opengait_ext.prepare.options import status_of
from opengait_ext.prepare.progress import Progress

BATCH = 64  # frames per forward pass
SHOWN = 6  # frames per modality in the image
NAME = re.compile(r"(\d{4})M(\d)D(\d+)T\d+F(\d+)\.jpg")
MODALITIES = {"1": ("infrared", "ir"), "2": ("visible", "rgb")}


class Frame(NamedTuple):
    """One test frame and its ground truth."""

    modality: str
    pixels: np.ndarray  # [h, w, 3] uint8 RGB
    silhouette: np.ndarray  # [h, w] bool


def main() -> int:
    """Run the script; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="output folder of a training run")
    parser.add_argument("--source", type=Path, default=Path("data/synth_vvi_raw"))
    parser.add_argument("--every", type=int, default=4, help="of the test frames, every so many")
    parser.add_argument("--picture", type=Path, help="default: <run>/test/silhouettes.png")
    arguments = parser.parse_args()
    return status_of(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> None:
    """Print the overlap and draw the image."""
    model, size = load(arguments.run)
    frames = list(test_frames(arguments.source, arguments.every))
    overlap: dict[str, list[float]] = {"visible": [], "infrared": []}
    rows: dict[str, list[np.ndarray]] = {"visible": [], "infrared": []}
    with Progress(len(frames), "silhouettes", "frames") as progress:
        for start in range(0, len(frames), BATCH):
            part = frames[start : start + BATCH]
            soft, gait = found(model, part, size)
            for frame, mask, prior in zip(part, soft, gait, strict=True):
                mask = cv2.resize(mask, frame.silhouette.shape[::-1])
                overlap[frame.modality].append(intersection_over_union(mask, frame.silhouette))
                rows[frame.modality].append(drawn(frame, mask, prior))
            progress.add(len(part))
    for modality, values in overlap.items():
        print(f"{modality}: mean IoU {np.mean(values):.3f} on {len(values)} test frames")
    picture = arguments.picture or arguments.run / "test" / "silhouettes.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    columns = [row for kind in rows.values() for row in kind[:: max(len(kind) // SHOWN, 1)][:SHOWN]]
    cv2.imwrite(str(picture), np.concatenate(columns, axis=1)[..., ::-1])
    print(f"frames, true silhouettes, found silhouettes, gait maps: {picture}")


def load(run: Path) -> tuple[torch.nn.Module, tuple[int, int]]:
    """Return the model of a run's last checkpoint, and the height and width of its frames.

    Raises:
        UserError: If the folder holds no checkpoint, or one of a model without silhouettes.
    """
    store = CheckpointStore(run / "checkpoints", run.name, 0)
    if not store.iterations():
        raise UserError(f"{run}: there is no checkpoint; train first, or give another --run")
    path = store.path(store.iterations()[-1])
    content = read_checkpoint(path)
    section = dict(content["config"]["model_cfg"])
    model = MODELS[section["model"]]()
    if not hasattr(model, "sasg_maps"):
        raise UserError(f"{path}: {section['model']} makes no silhouettes; give a run of DinoGRL")
    model.build_network(section)
    load_weights(model, content["model"], True, path)
    height, width = section["image_size"]
    return model.eval(), (height, width)


def test_frames(source: Path, every: int) -> Iterator[Frame]:
    """Read test frames with their true silhouettes.

    Raises:
        UserError: If ``source`` was not written by ``synth_vvi.py``.
    """
    files = sorted((source / "truth" / "Test").glob("*.npz"))
    if not files:
        raise UserError(f"{source}: no truth/Test/*.npz; make it with datasets/prep/synth_vvi.py")
    for file in files:
        with np.load(file) as truth:
            height, width = (int(side) for side in truth["shape"])
            bits = np.unpackbits(truth["silhouettes"], axis=1)[:, : height * width]
            for name, mask in list(zip(truth["names"], bits, strict=True))[::every]:
                match = NAME.fullmatch(str(name))
                assert match is not None, name
                pid, kind, camera, number = match.groups()
                modality, folder = MODALITIES[kind]
                path = source / "Test" / pid / folder / f"D{camera}" / f"{number}.jpg"
                pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if pixels is None:
                    raise UserError(f"{path}: this frame cannot be read; generate the data again")
                yield Frame(modality, pixels[..., ::-1], mask.reshape(height, width) > 0)


@torch.no_grad()
def found(model: Any, frames: list[Frame], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return soft silhouettes ``[f, h, w]`` and the gait prior ``[f, h, w, 3]``, from 0 to 1."""
    height, width = size
    pixels = np.stack([cv2.resize(frame.pixels, (width, height)) for frame in frames])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    made = model.sasg_maps((images - mean) / deviation)
    groups = [group.sum(1) for group in made.gait_prior.chunk(3, dim=1)]
    return made.silhouettes[:, 0].numpy(), torch.stack(groups, dim=-1).numpy()


def intersection_over_union(soft: np.ndarray, truth: np.ndarray) -> float:
    """Return the IoU of a soft silhouette, cut at 0.5, and the true one; both ``[h, w]``."""
    hard = soft > 0.5
    union = np.count_nonzero(hard | truth)
    return np.count_nonzero(hard & truth) / union if union else 1.0


def drawn(frame: Frame, soft: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Stack frame, true silhouette, predicted silhouette and gait map vertically."""
    size = frame.silhouette.shape[::-1]
    colors = cv2.resize(prior, size, interpolation=cv2.INTER_NEAREST) * soft[..., None]
    gray = [np.repeat(mask[..., None], 3, axis=2) for mask in (frame.silhouette, soft)]
    parts = [frame.pixels / 255, *gray, colors]
    return (np.concatenate(parts) * 255).clip(0, 255).astype(np.uint8)
