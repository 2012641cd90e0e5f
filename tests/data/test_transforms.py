"""What the transforms do to frames; references are loops from the definitions."""

import numpy as np
import pytest
import torch

from opengait_ext.data.transforms import (
    Chain,
    ChannelAdaptiveGray,
    ChannelErasing,
    ChannelExchange,
    HorizontalFlip,
    PadCrop,
    Resize,
)

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
RANDOM = [
    PadCrop(2),
    HorizontalFlip(0.5),
    ChannelErasing(0.5),
    ChannelAdaptiveGray(0.5),
    ChannelExchange(0.5),
]
RANDOM_PER_FRAME = [
    PadCrop(2, per_frame=True),
    HorizontalFlip(0.5, per_frame=True),
    ChannelErasing(0.5, per_frame=True),
    ChannelAdaptiveGray(0.5, per_frame=True),
    ChannelExchange(0.5, per_frame=True),
]


def name_of(value):
    return type(value).__name__


def generator(seed=0):
    return np.random.default_rng(seed)


def clip(frames=3, height=8, width=6):
    return torch.randint(256, (frames, 3, height, width), dtype=torch.uint8)


def still(frames=6, height=8, width=6):
    """Equal frames, so that equal changes give equal results."""
    return clip(1, height, width).repeat(frames, 1, 1, 1)


def normalized(frames):
    return (frames / 255 - MEAN) / STD


@pytest.mark.parametrize("transform", [Resize(4, 5), *RANDOM, *RANDOM_PER_FRAME], ids=name_of)
def test_frames_stay_uint8_and_the_input_is_not_changed(transform):
    for seed in range(20):
        frames = clip()
        before = frames.clone()
        changed = transform(frames, "visible", generator(seed))
        assert changed.dtype == torch.uint8
        assert changed.shape[:2] == (3, 3)
        assert torch.equal(frames, before)


@pytest.mark.parametrize("transform", [*RANDOM, *RANDOM_PER_FRAME], ids=name_of)
def test_the_generator_decides_everything(transform):
    frames = clip()
    one, two = (transform(frames, "visible", generator(7)) for _ in range(2))
    assert torch.equal(one, two)
    results = [transform(frames, "visible", generator(seed)) for seed in range(30)]
    assert any(not torch.equal(results[0], result) for result in results)


@pytest.mark.parametrize("transform", RANDOM, ids=name_of)
def test_by_default_the_frames_of_a_tracklet_are_changed_alike(transform):
    for seed in range(30):
        changed = transform(still(), "visible", generator(seed))
        assert torch.equal(changed, changed[:1].expand_as(changed))


@pytest.mark.parametrize("transform", RANDOM_PER_FRAME, ids=name_of)
def test_per_frame_the_frames_of_a_tracklet_are_changed_apart(transform):
    results = [transform(still(), "visible", generator(seed)) for seed in range(30)]
    assert any(not torch.equal(changed, changed[:1].expand_as(changed)) for changed in results)


@pytest.mark.parametrize("transform", [*RANDOM[2:], *RANDOM_PER_FRAME[2:]], ids=name_of)
def test_a_modality_that_is_not_meant_is_left_alone(transform):
    only = type(transform)(1.0, modality="infrared", per_frame=transform.per_frame)
    frames = clip()
    for seed in range(10):
        assert torch.equal(only(frames, "visible", generator(seed)), frames)
    results = [only(frames, "infrared", generator(seed)) for seed in range(10)]
    assert any(not torch.equal(result, frames) for result in results)


def test_resize_gives_the_wanted_size_and_averages_when_it_halves():
    frames = torch.arange(4, dtype=torch.uint8).repeat_interleave(2).mul(40)  # columns
    frames = frames.expand(2, 3, 8, 8).contiguous()
    resized = Resize(8, 4)(frames, "visible", generator())
    assert resized.shape == (2, 3, 8, 4)
    inner = resized[..., 1:3].int() - torch.tensor([40, 80])
    assert inner.abs().max() <= 6  # the smooth filter reaches into the neighbors


