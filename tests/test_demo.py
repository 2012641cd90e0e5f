"""The demo at toy size, through the real command line, from nothing to the result table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TOY = [
    "data_cfg.prepare.commands.0=datasets/prep/synth_vvi.py --target data/synth_vvi_raw "
    "--train-identities 4 --test-identities 3 --frames 14 --height 96 --seed 1",
    "data_cfg.prepare.commands.1=datasets/prep/hitsz_vcm.py --source data/synth_vvi_raw "
    "--target data/synth_vvi --name SynthVVI --min-frames 6 --validation 0.25",
    "data_cfg.num_workers=0",
    "model_cfg.num_identities=3",
    "trainer_cfg.sampler.identities=3",
    "trainer_cfg.sampler.visible=1",
    "trainer_cfg.sampler.infrared=1",
]


def launched(folder, *options):
    changes = [part for change in TOY for part in ("--set", change)]
    command = ["-m", "opengait.main", "--cfgs", "configs/dinogrl_synth.yaml", "--device", "cpu"]
    return subprocess.run(
        [sys.executable, *command, *changes, *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "OPENGAIT_ROOT": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    for name in ("configs", "datasets"):
        (folder / name).symlink_to(ROOT / name)
    return folder


# A curve that leaves room for the second run.
ITERATIONS = ("--set", "scheduler_cfg.total_steps=4")


@pytest.fixture(scope="module")
def first(folder):
    return launched(folder, *ITERATIONS, "--set", "trainer_cfg.total_iter=2")


def metrics_of(folder):
    text = (folder / "output/SynthVVI/DinoGRL/dinogrl/test/metrics.json").read_text()
    return json.loads(text)


def test_one_command_makes_the_data_trains_tests_and_prints_the_table(folder, first):
    assert first.returncode == 0, first.stderr
    said = first.stdout + first.stderr
    for part in ("infrared to visible", "visible to infrared", "mAP", "same_pid_camid"):
        assert part in said
    assert "output/SynthVVI/DinoGRL/dinogrl/test" in said
    last = said.strip().splitlines()[-1]
    assert "note: a smoke run of 20 test identities; its mAP moves by 10 points" in last


def test_the_result_carries_where_it_comes_from(folder, first):
    metrics = metrics_of(folder)
    assert metrics["iteration"] == 2
    assert metrics["protocol"]["ignore"] == "same_pid_camid"
    assert metrics["seed"] == 0
    assert metrics["training_config"]["model_cfg"]["model"] == "DinoGRL"
    for direction in ("infrared_to_visible", "visible_to_infrared"):
        scores = metrics["result"]["directions"][direction]
        assert 0 <= scores["mAP"] <= 1
        assert scores["queries"] > 0
    for key in ("versions", "commit", "time", "data", "command"):
        assert metrics[key]


def test_the_same_command_again_goes_on_where_it_stopped(folder, first):
    second = launched(folder, *ITERATIONS, "--set", "trainer_cfg.total_iter=3")
    assert second.returncode == 0, second.stderr
    assert "going on from" in second.stdout + second.stderr
    assert metrics_of(folder)["iteration"] == 3


def test_a_run_says_how_well_its_silhouettes_fit(folder, first):
    command = [sys.executable, "datasets/prep/synth_silhouettes.py", "--every", "20"]
    command += ["--run", "output/SynthVVI/DinoGRL/dinogrl"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    for modality in ("visible", "infrared"):
        assert f"{modality}: mean IoU 0." in answer.stdout
    assert (folder / "output/SynthVVI/DinoGRL/dinogrl/test/silhouettes.png").is_file()
