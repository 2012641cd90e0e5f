"""Runs, data and galleries are found from any folder, and after they were moved."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "engine"))
from engine_parts import changed, make_config, prepare

from opengait_ext import load
from opengait_ext.cli import main
from opengait_ext.engine import run
from opengait_ext.engine.catalog import own_catalog
from opengait_ext.report.sources import read_sources

pytestmark = pytest.mark.slow

RUN = "output/Toy/AGW/toy"
CHANGES = {
    "model_cfg": {
        "model": "AGW",
        "num_identities": 4,
        "image_size": [32, 16],
        "backbone": "resnet18",
        "backbone_weights": "start.pth",
        "non_local": [0, 0, 0, 0],
        "stem_relu": True,
        "set_pooling": "max",
    },
    "loss_cfg": [{"type": "CrossEntropyLoss", "log_prefix": "appearance_id", "scale": 1.0}],
    "trainer_cfg.total_iter": 1,
    "trainer_cfg.transform": [{"type": "Resize", "height": 32, "width": 16}],
    "evaluator_cfg.transform": [{"type": "Resize", "height": 32, "width": 16}],
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a run that was started with relative paths only."""
    import torchvision

    folder = tmp_path_factory.mktemp("original") / "project"
    prepare(folder / "data")
    config = make_config(Path("data"), CHANGES)
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18().state_dict(), folder / "start.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(config, "both", "cpu", False, [], own_catalog())
    return folder


@pytest.fixture
def project(original, tmp_path, monkeypatch):
    """A copy at another place, the original not there; the working folder is a third."""
    target = tmp_path / "moved" / "project"
    shutil.copytree(original, target)
    original.rename(original.with_name("hidden"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    yield target
    original.with_name("hidden").rename(original)


def said(capsys, words, status=0):
    if status:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == status
    else:
        assert main(words) == 0
    seen = capsys.readouterr()
    return seen.err if status else seen.out


def commands_work(folder, tmp_path, capsys):
    """All commands that need a run and its data, named from the working folder."""
    name = str(folder / RUN)
    assert "MB" in said(capsys, ["report", name, "--target", "page.html"])
    more = ["--far", "0.5", "--samples", "2", "--device", "cpu"]
    assert "threshold" in said(capsys, ["calibrate", name, *more])
    data = str(folder / "data")
    out = said(capsys, ["embed", name, "--data", data, "--target", "e.npz", "--device", "cpu"])
    assert "12 tracklets -> e.npz" in out
    assert "12 tracklets" in said(capsys, ["index", "gallery", "--add", "e.npz"])
    query = str(folder / "data/8/ir/D2-T2")
    assert "8/rgb" in said(capsys, ["search", "gallery", "--query", query, "--device", "cpu"])


def test_commands_work_from_any_folder(original, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands_work(original, tmp_path, capsys)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    shutil.move(tmp_path / "gallery", other / "gallery")
    query = str(original / "data/8/ir/D2-T2")
    assert "8/rgb" in said(capsys, ["search", "gallery", "--query", query, "--device", "cpu"])


def test_a_project_that_was_moved_as_a_whole_works_as_before(project, tmp_path, capsys):
    commands_work(project, tmp_path, capsys)
    model = load(project / RUN, "cpu")
    assert model.config["data_cfg"]["dataset_root"] == str(project / "data")
    assert model.config["model_cfg"]["backbone_weights"] == str(project / "start.pth")


def test_moved_data_are_asked_for_with_the_option_that_names_them(project, tmp_path, capsys):
    (project / "data").rename(tmp_path / "data")
    for command in (["report", str(project / RUN)], ["calibrate", str(project / RUN)]):
        assert "--data" in said(capsys, command, status=1)
    data = ["--data", str(tmp_path / "data")]
    assert "MB" in said(capsys, ["report", str(project / RUN), *data])
    more = ["--far", "0.5", "--samples", "2", "--device", "cpu"]
    assert "threshold" in said(capsys, ["calibrate", str(project / RUN), *data, *more])


def test_tracklets_that_are_gone_are_asked_for_as_well(project, tmp_path, capsys):
    shutil.copy(project / "data/partition.json", tmp_path / "partition.json")
    record = project / RUN / "test/metrics.json"
    content = json.loads(record.read_text())
    content["data"]["partition"] = str(tmp_path / "partition.json")
    record.write_text(json.dumps(content))
    (project / "data").rename(tmp_path / "data")
    told = said(capsys, ["report", str(project / RUN)], status=1)
    assert "the prepared data are not there; give their folder (--data ROOT)" in told


def test_a_gallery_whose_checkpoint_was_moved_asks_for_it(project, tmp_path, capsys):
    data = str(project / "data")
    said(capsys, ["embed", str(project / RUN), "--data", data, "--target", "g", "--device", "cpu"])
    (project / RUN).rename(tmp_path / "taken")
    query = ["search", "g", "--query", f"{data}/8/ir/D2-T2", "--device", "cpu"]
    assert "is not there; give it, or the folder of its run, with --model" in said(
        capsys, query, status=1
    )
    assert "8/rgb" in said(capsys, [*query, "--model", str(tmp_path / "taken")])


def test_records_of_an_earlier_version_are_still_read(project, tmp_path, capsys):
    record = project / RUN / "test/metrics.json"
    content = json.loads(record.read_text())
    content["config"] = content.pop("test_config")
    for key in ("training_config", "training_data", "training_started_in", "started_in"):
        del content[key]
    record.write_text(json.dumps(content))
    sources = read_sources(project / RUN)
    assert sources.root == project / "data"
    assert sources.record.config == sources.record.training_config == content["config"]
    path = project / RUN / "checkpoints/toy-00001.pt"
    old = torch.load(path, weights_only=True)
    del old["started_in"]
    torch.save(old, path)
    assert load(project / RUN, "cpu").config["data_cfg"]["dataset_root"] == str(project / "data")
    assert "AGW" in said(capsys, ["table", str(record)])


def test_a_run_without_checkpoints_is_known_by_its_record(project):
    (project / RUN / "checkpoints").rename(project / "checkpoints")
    record = project / RUN / "test/metrics.json"
    content = json.loads(record.read_text())
    path = "checkpoints/toy-00001.pt"
    content["test_config"] = changed(content["test_config"], {"evaluator_cfg.restore_hint": path})
    record.write_text(json.dumps(content))
    assert load(project / RUN, "cpu").about["checkpoint"] == str(project / path)


def test_a_config_given_by_hand_may_not_contradict_the_checkpoint(project, tmp_path):
    import yaml

    from opengait_ext.engine.trained import OtherRunError

    path = project / RUN / "checkpoints/toy-00001.pt"
    content = torch.load(path, weights_only=True)
    other = changed(content["config"], {"model_cfg.set_pooling": "mean"})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(OtherRunError, match="model_cfg.set_pooling: 'max' -> 'mean'"):
        load(path, "cpu", config=tmp_path / "c.yaml")


def test_a_run_that_was_kept_aside_stands_in_a_table_only_if_it_is_named(project, capsys):
    shutil.copytree(project / RUN, project / f"{RUN}.old-1")
    record = project / f"{RUN}.old-1/test/metrics.json"
    content = json.loads(record.read_text())
    content["seed"] = 9
    record.write_text(json.dumps(content))
    both = [str(project / RUN), str(project / f"{RUN}.old-1")]
    alone, named = (
        said(capsys, ["table", *places]) for places in ([str(project / "output")], both)
    )
    pattern = said(capsys, ["table", f"{project}/output/**/metrics.json"])
    assert alone == pattern
    assert alone != named
