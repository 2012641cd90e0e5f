"""What does not fit into OpenGait's engine is said before anything starts."""

import re

import pytest
import yaml
from engine_parts import CATALOG, Tiny, catalog_of, make_config
from upstream_parts import ROOT, messages, plain_config, upstream

from opengait.main import main
from opengait_ext.config import ConfigError, load_config
from opengait_ext.engine.data import DataError
from opengait_ext.engine.sections import check
from opengait_ext.errors import UserError
from opengait_ext.losses import LOSSES
from opengait_ext.registry import Registry
from opengait_ext.upstream import launch
from opengait_ext.upstream.authorship import refuse_opengaits_own
from opengait_ext.upstream.config import refuse_unfit


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer_cfg.accumulate": 2}, "accumulate is 2: OpenGait computes a batch in one"),
        ({"trainer_cfg.clip_grad_norm": 1.0}, "clip_grad_norm is 1.0: OpenGait clips no gradient"),
        ({"trainer_cfg.eval_iter": 7}, "eval_iter is 7: OpenGait tests when it saves"),
        (
            {"trainer_cfg.keep": "best", "trainer_cfg.eval_iter": 100},
            "keep is 'best': OpenGait does not choose",
        ),
        ({"loss_cfg.0.log_prefix": "a.b"}, "log_prefix is 'a.b': no dots"),
    ],
)
def test_what_openGait_cannot_do_is_refused(toy_root, checkout, work, changes, message):
    with pytest.raises(ConfigError) as error:
        upstream(checkout, plain_config(toy_root, changes))
    assert message in str(error.value)
    assert "--host embedded" in str(error.value)
    assert not list(work.iterdir())


def test_a_test_alone_does_not_mind_how_the_training_was(toy_root):
    refuse_unfit(check(make_config(toy_root), CATALOG), "test")
    with pytest.raises(ConfigError, match="clip_grad_norm"):
        refuse_unfit(check(make_config(toy_root), CATALOG), "train")


def test_a_keyword_only_argument_would_be_dropped(toy_root):
    class CrossEntropyLoss(LOSSES["CrossEntropyLoss"]):
        def __init__(self, *, scale=1.0):
            super().__init__(scale=scale)

    losses = Registry("loss", [CrossEntropyLoss, LOSSES["TripletLoss"]])
    settings = check(plain_config(toy_root), CATALOG)
    other = type(settings.catalog)(**{**vars(settings.catalog), "losses": losses})
    settings = type(settings)(**{**vars(settings), "catalog": other})
    with pytest.raises(ConfigError, match=re.escape("keyword-only arguments (scale)")):
        refuse_unfit(settings, "test")


def test_without_cuda_our_own_engine_is_offered(toy_root, checkout, work, monkeypatch):
    monkeypatch.setattr(launch, "has_cuda", lambda: False)
    with pytest.raises(UserError, match="--host embedded"):
        launch.run_inside(checkout, plain_config(toy_root), catalog=CATALOG)


def test_a_loss_that_no_output_addresses_is_not_passed_over(toy_root, checkout, work):
    losses = [*plain_config(toy_root)["loss_cfg"], {"type": "MaskLoss", "log_prefix": "mask"}]
    with pytest.raises(ConfigError, match="no output addresses the loss 'mask'"):
        upstream(checkout, plain_config(toy_root, {"loss_cfg": losses}), "train")


def test_an_error_in_a_gathered_loss_keeps_its_message(toy_root, checkout, work):
    class Flat(Tiny):
        def forward(self, inputs):
            outputs = super().forward(inputs)
            feature = outputs["training_feat"]["triplet"]
            feature["embeddings"] = feature["embeddings"].flatten(1)
            return outputs

    Flat.__name__ = "Tiny"
    with pytest.raises(ValueError, match=re.escape("expected [n, d, p]")):
        upstream(checkout, plain_config(toy_root), "train", catalog_of(Flat))


