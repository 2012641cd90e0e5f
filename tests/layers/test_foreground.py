"""The released network's front end against loops over frames and pixels."""

import copy
import random

import pytest
import torch
from meeting import Meeting
from torch import nn
from torch.nn import functional

from opengait_ext.layers.foreground import (
    ForegroundSASG,
    black_out,
    body_masks,
    closed,
    fit_to_width,
)
from opengait_ext.layers.synchronized import share_batches

GRID, SIZE = (4, 2), (8, 4)
CHANNELS, LEVELS = 6, 2


def probabilities(frames=3, height=64, width=6):
    first = torch.rand(frames, height, width)
    return torch.stack([first, 1 - first], dim=1)


@pytest.mark.parametrize(("height", "rows"), [(64, 5), (24, 1), (8, 1)])
def test_the_channel_that_fills_the_top_and_the_bottom_is_the_background(height, rows):
    for ones in range(2 * rows * 4 + 1):
        first = torch.full((height, 4), 0.2)
        edge = [(row, column) for row in (*range(rows), *range(-rows, 0)) for column in range(4)]
        for row, column in edge[:ones]:
            first[row, column] = 0.9
        body = body_masks(torch.stack([first, 1 - first])[None])[0, 0]
        assert torch.equal(body, 1 - first if ones > rows * 4 else first)


def test_half_a_probability_counts_as_no_body_and_the_sides_are_not_looked_at():
    first = torch.full((64, 4), 0.5)
    first[10:50] = 0.9  # reaches the left and the right edge
    assert torch.equal(body_masks(torch.stack([first, 1 - first])[None])[0, 0], first)


def slow_closed(mask):
    height, width = mask.shape
    inside = [(row, column) for row in range(height) for column in range(width)]

    def around(row, column, reach):
        return [
            (r, c)
            for r, c in inside
            if abs(r - row) <= reach and abs(c - column) <= reach
        ]  # fmt: skip

    dilated = {at: any(float(mask[near]) > 0.5 for near in around(*at, 1)) for at in inside}
    result = torch.zeros_like(mask)
    for at in inside:
        if all(dilated[near] for near in around(*at, 2)):
            result[at] = 1
        elif dilated[at]:
            result[at] = mask[at]
    return result


def test_closing_equals_loops_over_pixels():
    masks = torch.rand(4, 1, 9, 7)
    masks[1] = masks[1] * 0.7
    masks[2] = 1
    masks[3] = 0
    masks[3, 0, 4, 3] = 0.8  # a single pixel
    found = closed(masks)
    for mask, expected in zip(found[:, 0], map(slow_closed, masks[:, 0]), strict=True):
        assert torch.equal(mask, expected)


def test_a_narrow_picture_gets_zeros_at_its_sides_and_a_wide_one_loses_its_right():
    frames = torch.rand(3, 2, 10, 7)
    found = fit_to_width(frames, torch.tensor([0.5, 0.2, 1.0]), (20, 10))
    widths = (10, 4, 20)
    for frame, result, width in zip(frames, found, widths, strict=True):
        resized = functional.interpolate(frame[None], (20, width), mode="bilinear")[0]
        expected = torch.zeros(2, 20, 10)
        left = max(10 - width, 0) // 2
        for column in range(min(width, 10)):
            expected[:, :, left + column] = resized[:, :, column]
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize(("tracklets", "expected"), [(1, 0), (2, 0), (3, 1), (8, 2), (32, 6)])
def test_a_fifth_of_the_tracklets_lose_one_map_in_all_frames(tracklets, expected):
    lengths = [1 + place % 3 for place in range(tracklets)]
    first = torch.ones(sum(lengths), 2, 3, 3, requires_grad=True)
    second = torch.full_like(first, 2.0)
    changed = black_out(first, second, lengths, 0.2)
    lost = 0
    parts = [maps.split(lengths) for maps in (*changed, first, second)]
    for one, other, whole_one, whole_other in zip(*parts, strict=True):
        intact = [torch.equal(one, whole_one), torch.equal(other, whole_other)]
        black = [not one.any(), not other.any()]
        assert intact == [not each for each in black]
        assert sum(black) <= 1
        lost += sum(black)
    assert lost == expected
    changed[0].sum().backward()
    assert torch.equal(first.grad, changed[0].detach())