def test_pad_crop_cuts_a_window_out_of_the_padded_frames():
    frames = clip()
    padded = torch.full((3, 3, 14, 12), 9, dtype=torch.uint8)
    padded[..., 3:11, 3:9] = frames
    windows = [padded[..., top : top + 8, left : left + 6] for top in range(7) for left in range(7)]
    places = set()
    for seed in range(200):
        cut = PadCrop(3, value=9)(frames, "visible", generator(seed))
        places |= {place for place, window in enumerate(windows) if torch.equal(window, cut)}
    assert len(places) > 40


def test_pad_crop_without_padding_changes_nothing():
    frames = clip()
    assert torch.equal(PadCrop(0)(frames, "visible", generator()), frames)


def test_a_flip_mirrors_the_columns_as_often_as_it_should():
    frames = clip()
    flipped = frames[..., [5, 4, 3, 2, 1, 0]]
    assert torch.equal(HorizontalFlip(1.0)(frames, "visible", generator()), flipped)
    assert torch.equal(HorizontalFlip(0.0)(frames, "visible", generator()), frames)
    rng = generator()
    flip = HorizontalFlip(0.25)
    count = sum(torch.equal(flip(frames, "visible", rng), flipped) for _ in range(400))
    assert 70 < count < 130


def test_erasing_fills_one_rectangle_of_allowed_area_and_shape():
    frames = torch.zeros(2, 3, 60, 40, dtype=torch.uint8)
    fill = torch.tensor([124, 116, 104])[:, None, None]
    parts, shapes = [], []
    for seed in range(200):
        erased = ChannelErasing(1.0)(frames, "visible", generator(seed))
        rows, columns = (erased[0, 0] > 0).any(1).nonzero(), (erased[0, 0] > 0).any(0).nonzero()
        top, bottom = rows.min(), rows.max() + 1
        left, right = columns.min(), columns.max() + 1
        expected = frames.clone()
        expected[..., top:bottom, left:right] = fill
        assert torch.equal(erased, expected)
        parts.append(float((bottom - top) * (right - left)) / 2400)
        shapes.append(float(bottom - top) / float(right - left))
    assert 0.015 < min(parts) < 0.05
    assert 0.35 < max(parts) < 0.42
    assert 0.25 < min(shapes) < 0.5
    assert 2.5 < max(shapes) < 3.7


def test_erasing_gives_up_where_no_rectangle_fits():
    frames = clip(1, 1, 1)
    assert torch.equal(ChannelErasing(1.0)(frames, "visible", generator()), frames)


def test_exchange_without_normalization_copies_each_of_the_three_channels():
    frames = clip()
    copies = [frames[:, [channel] * 3] for channel in range(3)]
    seen = set()
    for seed in range(40):
        changed = ChannelExchange(1.0, normalized=False)(frames, "visible", generator(seed))
        seen |= {channel for channel in range(3) if torch.equal(changed, copies[channel])}
    assert seen == {0, 1, 2}
    assert torch.equal(ChannelExchange(0.0)(frames, "visible", generator()), frames)


def test_exchange_makes_the_normalized_channels_equal():
    frames = torch.randint(40, 200, (2, 3, 5, 4), dtype=torch.uint8)  # nothing is clipped
    for seed in range(10):
        changed = normalized(ChannelExchange(1.0)(frames, "visible", generator(seed)))
        distances = [
            (changed - normalized(frames)[:, [channel] * 3]).abs().max() for channel in range(3)
        ]
        assert min(distances) <= 0.5 / 255 / STD.min() + 1e-5


def test_exchange_per_frame_is_still_decided_once_for_the_tracklet():
    frames = still(12)
    exchange = ChannelExchange(0.5, normalized=False, per_frame=True)
    changes = [
        (exchange(frames, "visible", generator(seed)) != frames).flatten(1).any(1).float().mean()
        for seed in range(20)
    ]
    assert set(map(float, changes)) == {0.0, 1.0}


