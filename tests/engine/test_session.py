import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_parts import CATALOG, Tiny, catalog_of, changed, make_config, same, weights

from opengait_ext.config import ConfigError
from opengait_ext.data.layout import read_partition
from opengait_ext.engine import run
from opengait_ext.engine.checkpoint import CheckpointError
from opengait_ext.engine.data import DataError
from opengait_ext.engine.devices import Computation
from opengait_ext.engine.trainer import NonFiniteError, OutOfMemoryError
from opengait_ext.errors import UserError

FOLDER = "output/Toy/Tiny/toy"


def go(config, phase="both", catalog=CATALOG, command=(), device="cpu", log_to_file=False):
    return run(config, phase, device, log_to_file, list(command), catalog)


@pytest.mark.slow
def test_a_run_leaves_a_record_of_everything_the_result_depends_on(toy_root, work):
    config = make_config(toy_root)
    metrics = go(config, command=["main.py", "--cfgs", "toy.yaml"])
    assert json.loads((work / FOLDER / "test/metrics.json").read_text()) == metrics
    assert metrics["test_config"] == metrics["training_config"] == config
    assert metrics["started_in"] == metrics["training_started_in"] == str(work)
    assert metrics["training_data"] == weights(work, 6)["data"]
    assert "config" not in metrics
    assert metrics["seed"] == 3
    assert (metrics["iteration"], metrics["selection"]) == (6, "last")
    assert metrics["checkpoint"].endswith("checkpoints/toy-00006.pt")
    assert metrics["protocol"] == {"name": "toy", "ignore": "none"}
    assert metrics["data"]["source"] == {"digest": "d"}
    assert metrics["data"]["splits"]["test"] == {"tracklets": 12, "identities": 3}
    assert metrics["data"]["trained_on"] == ["train"]
    assert set(metrics["versions"]) == {"python", "torch", "torchvision", "numpy", "opengait_ext"}
    assert set(metrics["time"]) == {"started", "finished", "seconds"}
    assert metrics["device"].startswith("cpu")
    assert metrics["precision"] == "float32"
    assert metrics["command"] == ["main.py", "--cfgs", "toy.yaml"]
    assert "commit" in metrics
    for direction in metrics["result"]["directions"].values():
        assert (direction["queries"], direction["gallery"]) == (6, 6)
        assert direction["dropped"] == []
    assert not list(work.rglob("*.tmp"))


@pytest.mark.slow
def test_the_embeddings_are_those_of_the_model_tracklet_by_tracklet(toy_root, work):
    go(make_config(toy_root))
    with np.load(work / FOLDER / "test/embeddings.npz") as file:
        stored = {name: file[name] for name in file.files}
    assert stored["embeddings"].shape == (12, 6, 2)
    assert stored["embeddings"].dtype == np.float32
    assert stored["path"][:2].tolist() == ["7/rgb/D0-T0", "7/rgb/D1-T1"]
    assert stored["pid"].tolist() == [path.split("/")[0] for path in stored["path"]]
    assert stored["modality"].tolist() == ["visible", "visible", "infrared", "infrared"] * 3
    assert stored["camid"].tolist() == [0, 1, 2, 3] * 3
    listed = read_partition(toy_root / "partition.json").tracklets
    assert stored["path"].tolist() == [listed[place].path for place in stored["position"]]
    go(make_config(toy_root, {"evaluator_cfg.sampler.batch_size": 1}), "test")
    with np.load(work / FOLDER / "test/embeddings.npz") as file:
        np.testing.assert_allclose(file["embeddings"], stored["embeddings"], atol=1e-5)


@pytest.mark.slow
def test_the_partition_is_read_once_in_a_test(toy_root, work, monkeypatch):
    go(make_config(toy_root), "train")
    read, text_of = [], Path.read_text

    def read_text(path, *args, **kwargs):
        read.append(path.name)
        return text_of(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)
    go(make_config(toy_root), "test")
    assert read.count("partition.json") == 1


def test_the_first_lines_of_the_log_say_what_runs_where(toy_root, work, caplog):
    caplog.set_level(logging.INFO)
    go(make_config(toy_root), "train", command=["main.py", "--cfgs=toy.yaml"], log_to_file=True)
    assert caplog.messages[0].startswith("host embedded; device cpu (")
    assert caplog.messages[0].endswith("processes: 1; precision: float32 in training")
    assert caplog.messages[1] == f"config toy.yaml; seed 3; output {FOLDER}"
    assert "16 tracklets of 4 identities; 8 tracklets a batch (8 in each" in caplog.messages[2]
    assert caplog.messages[2].endswith("an epoch is 2 iterations")
    (log,) = (work / FOLDER / "logs").iterdir()
    assert log.read_text().count("tracklets/s") == 3
    assert "iteration 6/6  loss " in log.read_text()


