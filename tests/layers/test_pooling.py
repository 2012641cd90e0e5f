import pytest
import torch

from opengait_ext.layers.pooling import GeneralizedMean, HorizontalPyramid, SetPooling


def test_horizontal_pyramid_orders_parts_by_level():
    x = torch.arange(32.0).view(1, 1, 16, 2)
    parts = HorizontalPyramid(bins=(1, 2))(x)
    assert parts.tolist() == [[[15.5 + 31, 7.5 + 15, 23.5 + 31]]]


def test_horizontal_pyramid_equals_a_loop_over_stripes_whatever_the_memory_layout():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 5).to(memory_format=torch.channels_last)
    expected = []
    for bins in (4, 1, 2):
        for stripe in range(bins):
            rows = x[:, :, stripe * 8 // bins : (stripe + 1) * 8 // bins].flatten(2)
            expected.append(rows.mean(2) + rows.max(2).values)
    result = HorizontalPyramid(bins=[4, 1, 2])(x)
    torch.testing.assert_close(result, torch.stack(expected, dim=2))


def test_a_stripe_may_begin_within_a_row_if_asked_for():
    features = torch.randn(2, 3, 3, 4)  # 12 pixels: 6 in a half
    parts = HorizontalPyramid([1, 2], whole_rows=False)(features)
    for sample in range(2):
        for channel in range(3):
            pixels = features[sample, channel].flatten().tolist()
            for part, stripe in enumerate((pixels, pixels[:6], pixels[6:])):
                expected = sum(stripe) / len(stripe) + max(stripe)
                assert float(parts[sample, channel, part]) == pytest.approx(expected, abs=1e-5)


def test_horizontal_pyramid_names_the_bins_that_do_not_fit():
    with pytest.raises(ValueError, match=r"12 rows and 6 columns has no \[8\] equal"):
        HorizontalPyramid(bins=(4, 8))(torch.zeros(1, 1, 12, 6))


@pytest.mark.parametrize("bins", [(), (1, 0)])
def test_horizontal_pyramid_refuses_a_level_without_stripes(bins):
    with pytest.raises(ValueError, match="expected numbers of stripes, at least 1"):
        HorizontalPyramid(bins)


@pytest.mark.parametrize("p", [1.0, 3.0, 6.5])
def test_generalized_mean_equals_its_definition(p):
    torch.manual_seed(0)
    x = torch.rand(2, 3, 4, 2, dtype=torch.float64) * 5
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for n in range(2):
        for c in range(3):
            powers = [value**p for value in x[n, c].flatten().tolist()]
            expected[n, c] = (sum(powers) / 8) ** (1 / p)
    torch.testing.assert_close(GeneralizedMean(p).double()(x), expected)


def test_generalized_mean_has_right_gradients_also_for_its_power():
    torch.manual_seed(0)
    layer = GeneralizedMean().double()
    x = (torch.rand(2, 2, 3, 1, dtype=torch.float64) + 0.1).requires_grad_()

    def pooled(features, power):
        return torch.func.functional_call(layer, {"p": power}, (features,))

    assert torch.autograd.gradcheck(pooled, (x, layer.p))


@pytest.mark.parametrize("value", [0.0, 1e-12, 1e6])
def test_generalized_mean_stays_finite_for_a_large_power(value):
    layer = GeneralizedMean(30.0)
    x = torch.full((1, 1, 2, 2), value, requires_grad=True)
    result = layer(x)
    result.sum().backward()
    torch.testing.assert_close(result, torch.tensor([[max(value, 1e-6)]]), rtol=1e-4, atol=0)
    assert x.grad.isfinite().all()
    assert layer.p.grad.isfinite().all()


def test_generalized_mean_of_half_precision_is_float32():
    assert GeneralizedMean()(torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)).dtype == torch.float32


@pytest.mark.parametrize("statistic", ["max", "mean", "attention"])
def test_set_pooling_of_unequal_lengths_equals_each_tracklet_alone(statistic):
    torch.manual_seed(0)
    layer = SetPooling(statistic, channels=3)
    x = torch.randn(6, 3, 2, 2)
    alone = [layer(piece, [len(piece)]) for piece in x.split([1, 3, 2])]
    torch.testing.assert_close(layer(x, [1, 3, 2]), torch.cat(alone))


@pytest.mark.parametrize("statistic", ["max", "mean", "attention"])
def test_set_pooling_of_equal_lengths_equals_each_tracklet_alone(statistic):
    torch.manual_seed(0)
    layer = SetPooling(statistic, channels=3)
    x = torch.randn(6, 3, 2, 2)
    alone = [layer(piece, [3]) for piece in x.split(3)]
    torch.testing.assert_close(layer(x, [3, 3]), torch.cat(alone))


@pytest.mark.parametrize("statistic", ["max", "mean", "attention"])
def test_set_pooling_does_not_depend_on_the_order_of_the_frames(statistic):
    torch.manual_seed(0)
    layer = SetPooling(statistic, channels=3)
    x = torch.randn(5, 3, 4)
    torch.testing.assert_close(layer(x, [5]), layer(x[[3, 1, 4, 0, 2]], [5]))


def test_set_pooling_takes_the_maximum_or_the_mean():
    x = torch.tensor([[1.0, 5.0], [3.0, 2.0], [7.0, 7.0]])
    assert SetPooling("max")(x, [2, 1]).tolist() == [[3, 5], [7, 7]]
    assert SetPooling("mean")(x, [2, 1]).tolist() == [[2, 3.5], [7, 7]]


def test_set_pooling_by_attention_equals_a_loop_over_pixels_with_one_convolution():
    torch.manual_seed(0)
    layer = SetPooling("attention", channels=2)
    x = torch.randn(3, 2, 2, 1)
    weight = torch.cat([layer.of_frame.weight, layer.of_set.weight], dim=1)[:, :, 0]
    expected = torch.zeros(1, 2, 2, 1)
    for row in range(2):
        pixel = x[:, :, row, 0]  # [s, c]
        context = [pixel.amax(0), pixel.mean(0), pixel.median(0).values]
        refined = []
        for frame in pixel:
            score = weight @ torch.cat([frame, *context]) + layer.of_frame.bias
            refined.append(frame + frame * score.sigmoid())
        expected[0, :, row, 0] = torch.stack(refined).amax(0)
    torch.testing.assert_close(layer(x, [3]), expected)


@pytest.mark.parametrize("lengths", [[2, 2], [5, 0], []])
def test_set_pooling_refuses_lengths_that_do_not_add_up(lengths):
    with pytest.raises(ValueError, match="in a batch of 5 frames: expected lengths of at least 1"):
        SetPooling()(torch.zeros(5, 3), lengths)


def test_set_pooling_names_the_statistics_it_knows():
    with pytest.raises(ValueError, match="'median': expected max, mean or attention"):
        SetPooling("median")


def test_set_pooling_by_attention_asks_for_its_channels():
    with pytest.raises(ValueError, match="by attention needs its channels, got 0"):
        SetPooling("attention")
