import math

import numpy as np
import pytest
import torch

from opengait_ext.errors import UserError
from opengait_ext.evaluation import rerank, rerank_encoding, rerank_neighbors
from opengait_ext.evaluation.distance import Chosen, part_distance
from opengait_ext.evaluation.rerank import described, rerank_distances, temporal_distances

PAPER = {"type": "k_reciprocal", "k1": 20, "k2": 6, "lambda": 0.3}


def k_reciprocal_by_loops(distance, queries, k1, k2, share, squared, strict):
    """Re-ranks as the paper defines it, from the distances of all to all, [n][n]."""
    everyone = range(len(distance))
    ranked = [sorted(everyone, key=lambda j: (j != i, distance[i][j], j)) for i in everyone]

    def near(i, k):
        return ranked[i][: k + 1]  # i itself is there beside the k nearest

    def mutual(i, k):
        return {j for j in near(i, k) if i in near(j, k)}

    rows = []
    for i in everyone:
        members = set(mutual(i, k1))
        for candidate in mutual(i, k1):
            half = mutual(candidate, round(k1 / 2))
            shared = 3 * len(half & mutual(i, k1))
            if shared > 2 * len(half) or (not strict and shared == 2 * len(half)):
                members |= half
        farthest = max(distance[i]) or 1
        power = 2 if squared else 1
        row = [
            math.exp(-((distance[i][j] / farthest) ** power)) if j in members else 0.0
            for j in everyone
        ]
        rows.append([weight / sum(row) for weight in row])
    first = [ranked[i][:k2] for i in everyone]
    rows = [
        [sum(rows[other][j] for other in first[i]) / len(first[i]) for j in everyone]
        for i in everyone
    ]
    result = []
    for i in everyone[:queries]:
        farthest = max(distance[i]) or 1
        result.append([])
        for j in everyone[queries:]:
            smaller = sum(map(min, rows[i], rows[j]))
            larger = sum(map(max, rows[i], rows[j]))
            relative = (distance[i][j] / farthest) ** (2 if squared else 1)
            result[-1].append((1 - share) * (1 - smaller / larger) + share * relative)
    return torch.tensor(result, dtype=torch.float64)


def by_loops(query, gallery, k1, k2, share, squared=True, strict=False, metric="euclidean"):
    joint = torch.cat((query, gallery)).double()
    distance = part_distance(joint, joint, metric).clamp_min(0)
    distance = torch.minimum(distance, distance.t()).tolist()  # symmetric to the last digit
    return k_reciprocal_by_loops(distance, len(query), k1, k2, share, squared, strict)


