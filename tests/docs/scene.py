"""A folder with everything that the documented commands expect, generated at toy size."""

import shutil
import subprocess
import sys
from pathlib import Path

import torch
from documented import ROOT

sys.path.insert(0, str(ROOT / "tests/prepare"))

import bupt_tree  # noqa: E402 - needs the path above
import gait_trees  # noqa: E402
import own_recordings  # noqa: E402
import published_files  # noqa: E402
import vcm_tree  # noqa: E402

from opengait_ext.config import load_config  # noqa: E402
from opengait_ext.models.biggait import BigGait  # noqa: E402
from opengait_ext.pretrained.fit import published_name  # noqa: E402
from opengait_ext.released import BIGGAIT  # noqa: E402


def make_scene(folder: Path) -> None:
    """Write the checkout's folders, downloads, recordings and published weights."""
    for name in ("configs", "datasets", "benchmarks", "tests", "constraints.txt"):
        (folder / name).symlink_to(ROOT / name)
    words = [
        "--train-identities",
        "8",
        "--test-identities",
        "3",
        "--frames",
        "16",
        "--height",
        "96",
    ]
    run = [sys.executable, "datasets/prep/synth_vvi.py", "--target", "VCM", *words]
    subprocess.run(run, cwd=folder, check=True, capture_output=True)
    shutil.rmtree(folder / "VCM/truth")
    for part in ("Train", "Test", "info"):
        files = vcm_tree.files_below(folder / "VCM" / part, f"{part}/")
        vcm_tree.pack_files(files, folder / f"{part}.zip")
        vcm_tree.pack_files(files, folder / f"downloads/{part}.tar.gz")
    bupt_tree.write_bupt_tree(folder / "BUPTCampus")
    gait_trees.write_tree(folder, "ccpg")
    (folder / "checkout/datasets/CCPG").mkdir(parents=True)
    shutil.move(folder / "CCPG.json", folder / "checkout/datasets/CCPG/CCPG.json")
    sides = ("rgb", "gate"), ("ir", "hall")
    walks = [(pid, *side) for pid in own_recordings.PEOPLE for side in sides]
    for number, walk in enumerate(walks):
        own_recordings.write_images(Path(folder, "people", *walk, "1"), 3, 3 * number)
    own_recordings.write_images(folder / "walk", 6)
    _write_films(folder)
    (folder / "data/weights").mkdir(parents=True)
    _write_weights(folder)


def _write_films(folder: Path) -> None:
    rows = [own_recordings.HEADER]
    for kind, camera in (("rgb", 1), ("ir", 2)):
        own_recordings.write_video(folder / f"films/{kind}.avi")
        for person, pid in enumerate(own_recordings.PEOPLE):
            about = (pid, str(camera), kind)
            rows += own_recordings.box_rows(f"{kind}.avi", person, track=person, about=about)
    own_recordings.write_lines(folder / "boxes.csv", *rows)


def _write_weights(folder: Path) -> None:
    shapes = {"model": published_files.best_model(8), "attention": published_files.best_model2(),
              "shape": published_files.best_shape(8)}  # fmt: skip
    published_files.write_published(folder, {name: _plain(each) for name, each in shapes.items()})
    torch.save(_plain(published_files.vit()), folder / "data/weights/dinov2_vits14_pretrain.pth")
    section = load_config(ROOT / "configs/biggait_ccpg.yaml")["model_cfg"]
    section |= {"dinov2_weights": None, "mask_weights": None}
    model = BigGait()
    model.build_network(section)
    state = {published_name(name, BIGGAIT): value for name, value in model.state_dict().items()}
    for branch, size in (("Mask_Branch", 2), ("Denoising_Branch", 16)):
        state[f"{branch}.bn_t.running_mean"] = torch.zeros(size)
        state[f"{branch}.bn_t.num_batches_tracked"] = torch.tensor(0)
    torch.save({"model": state, "iteration": 40000}, folder / "BigGait-40000.pt")


def _plain(shapes: dict) -> dict:
    """Return small weights of these shapes, each number held once."""
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(0)
        else:
            value = torch.tensor(1.0 if "running_var" in name else 0.01)
        state[name] = value.expand(shape)
    return state
