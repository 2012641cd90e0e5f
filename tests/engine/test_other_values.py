"""A run is what it says it is: what shapes training may not change under a name."""

import json
import shutil

import pytest
import torch
from engine_parts import (
    CATALOG,
    Tiny,
    catalog_of,
    changed,
    make_config,
    prepare,
    same,
    weights,
)  # fmt: skip

from opengait_ext.data.layout import read_partition, write_partition
from opengait_ext.engine import run
from opengait_ext.engine.origin import resolved
from opengait_ext.engine.shaping import weight_files
from opengait_ext.engine.trained import OtherRunError

FOLDER = "output/Toy/Tiny/toy"
PLAIN = {"trainer_cfg.total_iter": 1, "trainer_cfg.transform.3.probability": 0.25}


class Free(Tiny):
    """Reads one key in a test only."""

    test_only = ("poison",)


Free.__name__ = "Tiny"


def go(config, phase="train", catalog=CATALOG):
    return run(config, phase, "cpu", False, [], catalog)


@pytest.fixture(scope="module")
def finished(toy_root, tmp_path_factory):
    """A folder with a run of one iteration, and its config."""
    folder = tmp_path_factory.mktemp("finished")
    config = make_config(toy_root, PLAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        go(config)
    return folder, config


@pytest.fixture
def stored(finished, work):
    """The same, in the working folder."""
    folder, config = finished
    shutil.copytree(folder / "output", work / "output")
    return config


SHAPING = {
    "a key of the model": ({"model_cfg.dropout": 0.4}, "model_cfg.dropout: 0.5 -> 0.4"),
    "a value where null stood": (
        {"scheduler_cfg.iterations_per_epoch": 7, "scheduler_cfg.unit": "epoch"},
        "scheduler_cfg.iterations_per_epoch: 0 -> 7",
    ),
    "a value of a loss": ({"loss_cfg.1.margin": 0.3}, "loss_cfg.triplet.margin: 0.2 -> 0.3"),
    "a weight of a loss": (
        {"loss_cfg.1.loss_term_weight": 0.25}, "loss_cfg.triplet.loss_term_weight: 0.5 -> 0.25",
    ),
    "a loss switched off": (
        {"loss_cfg.1.loss_term_weight": 0}, "loss_cfg.triplet: {'type': 'TripletLoss'",
    ),
    "another type of loss": (
        {"loss_cfg.1.type": "CrossEntropyLoss", "loss_cfg.1.margin": ..., "loss_cfg.1.scale": 2.0},
        "loss_cfg.triplet.type: 'TripletLoss' -> 'CrossEntropyLoss'",
    ),
    "the learning rate": ({"optimizer_cfg.lr": 0.02}, "optimizer_cfg.lr: 0.01 -> 0.02"),
    "the weight decay": (
        {"optimizer_cfg.weight_decay": 0.0}, "optimizer_cfg.weight_decay: 0.0005 -> 0.0",
    ),
    "another solver": (
        {"optimizer_cfg": {"solver": "SGD", "lr": 0.01}}, "optimizer_cfg.solver: 'Adam' -> 'SGD'",
    ),
    "entries instead of one": (
        {
            "optimizer_cfg": [
                {"solver": "Adam", "lr": 0.01, "weight_decay": 0.0005, "match": ["classifier."]},
                {"solver": "Adam", "lr": 0.01, "weight_decay": 0.0005},
            ]
        },
        "optimizer_cfg: {'solver': 'Adam'",
    ),
    "a default of the solver": (
        {"optimizer_cfg.betas": [0.8, 0.999]}, "optimizer_cfg.betas.0: 0.9 -> 0.8",
    ),
    "a value of the schedule": ({"scheduler_cfg.gamma": 0.2}, "scheduler_cfg.gamma: 0.1 -> 0.2"),
    "another schedule": (
        {"scheduler_cfg": {"scheduler": "StepLR", "step_size": 1}},
        "scheduler_cfg.scheduler: 'WarmupSteps' -> 'StepLR'",
    ),
    "a milestone": ({"scheduler_cfg.milestones": [5]}, "scheduler_cfg.milestones.0: 4 -> 5"),
    "the training sampler": (
        {"trainer_cfg.sampler.visible": 1}, "trainer_cfg.sampler.visible: 2 -> 1",
    ),
    "another training sampler": (
        {"trainer_cfg.sampler.type": "RandomIdentitySampler"},
        "trainer_cfg.sampler.type: 'IdentitySampler' -> 'RandomIdentitySampler'",
    ),
    "frames of a tracklet": (
        {"trainer_cfg.sampler.frames": 3}, "trainer_cfg.sampler.frames: 2 -> 3",
    ),
    "a training transform": (
        {"trainer_cfg.transform.1.padding": 3}, "trainer_cfg.transform.1.padding: 2 -> 3",
    ),
    "a transform less": (
        {"trainer_cfg.transform.3": ...},
        "trainer_cfg.transform: [Resize, PadCrop, HorizontalFlip, ChannelErasing] -> "
        "[Resize, PadCrop, HorizontalFlip]",
    ),
    "the seed": ({"trainer_cfg.seed": 4}, "trainer_cfg.seed: 3 -> 4"),
    "the precision": (
        {"trainer_cfg.precision": "bfloat16"}, "trainer_cfg.precision: 'float32' -> 'bfloat16'",
    ),
    "the pieces of a batch": ({"trainer_cfg.accumulate": 2}, "trainer_cfg.accumulate: 1 -> 2"),
    "the clipping": ({"trainer_cfg.clip_grad_norm": 0.0}, "trainer_cfg.clip_grad_norm: 1.0 -> 0.0"),
    "shared statistics": (
        {"trainer_cfg.sync_batch_norm": False}, "trainer_cfg.sync_batch_norm: True -> False",
    ),
    "the splits": (
        {"data_cfg.train_splits": ["train", "val"], "model_cfg.num_identities": 6},
        "data_cfg.train_splits: ['train'] -> ['train', 'val']",
    ),
    "the stream": ({"data_cfg.stream": "0-fram*"}, "data_cfg.stream: '0-frames' -> '0-fram*'"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPING)
def test_what_shapes_training_is_refused_with_the_key_and_what_to_do(stored, work, kind):
    changes, message = SHAPING[kind]
    before = {path: path.read_bytes() for path in work.rglob("*.*") if path.is_file()}
    with pytest.raises(OtherRunError) as error:
        go(changed(stored, changes), "both")
    said = str(error.value)
    assert f"{FOLDER}/checkpoints/toy-00001.pt: this run was trained with other values" in said
    assert message in said
    assert "give the new run another name (save_name" in said
    assert "or start anew with --iter 0, which keeps the old run aside" in said
    assert {path: path.read_bytes() for path in work.rglob("*.*") if path.is_file()} == before


HARMLESS = {
    "nothing": {},
    "defaults written out": {
        "optimizer_cfg.betas": [0.9, 0.999],
        "model_cfg.channels": 6,
        "loss_cfg.0.loss_term_weight": 1.0,
        "scheduler_cfg.iterations_per_epoch": 0,
        "data_cfg.stream": "0-frames",
        "trainer_cfg.keep_checkpoints": 2,
    },
    "a whole number written as one": {"trainer_cfg.clip_grad_norm": 1},
    "workers": {"data_cfg.num_workers": 1},
    "the preparation": {"data_cfg.prepare.commands": []},
    "logging": {"trainer_cfg.log_iter": 1},
    "saving": {"trainer_cfg.save_iter": 1, "trainer_cfg.keep_checkpoints": 0},
    "tests on the way": {"trainer_cfg.eval_iter": 1},
    "which checkpoint is tested": {"trainer_cfg.eval_iter": 1, "trainer_cfg.keep": "best"},
    "a hint": {"trainer_cfg.restore_hint": 1},
    "strictness": {"trainer_cfg.restore_strict": False},
    "a longer training": {"trainer_cfg.total_iter": 2},
    "how a step is computed": {"optimizer_cfg.foreach": True},
    "compiling": {"trainer_cfg.compile": "auto"},
    "unused parameters": {"trainer_cfg.find_unused_parameters": True},
    "the distance of the test": {"evaluator_cfg.metric": "cosine"},
    "the frames of the test": {"evaluator_cfg.sampler.frames": 1},
    "the split of the test": {"evaluator_cfg.split": "val"},
    "precision that comes to the same": {"trainer_cfg.precision": "auto"},
    "losses in another order": "reversed",
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_does_not_shape_training_goes_on(stored, work, kind, monkeypatch):
    changes = HARMLESS[kind]
    if changes == "reversed":
        changes = {"loss_cfg": stored["loss_cfg"][::-1]}
    if "trainer_cfg.precision" in changes:
        monkeypatch.setattr("opengait_ext.engine.devices.computes_bfloat16", lambda device: False)
    config = changed(stored, changes)
    total = config["trainer_cfg"]["total_iter"]
    assert go(config) == {"iteration": total}
    assert weights(work, total)["iteration"] == total


@pytest.mark.slow
def test_one_entry_of_several_may_not_change_and_a_list_of_one_is_that_one(stored, work):
    several = [
        {"solver": "Adam", "lr": 0.01, "match": ["classifier."]},
        {"solver": "SGD", "lr": 0.01},
    ]
    config = changed(stored, {"optimizer_cfg": several, "trainer_cfg.restore_hint": 0})
    go(config)
    config["trainer_cfg"]["restore_hint"] = "auto"
    foreach = {"optimizer_cfg.0.foreach": True, "trainer_cfg.total_iter": 2}
    assert go(changed(config, foreach)) == {"iteration": 2}
    longer = changed(config, {"trainer_cfg.total_iter": 2})
    for changes, message in (
        ({"optimizer_cfg.1.lr": 0.02}, "optimizer_cfg.1.lr: 0.01 -> 0.02"),
        ({"optimizer_cfg.0.match": ["con"]}, "optimizer_cfg.0.match.0: 'classifier.' -> 'con'"),
    ):
        with pytest.raises(OtherRunError, match=message):
            go(changed(longer, changes))
    single = changed(stored, {"trainer_cfg.restore_hint": 0})
    go(single)
    assert go(changed(stored, {"optimizer_cfg": [stored["optimizer_cfg"]]})) == {"iteration": 1}


def test_data_may_move_and_the_model_may_name_keys_of_the_test(stored, work, toy_root):
    shutil.copytree(toy_root, work / "moved")
    places = {
        "data_cfg.dataset_root": str(work / "moved"),
        "data_cfg.dataset_partition": "moved/partition.json",
        "model_cfg.poison": 7,
    }
    assert go(changed(stored, places), catalog=catalog_of(Free)) == {"iteration": 1}
    with pytest.raises(OtherRunError, match="model_cfg.poison: -1 -> 7"):
        go(changed(stored, places))


def data_of(config, folder, change):
    """Return the config with a copy of its data, whose partition is changed."""
    root = folder / "other"
    shutil.copytree(config["data_cfg"]["dataset_root"], root)
    partition = read_partition(root / "partition.json")
    change(partition)
    (root / "partition.json").unlink()
    write_partition(root / "partition.json", partition)
    places = {"dataset_root": str(root), "dataset_partition": str(root / "partition.json")}
    return changed(config, {f"data_cfg.{key}": value for key, value in places.items()})


@pytest.mark.slow
def test_other_training_data_are_refused_and_other_test_data_are_not(stored, work):
    def without_a_training_tracklet(partition):
        del partition.tracklets[-1], partition.tracklets[0]
        partition.tasks.clear()

    with pytest.raises(OtherRunError, match=r"data_cfg.dataset_partition: the training data \(dig"):
        go(data_of(stored, work, without_a_training_tracklet))
    shutil.rmtree(work / "other")

    def without_a_test_tracklet(partition):
        del partition.tracklets[-1]
        partition.tasks.clear()

    assert go(data_of(stored, work, without_a_test_tracklet)) == {"iteration": 1}
    shutil.rmtree(work / "other")
    config = data_of(stored, work, lambda partition: partition.source.update(digest="e"))
    with pytest.raises(OtherRunError, match=r"the source of the prepared data \(digest d -> e\)"):
        go(config)


def rewritten(folder, change, number=1):
    path = folder / FOLDER / f"checkpoints/toy-{number:05d}.pt"
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def test_an_older_checkpoint_without_a_digest_is_gone_on_from_and_told(stored, work, caplog):
    def as_before(content):
        for key in ("data", "weights", "started_in", "precision"):
            del content[key]

    rewritten(work, as_before)
    assert go(changed(stored, {"trainer_cfg.total_iter": 2})) == {"iteration": 2}
    assert "does not say which data it was trained on" in caplog.text
    rewritten(work, lambda content: content.pop("config"), 2)
    assert go(changed(stored, {"trainer_cfg.total_iter": 2, "trainer_cfg.seed": 8}))
    assert "holds no config, so nobody can tell if it is the same now" in caplog.text


def test_an_iteration_by_number_is_gone_on_from_with_the_same_values_only(stored, work):
    with pytest.raises(OtherRunError, match="trainer_cfg.seed: 3 -> 4"):
        go(changed(stored, {"trainer_cfg.restore_hint": 1, "trainer_cfg.seed": 4}))


def test_a_run_beyond_its_end_is_refused(stored, work):
    config = changed(stored, {"trainer_cfg.total_iter": 3, "trainer_cfg.save_iter": 1})
    go(config)
    with pytest.raises(OtherRunError, match=r"stands at iteration 3 already, beyond .*: 2\. Raise"):
        go(changed(config, {"trainer_cfg.total_iter": 2}))
    back = {"trainer_cfg.total_iter": 2, "trainer_cfg.restore_hint": 2}
    assert go(changed(config, back)) == {"iteration": 2}


@pytest.mark.slow
def test_the_file_of_weights_may_move_but_not_change(toy_root, work):
    class Loading(Tiny):
        def build(self, weights: str, **more):
            super().build(4)
            self.weights = weights

        def init_parameters(self):
            assert self.weights.endswith(".pt")

    Loading.__name__ = "Tiny"
    catalog = catalog_of(Loading)
    (work / "a.pt").write_text("a")
    config = make_config(
        toy_root, {"trainer_cfg.total_iter": 1, "model_cfg": {"model": "Tiny", "weights": "a.pt"}}
    )
    go(config, catalog=catalog)
    (work / "a.pt").rename(work / "b.pt")
    moved = changed(config, {"model_cfg.weights": "b.pt"})
    go(moved, catalog=catalog)
    (work / "b.pt").write_text("b")
    with pytest.raises(OtherRunError, match=r"model_cfg.weights: 'a.pt' -> 'b.pt'"):
        go(moved, catalog=catalog)
    go(moved, "test", catalog)  # weights that training started from are in the checkpoint
    (work / "a.pt").write_text("c")
    with pytest.raises(OtherRunError, match=r"weights: another content of the file \(sha256 ca97"):
        go(config, catalog=catalog)
    (work / "a.pt").unlink()
    go(config, catalog=catalog)


def test_weights_without_an_ending_are_found_by_their_key(tmp_path):
    section = {"dinov2_weights": "w/plain", "backbone_weights": "imagenet", "pretrained_x": "none"}
    section |= {"mask_weights": None, "branch": {"file": "w/b.pt"}}
    assert dict(weight_files(section)) == {
        "model_cfg.dinov2_weights": "w/plain",
        "model_cfg.pretrained_x": "none",
        "model_cfg.branch.file": "w/b.pt",
    }
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "plain").write_text("a")
    assert resolved({"model_cfg": section}, [tmp_path])["model_cfg"] == {
        **section,
        "dinov2_weights": str(tmp_path / "w" / "plain"),
        "branch": {"file": str(tmp_path / "w" / "b.pt")},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.pt", "plain"])
def test_weights_seen_from_another_folder_are_no_difference_in_a_test(toy_root, work, caplog, name):
    class Loading(Tiny):
        def build(self, own_weights: str):
            super().build(4)

    Loading.__name__ = "Tiny"
    catalog = catalog_of(Loading)
    model = {"model_cfg": {"model": "Tiny", "own_weights": f"w/{name}"}}
    config = make_config(toy_root, {"trainer_cfg.total_iter": 1, **model})
    go(config, catalog=catalog)
    loose = changed(config, {"evaluator_cfg.restore_strict": False})
    go(changed(loose, {"model_cfg.own_weights": f"/far/w/{name}"}), "test", catalog)
    assert "was trained with other values" not in caplog.text
    go(changed(loose, {"model_cfg.own_weights": "other"}), "test", catalog)
    assert f"  model_cfg.own_weights: 'w/{name}' -> 'other'" in caplog.text


def test_a_test_alone_under_another_model_is_refused_and_other_values_are_kept_apart(
    stored, work, caplog
):
    with pytest.raises(OtherRunError) as error:
        go(changed(stored, {"model_cfg.dropout": 0.1}), "test")
    assert (
        "was trained as another model than the config says:\n  model_cfg.dropout: 0.5 -> 0.1"
        in (str(error.value))
    )
    assert not (work / FOLDER / "test/metrics.json").exists()
    other = {"trainer_cfg.seed": 77, "optimizer_cfg.lr": 0.5, "evaluator_cfg.metric": "cosine"}
    metrics = go(changed(stored, other), "test")
    assert "was trained with other values than the config has" in caplog.text
    assert "  optimizer_cfg.lr: 0.01 -> 0.5" in caplog.text
    assert metrics["training_config"] == stored
    assert metrics["test_config"] == changed(stored, other)
    assert metrics["seed"] == 3
    assert metrics == json.loads((work / FOLDER / "test/metrics.json").read_text())


def test_parts_of_another_model_are_tested_if_they_may_be(stored, caplog):
    loose = {"model_cfg.dropout": 0.1, "evaluator_cfg.restore_strict": False}
    assert go(changed(stored, loose), "test")["iteration"] == 1
    assert "  model_cfg.dropout: 0.5 -> 0.1" in caplog.text


def test_the_best_on_one_split_is_not_compared_with_another(toy_root, work):
    best = {"trainer_cfg.eval_iter": 1, "trainer_cfg.keep": "best", "trainer_cfg.total_iter": 1}
    go(make_config(toy_root, best))
    with pytest.raises(OtherRunError, match="keep: the best so far on validation -> best_on_test"):
        go(make_config(toy_root, {**best, "trainer_cfg.keep": "best_on_test"}))


def test_weights_alone_may_start_a_run_of_other_values_and_the_old_one_is_kept(stored, work):
    shutil.copy(work / FOLDER / "checkpoints/toy-00001.pt", work / "start.pt")
    changes = {"trainer_cfg.restore_hint": "start.pt", "trainer_cfg.seed": 5}
    assert go(changed(stored, changes)) == {"iteration": 1}
    assert (work / f"{FOLDER}.old-1/checkpoints/toy-00001.pt").is_file()
    assert not same(
        weights(work, 1)["model"], torch.load(work / "start.pt", weights_only=True)["model"]
    )


def test_what_is_tested_though_no_best_is_known_is_told(stored, caplog):
    changes = {"trainer_cfg.eval_iter": 1, "trainer_cfg.keep": "best"}
    assert go(changed(stored, changes), "test")["selection"] == "last"
    assert "no checkpoint of this run was found the best so far" in caplog.text


def test_the_data_of_a_run_are_told_by_their_training_part(tmp_path):
    from opengait_ext.engine.trained import training_data

    partition = prepare(tmp_path)
    found = training_data(partition, ["train"])
    assert found["source"] == "d"
    assert found != training_data(partition, ["train", "val"])
    partition.pairs.append((0, 2))
    assert found != training_data(partition, ["train"])
