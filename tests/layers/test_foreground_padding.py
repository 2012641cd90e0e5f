"""Pictures of unequal width: what is kept of them, and pixels that show nothing."""

import pytest
import torch
from torch.nn import functional

from opengait_ext.layers.foreground import ForegroundBranches, fit_to_width

GRID, SIZE = (4, 2), (8, 4)
CHANNELS, LEVELS = 6, 2


@pytest.mark.parametrize("wide", [10, 11, 12, 13, 20])
def test_of_a_wide_picture_the_middle_is_kept(wide):
    frames = torch.rand(1, 2, 10, 7)
    found = fit_to_width(frames, torch.tensor([(wide + 0.5) / 20]), (20, 10), "middle")
    resized = functional.interpolate(frames, (20, wide), mode="bilinear")
    columns = list(range(wide))
    while len(columns) > 10:  # one by one, and the left one first
        columns.pop(0 if len(columns) % 2 == wide % 2 else -1)
    torch.testing.assert_close(found, resized[..., columns])


def test_of_a_narrow_picture_nothing_is_cut():
    frames = torch.rand(2, 2, 10, 7)
    ratios = torch.tensor([0.2, 0.45])
    left, middle = (fit_to_width(frames, ratios, (20, 10), kept) for kept in ("left", "middle"))
    assert torch.equal(left, middle)


def make(dropout=0.0):
    torch.manual_seed(0)
    return ForegroundBranches(CHANNELS, LEVELS, GRID, SIZE, dropout).double()


def tokens(frames=3):
    torch.manual_seed(1)
    return (
        torch.randn(frames, 8, CHANNELS, dtype=torch.float64),
        torch.randn(frames, 8, LEVELS * CHANNELS, dtype=torch.float64),
    )


def pictured():
    shown = torch.ones(3, *SIZE, dtype=torch.bool)
    shown[0, :, [0, 3]] = False
    shown[2, :, 3] = False
    return shown.flatten(1)


@pytest.mark.parametrize("training", [True, False])
def test_the_mask_branch_sees_the_pixels_of_the_pictures_alone(training):
    branches, shown = make().train(training), pictured()
    last, joined = tokens()
    with torch.no_grad():
        made = branches(last, joined, shown)
        fine = branches._pixels(last)
        rows = torch.stack([fine[f, m] for f in range(3) for m in range(32) if shown[f, m]])
        if training:
            scale = (rows.var(0, correction=0) + 1e-5).sqrt()
            normal = (rows - rows.mean(0)) / scale
        else:  # running statistics of a fresh branch
            normal = rows / (1 + 1e-5) ** 0.5
        encoder = branches.mask.encoder
        chances = (normal @ encoder.weight.T + encoder.bias).softmax(1)
    torch.testing.assert_close(made.probabilities[shown], chances)
    assert not made.probabilities[~shown].any()
    if training:
        torch.testing.assert_close(made.target, rows[None])
        assert made.reconstruction.shape == made.target.shape


def test_pictures_that_fill_their_frames_are_as_without_padding():
    last, joined = tokens()
    whole = torch.ones(3, 32, dtype=torch.bool)
    for training in (True, False):
        with torch.no_grad():
            plain = make().train(training)(last, joined)
            padded = make().train(training)(last, joined, whole)
        for one, other in zip(plain[:4], padded[:4], strict=True):
            torch.testing.assert_close(one, other)
        torch.testing.assert_close(plain.target.flatten(), padded.target.flatten())


def test_the_order_of_the_memory_takes_both_classes_into_the_rows_of_a_half():
    last, joined = tokens()
    with torch.no_grad():
        made = make().eval()(last, joined)
    found = made.in_memory_order()
    for frame in range(3):
        flat = [made.probabilities[frame, m, kind] for m in range(32) for kind in range(2)]
        for place, value in enumerate(flat):
            half, rest = divmod(place, 32)
            assert found[frame, half, rest // 4, rest % 4] == value
