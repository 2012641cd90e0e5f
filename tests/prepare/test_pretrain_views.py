"""Views of frames for the pre-training, and what is asked of their patches."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from opengait_ext.data.layout import Partition, Tracklet, write_partition, write_tracklet
from opengait_ext.errors import UserError
from opengait_ext.layers.vit import VisionTransformer
from opengait_ext.pretraining.losses import (
    BORDER,
    CENTER,
    LOWER,
    UPPER,
    Network,
    Objective,
    PersonMap,
    Seen,
    place_loss,
)
from opengait_ext.pretraining.mask import fit_mask_branch
from opengait_ext.pretraining.views import (
    FRAME,
    Frames,
    cut,
    draw_box,
    draw_frames,
    load_frames,
    look_up,
    recolor,
)


def a_map():
    """A frame whose red says how far right, and whose green how far down, a pixel lies."""
    frame = np.zeros((*FRAME, 3), np.uint8)
    frame[..., 0] = 250 * (np.arange(FRAME[1]) + 0.5) / FRAME[1]
    frame[..., 1] = (250 * (np.arange(FRAME[0]) + 0.5) / FRAME[0])[:, None]
    return frame


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("grid", [(16, 8), (12, 6), (6, 4)])
def test_the_place_of_a_patch_is_where_its_pixels_come_from(grid, shifted):
    rng = np.random.default_rng(3)
    boxes = [draw_box(grid, shifted, rng) for _ in range(20)]
    views = cut(np.stack([a_map()] * 20), boxes, grid)
    assert {box.mirrored for box in boxes} == {True, False}
    for view, places in zip(views.pixels, views.places, strict=True):
        for row in range(grid[0]):
            for column in range(grid[1]):
                patch = view[14 * row : 14 * row + 14, 14 * column : 14 * column + 14]
                x, y = places[row, column]
                assert abs(patch[..., 1].mean() / 250 - y) < 0.02
                if 0.1 < x < 0.9:  # a patch that reaches over the edge is folded there
                    assert abs(patch[..., 0].mean() / 250 - x) < 0.02


@pytest.mark.slow
def test_a_shifted_view_hides_where_in_the_frame_it_begins():
    rng = np.random.default_rng(0)
    boxes = [draw_box((6, 4), True, rng) for _ in range(2000)]
    x = cut(np.zeros((2000, *FRAME, 3), np.uint8), boxes, (6, 4)).places[..., 0]
    for column in range(4):  # every column of the view is as often at the border as any other
        assert np.mean(abs(x[:, 0, column] - 0.5) > 0.35) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("shifted", [False, True])
def test_a_place_is_found_again_in_another_view_of_the_frame(shifted):
    rng = np.random.default_rng(1)
    grid, count = (12, 6), 16
    boxes = [draw_box(grid, shifted, rng) for _ in range(count)]
    other = [draw_box(grid, True, rng) for _ in range(count)]
    there, here = (cut(np.stack([a_map()] * count), b, grid) for b in (boxes, other))
    at = torch.from_numpy(look_up(here.places, boxes)).float()
    pixels = torch.from_numpy(there.pixels).permute(0, 3, 1, 2).float() / 250
    found = functional.grid_sample(pixels, at, align_corners=False).permute(0, 2, 3, 1)[..., :2]
    inside = (at.abs() < 0.95).all(-1)
    assert inside.sum() > 200
    wanted = torch.from_numpy(here.places).float()[inside]
    torch.testing.assert_close(found[inside], wanted, rtol=0, atol=0.02)


def test_both_frames_of_a_pair_are_of_one_tracklet_and_half_are_the_same():
    first = np.array([0, 3, 4, 9])
    frames = Frames(np.zeros((9, 1, 1, 3), np.uint8), first)
    pairs = draw_frames(frames, 4000, np.random.default_rng(0))
    home = np.searchsorted(first, pairs, side="right")
    assert (home[:, 0] == home[:, 1]).all()
    assert set(pairs.flatten().tolist()) == set(range(9))
    long = pairs[home[:, 0] == 3]
    assert np.mean(long[:, 0] == long[:, 1]) == pytest.approx(0.5 + 0.5 / 5, abs=0.05)


def test_recolored_views_stay_in_range_and_a_quarter_is_gray():
    pixels = np.random.default_rng(0).integers(0, 256, (400, 4, 4, 3), np.uint8)
    images = recolor(pixels, 0.5, torch.Generator().manual_seed(0))
    assert images.min() >= 0
    assert images.max() <= 1
    gray = ((images.amax(1) - images.amin(1)) < 1e-5).flatten(1).all(1)
    assert gray.float().mean() == pytest.approx(0.25, abs=0.07)


def a_dataset(root, splits):
    tracklets = []
    for number, split in enumerate(splits, 1):
        folder = f"{number:04}/rgb/D1-T{number}"
        image = np.full((16, 8, 3), 20 * number, np.uint8)
        write_tracklet(root / folder, [cv2.imencode(".jpg", image)[1].tobytes()] * 5)
        tracklets.append(Tracklet(folder, f"{number:04}", 1, "visible", 5, split))
    write_partition(root / "partition.json", Partition("Tiny", tracklets, {}))


def test_frames_come_from_the_training_split_alone(tmp_path):
    a_dataset(tmp_path, ["train", "val", "train", "test"])
    frames = load_frames(tmp_path, 3)
    assert frames.pixels.shape == (6, *FRAME, 3)
    assert frames.first.tolist() == [0, 3, 6]
    values = frames.pixels.mean((1, 2, 3))
    np.testing.assert_allclose(values, [20, 20, 20, 60, 60, 60], atol=1)


def test_a_dataset_without_a_training_split_is_named(tmp_path):
    a_dataset(tmp_path, ["test"])
    with pytest.raises(UserError, match=r"partition.json: the split train is empty"):
        load_frames(tmp_path, 3)


def test_the_loss_of_places_equals_a_loop_over_patches():
    torch.manual_seed(0)
    network = Network(VisionTransformer(8, 1, 1, (28, 28), 14, 2, (0,)))
    tokens, places = torch.randn(3, 1 + 6, 8), torch.rand(3, 3, 2, 2)
    losses: dict[int, list] = {0: [], 1: []}
    prototypes = network.place_prototypes / network.place_prototypes.norm(dim=0)
    for frame in range(3):
        for patch in range(6):
            x, y = places[frame, patch // 2, patch % 2]
            token = tokens[frame, 1 + patch]
            cosines = token / token.norm() @ prototypes
            if UPPER < y < LOWER and not CENTER <= abs(x - 0.5) <= BORDER:
                place = 0 if abs(x - 0.5) < CENTER else 1
                losses[place].append(-(cosines / 0.5).log_softmax(0)[place])
    assert all(losses.values())
    wanted = sum(torch.stack(part).mean() for part in losses.values()) / 2
    torch.testing.assert_close(place_loss(network, Seen(tokens, (3, 2), places, places)), wanted)


def test_views_in_which_nothing_is_asked_give_no_loss():
    network = Network(VisionTransformer(8, 1, 1, (28, 28), 14, 2, (0,)))
    between = torch.full((1, 2, 1, 2), 0.25)
    loss = place_loss(network, Seen(torch.randn(1, 3, 8), (2, 1), between, between))
    loss.backward()
    assert loss == 0


def test_whole_frames_are_brought_to_what_pieces_and_map_say_at_the_same_places():
    torch.manual_seed(0)
    student, teacher = (Network(VisionTransformer(8, 1, 1, (28, 28), 14, 2, (0,))) for _ in "st")
    objective, kept = Objective(), PersonMap()
    centers = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])  # of 2 x 2 tokens
    chosen = torch.tensor([[2, 0], [1, 3], [3, 1]])  # frame 0: two pieces of 1 x 2, frame 1: one
    chosen = torch.cat([chosen, torch.tensor([[0, 2]])])
    at = centers[chosen][:, None]  # [4 pieces, 1, 2, 2]
    at[3, 0, 1] = 1.5  # this patch lies outside of the large view
    places = (at + 1) / 2
    large = Seen(torch.randn(2, 5, 8), (2, 2), torch.rand(2, 2, 2, 2), at)
    judged = Seen(torch.randn(4, 3, 8), (1, 2), places, at)
    taught = Seen(torch.randn(2, 5, 8), (2, 2), large.places, torch.zeros(2, 2, 2, 2))
    losses = objective((student, teacher), large, taught, large, judged)
    asked, answers = [], []
    for piece in range(4):
        for patch in range(2):
            if (piece, patch) != (3, 1):
                asked.append(
                    (teacher.places(judged.tokens[piece, 1 + patch]), places[piece, 0, patch])
                )
                token = large.tokens[piece // 2, 1 + chosen[piece, patch]]
                answer = student.places(token)
                answers.append(answer[0] - answer[1])
    logits, where = (torch.stack(part) for part in zip(*asked, strict=True))
    person = kept.person(logits, where)
    wanted = -sum(
        p * functional.logsigmoid(a) + (1 - p) * functional.logsigmoid(-a)
        for p, a in zip(person, answers, strict=True)
    )
    torch.testing.assert_close(losses["settle"], wanted / 7, rtol=1e-4, atol=1e-5)
    assert set(losses) == {"frame", "patch", "spread", "place", "settle"}
    assert "settle" not in objective((student, teacher), large, taught, large, None)


def test_the_probability_of_the_person_equals_a_loop_over_patches():
    torch.manual_seed(0)
    kept, shares = PersonMap(4, 3), torch.rand(4, 3) * 0.6 + 0.2
    kept.shares.copy_(shares)
    logits, places = torch.randn(300, 2), torch.rand(300, 2)
    found = kept.person(logits, places)
    pure = max(shares[:, 1].mean().item(), 0.5)  # the middle column is the center
    sums: dict[tuple[int, int], list[float]] = {}
    for logit, (x, y), probability in zip(logits, places, found, strict=True):
        likelier = max(((logit[0] - logit[1]).exp().item() - (1 - pure)) / pure, 0.02)
        at = int(y * 4), int(x * 3)
        share = shares[at].item()
        wanted = likelier * share / (likelier * share + 1 - share)
        assert probability.item() == pytest.approx(wanted, rel=1e-4)
        sums.setdefault(at, []).append(wanted)
    assert len(sums) == 12
    for row in range(4):
        for column in range(3):
            new = (np.mean(sums[row, column]) + np.mean(sums[row, 2 - column])) / 2
            wanted = 0.9 * shares[row, column] + 0.1 * new
            assert kept.shares[row, column].item() == pytest.approx(wanted.item(), rel=1e-4)


def test_the_map_of_the_person_finds_where_people_stand():
    torch.manual_seed(0)
    kept = PersonMap()
    for _ in range(60):
        places = torch.rand(2000, 2)
        middle = (places[:, 0] - 0.5).abs() < 0.2
        person = middle & (torch.rand(2000) < 0.8)
        answers = torch.where(person, 1.0, -1.2) + 0.3 * torch.randn(2000)
        kept.person(torch.stack([answers, -answers], 1) / 2, places)
    assert kept.shares[:, 3:5].min() > 0.6
    assert kept.shares[:, [0, 7]].max() < 0.2


@pytest.mark.slow
def test_a_mask_branch_finds_two_kinds_of_tokens():
    torch.manual_seed(0)
    kinds = torch.rand(8, 10) < 0.4
    tokens = torch.where(kinds[..., None], torch.ones(6), -torch.arange(6.0) / 6)
    tokens = tokens + 0.05 * torch.randn(8, 10, 6)
    branch, error = fit_mask_branch(tokens, iterations=200, starts=2, batch=8)
    assert error < 0.1
    assert not branch.training
    with torch.no_grad():
        found = branch(tokens).argmax(-1) == branch(tokens).argmax(-1)[kinds][0]
    assert torch.equal(found, kinds)
