import pytest
import torch

from opengait_ext.losses.triplet import TripletLoss, pair_distances


def batch(labels=(0, 0, 1, 1, 1, 2, 0)):
    torch.manual_seed(0)
    embeddings = torch.randn(len(labels), 4, 3, dtype=torch.float64)
    return embeddings.requires_grad_(), torch.tensor(labels)


def naive(embeddings, labels, margin, squared=False, anchor_is_positive=False):
    """Mean over parts of the mean of the violated triplets, by three nested loops."""
    parts = []
    for part in range(embeddings.shape[2]):
        points, terms = embeddings[:, :, part], []
        for a in range(len(points)):
            for p in range(len(points)):
                for n in range(len(points)):
                    if labels[a] != labels[p] or labels[a] == labels[n]:
                        continue
                    if a == p and not anchor_is_positive:
                        continue
                    near = (points[a] - points[p]).square().sum()
                    far = (points[a] - points[n]).square().sum()
                    if not squared:
                        near, far = near.sqrt(), far.sqrt()
                    if near - far + margin > 0:
                        terms.append(near - far + margin)
        parts.append(torch.stack(terms).mean() if terms else points.sum() * 0)
    return torch.stack(parts).mean()


@pytest.mark.parametrize("anchor_is_positive", [False, True])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("normalized", [False, True])
def test_triplet_equals_three_nested_loops(squared, anchor_is_positive, normalized):
    embeddings, labels = batch()
    loss, _ = TripletLoss(1.0, 2.0, squared, anchor_is_positive, normalized)(embeddings, labels)
    if normalized:
        lengths = embeddings.detach().square().sum(1, keepdim=True).sqrt()
        embeddings = embeddings / lengths
    expected = naive(embeddings, labels, 2.0, squared, anchor_is_positive)
    torch.testing.assert_close(loss, expected)


def test_triplet_has_the_gradient_of_the_three_nested_loops():
    embeddings, labels = batch()
    (gradient,) = torch.autograd.grad(TripletLoss()(embeddings, labels)[0], embeddings)
    (expected,) = torch.autograd.grad(naive(embeddings, labels, 0.2), embeddings)
    torch.testing.assert_close(gradient, expected)


def test_triplet_has_right_gradients():
    embeddings, labels = batch((0, 0, 1, 1))
    loss = TripletLoss(margin=5.0)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels)[0], embeddings)


@pytest.mark.parametrize("anchor_is_positive", [False, True])
@pytest.mark.parametrize("labels", [(0,), (0, 0, 0), (0, 1, 2)])
def test_triplet_of_a_batch_without_triplets_is_zero_with_a_gradient(labels, anchor_is_positive):
    embeddings, targets = batch(labels)
    far_apart = embeddings * 100
    loss, info = TripletLoss(anchor_is_positive=anchor_is_positive)(far_apart, targets)
    loss.backward()
    assert loss == 0
    assert info["violated"] == 0
    assert (embeddings.grad == 0).all()


def test_triplet_that_nobody_violates_is_zero_with_a_gradient():
    embeddings = torch.tensor([0.0, 0.1, 9.0, 9.1]).view(4, 1, 1).requires_grad_()
    loss, info = TripletLoss()(embeddings, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert loss == 0
    assert info["violated"] == 0
    assert (embeddings.grad == 0).all()


def test_triplet_has_finite_gradients_where_embeddings_are_equal():
    embeddings = torch.ones(4, 3, 2)
    embeddings[3] = 2
    embeddings.requires_grad_()
    loss, _ = TripletLoss()(embeddings, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert embeddings.grad.isfinite().all()
    assert embeddings.grad[3].abs().sum() > 0


def test_triplet_counts_the_share_of_violated_triplets_and_the_mean_distance():
    embeddings = torch.tensor([0.0, 1.0, 1.3]).view(3, 1, 1)
    _, info = TripletLoss()(embeddings, torch.tensor([0, 0, 1]))
    assert info["violated"] == 0.5  # from 0: 1.0 against 1.3, kept; from 1: 1.0 against 0.3, not
    torch.testing.assert_close(info["mean_distance"], torch.tensor(2 * (1.0 + 1.3 + 0.3) / 9))
    assert not any(value.requires_grad for value in info.values())


def test_triplet_computes_in_float32_inside_autocast():
    embeddings, labels = batch()
    half = embeddings.detach().bfloat16()
    expected, _ = TripletLoss()(half.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = TripletLoss()(half, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)


def test_triplet_passes_on_what_is_not_a_number():
    embeddings, labels = batch()
    broken = embeddings.detach().clone()
    broken[0, 0, 0] = torch.nan
    assert TripletLoss()(broken, labels)[0].isnan()


def test_triplet_asks_the_host_for_the_whole_batch():
    assert TripletLoss.pairwise


def test_pair_distances_far_from_the_origin_are_those_at_the_origin():
    torch.manual_seed(0)
    near = torch.randn(5, 8, 2, dtype=torch.float64)
    expected = torch.cdist(near.permute(2, 0, 1), near.permute(2, 0, 1))
    moved = pair_distances((near + 1000).float())
    torch.testing.assert_close(moved, expected.float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("shape", "n"), [((4, 5), 4), ((4, 5, 3), 3)])
def test_triplet_names_shapes_that_do_not_fit(shape, n):
    with pytest.raises(ValueError, match=r"expected \[n, d, p\] and \[n\]"):
        TripletLoss()(torch.zeros(shape), torch.zeros(n, dtype=torch.int64))
