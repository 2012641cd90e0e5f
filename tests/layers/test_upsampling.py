import pytest
import torch
from torch.nn import functional

from opengait_ext.layers.upsampling import upsampled, upsampled_moments


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
