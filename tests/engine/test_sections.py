from pathlib import Path

import pytest
import torch
from engine_parts import CATALOG, changed, make_config

from opengait_ext.config import ConfigError
from opengait_ext.engine.catalog import own_catalog
from opengait_ext.engine.sections import check

CONFIG = make_config(Path("data"))


def faults(changes, phase="both"):
    with pytest.raises(ConfigError) as error:
        check(changed(CONFIG, changes), CATALOG, phase)
    return str(error.value)


def test_a_right_config_becomes_settings():
    settings = check(CONFIG, CATALOG)
    assert settings.trainer.total_iter == 6
    assert settings.trainer.keep_checkpoints == 2
    assert settings.data.prepare.commands == ["make.py --all"]
    assert settings.data.stream == "0-frames"
    assert settings.evaluator.split == "test"
    assert settings.evaluate.arguments == {"metric": "euclidean"}
    assert settings.model_name == "Tiny"


def test_the_faults_of_all_sections_are_named_at_once():
    found = faults(
        {
            "model_cfg.num_identites": 3,
            "loss_cfg.0.scale": "16",
            "loss_cfg.1.type": "TripletLos",
            "optimizer_cfg.weight_deacy": 0.1,
            "scheduler_cfg.scheduler": "WarmupStep",
            "trainer_cfg.total_itr": 5,
            "trainer_cfg.total_iter": ...,
            "trainer_cfg.sampler.identites": 3,
            "trainer_cfg.transform.1.paddin": 3,
            "evaluator_cfg.metrik": "cosine",
            "evaluator_cfg.eval_func": "evaluate_cross_modalty",
            "data_cfg.prepare.comands": [],
            "optimiser_cfg": {},
        }
    )
    for part in (
        "unknown section 'optimiser_cfg' - did you mean 'optimizer_cfg'?",
        "model_cfg (Tiny):\n  unknown key 'num_identites' - did you mean 'num_identities'?",
        "loss_cfg[0] (CrossEntropyLoss):\n  scale: expected a number, found '16'",
        "loss_cfg[1].type: no loss is called 'TripletLos' - did you mean 'TripletLoss'?",
        "optimizer_cfg (Adam):\n  unknown key 'weight_deacy' - did you mean 'weight_decay'?",
        "scheduler_cfg.scheduler: no schedule is called 'WarmupStep' - did you mean",
        "unknown key 'total_itr' - did you mean 'total_iter'?\n  missing key 'total_iter'",
        "trainer_cfg.sampler (IdentitySampler):\n  unknown key 'identites'",
        "trainer_cfg.transform[1] (PadCrop):\n  unknown key 'paddin' - did you mean 'padding'?",
        "eval_func: no evaluator is called 'evaluate_cross_modalty' - did you mean",
        "prepare: unknown key 'comands' - did you mean 'commands'?",
    ):
        assert part in found


def test_a_key_of_the_evaluator_is_looked_for_among_its_arguments_and_the_sections_keys():
    found = faults({"evaluator_cfg.metrik": 1, "evaluator_cfg.restor_hint": 1})
    assert "unknown key 'metrik' - did you mean 'metric'?" in found
    assert "unknown key 'restor_hint' - did you mean 'restore_hint'?" in found
    assert "unknown key 'qqq' - accepted: metric" in faults({"evaluator_cfg.qqq": 1})
    assert "metric: expected one of euclidean, cosine, found 'cosin'" in faults(
        {"evaluator_cfg.metric": "cosin"}
    )
    assert "missing key 'eval_func'" in faults({"evaluator_cfg.eval_func": ...})


def test_the_frames_of_a_section_stand_beside_its_sampler():
    settings = check(CONFIG, CATALOG)
    assert (settings.training.frames, settings.training.frame_rule) == (2, "random_in_run")
    assert settings.training.sampler.arguments == {"identities": 2, "visible": 2, "infrared": 2}
    found = faults({"trainer_cfg.sampler.frames": ..., "evaluator_cfg.sampler.frame_rule": "odd"})
    assert "trainer_cfg.sampler (IdentitySampler):\n  missing key 'frames'" in found
    assert "evaluator_cfg.sampler (OrderedSampler):\n  frame_rule: expected one of" in found


def test_what_needs_no_data_is_built_once_by_the_check():
    settings = check(CONFIG, CATALOG)
    assert list(settings.losses) == ["id", "triplet"]
    assert settings.losses["triplet"].loss_term_weight == 0.5
    assert [type(each).__name__ for each in settings.training.transform] == [
        "Resize", "PadCrop", "HorizontalFlip", "ChannelErasing",
    ]  # fmt: skip


def test_a_check_leaves_the_random_numbers_of_its_caller_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check(CONFIG, CATALOG)
    assert torch.equal(torch.rand(3), expected)


