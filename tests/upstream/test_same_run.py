"""In OpenGait's engine, too, a run is what it says it is."""

import json
import os

import pytest
import torch
from engine_parts import changed, weights
from upstream_parts import OUTPUT, embedded, messages, plain_config, upstream

from opengait_ext.engine.holding import FolderInUseError
from opengait_ext.engine.trained import OtherRunError
from opengait_ext.lock import locked

SHORT = {"trainer_cfg.total_iter": 1, "trainer_cfg.log_iter": 1}
HOSTS = ("upstream", "embedded")


def trained_by(host, checkout, config, phase="train"):
    return upstream(checkout, config, phase) if host == "upstream" else embedded(config, phase)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [HOSTS, HOSTS[::-1], ("upstream", "upstream")])
def test_other_values_are_refused_whichever_host_trained(toy_root, checkout, work, first, second):
    config = plain_config(toy_root, SHORT)
    trained_by(first, checkout, config)
    assert trained_by(second, checkout, config) in (None, {"iteration": 1})
    before = {path: path.read_bytes() for path in OUTPUT.rglob("*.*") if path.is_file()}
    with pytest.raises(OtherRunError, match=r"optimizer_cfg.lr: 0.01 -> 0.5"):
        trained_by(second, checkout, changed(config, {"optimizer_cfg.lr": 0.5}))
    with pytest.raises(OtherRunError, match=r"another model .*\n.*model_cfg.dropout: 0.5 -> 0.25"):
        trained_by(second, checkout, changed(config, {"model_cfg.dropout": 0.25}), "test")
    after = {path: path.read_bytes() for path in OUTPUT.rglob("*.*") if path.is_file()}
    assert before == after


@pytest.mark.slow
def test_a_checkpoint_of_openGait_says_how_it_was_trained(toy_root, checkout, work):
    config = plain_config(toy_root, SHORT)
    upstream(checkout, config)
    content = weights(work, 1)
    assert content["started_in"] == str(work)
    assert content["config"]["optimizer_cfg"] == config["optimizer_cfg"]
    assert len(content["data"]["digest"]) == 64
    record = json.loads((OUTPUT / "test" / "metrics.json").read_text())
    assert record["training_config"] == content["config"]
    assert record["training_data"] == content["data"]


@pytest.mark.slow
def test_a_folder_in_use_is_refused_before_anything_is_written(toy_root, checkout, work):
    config = plain_config(toy_root, SHORT)
    with locked(work / OUTPUT / ".run.lock"):
        with pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()} on "):
            upstream(checkout, config, "train")
        assert sorted(path.name for path in OUTPUT.iterdir()) == [".run.lock", ".run.lock.holder"]
    upstream(checkout, config, "train")
    with locked(work / OUTPUT / ".run.lock"):
        pass  # its holder has let go


@pytest.mark.slow
def test_a_new_start_keeps_the_old_run_aside(toy_root, checkout, work):
    config = plain_config(toy_root, {**SHORT, "trainer_cfg.restore_hint": 0})
    upstream(checkout, config)
    upstream(checkout, changed(config, {"optimizer_cfg.lr": 0.5}))
    aside = OUTPUT.with_name("toy.old-1")
    old = torch.load(aside / "checkpoints/toy-00001.pt", weights_only=True)
    assert old["config"]["optimizer_cfg"]["lr"] == 0.01
    assert weights(work, 1)["config"]["optimizer_cfg"]["lr"] == 0.5
    assert (aside / "test/metrics.json").is_file()


@pytest.mark.slow
def test_a_loss_of_weight_0_is_not_computed_and_one_left_out_is_told(
    toy_root, checkout, work, caplog
):
    off = {**SHORT, "loss_cfg.1.loss_term_weight": 0}
    upstream(checkout, plain_config(toy_root, off), "train")
    found = weights(work, 1)["model"]
    told = [key for line in messages(work) for key in line]
    assert any("id/loss" in key for key in told)
    assert not any("triplet" in key for key in told)
    config = plain_config(toy_root, {**SHORT, "trainer_cfg.restore_hint": 0})
    del config["loss_cfg"][1]
    upstream(checkout, config, "train")
    torch.testing.assert_close(weights(work, 1)["model"], found, rtol=0, atol=0)
    embedded(config, "train")
    torch.testing.assert_close(weights(work, 1)["model"], found, rtol=1e-5, atol=1e-7)