def test_both_maps_are_blacked_out_in_time_and_the_seed_decides():
    ones = torch.ones(40, 1, 1, 1)
    random.seed(3)
    once = black_out(ones, ones, [4] * 10, 0.5)
    assert all((maps == 0).any() for maps in once)
    random.seed(3)
    again = black_out(ones, ones, [4] * 10, 0.5)
    assert all(torch.equal(*pair) for pair in zip(once, again, strict=True))


def make(dropout=0.0):
    torch.manual_seed(0)
    return ForegroundSASG(CHANNELS, LEVELS, GRID, SIZE, dropout).double()


def tokens(frames=3):
    torch.manual_seed(1)
    return (
        torch.randn(frames, 8, CHANNELS, dtype=torch.float64),
        torch.randn(frames, 8, LEVELS * CHANNELS, dtype=torch.float64),
    )


def pixels_of(tokens):
    """Brings tokens to the finer grid, frame by frame, as rows of pixels."""
    rows = []
    for frame in tokens:
        grid = frame.T.view(1, -1, *GRID)
        fine = functional.interpolate(grid, SIZE, mode="bilinear")[0]
        rows += [fine[:, r, c] for r in range(SIZE[0]) for c in range(SIZE[1])]
    return torch.stack(rows)


def normalized(rows):
    return (rows - rows.mean(0)) / (rows.var(0, correction=0) + 1e-5).sqrt()


def test_the_branches_see_all_pixels_of_the_batch_or_those_of_the_foreground():
    sasg = make().train()
    last, joined = tokens()
    made = sasg(last, joined)
    rows = pixels_of(last)
    scores = normalized(rows) @ sasg.mask.encoder.weight.T + sasg.mask.encoder.bias
    chances = scores.softmax(1)
    torch.testing.assert_close(made.probabilities.flatten(0, 1), chances)
    decoded = chances @ sasg.mask.decoder.weight.T + sasg.mask.decoder.bias
    torch.testing.assert_close(made.reconstruction.flatten(0, 1), decoded)
    torch.testing.assert_close(made.target.flatten(0, 1), rows)

    grid = chances.detach().view(3, *SIZE, 2).permute(0, 3, 1, 2).float()
    silhouettes = torch.stack([slow_closed(mask[0]) for mask in body_masks(grid)])
    torch.testing.assert_close(made.silhouettes[:, 0].float(), silhouettes)
    chosen = [at for at, value in enumerate(silhouettes.flatten().tolist()) if value]
    assert 0 < len(chosen) < len(rows)
    inner = normalized(pixels_of(joined)[chosen])
    first, second = sasg.gait_prior[1], sasg.gait_prior[4]
    hidden = functional.gelu(normalized(inner @ first.weight.T + first.bias))
    gait = (hidden @ second.weight.T + second.bias).softmax(1)
    linear = sasg.appearance_prior[1]
    appearance = normalized(inner @ linear.weight.T + linear.bias).sigmoid()
    for maps, expected in ((made.gait, gait), (made.appearance, appearance)):
        found = maps.permute(0, 2, 3, 1).flatten(0, 2)  # [pixels, 16]
        torch.testing.assert_close(found[chosen], expected)
        others = [at for at in range(len(rows)) if at not in chosen]
        assert not found[others].any()


def test_frames_without_foreground_change_nothing_of_others():
    sasg = make().eval()
    last, joined = tokens(frames=7)
    last[[0, 1, 5]] = 0  # both classes are as likely then: no class is the body
    sasg.mask.encoder.bias.data.zero_()
    made = sasg(last, joined)
    empty = [not silhouette.any() for silhouette in made.silhouettes]
    assert any(empty)
    assert not all(empty)
    for at in range(7):
        one = sasg(last[at : at + 1], joined[at : at + 1])
        torch.testing.assert_close(made.gait[at : at + 1], one.gait)
        torch.testing.assert_close(made.appearance[at : at + 1], one.appearance)


