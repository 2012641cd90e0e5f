import numpy as np
import pytest
import torch
from rerank_loops import PAPER, by_loops, crowd, k_reciprocal_by_loops

from opengait_ext.evaluation import rerank_encoding, rerank_neighbors
from opengait_ext.evaluation.distance import Chosen, part_distance
from opengait_ext.evaluation.rerank import rerank_distances


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_reranked_distances_equal_loops_in_blocks_of_the_usual_size(seed):
    query, gallery = crowd(seed, 40, 60, people=9)
    found = rerank_distances(query, gallery, {**PAPER, "k1": 8, "strict": seed % 2 == 0})
    expected = by_loops(query, gallery, 8, 6, 0.3, strict=seed % 2 == 0)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
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


@pytest.mark.slow
def test_if_nothing_is_said_more_than_two_thirds_must_be_shared_as_published_code_asks():
    query, gallery = crowd(3, 30, 40, people=9)
    found = rerank_distances(query, gallery, {"type": "k_reciprocal", "k1": 10})
    shared = [by_loops(query, gallery, 10, 6, 0.3, strict=strict) for strict in (True, False)]
    torch.testing.assert_close(found, shared[0], rtol=1e-9, atol=1e-12)
    assert (found - shared[1]).abs().max() > 1e-6


def test_float32_gives_the_distances_of_float64():
    query, gallery = crowd(1, 30, 50)
    found = rerank_distances(query.float(), gallery.float(), PAPER)
    assert found.dtype == torch.float32
    expected = rerank_distances(query, gallery, PAPER)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_reranking_asks_for_no_gradient():
    query, gallery = crowd(0, 5, 6, dtype=torch.float32)
    found = rerank_distances(query.requires_grad_(), gallery, {**PAPER, "k1": 3})
    assert not found.requires_grad
    assert np.isfinite(found.numpy()).all()