def test_adaptive_gray_has_three_copies_and_a_fourth_case():
    frames = clip(1)
    weights = (0.2989, 0.5870, 0.1140)
    mixed = sum(weight * frames[:, i].double() for i, weight in enumerate(weights))
    cases = {"copied": 0, "gray": 0, "same": 0}
    transform = ChannelAdaptiveGray(0.5, normalized=False)
    for seed in range(400):
        changed = transform(frames, "infrared", generator(seed))
        if torch.equal(changed, frames):
            cases["same"] += 1
        elif any(torch.equal(changed, frames[:, [channel] * 3]) for channel in range(3)):
            cases["copied"] += 1
        else:
            assert (changed - mixed[:, None]).abs().max() <= 1
            cases["gray"] += 1
    assert 270 < cases["copied"] < 330
    assert 30 < cases["gray"] < 70
    assert 30 < cases["same"] < 70


def test_adaptive_gray_mixes_the_normalized_channels():
    frames = torch.randint(40, 200, (2, 3, 5, 4), dtype=torch.uint8)
    weights = torch.tensor([0.2989, 0.5870, 0.1140])[:, None, None]
    mixed = (normalized(frames) * weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    copies = [normalized(frames)[:, [channel] * 3] for channel in range(3)]
    nearest = []
    for seed in range(40):
        changed = normalized(ChannelAdaptiveGray(1.0)(frames, "infrared", generator(seed)))
        distances = [float((changed - case).abs().max()) for case in (*copies, mixed)]
        nearest.append(int(np.argmin(distances)))
        assert min(distances) <= 0.5 / 255 / STD.min() + 1e-5
    assert set(nearest) == {0, 1, 2, 3}


def test_copies_of_normalized_values_change_gray_frames_and_plain_copies_do_not():
    frames = clip()[:, [0, 0, 0]]
    plain, usual = ChannelExchange(1.0, normalized=False), ChannelExchange(1.0)
    assert torch.equal(plain(frames, "infrared", generator()), frames)
    assert not torch.equal(usual(frames, "infrared", generator()), frames)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resize(0, 4), "Resize: expected at least 1 x 1 pixels, found 0 x 4"),
        (lambda: PadCrop(-1), "PadCrop: padding: expected 0 pixels or more, found -1"),
        (lambda: PadCrop(1, value=256), "PadCrop: value: expected 0 to 255, found 256"),
        (lambda: HorizontalFlip(1.5), "HorizontalFlip: probability: expected 0 to 1, found 1.5"),
        (lambda: ChannelErasing(-0.1), "ChannelErasing: probability: expected 0 to 1, found -0.1"),
        (lambda: ChannelErasing(1.0, area=(0.4, 0.2)), r"area: expected two .* found \[0.4, 0.2\]"),
        (lambda: ChannelErasing(1.0, aspect=0), "aspect: expected above 0, up to 1, found 0"),
        (lambda: ChannelErasing(1.0, fill=(1, 2)), r"fill: expected three .* found \[1, 2\]"),
        (lambda: ChannelAdaptiveGray(2), "ChannelAdaptiveGray: probability: expected 0 to 1"),
        (lambda: ChannelExchange(2), "ChannelExchange: probability: expected 0 to 1, found 2"),
        (
            lambda: ChannelExchange(1.0, modality="thermal"),
            "ChannelExchange: modality: expected both, visible or infrared, found 'thermal'",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_chain_is_its_transforms_one_after_the_other():
    parts, frames = [Resize(4, 5), PadCrop(2), HorizontalFlip(0.5)], clip()
    rng, expected = generator(), frames
    for part in parts:
        expected = part(expected, "visible", rng)
    assert torch.equal(Chain(parts)(frames, "visible", generator()), expected)
    assert list(Chain(Chain(parts))) == parts


def test_a_chain_knows_the_size_that_images_get_first():
    resize = Resize(4, 5)
    assert Chain([resize, PadCrop(2)]).resize is resize
    assert Chain([PadCrop(2), resize]).resize is None
    assert Chain([]).resize is None
