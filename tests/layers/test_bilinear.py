"""Bilinear interpolation against its definition, one pixel at a time."""

from fractions import Fraction

import pytest
import torch
from torch.nn import functional

from opengait_ext.layers.bilinear import between, resized


@pytest.mark.parametrize(("few", "many"), [(4, 9), (9, 4), (1, 3), (5, 5), (128, 224)])
def test_a_pixel_lies_where_the_centers_of_both_lines_say(few, many):
    first, second, share = between(few, many, torch.float64, torch.device("cpu"))
    for pixel in range(many):
        position = max(Fraction(2 * pixel + 1, 2) * few / many - Fraction(1, 2), Fraction(0))
        lower = position.numerator // position.denominator
        assert int(first[pixel]) == lower
        assert int(second[pixel]) == min(lower + 1, few - 1)
        assert float(share[pixel]) == float(position - lower)


@pytest.mark.parametrize("size", [(448, 224), (100, 57), (256, 128), (448, 128)])
def test_float32_pictures_are_resized_to_the_rounding_of_a_pixel(size):
    pictures = torch.randn(2, 3, 256, 128)
    exact = functional.interpolate(pictures.double(), size, mode="bilinear")
    found = resized(pictures, size)
    assert found.dtype == torch.float32
    assert float((found - exact).abs().max()) < 1e-6  # torch's own in float32: 1e-4


def test_a_gradient_goes_through_a_resized_picture():
    pictures = torch.randn(2, 1, 4, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 1, 7, 5, dtype=torch.float64)
    slopes = [
        torch.autograd.grad((made * weights).sum(), pictures)[0]
        for made in (
            resized(pictures, (7, 5)),
            functional.interpolate(pictures, (7, 5), mode="bilinear"),
        )
    ]
    torch.testing.assert_close(*slopes)


def test_pictures_of_the_size_are_left_as_they_are():
    pictures = torch.randn(1, 3, 4, 2)
    assert resized(pictures, [4, 2]) is pictures