def test_sections_of_the_wrong_kind_and_missing_ones_are_named():
    found = faults({"loss_cfg": {"type": "TripletLoss"}, "model_cfg": ["Tiny"], "data_cfg": ...})
    assert "loss_cfg: expected a list of losses, found {'type': 'TripletLoss'}" in found
    assert "model_cfg: expected keys and values, found ['Tiny']" in found
    assert "missing section 'data_cfg'" in found
    assert "known: data_cfg, model_cfg" in faults({"zzz": 1})


def test_losses_need_different_names_by_which_the_model_addresses_them():
    assert "loss_cfg[1]: the log_prefix 'id' is that of loss_cfg[0] already" in faults(
        {"loss_cfg.1.log_prefix": "id"}
    )
    assert "loss_cfg[1]: missing key 'log_prefix'" in faults({"loss_cfg.1.log_prefix": ...})
    assert "loss_cfg[1]: expected keys and values, found 3" in faults({"loss_cfg.1": 3})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer_cfg.total_iter": 0}, "trainer_cfg.total_iter: expected 1 or more, found 0"),
        ({"trainer_cfg.accumulate": 0}, "trainer_cfg.accumulate: expected 1 or more, found 0"),
        ({"trainer_cfg.eval_iter": -1}, "trainer_cfg.eval_iter: expected 0 or more, found -1"),
        ({"trainer_cfg.keep": "best"}, "trainer_cfg.keep: 'best' needs tests during the training"),
        ({"trainer_cfg.keep": "bst"}, "keep: expected one of last, best, best_on_test"),
        ({"trainer_cfg.precision": "fp16"}, "precision: expected one of float32, bfloat16"),
        ({"trainer_cfg.restore_hint": -2}, "trainer_cfg.restore_hint: expected auto, 0, an iter"),
        ({"trainer_cfg.restore_hint": "last"}, ".safetensors), found 'last'"),
        ({"data_cfg.stream": ""}, "data_cfg.stream: expected the name of a file without its endin"),
        ({"data_cfg.stream": "../0-frames"}, "without its ending, found '../0-frames'"),
        ({"trainer_cfg.clip_grad_norm": -1.0}, "clip_grad_norm: expected 0 or more, found -1.0"),
        ({"evaluator_cfg.restore_hint": "a.npz"}, "expected auto, an iteration or the path of a f"),
        ({"data_cfg.loader_timeout": 0}, "data_cfg.loader_timeout: expected 1 or more, found 0"),
        ({"data_cfg.loader_timeout": 10**18}, "loader_timeout: expected 1,000,000,000 or less"),
        ({"data_cfg.num_workers": -1}, "data_cfg.num_workers: expected 0 or more, found -1"),
        ({"data_cfg.train_splits": []}, "data_cfg.train_splits: expected at least one split"),
        ({"data_cfg.dataset_name": "../x"}, "data_cfg.dataset_name: expected letters, digits"),
        ({"evaluator_cfg.save_name": "b"}, "save_name: expected that of trainer_cfg, 'toy', found"),
        (
            {"trainer_cfg.eval_iter": 2, "data_cfg.train_splits": ["train", "val"]},
            "trainer_cfg.eval_iter: it tests on the split 'val', which data_cfg.train_splits",
        ),
        ({"trainer_cfg.transform.1.padding": -1}, "trainer_cfg.transform[1]: PadCrop: padding"),
        ({"optimizer_cfg.lr": -1.0}, "optimizer_cfg: Invalid learning rate: -1.0"),
        (
            {"evaluator_cfg.rerank": {"type": "temporal", "k3": 1}},
            "evaluator_cfg.rerank.k3 is unknown for the type temporal",
        ),
    ],
)
def test_values_that_no_run_can_have_are_named_before_data_are_touched(changes, message):
    assert message in faults(changes)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".ckpt", ".safetensors"])
def test_every_file_that_can_be_read_can_be_a_hint(ending):
    for section in ("trainer_cfg", "evaluator_cfg"):
        assert check(changed(CONFIG, {f"{section}.restore_hint": f"a/b{ending}"}), CATALOG)


def test_a_test_alone_needs_a_checkpoint():
    changes = {"evaluator_cfg.restore_hint": 0}
    assert "a test needs a checkpoint: expected auto" in faults(changes, "test")
    assert check(changed(CONFIG, changes), CATALOG, "train").evaluator.restore_hint == 0


def test_the_components_of_the_package_can_be_named():
    catalog = own_catalog()
    assert "DinoGRL" in catalog.models
    assert "TripletLoss" in catalog.losses
    assert "IdentitySampler" in catalog.samplers
    assert "Resize" in catalog.transforms
    assert "evaluate_cross_modality" in catalog.evaluators