@pytest.mark.slow
def test_the_best_on_the_validation_split_is_tested(toy_root, work):
    changes = {"trainer_cfg.eval_iter": 2, "trainer_cfg.keep": "best"}
    metrics = go(make_config(toy_root, changes))
    best = json.loads((work / FOLDER / "checkpoints/best.json").read_text())
    assert metrics["iteration"] == best["iteration"]
    assert metrics["selection"] == "best on validation"
    lines = [
        json.loads(line) for line in (work / FOLDER / "metrics.jsonl").read_text().splitlines()
    ]
    means = {
        line["iteration"]: (
            line["val/infrared_to_visible/mAP"] + line["val/visible_to_infrared/mAP"]
        ) / 2
        for line in lines
        if "val/infrared_to_visible/mAP" in line
    }  # fmt: skip
    assert sorted(means) == [2, 4, 6]
    assert best["score"] == pytest.approx(max(means.values()))
    assert best["iteration"] == max(means, key=lambda iteration: (means[iteration], -iteration))


@pytest.mark.slow
def test_the_published_habit_of_choosing_on_the_test_split_is_named(toy_root, work):
    changes = {
        "trainer_cfg.eval_iter": 3,
        "trainer_cfg.keep": "best_on_test",
        "data_cfg.train_splits": ["train", "val"],
        "model_cfg.num_identities": 6,
    }
    assert go(make_config(toy_root, changes))["selection"] == "best on test"


@pytest.mark.slow
def test_a_test_after_training_with_hint_0_takes_the_new_checkpoint(toy_root, work):
    changes = {"trainer_cfg.restore_hint": 0, "evaluator_cfg.restore_hint": 0}
    assert go(make_config(toy_root, changes))["iteration"] == 6


@pytest.mark.slow
def test_a_given_checkpoint_is_tested(toy_root, work):
    config = make_config(toy_root, {"trainer_cfg.save_iter": 3})
    go(config, "train")
    metrics = go(changed(config, {"evaluator_cfg.restore_hint": 3}), "test")
    assert (metrics["iteration"], metrics["selection"]) == (3, "given by hand")


def test_a_test_without_a_checkpoint_says_what_to_do(toy_root, work):
    with pytest.raises(ConfigError, match="there is no checkpoint to test; train first"):
        go(make_config(toy_root), "test")
    changes = {"evaluator_cfg.restore_hint": "none.pt"}
    with pytest.raises(ConfigError, match=r"evaluator_cfg.restore_hint: there is no none.pt"):
        go(make_config(toy_root, changes))
    with pytest.raises(CheckpointError, match="toy-00002.pt: there is no such checkpoint"):
        go(make_config(toy_root, {"trainer_cfg.restore_hint": 2}))
    assert not (work / FOLDER).exists()


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_refused_with_keys_and_shapes(toy_root, work):
    config = make_config(toy_root)
    go(config, "train")
    other = changed(config, {"model_cfg.channels": 7, "model_cfg.normalize": False})
    path = work / FOLDER / "checkpoints/toy-00006.pt"
    content = torch.load(path, weights_only=True)
    content.pop("config")  # as in files of other programs: else the values are named
    torch.save(content, path)
    with pytest.raises(CheckpointError) as error:
        go(other, "test")
    message = str(error.value)
    assert "convolution.weight: the model has [7, 3, 3, 3], the file [6, 3, 3, 3]" in message
    assert "normalization.running_mean [6]" in message
    with pytest.raises(CheckpointError, match="this checkpoint is not of this model"):
        go(other, "train")


@pytest.mark.slow
def test_weights_alone_cannot_be_gone_on_from(toy_root, work):
    config = make_config(toy_root)
    go(config, "train")
    path = work / FOLDER / "checkpoints/toy-00006.pt"
    content = torch.load(path, weights_only=True)
    torch.save({"model": content["model"]}, path)
    with pytest.raises(CheckpointError, match="holds no optimizer, scheduler, iteration"):
        go(config, "train")
    torch.save({**content, "optimizer": {"state": {}, "param_groups": []}}, path)
    with pytest.raises(CheckpointError, match="losses, optimizer or schedule are others"):
        go(config, "train")


def test_a_loss_that_is_not_finite_ends_the_run_with_the_tracklets_named(toy_root, work):
    config = make_config(toy_root, {"model_cfg.poison": 4, "trainer_cfg.save_iter": 3})
    with pytest.raises(NonFiniteError) as error:
        go(config)
    message = str(error.value)
    assert message.startswith("iteration 5: a loss is not finite: id = nan, triplet = nan")
    assert "Tracklets of this batch: " in message
    named = message.split("Tracklets of this batch: ")[1].splitlines()[0].split(", ")
    assert len(named) == 8
    assert all((toy_root / path).is_dir() for path in named)
    assert f"the last checkpoint is {FOLDER}/checkpoints/toy-00003.pt" in message
    assert [path.name for path in work.rglob("*.pt")] == ["toy-00003.pt"]


def test_weights_that_are_not_finite_are_not_saved(toy_root, work):
    class Broken(Tiny):
        def forward(self, inputs):
            if self.iteration == 5:
                self.normalization.running_mean.fill_(float("inf"))
            return super().forward(inputs)

    Broken.__name__ = "Tiny"
    config = make_config(toy_root, {"trainer_cfg.save_iter": 3})
    with pytest.raises(NonFiniteError) as error:
        go(config, "train", catalog_of(Broken))
    assert "iteration 6: 1 weights are not finite (normalization.running_mean)" in str(error.value)
    assert [path.name for path in work.rglob("*.pt")] == ["toy-00003.pt"]


