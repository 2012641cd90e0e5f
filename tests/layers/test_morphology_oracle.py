"""Closing and Sobel against kornia, which has them as a library (extra ``dev``)."""

import warnings

import pytest
import torch

from opengait_ext.layers.morphology import Sobel, closed

pytestmark = pytest.mark.slow

SIZES = [(1, 1), (2, 3), (17, 11), (64, 32)]


@pytest.fixture(scope="module", autouse=True)
def kornia():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports warn of what newer torch deprecates
        return pytest.importorskip("kornia", reason="kornia is not installed: pip install it")


@pytest.mark.parametrize("size", SIZES)
def test_the_closing_of_masks_is_that_of_kornia_to_the_last_bit(kornia, size):
    masks = torch.rand(5, 1, *size, generator=torch.Generator().manual_seed(0))
    masks[1] = masks[1].round()
    masks[2] = 0.5
    dilated = kornia.morphology.dilation(masks.round(), torch.ones(3, 3))
    inside = kornia.morphology.erosion(dilated, torch.ones(5, 5))
    assert torch.equal(closed(masks), torch.where(inside == 1, inside, dilated * masks))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_sobel_is_that_of_kornia_with_the_sign_turned(kornia, size, channels):
    maps = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(1))
    changes = kornia.filters.spatial_gradient(maps, "sobel", order=1, normalized=False)
    along_x, along_y = Sobel("replicate")(maps)
    torch.testing.assert_close(along_x, -changes[:, :, 0])
    torch.testing.assert_close(along_y, -changes[:, :, 1])
