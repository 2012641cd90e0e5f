"""OpenGait's own command line, with ours behind it."""

import json
import subprocess
import sys

import pytest
import torch
import yaml
from engine_parts import changed
from test_two_processes import free_port
from upstream_parts import (
    ROOT,
    changes_in,
    embedded,
    environment,
    make_checkout,
    plain_config,
)

from opengait_ext.upstream import hook

AT_START = """
import opengait_ext.vision
from opengait_ext.upstream.cpu import without_cuda
from opengait_ext.upstream.hook import activate

activate()
patches = without_cuda()
patches.__enter__()
"""


@pytest.fixture
def clone(tmp_path):
    return make_checkout(tmp_path / "OpenGait")


@pytest.fixture
def at_start(tmp_path):
    """A folder whose sitecustomize switches the hook on, and CUDA off."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(AT_START)
    return folder


def run_their_program(clone, at_start, config, folder):
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "opengait/main.py", "--cfgs", str(file), "--phase", "train"]
    surroundings = environment(0, 1, free_port(), [at_start])
    done = subprocess.run(command, cwd=clone, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_their_command_line_trains_our_config(toy_root, clone, at_start, tmp_path, monkeypatch):
    transform = [{"type": "Resize", "height": 64, "width": 32}]
    changes = {
        "model_cfg": {
            "model": "AGW", "num_identities": 4, "image_size": [64, 32], "backbone": "resnet18",
            "backbone_weights": None, "non_local": [0, 0, 0, 0],
        },
        "loss_cfg.0.log_prefix": "appearance_id",
        "loss_cfg.1.log_prefix": "appearance_triplet",
        "optimizer_cfg": {"solver": "SGD", "lr": 0.001},
        "trainer_cfg.total_iter": 1,
        "trainer_cfg.transform": transform,
        "evaluator_cfg.transform": transform,
    }  # fmt: skip
    config = plain_config(toy_root, changes)
    told = run_their_program(clone, at_start, config, tmp_path)
    assert told.count("evaluator_cfg.sampler.batch_size: OpenGait is told 1") == 1
    written = clone / "output" / "Toy" / "AGW" / "toy" / "checkpoints" / "toy-00001.pt"
    found = torch.load(written, weights_only=True)
    monkeypatch.chdir(tmp_path)
    embedded(config, "train", catalog=None)
    path = tmp_path / "output" / "Toy" / "AGW" / "toy" / "checkpoints" / "toy-00001.pt"
    expected = torch.load(path, weights_only=True)
    torch.testing.assert_close(found["model"], expected["model"], rtol=1e-5, atol=1e-7)
    assert changes_in(clone).split() == ["??", "output/"]


@pytest.mark.slow
def test_their_own_configs_run_as_without_us(clone, at_start, tmp_path):
    config = {
        "data_cfg": {"dataset_name": "Theirs"},
        "model_cfg": {"model": "Baseline", "width": 3},
        "loss_cfg": {"type": "TripletLoss", "log_prefix": "triplet", "margin": 0.25},
        "optimizer_cfg": {"lr": 0.01},
        "trainer_cfg": {"total_iter": 2, "log_iter": 1},
    }
    told = run_their_program(clone, at_start, config, tmp_path)
    assert told.count("academic use only") == 1
    file = clone / "output" / "Theirs" / "Baseline" / "tmp" / "messages.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line.get("scalar/triplet/margin") for line in lines] == [None, 0.25, 0.25]
    assert "'batch_size': [3, 2]" in lines[0]["info"]  # their default.yaml holds for theirs


def test_the_hook_is_installed_as_one_line_that_waits_for_a_variable(tmp_path, monkeypatch):
    monkeypatch.setattr(hook.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = len(sys.meta_path)
    path = hook.install()
    assert path.suffix == ".pth"
    line = path.read_text()
    assert line.startswith("import ")
    assert line.count("\n") == 1
    monkeypatch.delenv("OPENGAIT_EXT", raising=False)
    exec(line)
    assert len(sys.meta_path) == before
    monkeypatch.setenv("OPENGAIT_EXT", "1")
    exec(line)
    assert len(sys.meta_path) == before + 1
    assert sys.dont_write_bytecode


def test_the_hook_loads_nothing_heavy():
    program = (
        "import sys; sys.modules['torch'] = None; "
        "import opengait_ext.upstream.hook as h; h.activate(); import json"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_another_package_called_modeling_is_left_alone(tmp_path, monkeypatch):
    folder = tmp_path / "modeling" / "models"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("DinoGRL = 'their own'\n")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    hook.activate()
    import modeling.models as theirs

    assert [name for name in vars(theirs) if not name.startswith("__")] == ["DinoGRL"]
    for name in ("modeling.models", "modeling"):
        monkeypatch.delitem(sys.modules, name)


def test_relative_paths_begin_where_the_run_was_started(toy_root, clone):
    from opengait_ext.upstream.config import absolute

    config = plain_config(toy_root, {"data_cfg.dataset_root": "data/toy"})
    moved = absolute(changed(config, {"trainer_cfg.restore_hint": "a/b.pt"}), clone)
    assert moved["data_cfg"]["dataset_root"] == str(clone / "data" / "toy")
    assert moved["trainer_cfg"]["restore_hint"] == str(clone / "a" / "b.pt")
    assert moved["evaluator_cfg"]["restore_hint"] == "auto"
