"""Measuring the silhouettes of the small ViT against the true ones."""

import re

import pytest
import torch

from opengait_ext.layers.gait import MaskBranch
from opengait_ext.prepare.synth.files import Options
from opengait_ext.prepare.synth.run import generate
from opengait_ext.pretraining.measure import main, maps_of, read_by_linear_map


@pytest.mark.slow
def test_three_silhouettes_are_compared_with_the_true_ones_in_each_modality(tmp_path, capsys):
    options = Options(train_identities=1, test_identities=2, tracklets=1, frames=2, height=48)
    generate(tmp_path, options)
    mask = tmp_path / "mask.pt"
    torch.save(MaskBranch(128).state_dict(), mask)
    command = ["--source", str(tmp_path), "--every", "1", "--mask-weights", str(mask)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    lines = [line for line in lines if "visible" in line]
    assert [line.split(":")[0] for line in lines] == [
        "mask branch",
        "linear map shown the truth",
        "one silhouette for all",
    ]
    for line in lines:
        values = [float(value) for value in re.findall(r"\d\.\d+", line)]
        assert len(values) == 2
        assert all(0 <= value <= 1 for value in values)
    assert min(float(value) for value in re.findall(r"\d\.\d+", lines[2])) > 0.3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no truth/Test"),
        (["--weights", "none.pt"], "--weights: no file at none.pt"),
        (["--mask-weights", "none.pt"], "--mask-weights: no file at none.pt"),
    ],
)
def test_what_is_missing_is_named(tmp_path, capsys, options, said):
    assert main(["--source", str(tmp_path), *options]) == 1
    assert said in capsys.readouterr().err


def test_a_linear_map_reads_what_lies_in_one_channel():
    torch.manual_seed(0)
    tokens = torch.randn(20, 30, 5)
    person = (tokens[..., 3] > 0.3).float()
    read = read_by_linear_map(tokens[:10], person[:10], tokens[10:])
    agreed = ((read.squeeze(-1) > 0) == (person[10:] > 0)).float().mean()
    assert agreed > 0.9


def test_tokens_become_maps_row_by_row():
    scores = torch.zeros(1, 128, 1)
    scores[0, :8] = 1.0  # the first row of 16 x 8 tokens
    maps = maps_of(scores, (16, 8))
    assert maps.shape == (1, 1, 32, 16)
    assert (maps[0, 0, 0] == 1).all()
    assert (maps[0, 0, 3:] == 0).all()
