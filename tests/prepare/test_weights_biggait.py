"""A checkpoint of OpenGait's BigGait: every tensor comes to its place in ours."""

import pytest
import torch

from opengait_ext.engine.checkpoint import differences_of, read_checkpoint
from opengait_ext.models.biggait import BigGait
from opengait_ext.pretrained.fit import published_name
from opengait_ext.pretrained.run import main
from opengait_ext.released import BIGGAIT

DINOV2 = {
    "embed_dim": 8,
    "depth": 4,
    "num_heads": 1,
    "patch_size": 14,
    "input_size": [448, 224],
    "pretrain_grid": 2,
    "taps": [0, 1, 2, 3],
}


def ours():
    torch.manual_seed(0)
    model = BigGait()
    model.build(num_identities=5, image_size=[256, 128], dinov2=DINOV2, dinov2_weights=None)
    return model


@pytest.fixture(scope="module")
def state():
    """The tensors as OpenGait calls them."""
    named = {published_name(name, BIGGAIT): value for name, value in ours().state_dict().items()}
    assert None not in named
    for branch, size in (("Mask_Branch", 2), ("Denoising_Branch", 16)):
        named[f"{branch}.bn_t.running_mean"] = torch.zeros(size)
        named[f"{branch}.bn_t.num_batches_tracked"] = torch.tensor(0)
    return named


def write(path, state):
    torch.save({"model": state, "optimizer": {}, "scheduler": {}, "iteration": 40000}, path)
    return path


def imported(folder, state):
    source = write(folder / "BigGait-40000.pt", state)
    return main(["import-biggait", "--source", str(source), "--target", str(folder / "made.pt")])


@pytest.mark.slow
def test_every_tensor_of_ours_has_one_published_name(state):
    assert len(state) == len(ours().state_dict()) + 4
    assert "backbone.blocks.3.mlp.fc2.bias" in state
    assert state["Denoising_Branch.down_sampling.3.weight"].shape == (16, 16)
    assert state["Appearance_Branch.bn_t.running_var"].shape == (16,)
    assert state["gait_net.pre_rgb.forward_block.layer1.0.conv2.weight"].shape == (64, 64, 3, 3)
    assert state["gait_net.post_backbone.forward_block.layer3.0.downsample.0.weight"].shape[:2] == (
        256,
        128,
    )
    assert state["gait_net.FCs.fc_bin"].shape == (16, 512, 256)
    assert state["gait_net.BNNecks.fc_bin"].shape == (16, 256, 5)


@pytest.mark.slow
def test_a_published_checkpoint_becomes_one_of_ours(tmp_path, state, capsys):
    assert imported(tmp_path, state) == 0
    content = read_checkpoint(tmp_path / "made.pt")
    model = ours()
    assert not differences_of(model.state_dict(), content["model"])
    for name, value in model.state_dict().items():
        assert torch.equal(content["model"][name], value)
    told = capsys.readouterr().out
    assert "Mask_Branch.bn_t.running_mean" in told
    assert "configs/biggait_ccpg.yaml --phase test" in told
    assert "iteration" not in content


@pytest.mark.slow
def test_a_checkpoint_that_lacks_a_tensor_is_refused(tmp_path, state, capsys):
    cut = {name: value for name, value in state.items() if name != "gait_net.FCs.fc_bin"}
    assert imported(tmp_path, cut | {"gait_net.extra": torch.zeros(1)}) == 1
    said = capsys.readouterr().err
    assert "gait_net.FCs.fc_bin: not in the file, [16, 512, 256] expected" in said
    assert "gait_net.extra: [1] in the file, no such tensor expected" in said
    assert not (tmp_path / "made.pt").exists()


@pytest.mark.slow
def test_another_file_is_told_from_it(tmp_path, capsys):
    model = ours()
    assert imported(tmp_path, model.dinov2.state_dict()) == 1
    assert "looks like DINOv2, Meta's names" in capsys.readouterr().err
    assert imported(tmp_path, model.state_dict()) == 1
    assert "looks like weights of this project's DinoGRL or BigGait" in capsys.readouterr().err