def crowd(seed, queries, gallery, people=4, d=6, p=3, spread=0.6, dtype=torch.float64):
    """Embeddings around some centers, so that there are neighbors to share."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(people, d, p, generator=generator, dtype=torch.float64)
    who = torch.randint(people, (queries + gallery,), generator=generator)
    noise = torch.randn(queries + gallery, d, p, generator=generator, dtype=torch.float64)
    joint = (centers[who] + spread * noise).to(dtype)
    return joint[:queries], joint[queries:]


@pytest.fixture
def small_blocks(monkeypatch):
    """Cuts even tiny inputs into several uneven blocks, and keeps few distances."""
    monkeypatch.setattr(rerank_neighbors, "TILE", 5)
    monkeypatch.setattr(rerank_neighbors, "KEPT", 3)
    monkeypatch.setattr(rerank_neighbors, "PAIR_ELEMENTS", 40)
    monkeypatch.setattr(rerank_encoding, "ELEMENTS", 64)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(
    ("k1", "k2", "share"), [(20, 6, 0.3), (5, 3, 0.0), (3, 1, 0.5), (1, 1, 1.0), (7, 9, 0.1)]
)
def test_reranked_distances_equal_loops_over_the_paper_s_definitions(
    small_blocks, metric, k1, k2, share
):
    query, gallery = crowd(0, 12, 29)
    settings = {"type": "k_reciprocal", "k1": k1, "k2": k2, "lambda": share}
    found = rerank_distances(query, gallery, settings, metric)
    expected = by_loops(query, gallery, k1, k2, share, metric == "euclidean", metric=metric)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_reranked_distances_equal_loops_in_blocks_of_the_usual_size(seed):
    query, gallery = crowd(seed, 40, 60, people=9)
    found = rerank_distances(query, gallery, {**PAPER, "k1": 8, "strict": seed % 2 == 0})
    expected = by_loops(query, gallery, 8, 6, 0.3, strict=seed % 2 == 0)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_settings_change_the_result_as_the_loops_say():
    query, gallery = crowd(3, 30, 40, people=9)
    results = []
    for squared in (True, False):
        for strict in (True, False):
            settings = {**PAPER, "k1": 10, "squared": squared, "strict": strict}
            found = rerank_distances(query, gallery, settings)
            expected = by_loops(query, gallery, 10, 6, 0.3, squared, strict)
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
            results.append(found)
    for place, found in enumerate(results):
        assert all((found - other).abs().max() > 1e-6 for other in results[:place])


def test_float32_gives_the_distances_of_float64():
    query, gallery = crowd(1, 30, 50)
    found = rerank_distances(query.float(), gallery.float(), PAPER)
    assert found.dtype == torch.float32
    expected = rerank_distances(query, gallery, PAPER)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_chosen_tracklets_give_the_distances_of_their_copies(small_blocks):
    query, gallery = crowd(2, 9, 14)
    together = torch.cat((gallery, query))
    order = torch.randperm(23, generator=torch.Generator().manual_seed(3))
    shuffled, rows = together[order], order.argsort()
    found = rerank_distances(Chosen(shuffled, rows[14:]), Chosen(shuffled, rows[:14]), PAPER)
    torch.testing.assert_close(found, rerank_distances(query, gallery, PAPER))
    mixed = rerank_distances(query, Chosen(shuffled.float(), rows[:14]), PAPER)
    assert mixed.dtype == torch.float64
    torch.testing.assert_close(mixed, found, rtol=1e-4, atol=1e-4)


def test_arrays_and_half_precision_are_taken():
    query, gallery = crowd(2, 6, 9, dtype=torch.float32)
    expected = rerank_distances(query, gallery, PAPER)
    assert torch.equal(rerank_distances(query.numpy(), gallery.numpy(), PAPER), expected)
    half = rerank_distances(query.half(), gallery.half(), {**PAPER, "k1": 3})
    assert half.dtype == torch.float32
    torch.testing.assert_close(
        half, rerank_distances(query.half().float(), gallery.half().float(), {**PAPER, "k1": 3})
    )


@pytest.mark.parametrize(("queries", "gallery"), [(1, 1), (1, 3), (3, 1), (2, 7), (5, 5)])
def test_a_gallery_smaller_than_the_lists_is_taken_as_a_whole(queries, gallery):
    embeddings = crowd(4, queries, gallery)
    found = rerank_distances(*embeddings, PAPER)
    torch.testing.assert_close(found, by_loops(*embeddings, 20, 6, 0.3), rtol=1e-9, atol=1e-12)


class Given:
    """A space of given distances."""

    def __init__(self, distance, queries, tile):
        self.distance, self.queries, self.size = distance, queries, len(distance)
        self.tile = tile

    def blocks(self):
        begins = [*range(0, self.queries, self.tile), *range(self.queries, self.size, self.tile)]
        ends = [*begins[1:], self.size]
        for column, stop in zip(begins, ends, strict=True):
            for row, end in zip(begins, ends, strict=True):
                if row <= column:
                    yield row, column, self.distance[row:end, column:stop].clone()

    def between(self, rows, columns):
        return self.distance[rows, columns]


def reranked(space, k1, k2):
    neighbors = rerank_neighbors.find_neighbors(space, max(k1 + 1, k2))
    encoding = rerank_encoding.encode(space, neighbors, k1, k2, False, False)
    parts = encoding.rows(0, space.queries), encoding.rows(space.queries, space.size)
    return neighbors, torch.cat(
        [block for _, block in rerank_encoding.jaccard_blocks(*parts, space.size)]
    )


@pytest.mark.parametrize("values", [1, 2, 3, 6])
@pytest.mark.parametrize("tile", [4, 100])
def test_of_equal_distances_the_first_in_order_is_nearer_and_oneself_is_nearest(
    small_blocks, values, tile
):
    generator = torch.Generator().manual_seed(values)
    distance = torch.randint(values, (31, 31), generator=generator).double()
    distance = torch.triu(distance, 1)
    distance = distance + distance.t()
    space = Given(distance, 13, tile)
    neighbors, jaccard = reranked(space, 6, 3)
    for i, found in enumerate(neighbors.lists.tolist()):
        others = sorted(range(31), key=lambda j: (j != i, distance[i, j].item(), j))
        assert found == others[:7]
    torch.testing.assert_close(neighbors.across, distance[:13, 13:])
    torch.testing.assert_close(neighbors.farthest, distance.amax(1))
    expected = k_reciprocal_by_loops(distance.tolist(), 13, 6, 3, 0, False, False)
    torch.testing.assert_close(jaccard, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k1", [20, 70])
def test_no_row_is_sorted_as_a_whole_where_distances_differ(k1):
    sorts = []

    class Watching(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if "sort" in str(function) and args[0].ndim == 1 and args[0].is_floating_point():
                sorts.append(args[0].shape)
            return function(*args, **(kwargs or {}))

    with Watching():
        rerank_distances(*crowd(0, 80, 120), {**PAPER, "k1": k1})
    assert not sorts


@pytest.mark.parametrize("norm", [1, 20, 160])
@pytest.mark.parametrize("strict", [False, True])
def test_long_float32_embeddings_and_identical_tracklets_give_finite_distances(norm, strict):
    generator = torch.Generator().manual_seed(norm)
    one = torch.nn.functional.normalize(torch.randn(1, 64, 1, generator=generator), dim=1) * norm
    near = one + 1e-3 * torch.randn(60, 64, 1, generator=generator)
    query = torch.cat((one.expand(40, -1, -1), near[:30]))
    gallery = torch.cat((one.expand(90, -1, -1), near[30:]))
    found = rerank_distances(query, gallery, {**PAPER, "strict": strict})
    assert found.isfinite().all()
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6


def test_tracklets_that_are_all_equal_have_finite_distances():
    same = torch.full((150, 8, 2), 20.0)
    for metric in ("euclidean", "cosine"):
        for embeddings in (same, torch.zeros_like(same)):
            found = rerank_distances(embeddings[:50], embeddings[50:], PAPER, metric)
            assert found.isfinite().all()
            assert found.min() >= 0


def test_a_permuted_gallery_gives_permuted_distances():
    query, gallery = crowd(5, 20, 45)
    order = torch.randperm(45, generator=torch.Generator().manual_seed(0))
    found = rerank_distances(query, gallery[order], PAPER)
    torch.testing.assert_close(found, rerank_distances(query, gallery, PAPER)[:, order])


def test_lambda_1_is_the_distance_divided_by_the_farthest_of_the_query():
    query, gallery = crowd(6, 8, 17)
    settings = {"type": "k_reciprocal", "lambda": 1, "squared": False}
    distance = part_distance(query, gallery)
    farthest = torch.cat((distance, part_distance(query, query)), 1).amax(1, keepdim=True)
    torch.testing.assert_close(rerank_distances(query, gallery, settings), distance / farthest)


def test_reranking_prefers_a_match_in_the_same_crowd_to_a_nearer_stranger():
    places = torch.tensor([0.0, 1, 2, 3, 4, 5, -2.9, -3, -3.1, -3.2, -3.3])
    found = rerank_distances(
        places[:1, None, None], places[1:, None, None], {**PAPER, "k1": 3, "k2": 2}
    )[0]
    match, stranger = found[2], found[5]  # 3 and 2.9 away
    assert match < stranger


def test_no_dense_matrix_of_all_is_made(monkeypatch):
    largest = []

    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for each in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(each, torch.Tensor):
                    largest.append(each.numel())
            return result

    monkeypatch.setattr(rerank_neighbors, "TILE", 100)
    monkeypatch.setattr(rerank_encoding, "ELEMENTS", 2**14)
    query, gallery = crowd(7, 100, 1500, people=80, d=8, p=2)
    with Counting():
        rerank_distances(query, gallery, PAPER)
    assert max(largest) < 1600**2 / 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_an_embedding_that_is_not_finite_is_named(monkeypatch, value):
    monkeypatch.setattr(rerank, "TILE", 3)
    query, gallery = crowd(8, 4, 6, dtype=torch.float32)
    gallery[4, 0, 0] = value
    with pytest.raises(UserError, match="gallery tracklet 4 .*expected finite numbers"):
        rerank_distances(query, gallery, PAPER)
    with pytest.raises(UserError, match="of query 4 "):
        rerank_distances(gallery, query, PAPER)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"type": "k_reciprocl"}, "rerank.type is 'k_reciprocl' - did you mean 'k_reciprocal'"),
        ({"type": None}, "expected one of: k_reciprocal, temporal"),
        ({"lamda": 0.3}, "rerank.lamda is unknown .* - did you mean 'lambda'"),
        ({"euclidean": 0.8}, "rerank.euclidean is unknown for the type k_reciprocal"),
        ({"k1": 0}, "rerank.k1 is 0; expected a whole number of at least 1"),
        ({"k1": True}, "rerank.k1 is True"),
        ({"k2": 2.5}, "rerank.k2 is 2.5; expected a whole number"),
        ({"lambda": 1.2}, "rerank.lambda is 1.2; expected a number from 0 to 1"),
        ({"lambda": float("nan")}, "rerank.lambda is nan"),
        ({"lambda": "0.3"}, "rerank.lambda is '0.3'"),
        ({"squared": 1}, "rerank.squared is 1; expected true or false"),
    ],
)
def test_wrong_settings_are_refused_with_key_value_and_what_was_expected(changed, message):
    settings = {**PAPER, **changed}
    with pytest.raises(UserError, match=message):
        described(settings)
    with pytest.raises(UserError, match=message):
        rerank_distances(*crowd(0, 3, 4), settings)


def test_settings_must_be_a_mapping():
    with pytest.raises(UserError, match="rerank is 'k_reciprocal'; expected a mapping"):
        described("k_reciprocal")


def test_settings_of_the_other_type_are_refused_with_what_to_do():
    query, gallery = crowd(0, 3, 4)
    with pytest.raises(UserError, match="call temporal_distances"):
        rerank_distances(query, gallery, {"type": "temporal"})
    with pytest.raises(UserError, match="expected temporal"):
        temporal_distances(*[(query, gallery)] * 3, PAPER)


def test_wrong_shapes_and_metrics_are_refused():
    query, gallery = crowd(0, 3, 4)
    with pytest.raises(UserError, match="no metric is called 'l1'"):
        rerank_distances(query, gallery, PAPER, "l1")
    for wrong in (gallery[:0], gallery[:, :2], gallery[:, :, 0]):
        with pytest.raises(UserError, match="expected \\[tracklets, embedding, parts\\]"):
            rerank_distances(query, wrong, PAPER)


def test_the_settings_in_words_name_every_number_and_choice():
    words = described(PAPER)
    assert words == (
        "k-reciprocal (k1 20, k2 6, lambda 0.3; Euclidean distances squared; at least 2/3 shared)"
    )
    assert described({"type": "k_reciprocal"}) == words
    others = [{"k1": 19}, {"k2": 5}, {"lambda": 0.25}, {"squared": False}, {"strict": True}]
    assert len({described({**PAPER, **other}) for other in others} | {words}) == 6


def temporal_by_loops(pairs, k1, k2, share, weights):
    (query, gallery), (query_1, gallery_1), (query_2, gallery_2) = pairs
    total = weights[0] * part_distance(query, gallery)
    total += weights[1] * by_loops(query, gallery, k1, k2, share, False, True)
    total += weights[2] * by_loops(query_1, gallery_2, k1, k2, share, False, True)
    return total + weights[2] * by_loops(query_2, gallery_1, k1, k2, share, False, True)


@pytest.fixture
def three_samplings():
    query, gallery = crowd(9, 14, 27)
    generator = torch.Generator().manual_seed(1)
    pairs = [(query, gallery)]
    for _ in range(2):
        noise = torch.randn(41, 6, 3, generator=generator, dtype=torch.float64) / 3
        pairs.append((query + noise[:14], gallery + noise[14:]))
    return pairs


def test_temporal_distances_equal_the_sum_of_the_loops(small_blocks, three_samplings):
    expected = temporal_by_loops(three_samplings, 5, 3, 0, (0.8, 0.2, 0.1))
    found = temporal_distances(*three_samplings)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    settings = {"type": "temporal", "k1": 7, "k2": 2, "lambda": 0.25}
    settings |= {"euclidean": 0, "all": 0.5, "halves": 0.3}
    expected = temporal_by_loops(three_samplings, 7, 2, 0.25, (0, 0.5, 0.3))
    found = temporal_distances(*three_samplings, settings)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_temporal_distances_leave_the_embeddings_as_they_are(three_samplings):
    copies = [(query.clone(), gallery.clone()) for query, gallery in three_samplings]
    temporal_distances(*three_samplings)
    for pair, copy in zip(three_samplings, copies, strict=True):
        assert torch.equal(pair[0], copy[0])
        assert torch.equal(pair[1], copy[1])


@pytest.mark.parametrize("norm", [20, 160])
def test_the_root_of_the_published_code_has_nan_here_and_ours_has_none(norm):
    generator = torch.Generator().manual_seed(norm)
    all_frames = torch.randn(600, 256, 1, generator=generator)
    all_frames = torch.nn.functional.normalize(all_frames, dim=1) * norm
    all_frames[300:400] = all_frames[200:300]
    flat = all_frames[:, :, 0]
    norms = flat.square().sum(1)
    published = (norms[:, None] + norms - 2 * flat @ flat.t() + 1e-5).sqrt()
    assert published.isnan().any()  # or this test would show nothing
    pair = (all_frames[:300], all_frames[300:])
    found = temporal_distances(pair, pair, pair)
    assert found.isfinite().all()
    assert found.min() >= 0
    exact = temporal_distances(*[(pair[0].double(), pair[1].double())] * 3)
    # Where rounding decides between two that are equally near, a list may hold the other.
    assert ((found.double() - exact).abs() > 1e-3).double().mean() < 1e-2


def test_temporal_settings_and_shapes_are_checked(three_samplings):
    for key in ("euclidean", "all", "halves"):
        with pytest.raises(UserError, match=f"rerank.{key} is -1; expected a finite number"):
            described({"type": "temporal", key: -1})
    with pytest.raises(UserError, match="all 0; expected one above 0"):
        described({"type": "temporal", "euclidean": 0, "all": 0, "halves": 0})
    query, gallery = three_samplings[2]
    with pytest.raises(UserError, match="expected the same three times"):
        temporal_distances(*three_samplings[:2], (query[:-1], gallery))
    words = described({"type": "temporal"})
    assert words == (
        "temporal k-reciprocal (k1 5, k2 3, lambda 0; 0.8 distance + 0.2 all + 0.1 each way of "
        "halves)"
    )


def test_reranking_asks_for_no_gradient():
    query, gallery = crowd(0, 5, 6, dtype=torch.float32)
    found = rerank_distances(query.requires_grad_(), gallery, {**PAPER, "k1": 3})
    assert not found.requires_grad
    assert np.isfinite(found.numpy()).all()