def test_normalizations_that_processes_share_give_the_same_maps_and_statistics():
    torch.manual_seed(2)
    sasg = make().train()
    shared = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(sasg))
    made, other = sasg(*tokens()), shared(*tokens())
    for maps, expected in zip(made, other, strict=True):
        torch.testing.assert_close(maps, expected)
    for name, value in sasg.state_dict().items():
        torch.testing.assert_close(value, shared.state_dict()[name], msg=name)
    (made.gait.square().sum() + made.appearance.square().sum()).backward()
    (other.gait.square().sum() + other.appearance.square().sum()).backward()
    for (name, one), two in zip(sasg.named_parameters(), shared.parameters(), strict=True):
        if one.grad is not None or two.grad is not None:
            torch.testing.assert_close(one.grad, two.grad, msg=name)


def test_shares_of_several_processes_give_the_maps_and_statistics_of_all_frames():
    counts = (2, 1)
    torch.manual_seed(2)
    sasg = make().train()
    shown = sasg(*tokens()).silhouettes
    shown[2] = 0  # the second process has no foreground
    sasg.silhouettes = lambda probabilities: shown
    twin = copy.deepcopy(sasg)
    last, joined = tokens()
    made = sasg(last, joined)
    (made.gait.square().sum() + made.appearance.square().sum()).backward()

    def work(member):
        own = share_batches(copy.deepcopy(twin), member, norms=True)
        rows = slice(sum(counts[: member.rank]), sum(counts[: member.rank + 1]))
        own.silhouettes = lambda probabilities: shown[rows]
        maps = own(last[rows], joined[rows])
        (maps.gait.square().sum() + maps.appearance.square().sum()).backward()
        return maps, own.state_dict(), [parameter.grad for parameter in own.parameters()]

    found = Meeting(len(counts)).run(work)
    for name in ("gait", "appearance", "probabilities", "reconstruction"):
        maps = torch.cat([getattr(maps, name) for maps, *_ in found])
        torch.testing.assert_close(maps, getattr(made, name), msg=name)
    for name, value in sasg.state_dict().items():
        for _, state, _ in found:
            torch.testing.assert_close(state[name], value, msg=name)
    for place, (name, parameter) in enumerate(sasg.named_parameters()):
        if parameter.grad is not None:
            total = sum(gradients[place] for *_, gradients in found)
            torch.testing.assert_close(total, parameter.grad, msg=name)


def test_no_gradient_of_the_maps_reaches_the_mask_branch():
    sasg = make().train()
    made = sasg(*tokens())
    sasg.fuse(made.gait, made.appearance).sum().backward()
    assert all(parameter.grad is None for parameter in sasg.mask.parameters())
    assert all(parameter.grad is not None for parameter in sasg.gait_prior.parameters())
    assert all(parameter.grad is not None for parameter in sasg.appearance_prior.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_frames_without_foreground_give_maps_of_zeros(training):
    sasg = make().train(training)
    with torch.no_grad():  # both classes are equally likely: neither is rounded to the body
        sasg.mask.encoder.weight.zero_()
        sasg.mask.encoder.bias.zero_()
    made = sasg(*tokens())
    assert not made.silhouettes.any()
    assert not made.gait.any()
    assert not made.appearance.any()
    assert sasg.fuse(made.gait, made.appearance).isfinite().all()


def test_dropout_is_on_in_training_alone():
    sasg = make(0.5)
    last, joined = tokens()
    with torch.no_grad():
        trained = [sasg.train()(last, joined).probabilities for _ in range(2)]
        tested = [sasg.eval()(last, joined).probabilities for _ in range(2)]
    assert not torch.equal(*trained)
    assert torch.equal(*tested)


def test_many_frames_are_the_frames_one_by_one():
    sasg = make().eval()
    last, joined = tokens(20)  # more than are brought to the finer grid at a time
    with torch.no_grad():
        together = sasg(last, joined)
        alone = [sasg(*pair) for pair in zip(last.split(1), joined.split(1), strict=True)]
    for maps, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(maps, torch.cat(parts))
