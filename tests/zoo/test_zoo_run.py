"""Whole runs of a foreign model in our engine, on a stand-in checkout and toy tracklets."""

import copy
import json

import numpy as np
import pytest
import torch
from engine_parts import changed, make_config, prepare, same
from zoo_parts import MODEL_CFG

from opengait_ext.config import ConfigError
from opengait_ext.data.layout import read_partition, write_tracklet_array
from opengait_ext.engine import run
from opengait_ext.engine.data import DataError
from opengait_ext.engine.trained import OtherRunError
from opengait_ext.upstream.zoo import zoo_catalog


@pytest.fixture(scope="module")
def toy_gait(tmp_path_factory):
    """The toy data set with silhouettes beside its frames."""
    root = tmp_path_factory.mktemp("toy_gait")
    prepare(root)
    rng = np.random.default_rng(0)
    for tracklet in read_partition(root / "partition.json").tracklets:
        sils = (rng.random((tracklet.frames, 8, 6)) < int(tracklet.pid) / 10) * 255
        write_tracklet_array(root / tracklet.path, sils.astype(np.uint8), stream="1-silhouettes")
    return root


def config_of(root, changes=None):
    return make_config(
        root,
        {
            "data_cfg.stream": "1-silhouettes",
            "model_cfg": copy.deepcopy(MODEL_CFG),
            "loss_cfg.0.log_prefix": "softmax",
            "loss_cfg.1.anchor_is_positive": True,
            "trainer_cfg.transform": [{"type": "HorizontalFlip", "probability": 0.5}],
            "evaluator_cfg.transform": [],
            **(changes or {}),
        },
    )


def weights_of(folder, iteration):
    path = folder / f"output/Toy/MiniGait/toy/checkpoints/toy-{iteration:05d}.pt"
    return torch.load(path, weights_only=True)


@pytest.mark.slow
def test_a_foreign_model_is_trained_tested_and_recorded(checkout, toy_gait, work):
    result = run(config_of(toy_gait), "both", "cpu", catalog=zoo_catalog(checkout))
    assert result["iteration"] == 6
    written = json.loads((work / "output/Toy/MiniGait/toy/test/metrics.json").read_text())
    assert written["result"] == result["result"]
    embeddings = np.load(work / "output/Toy/MiniGait/toy/test/embeddings.npz")["embeddings"]
    assert embeddings.shape == (12, 6, 2)
    assert np.isfinite(embeddings).all()


@pytest.mark.slow
def test_a_resumed_run_is_the_unbroken_run(checkout, toy_gait, work, tmp_path_factory, monkeypatch):
    catalog = zoo_catalog(checkout)
    run(config_of(toy_gait), "train", "cpu", catalog=catalog)
    unbroken = weights_of(work, 6)
    other = tmp_path_factory.mktemp("resumed")
    monkeypatch.chdir(other)
    run(config_of(toy_gait, {"trainer_cfg.total_iter": 3}), "train", "cpu", catalog=catalog)
    run(config_of(toy_gait), "train", "cpu", catalog=zoo_catalog(checkout))
    assert same(weights_of(other, 6)["model"], unbroken["model"])
    assert not same(weights_of(other, 3)["model"], unbroken["model"])


@pytest.mark.slow
def test_a_foreign_model_of_other_values_is_refused(checkout, toy_gait, work):
    catalog = zoo_catalog(checkout)
    config = config_of(toy_gait, {"trainer_cfg.total_iter": 1})
    run(config, "train", "cpu", catalog=catalog)
    run(config, "train", "cpu", catalog=catalog)
    other = changed(config, {"model_cfg.backbone_cfg.width": 12})
    for phase, message in (("train", "with other values"), ("test", "as another model")):
        with pytest.raises(OtherRunError, match=message) as error:
            run(other, phase, "cpu", catalog=catalog)
        assert "model_cfg.backbone_cfg.width" in str(error.value)
    off = changed(config, {"loss_cfg.1.loss_term_weight": 0, "trainer_cfg.restore_hint": 0})
    run(off, "train", "cpu", catalog=catalog)


def test_a_batch_in_pieces_trains_a_foreign_model(checkout, toy_gait, work):
    changes = {"trainer_cfg.total_iter": 2, "trainer_cfg.accumulate": 2}
    changes["data_cfg.stream"] = "0-frames"
    changes["model_cfg.backbone_cfg"] = {"type": "Tiny", "width": 6, "in_channels": 3}
    config = config_of(toy_gait, changes)
    config["trainer_cfg"]["transform"].insert(0, {"type": "Resize", "height": 16, "width": 8})
    run(config, "train", "cpu", catalog=zoo_catalog(checkout))
    assert weights_of(work, 2)["iteration"] == 2


def test_a_model_that_cannot_be_imported_is_an_error_of_the_config(checkout, toy_gait, work):
    config = config_of(toy_gait, {"model_cfg.model": "TornGait"})
    with pytest.raises(ConfigError, match=r"model_cfg\.model: .*torn\.py cannot be imported"):
        run(config, "train", "cpu", catalog=zoo_catalog(checkout))


def test_fewer_classes_than_identities_are_refused_before_the_training(checkout, toy_gait, work):
    config = config_of(toy_gait, {"model_cfg.Necks": {"width": 6, "class_num": 3}})
    with pytest.raises(DataError, match="class_num is 3, but the training data have 4 identities"):
        run(config, "train", "cpu", catalog=zoo_catalog(checkout))
