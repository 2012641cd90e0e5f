"""The plugin host in a real checkout of OpenGait, on the CPU, beside our own engine."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from test_contract import CONFIGS, config_of

from opengait_ext.config import load_config
from opengait_ext.models import MODELS

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests" / name) for name in ("upstream", "engine")]

from engine_parts import prepare  # noqa: E402 - needs the path above
from test_hook import AT_START  # noqa: E402
from test_two_processes import free_port  # noqa: E402
from upstream_parts import changes_in, environment  # noqa: E402

pytestmark = [
    pytest.mark.needs_opengait,
    pytest.mark.skipif(
        not os.environ.get("OPENGAIT_ROOT"),
        reason="OPENGAIT_ROOT names no checkout of OpenGait",
    ),
]
CHECKOUT = Path(os.environ.get("OPENGAIT_ROOT", "."))
RESIZE = {"type": "Resize", "height": 64, "width": 32}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    prepare(folder)
    return folder


@pytest.fixture
def untouched():
    """Looks at the checkout before and after: no run may leave a trace in it."""
    before = changes_in(CHECKOUT)
    yield
    assert changes_in(CHECKOUT) == before


def written_config(name, root, folder):
    """Writes the shipped config of a model, for one iteration in a small size."""
    config = config_of(name)
    config["data_cfg"] |= {
        "dataset_name": "Toy", "dataset_root": str(root), "num_workers": 0,
        "dataset_partition": str(root / "partition.json"),
    }  # fmt: skip
    config["model_cfg"]["num_identities"] = 4
    config["trainer_cfg"] |= {
        "save_name": "tiny", "seed": 5, "total_iter": 1, "log_iter": 1, "save_iter": 1,
        "precision": "float32",
    }  # fmt: skip
    # Adam would blow the rounding of gradients that are zero up to whole steps.
    config["optimizer_cfg"] = {"solver": "SGD", "lr": 0.01, "momentum": 0.9}
    config["scheduler_cfg"] = {"scheduler": "MultiStepLR", "milestones": [10]}
    config["trainer_cfg"]["sampler"] |= {"identities": 4, "visible": 2, "infrared": 2}
    config["evaluator_cfg"] |= {"save_name": "tiny", "transform": [RESIZE]}
    config["trainer_cfg"]["transform"][0] = RESIZE
    folder.mkdir(exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def run(config, *options, checkout=True):
    host = ["--opengait", str(CHECKOUT.resolve()), "--upstream-cpu"] if checkout else []
    surroundings = environment()
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "OPENGAIT_ROOT"):
        surroundings.pop(name, None)
    command = [sys.executable, "-m", "opengait.main", "--cfgs", str(config), *host, *options]
    done = subprocess.run(
        command, cwd=config.parent, env=surroundings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def output(folder, name):
    return folder / "output" / "Toy" / name / "tiny"


def embeddings(folder, name):
    with np.load(output(folder, name) / "test" / "embeddings.npz") as file:
        return file["embeddings"]


def model_of(folder, name):
    path = output(folder, name) / "checkpoints" / "tiny-00001.pt"
    return torch.load(path, weights_only=True)["model"]


def curves(folder, name):
    """Gives the numbers that OpenGait wrote for TensorBoard after the first iteration."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output(folder, name) / "summary"))
    events.Reload()
    return {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}


def distance(first, second):
    """Gives the largest relative difference of two arrays, measured by their largest value."""
    return float(np.abs(first - second).max() / np.abs(second).max())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_step_and_a_test_give_the_same_in_both_hosts(name, root, tmp_path, untouched):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    log = run(written_config(name, root, theirs))
    assert "host upstream" in log
    run(written_config(name, root, ours), checkout=False)
    line = json.loads((output(ours, name) / "metrics.jsonl").read_text().splitlines()[0])
    losses = {key: value for key, value in line.items() if key.endswith("/loss")}
    told = curves(theirs, name)
    assert len(losses) >= 2
    assert {key: told[key] for key in losses} == pytest.approx(losses, rel=1e-5)
    found, expected = model_of(theirs, name), model_of(ours, name)
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert distance(embeddings(theirs, name), embeddings(ours, name)) < 1e-5
    results = [
        json.loads((output(folder, name) / "test" / "metrics.json").read_text())["result"]
        for folder in (theirs, ours)
    ]
    assert results[0] == results[1]


def test_checkpoints_go_from_host_to_host(root, tmp_path, untouched):
    config = written_config("DinoGRL", root, tmp_path / "run")
    run(config)
    first = embeddings(config.parent, "DinoGRL")
    run(config, "--phase", "test", checkout=False)
    assert distance(embeddings(config.parent, "DinoGRL"), first) < 1e-5
    further = ("--set", "trainer_cfg.total_iter=2")
    assert "(iteration 1)" in run(config, "--phase", "train", *further, checkout=False)
    assert "Restore Parameters from" in run(config, "--set", "trainer_cfg.total_iter=3")
    assert (output(config.parent, "DinoGRL") / "checkpoints" / "tiny-00003.pt").is_file()


def their_data(folder):
    """Writes four identities as OpenGait's own preparation would: uint8 [s, 3, h, w]."""
    rng = np.random.default_rng(0)
    for pid in ("1", "2", "3", "4"):
        for kind in ("rgb", "ir"):
            place = folder / pid / kind / "v0"
            place.mkdir(parents=True)
            frames = rng.integers(0, 255, (5, 3, 64, 32)).astype(np.uint8)
            (place / "frames.pkl").write_bytes(pickle.dumps(frames))
    (folder.parent / "sets.json").write_text(
        json.dumps({"TRAIN_SET": ["1", "2", "3", "4"], "TEST_SET": ["1"]})
    )


def test_their_command_line_trains_our_model_on_their_data(tmp_path, untouched):
    """A config of OpenGait's own, with its samplers and transforms, that names ours."""
    data = tmp_path / "data"
    their_data(data)
    section = load_config(CONFIGS / "agw_synth.yaml")
    normalized = [{"type": "BaseRgbTransform"}]
    config = {
        "data_cfg": {
            "dataset_name": str(tmp_path / "output" / "Theirs"),
            "dataset_root": str(data),
            "dataset_partition": str(tmp_path / "sets.json"),
            "test_dataset_name": "Theirs",
            "num_workers": 0,
        },
        "model_cfg": {**config_of("AGW")["model_cfg"], "num_identities": 4},
        "loss_cfg": [
            {**entry, "type": f"opengait_ext.{entry['type']}"} for entry in section["loss_cfg"]
        ],
        "trainer_cfg": {
            "total_iter": 2, "save_iter": 2, "log_iter": 1, "enable_float16": False,
            "transform": normalized,
            "sampler": {
                "type": "TripletSampler", "batch_size": [4, 2], "frames_num_fixed": 2,
                "sample_type": "fixed_unordered",
            },
        },
        "evaluator_cfg": {"transform": normalized},
    }  # fmt: skip
    (tmp_path / "sitecustomize.py").write_text(AT_START)
    file = tmp_path / "theirs.yaml"
    file.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, "opengait/main.py", "--cfgs", str(file), "--phase", "train"],
        cwd=CHECKOUT, env=environment(0, 1, free_port(), [tmp_path]), capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "appearance_triplet_violated" in done.stderr
    written = tmp_path / "output" / "Theirs" / "AGW" / "tmp" / "checkpoints" / "tmp-00002.pt"
    assert written.is_file()
