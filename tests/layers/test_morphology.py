import pytest
import torch

from opengait_ext.layers.morphology import Sobel


def slow_sobel(image, border):
    """Both filters by loops over the pixels of one ``[h, w]`` channel."""
    h, w = image.shape

    def at(y, x):
        inside = 0 <= y < h and 0 <= x < w
        if not inside and border == "zeros":
            return 0.0
        return image[min(max(y, 0), h - 1), min(max(x, 0), w - 1)].item()

    along_x, along_y = torch.zeros(h, w), torch.zeros(h, w)
    for y in range(h):
        for x in range(w):
            for step, weight in ((-1, 1.0), (0, 2.0), (1, 1.0)):
                along_x[y, x] += weight * (at(y + step, x - 1) - at(y + step, x + 1))
                along_y[y, x] += weight * (at(y - 1, x + step) - at(y + 1, x + step))
    return along_x, along_y


@pytest.mark.parametrize("border", ["replicate", "zeros"])
def test_sobel_equals_a_loop_over_the_pixels_of_each_channel(border):
    maps = torch.randn(2, 3, 4, 5)
    along_x, along_y = Sobel(border)(maps)
    for frame in range(2):
        for channel in range(3):
            expected = slow_sobel(maps[frame, channel], border)
            torch.testing.assert_close(along_x[frame, channel], expected[0])
            torch.testing.assert_close(along_y[frame, channel], expected[1])


def test_a_ramp_gives_eight_and_a_constant_map_nothing():
    ramp = torch.arange(6.0).expand(1, 1, 4, 6)
    along_x, along_y = Sobel()(ramp)
    torch.testing.assert_close(along_x[..., 1:-1].abs(), torch.full((1, 1, 4, 4), 8.0))
    torch.testing.assert_close(along_y, torch.zeros_like(along_y))
    assert not torch.cat(Sobel()(torch.ones(1, 2, 3, 3))).any()


def test_the_kernels_move_with_the_module_and_are_not_saved():
    assert Sobel().double().kernels.dtype == torch.float64
    assert Sobel().state_dict() == {}
