import math

import pytest
import torch

from opengait_ext.losses.silhouette import DiversityLoss, MaskLoss, SmoothnessLoss


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("squared", [True, False])
def test_mask_loss_equals_the_mean_length_of_the_difference_of_a_frame(normalized, squared):
    reconstruction, target = torch.randn(3, 4, 2, 5), torch.randn(3, 4, 2, 5)
    total = 0.0
    for frame in range(3):
        squares = 0.0
        for ours, true in zip(
            reconstruction[frame].flatten(), target[frame].flatten(), strict=True
        ):
            squares += (ours - true).item() ** 2
        mean = squares / (4 * 2 * 5 if normalized else 1)
        total += mean if squared else math.sqrt(mean)
    loss, info = MaskLoss(normalized=normalized, squared=squared)(reconstruction, target)
    torch.testing.assert_close(loss, torch.tensor(total / 3))
    torch.testing.assert_close(info["loss"], loss)


def test_a_perfect_reconstruction_has_a_finite_gradient():
    reconstruction = torch.zeros(2, 3, 2, 2, requires_grad=True)
    MaskLoss()(reconstruction, torch.zeros(2, 3, 2, 2))[0].backward()
    assert reconstruction.grad.isfinite().all()


def test_mask_loss_refuses_unequal_shapes():
    with pytest.raises(ValueError, match=r"reconstruction \[2, 3, 4, 4\], target \[2, 3, 4, 5\]"):
        MaskLoss()(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 5))


def test_mask_loss_takes_frames_of_any_form():
    reconstruction, target = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    expected = MaskLoss()(reconstruction[..., None], target[..., None])[0]
    torch.testing.assert_close(MaskLoss()(reconstruction, target)[0], expected)


@pytest.mark.parametrize("border", ["replicate", "zeros"])
@pytest.mark.parametrize("sum_channels", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_smoothness_loss_equals_loops_over_frames_channels_and_pixels(
    border, sum_channels, normalized
):
    maps = torch.rand(2, 3, 4, 5)
    given = maps
    if sum_channels:  # three channels, two of them empty, have the same sum and the same number
        maps = torch.zeros(2, 3, 4, 5)
        maps[:, 0] = sum(given.unbind(1))
    kernel = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    frames = []
    for frame in range(2):
        answers = []
        for channel in range(3):
            for y in range(4):
                for x in range(5):
                    along_x = along_y = 0.0
                    for i in range(3):
                        for j in range(3):
                            row, column = min(max(y + i - 1, 0), 3), min(max(x + j - 1, 0), 4)
                            value = maps[frame, channel, row, column].item()
                            if border == "zeros" and (row, column) != (y + i - 1, x + j - 1):
                                value = 0.0
                            along_x += kernel[i][j] * value
                            along_y += kernel[j][i] * value
                    answers.append(abs(along_x) + abs(along_y))
        frames.append(sum(answers) / (len(answers) if normalized else 1))
    loss, _ = SmoothnessLoss(1.0, border, sum_channels, normalized)(given)
    torch.testing.assert_close(loss, torch.tensor(sum(frames) / 2))


def test_smoothness_loss_is_not_taken_in_half_precision():
    maps = torch.rand(1, 2, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = SmoothnessLoss()(maps)
    torch.testing.assert_close(loss, SmoothnessLoss()(maps.float())[0], rtol=0, atol=0)


def test_diversity_loss_equals_the_entropy_gap_of_a_loop():
    maps = torch.rand(3, 4, 2, 5)
    gaps = []
    for frame in range(3):
        used = [maps[frame, channel].sum().item() for channel in range(4)]
        shares = [value / sum(used) for value in used]
        gaps.append(2 - -sum(share * math.log2(share) for share in shares))
    loss, _ = DiversityLoss()(maps)
    torch.testing.assert_close(loss, torch.tensor(sum(gaps) / 3), rtol=1e-4, atol=1e-4)


def test_equal_use_of_all_channels_costs_nothing_and_one_alone_or_none_the_most():
    one = torch.zeros(1, 16, 2, 2)
    one[:, 3] = 1
    for maps, expected in ((torch.ones(1, 16, 2, 2), 0.0), (one, 4.0), (0 * one, 4.0)):
        loss, _ = DiversityLoss()(maps)
        torch.testing.assert_close(loss, torch.tensor(expected), rtol=0, atol=1e-4)


def test_the_gradient_of_diversity_loss_is_finite_where_channels_are_unused():
    maps = torch.zeros(2, 4, 2, 2)
    maps[0, 1] = 1
    DiversityLoss()(maps.requires_grad_())[0].backward()
    assert maps.grad.isfinite().all()


def test_diversity_loss_refuses_an_eps_of_0():
    with pytest.raises(ValueError, match="eps: expected above 0, found 0"):
        DiversityLoss(eps=0)