def test_a_model_of_openGaits_own_is_sent_to_our_engine(toy_root, checkout, work):
    config = plain_config(toy_root, {"model_cfg": {"model": "Baseline", "width": 3}})
    with pytest.raises(ConfigError, match="Baseline is a model of OpenGait. This.*--host embedded"):
        upstream(checkout, config)
    config = plain_config(toy_root, {"model_cfg": {"model": "Basline", "width": 3}})
    with pytest.raises(ConfigError, match="no model is called 'Basline'"):
        upstream(checkout, config)


def test_a_config_of_openGaits_own_is_not_taken_for_one_of_ours(stand_in, work, capsys):
    theirs = {
        "data_cfg": {"dataset_name": "CASIA-B", "test_dataset_name": "CASIA-B"},
        "model_cfg": {"model": "Baseline"},
        "trainer_cfg": {"enable_float16": True, "sampler": {"type": "TripletSampler"}},
    }
    (work / "theirs.yaml").write_text(yaml.safe_dump(theirs))
    command = ["--cfgs", "theirs.yaml", "--opengait", str(stand_in)]
    for host in ([], ["--host", "embedded"]):
        assert main([*command, *host]) == 1
        told = capsys.readouterr().err
        assert "written for OpenGait itself (data_cfg.test_dataset_name, trainer_cfg.ena" in told
        assert "model_cfg (Baseline) runs with a config of ours: configs/gaitset_synth.yaml" in told
        assert "which is one of ours" not in told


@pytest.mark.slow
def test_a_config_of_ours_is_never_taken_for_one_of_openGaits():
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        refuse_opengaits_own(load_config(path))
    refuse_opengaits_own({"data_cfg": {"dataset_name": "forgotten"}, "trainer_cfg": None})


@pytest.mark.slow
def test_the_terms_of_openGait_are_told_once_in_a_run(toy_root, checkout, work, caplog):
    upstream(checkout, plain_config(toy_root, {"trainer_cfg.total_iter": 1}))
    assert sum("academic use only" in line for line in caplog.messages) == 1


def test_what_a_model_refuses_is_said_as_in_our_engine(toy_root, checkout, work):
    with pytest.raises(ConfigError, match="model_cfg .Tiny.: channels: expected 2 or more"):
        upstream(checkout, plain_config(toy_root, {"model_cfg.channels": 1}), "train")


def test_a_missing_checkpoint_is_named(toy_root, checkout, work):
    with pytest.raises(ConfigError, match="there is no checkpoint to test; train first"):
        upstream(checkout, plain_config(toy_root), "test")


def test_missing_data_are_asked_for_as_in_our_engine(tmp_path, checkout, work):
    with pytest.raises(DataError, match="ask the author"):
        upstream(checkout, plain_config(tmp_path / "none"))


def test_nothing_of_openGaits_defaults_gets_in_unsaid(toy_root, checkout, work, caplog):
    changes = {"optimizer_cfg": {"solver": "SGD", "lr": 0.01}, "trainer_cfg.total_iter": 1}
    upstream(checkout, plain_config(toy_root, changes), "train")
    section = messages(work)[0]["info"]
    assert "'sampler': {'type': 'opengait_ext.IdentitySampler', 'identities': 2" in section
    assert "frames_num" not in section
    assert "batch_shuffle" not in section
    added = [line for line in caplog.messages if "default.yaml adds" in line]
    assert added == ["OpenGait's default.yaml adds to data_cfg: {'read_by_a_newer_version': 7}"]


@pytest.mark.slow
def test_the_defaults_of_the_optimizer_are_torchs_own(toy_root, checkout, work):
    from engine_parts import weights

    changes = {"optimizer_cfg": {"solver": "SGD", "lr": 0.01}, "trainer_cfg.total_iter": 1}
    upstream(checkout, plain_config(toy_root, changes), "train")
    (group,) = weights(work, 1)["optimizer"]["param_groups"]
    assert (group["momentum"], group["weight_decay"]) == (0, 0)