def test_a_model_that_refuses_a_value_is_an_error_of_the_config(toy_root, work):
    with pytest.raises(ConfigError, match=r"model_cfg \(Tiny\): channels: expected 2 or more"):
        go(make_config(toy_root, {"model_cfg.channels": 1}))


def test_another_number_of_identities_is_found_before_training(toy_root, work):
    with pytest.raises(DataError, match="num_identities is 7, but the training data have 4"):
        go(make_config(toy_root, {"model_cfg.num_identities": 7}))


@pytest.mark.slow
def test_a_split_without_queries_is_named(toy_root, work):
    config = make_config(toy_root, {"evaluator_cfg.split": "train"})
    go(config, "train")
    with pytest.raises(ConfigError, match=r"no retrieval task for the split 'train' \(splits with"):
        go(config, "test")


@pytest.mark.slow
def test_embeddings_of_another_form_are_named(toy_root, work):
    class Flat(Tiny):
        def forward(self, inputs):
            output = super().forward(inputs)
            output["inference_feat"]["embeddings"] = output["inference_feat"]["embeddings"][..., 0]
            return output

    Flat.__name__ = "Tiny"
    with pytest.raises(ConfigError, match=r"Tiny gave embeddings \[5, 6\] for 5 tracklets"):
        go(make_config(toy_root), catalog=catalog_of(Flat))


@pytest.mark.slow
def test_in_pieces_and_in_bfloat16_a_run_comes_to_its_end(toy_root, work):
    changes = {
        "trainer_cfg.accumulate": 2,
        "trainer_cfg.precision": "bfloat16",
        "evaluator_cfg.precision": "bfloat16",
        "trainer_cfg.sync_batch_norm": True,
        "scheduler_cfg": {"scheduler": "CosineAnnealingLR", "T_max": 6},
    }
    assert go(make_config(toy_root, changes))["precision"] == "bfloat16"
    assert weights(work, 6)["versions"]["torch"] == torch.__version__


def test_a_batch_that_does_not_fit_in_memory_names_the_key_that_helps(toy_root, work):
    class Large(Tiny):
        def forward(self, inputs):
            raise torch.cuda.OutOfMemoryError("tried to allocate 9 GiB")

    Large.__name__ = "Tiny"
    with pytest.raises(OutOfMemoryError) as error:
        go(make_config(toy_root), catalog=catalog_of(Large))
    assert "iteration 1: 8 tracklets with frames [8, 2, 3, 16, 8] do not fit" in str(error.value)
    assert "Set trainer_cfg.accumulate to more than 1" in str(error.value)


@pytest.mark.slow
def test_a_step_whose_gradient_overflows_is_left_out_and_the_run_goes_on(
    toy_root, work, monkeypatch, caplog
):
    def scaler(self):
        return torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=1000)

    monkeypatch.setattr(Computation, "scaler", scaler)
    config = make_config(toy_root)
    go(config, "train")
    content = weights(work, 6)
    skipped = sum("this step is left out" in message for message in caplog.messages)
    assert 1 <= skipped < 6
    assert content["scaler"]["scale"] == 2.0 ** (127 - skipped)
    assert content["scheduler"] == {"last_epoch": 6}
    assert all(bool(torch.isfinite(value).all()) for value in content["model"].values())
    go(changed(config, {"trainer_cfg.restore_hint": 0, "trainer_cfg.total_iter": 3}), "train")
    go(config, "train")
    assert same(weights(work, 6)["model"], content["model"])


def breaking_off(seen):
    """Gives the tiny model, failing once, at the second batch; ``seen`` gets the batch sizes."""

    class BreakingOff(Tiny):
        def forward(self, inputs):
            seen.append(len(inputs[1]))
            if len(seen) == 2:
                raise MemoryError("broken off")
            return super().forward(inputs)

    BreakingOff.__name__ = "Tiny"
    return catalog_of(BreakingOff)


@pytest.mark.slow
def test_a_test_that_was_broken_off_goes_on_where_it_was(toy_root, work, caplog):
    caplog.set_level(logging.INFO)
    config, seen = make_config(toy_root), []
    expected = go(config)["result"]
    catalog = breaking_off(seen)
    with pytest.raises(UserError, match="do not fit in the device's memory: lower batch_size"):
        go(config, "test", catalog)
    assert go(config, "test", catalog)["result"] == expected
    assert "5 of 12 tracklets were embedded before" in caplog.messages
    assert seen == [5, 5, 5, 2]
    assert not list((work / FOLDER / "test").glob(".*"))


@pytest.mark.slow
def test_a_test_under_other_conditions_starts_anew(toy_root, work):
    config, seen = make_config(toy_root), []
    go(config)
    catalog = breaking_off(seen)
    with pytest.raises(UserError, match="do not fit in the device's memory: lower batch_size"):
        go(config, "test", catalog)
    go(changed(config, {"evaluator_cfg.sampler.frames": 1}), "test", catalog)
    assert seen == [5, 5, 5, 5, 2]
