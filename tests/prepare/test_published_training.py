"""From published data to a tested model, with the shipped configs made small."""

import json
import re
from pathlib import Path

import pytest
import test_ilids
import test_llcm
import test_mars
import test_regdb
import test_sysu
import yaml
from published_trees import prepared

from opengait.main import main
from opengait_ext.config import load_config
from opengait_ext.prepare.ilids import ILIDSVID
from opengait_ext.prepare.llcm import LLCM
from opengait_ext.prepare.mars import MARS
from opengait_ext.prepare.regdb import RegDB
from opengait_ext.prepare.sysu import SysuMM01

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BOTH = ["infrared_to_visible", "visible_to_infrared"]
SETS = {
    "agw_sysu": (SysuMM01, test_sysu.write_tree, BOTH[:1]),
    "agw_regdb": (RegDB, test_regdb.write_tree, BOTH),
    "agw_llcm": (LLCM, test_llcm.write_tree, BOTH),
    "agw_mars": (MARS, test_mars.write_tree, ["visible_to_visible"]),
    "agw_ilids": (ILIDSVID, test_ilids.write_tree, ["visible_to_visible"]),
}


def small(path, root):
    """Return a shipped config for a tiny tree: two iterations of a small network."""
    config = load_config(path)
    pids = json.loads((root / "partition.json").read_text())["TRAIN_SET"]
    config["data_cfg"] |= {"dataset_root": str(root), "num_workers": 0}
    config["data_cfg"]["dataset_partition"] = str(root / "partition.json")
    config["model_cfg"] |= {"num_identities": len(pids), "image_size": [32, 16],
                            "backbone": "resnet18", "backbone_weights": None,
                            "non_local": [0, 0, 0, 0]}  # fmt: skip
    config["scheduler_cfg"]["iterations_per_epoch"] = 1
    config["trainer_cfg"] |= {"total_iter": 2, "save_iter": 2, "log_iter": 1}
    config["trainer_cfg"]["sampler"]["identities"] = 2
    for part in ("trainer_cfg", "evaluator_cfg"):
        config[part]["transform"][0] |= {"height": 32, "width": 16}
    return config


@pytest.mark.parametrize("stem", SETS)
def test_a_shipped_config_trains_and_tests_what_its_script_prepares(stem, tmp_path, monkeypatch):
    dataset, write_tree, directions = SETS[stem]
    root = tmp_path / "prepared"
    partition = prepared(dataset(), write_tree(tmp_path / "raw"), root)
    monkeypatch.chdir(tmp_path)
    config = small(ROOT / f"configs/{stem}.yaml", root)
    assert config["data_cfg"]["dataset_name"] == partition.dataset == dataset.name
    Path("small.yaml").write_text(yaml.safe_dump(config))
    assert main(["--cfgs", "small.yaml", "--device", "cpu"]) == 0
    (file,) = Path("output").rglob("metrics.json")
    metrics = json.loads(file.read_text())
    assert list(metrics["result"]["directions"]) == directions
    assert metrics["protocol"] == partition.protocol


@pytest.mark.parametrize("stem", SETS)
def test_a_config_names_the_script_and_the_folder_that_its_data_set_has(stem):
    dataset = SETS[stem][0]
    config = load_config(ROOT / f"configs/{stem}.yaml")
    root = config["data_cfg"]["dataset_root"]
    command = config["data_cfg"]["prepare"]["commands"][0]
    assert command.startswith(f"python {dataset.script} --source <download> --target {root}")
    assert (ROOT / dataset.script).is_file()
    assert re.search(rf"^# Before: {re.escape(command)}$",
                     (ROOT / f"configs/{stem}.yaml").read_text(), re.MULTILINE)  # fmt: skip


def test_an_entry_script_prepares_from_the_command_line(tmp_path):
    import subprocess
    import sys

    raw = test_ilids.write_tree(tmp_path / "raw")
    program = "import sys; sys.modules['torch'] = None; import runpy; sys.argv = sys.argv[1:]\n"
    program += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", program, ROOT / ILIDSVID.script, "--source", raw, "--target"]
    done = subprocess.run([*command, tmp_path / "out", "--workers", "1"], cwd=ROOT, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/partition.json").is_file()
