"""The pre-training of the small ViT: the command line, resuming, and the shipped weights."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from opengait_ext.config import load_config
from opengait_ext.data.layout import Partition, Tracklet, write_partition, write_tracklet
from opengait_ext.engine.devices import choose_computation, choose_device
from opengait_ext.errors import UserError
from opengait_ext.layers.gait import MaskBranch
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.pretraining import run as pretrain_vit
from opengait_ext.pretraining.losses import Objective
from opengait_ext.pretraining.run import (
    SIZES,
    Pretraining,
    arguments_of,
    main,
    save,
    start_positions,
    train,
)
from opengait_ext.pretraining.views import load_frames
from opengait_ext.weights import load_weights

ROOT = Path(__file__).parents[2]

WEIGHTS = ROOT / "datasets" / "prep" / "weights"


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    tracklets = []
    for pid, folder, modality in (("0001", "rgb", "visible"), ("0002", "ir", "infrared")):
        images = rng.integers(0, 256, (2, 32, 16, 3), np.uint8)
        path = f"{pid}/{folder}/D1-T1"
        encoded = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]
        write_tracklet(tmp_path / "data" / path, encoded)
        tracklets.append(Tracklet(path, pid, 1, modality, 2, "train"))
    write_partition(tmp_path / "data" / "partition.json", Partition("Tiny", tracklets, {}))
    return tmp_path / "data"


def command(source, target, *more):
    options = ["--source", source, "--target", target, "--batch", 2, "--device", "cpu"]
    return [str(word) for word in (*options, *(more or ("--iterations", 3)))]


def state_of(path):
    return torch.load(path, weights_only=True)


@pytest.mark.slow
def test_three_iterations_by_command_line_and_a_resumed_run_give_the_same_weights(
    source, tmp_path, capsys
):
    whole, resumed = tmp_path / "whole" / "vit.pt", tmp_path / "resumed" / "vit.pt"
    script = ROOT / "datasets" / "prep" / "pretrain_vit.py"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(script), *command(source, whole)], check=True, env=environment
    )
    options = arguments_of(command(source, resumed))
    device = choose_device("cpu")
    computation = choose_computation(device, "auto", "--precision")
    first = Pretraining(load_frames(source, options.frames), options, computation)
    first.step(0.0)
    settings = {"iterations": 3, "minutes": 0.0, "seed": 0, "batch": 2, "rate": 1e-3, "frames": 8}
    save(first.state() | {"settings": settings}, resumed.with_name("vit.pt.unfinished"))

    assert main(command(source, resumed)) == 0
    assert "going on at iteration 1" in capsys.readouterr().out
    for name in ("vit.pt", "mask_synth.pt"):
        one, other = state_of(whole.with_name(name)), state_of(resumed.with_name(name))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert sorted(path.name for path in whole.parent.iterdir()) == ["mask_synth.pt", "vit.pt"]
    assert state_of(whole)["norm.weight"].dtype == torch.float16
    load_weights(VisionTransformer(**SIZES), str(whole), where="a")
    load_weights(MaskBranch(128), str(whole.with_name("mask_synth.pt")), where="a")


@pytest.mark.slow
def test_a_run_by_the_clock_ends_and_leaves_its_state(source, tmp_path):
    options = arguments_of(command(source, tmp_path / "vit.pt", "--minutes", "0.017"))
    computation = choose_computation(choose_device("cpu"), "auto", "--precision")
    run = Pretraining(load_frames(source, options.frames), options, computation)
    train(run, tmp_path / "unfinished", {"iterations": 0, "minutes": options.minutes})
    assert run.iteration >= 1
    assert run.seconds >= 1
    assert state_of(tmp_path / "unfinished")["iteration"] == run.iteration


def test_a_run_begun_with_other_options_is_not_continued(source, tmp_path, capsys):
    save({"settings": {"iterations": 7}}, tmp_path / "vit.pt.unfinished")
    assert main(command(source, tmp_path / "vit.pt")) == 1
    message = capsys.readouterr().err
    assert "vit.pt.unfinished: made with other options ({'iterations': 7})" in message
    assert "delete the file to start anew" in message


def test_a_source_that_was_not_prepared_is_named(tmp_path, capsys):
    assert main(command(tmp_path / "none", tmp_path / "vit.pt")) == 1
    assert "none/partition.json: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--iterations", 3, "--minutes", 1), "either --iterations or --minutes"),
        (("--iterations", 0), "either --iterations or --minutes"),
        (("--iterations", 3, "--batch", 1), "--batch and --frames: expected at least 2"),
    ],
)
def test_a_command_line_that_says_too_little_or_too_much_is_refused(more, said, capsys):
    with pytest.raises(SystemExit):
        arguments_of(command("data", "vit.pt", *more))
    assert said in capsys.readouterr().err


def test_missing_lightly_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    with pytest.raises(UserError, match=r"needs lightly .*pip install -c constraints.txt"):
        Objective()


def test_the_shipped_weights_fit_the_config_of_the_demo():
    section = load_config(ROOT / "configs" / "dinogrl_synth.yaml")["model_cfg"]
    sizes = dict(section["dinov2"])
    sizes["image_size"] = sizes.pop("input_size")
    sizes.pop("patch_size")
    assert {key: list(np.ravel(value)) for key, value in sizes.items()} == {
        key: list(np.ravel(value)) for key, value in SIZES.items()
    }
    vit = VisionTransformer(**SIZES)
    load_weights(vit, str(ROOT / section["dinov2_weights"]), where="a")
    load_weights(MaskBranch(128), str(ROOT / section["mask_weights"]), where="a")
    assert all(weight.isfinite().all() for weight in vit.parameters())


def test_the_shipped_weights_are_small_and_those_of_their_description():
    text = (WEIGHTS / "README.md").read_text()
    files = sorted(WEIGHTS.glob("*.pt"))
    assert [file.name for file in files] == ["mask_synth.pt", "vit_small_synth.pt"]
    for file in files:
        content = file.read_bytes()
        assert len(content) < 3_000_000
        assert hashlib.sha256(content).hexdigest() in text
    assert re.search(r"pretrain_vit.py --source \S+ --target \S+ --iterations \d+", text)


def test_positions_start_as_waves_by_which_every_token_can_be_told_from_the_others():
    vit = VisionTransformer(**SIZES)
    start_positions(vit)
    table = vit.pos_embed[0, 1:].detach()
    assert table.abs().max() <= 0.5
    assert (torch.cdist(table, table) + torch.eye(len(table))).min() > 0.1


def test_the_view_sizes_follow_the_frame_of_the_transformer():
    rows, columns = SIZES["image_size"]
    assert (rows // 14, columns // 14) == pretrain_vit.WHOLE
