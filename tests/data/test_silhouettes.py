import numpy as np
import pytest
import torch

from opengait_ext.config import build
from opengait_ext.data import TRANSFORMS
from opengait_ext.errors import UserError

RNG = np.random.default_rng(0)


def test_ten_columns_are_taken_away_on_either_side_and_no_row():
    frames = torch.arange(64, dtype=torch.uint8).expand(2, 1, 64, 64)
    cut = build(TRANSFORMS, {"type": "CutSides", "columns": 10}, where="transform")
    result = cut(frames, "visible", RNG)
    assert result.shape == (2, 1, 64, 44)
    assert result[0, 0, 0].tolist() == list(range(10, 54))
    assert torch.equal(frames[0, 0, 0], torch.arange(64, dtype=torch.uint8))


def test_no_columns_leave_the_frames_as_they_are():
    frames = torch.zeros(2, 1, 64, 44, dtype=torch.uint8)
    cut = build(TRANSFORMS, {"type": "CutSides", "columns": 0}, where="transform")
    assert cut(frames, "visible", RNG).shape == frames.shape


def test_more_columns_than_there_are_is_an_error_with_both_numbers():
    cut = build(TRANSFORMS, {"type": "CutSides", "columns": 22}, where="transform")
    with pytest.raises(UserError, match="22 columns on either side of frames that are 44 wide"):
        cut(torch.zeros(2, 1, 64, 44, dtype=torch.uint8), "visible", RNG)
    with pytest.raises(UserError, match="columns: expected 0 or more, found -1"):
        build(TRANSFORMS, {"type": "CutSides", "columns": -1}, where="transform")
