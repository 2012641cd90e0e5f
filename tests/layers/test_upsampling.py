import pytest
import torch
from torch.nn import functional

from opengait_ext.layers.upsampling import ChosenPixels, upsampled, upsampled_moments


@pytest.mark.parametrize(
    ("grid", "size"), [((4, 3), (8, 6)), ((4, 2), (9, 5)), ((1, 3), (4, 6)), ((5, 1), (5, 1))]
)
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_moments_are_those_of_the_pixels_one_by_one(grid, size, share):
    torch.manual_seed(0)
    tokens = 3 + torch.randn(6, grid[0] * grid[1], 5, dtype=torch.float64)
    chosen = torch.rand(6, size[0] * size[1]) <= share
    rows = []
    for frame in range(6):
        fine = functional.interpolate(tokens[frame].T.reshape(1, 5, *grid), size, mode="bilinear")[
            0
        ]
        for pixel in range(size[0] * size[1]):
            if chosen[frame, pixel]:
                rows.append(fine[:, pixel // size[1], pixel % size[1]])
    rows = torch.stack(rows)
    mean, variance = upsampled_moments(tokens, grid, size, chosen)
    torch.testing.assert_close(mean, rows.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(variance, rows.var(0, correction=0), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(upsampled(tokens, grid, size)[chosen], rows)


def test_far_from_zero_float32_keeps_the_variance():
    torch.manual_seed(0)
    tokens = 1000 + torch.randn(8, 32, 4)
    chosen = torch.rand(8, 128) < 0.5
    exact = upsampled(tokens.double(), (8, 4), (16, 8))[chosen].var(0, correction=0)
    variance = upsampled_moments(tokens, (8, 4), (16, 8), chosen)[1]
    torch.testing.assert_close(variance.double(), exact, rtol=1e-4, atol=0)


def test_a_single_pixel_has_no_variance():
    tokens = torch.randn(1, 8, 3)
    chosen = torch.zeros(1, 32, dtype=torch.bool)
    chosen[0, 13] = True
    mean, variance = upsampled_moments(tokens, (4, 2), (8, 4), chosen)
    torch.testing.assert_close(mean, upsampled(tokens, (4, 2), (8, 4))[0, 13])
    torch.testing.assert_close(variance, torch.zeros(3), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("grid", "size"), [((4, 3), (8, 6)), ((4, 2), (9, 5)), ((1, 3), (4, 6)), ((5, 1), (5, 1))]
)
def test_chosen_pixels_and_their_gradient_are_those_of_the_whole_map(grid, size):
    torch.manual_seed(0)
    tokens = torch.randn(4, grid[0] * grid[1], 3, dtype=torch.float64, requires_grad=True)
    chosen = torch.rand(4, size[0] * size[1]) < 0.4
    chosen[1] = False
    made = ChosenPixels(chosen, grid, size, tokens.dtype)
    pixels = made.of(tokens.flatten(0, 1)[made.tokens])
    expected = upsampled(tokens, grid, size)[chosen]
    torch.testing.assert_close(pixels, expected)
    weights = torch.randn_like(expected)
    ours, reference = (
        torch.autograd.grad((each * weights).sum(), tokens)[0] for each in (pixels, expected)
    )
    torch.testing.assert_close(ours, reference)


def test_only_tokens_beside_chosen_pixels_are_needed():
    chosen = torch.zeros(2, 32, dtype=torch.bool)
    chosen[1, 13] = True  # row 3, column 1 of 8 x 4, between rows 1 and 2, columns 0 and 1
    made = ChosenPixels(chosen, (4, 2), (8, 4))
    assert made.tokens.tolist() == [8 + 2, 8 + 3, 8 + 4, 8 + 5]


def test_no_pixels_need_no_tokens():
    made = ChosenPixels(torch.zeros(2, 32, dtype=torch.bool), (4, 2), (8, 4))
    assert made.of(torch.randn(8, 3)[made.tokens]).shape == (0, 3)
