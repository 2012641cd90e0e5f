import numpy as np
import pytest
import torch

from opengait_ext.evaluation.metrics import cmc_curve, ranks_of_matches, score_queries


def scores_by_loops(distance, match, ignore):
    """Average precision, inverse negative penalty and first hit of one query, from a sort."""
    order = sorted(range(len(distance)), key=lambda place: distance[place])  # stable
    order = [place for place in order if not ignore[place]]
    hits = [rank for rank, place in enumerate(order, 1) if match[place]]
    if not hits:
        return [np.nan] * 3
    precisions = [count / rank for count, rank in enumerate(hits, 1)]
    return [sum(precisions) / len(hits), len(hits) / hits[-1], hits[0]]


def random_case(seed, queries=30, gallery=40, levels=0):
    rng = np.random.default_rng(seed)
    distance = rng.random((queries, gallery))
    if levels:
        distance = rng.integers(0, levels, (queries, gallery)).astype(float)
    match = rng.random((queries, gallery)) < 0.15
    ignore = rng.random((queries, gallery)) < 0.2
    return distance, match, ignore


def test_hits_at_ranks_one_and_three():
    scores = score_queries(np.array([[0.1, 0.2, 0.3]]), np.array([[True, False, True]]))
    assert scores.average_precision == (1 / 1 + 2 / 3) / 2
    assert scores.inverse_negative_penalty == 2 / 3
    assert scores.first_hit == 1


def test_a_gallery_tracklet_left_out_by_the_protocol_moves_nobody_down():
    scores = score_queries(
        np.array([[0.1, 0.2, 0.3]]),
        np.array([[True, False, True]]),
        np.array([[True, False, False]]),
    )
    assert [float(score[0]) for score in scores] == [1 / 2, 1 / 2, 2]


def test_a_query_with_nothing_to_find_has_no_score():
    everything = np.ones((1, 2), dtype=bool)
    for match, ignore in ((~everything, ~everything), (everything, everything)):
        assert np.isnan(score_queries(np.zeros((1, 2)), match, ignore)).all()


@pytest.mark.parametrize("levels", [0, 1, 2, 6])
def test_scores_equal_a_loop_over_the_sorted_gallery_with_and_without_ties(levels):
    distance, match, ignore = random_case(levels, levels=levels)
    expected = [scores_by_loops(*query) for query in zip(distance, match, ignore, strict=True)]
    found = np.stack(score_queries(distance, match, ignore), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_without_an_ignore_mask_everything_counts():
    distance, match, ignore = random_case(7)
    without = score_queries(distance, match)
    np.testing.assert_array_equal(without, score_queries(distance, match, ignore & False))


def test_of_equal_distances_the_first_in_the_gallery_comes_first():
    same = np.zeros(4)
    match = np.array([False, True, False, True])
    nobody = np.zeros(4, dtype=bool)
    assert ranks_of_matches(same, match, nobody).tolist() == [2, 4]
    assert ranks_of_matches(same, match, ~match & (np.arange(4) == 0)).tolist() == [1, 3]


def test_ranks_are_ascending_whatever_the_order_of_the_gallery():
    distance, match = np.array([0.5, 0.1, 0.3, 0.2]), np.array([True, False, True, False])
    assert ranks_of_matches(distance, match, np.zeros(4, dtype=bool)).tolist() == [3, 4]


def test_a_query_alone_scores_as_it_does_in_a_block():
    distance, match, ignore = random_case(8, queries=5)
    block = np.stack(score_queries(distance, match, ignore))
    alone = [
        score_queries(distance[place], match[place], ignore[place])
        for place in (slice(query, query + 1) for query in range(5))
    ]
    np.testing.assert_array_equal(block, np.concatenate(alone, axis=1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_of_any_precision_give_the_scores_of_arrays(dtype):
    distance, match, ignore = random_case(9, levels=50)
    tensors = [torch.from_numpy(values) for values in (distance, match, ignore)]
    found = score_queries(tensors[0].to(dtype), *tensors[1:])
    np.testing.assert_array_equal(found, score_queries(distance, match, ignore))
    np.testing.assert_array_equal(
        cmc_curve(torch.from_numpy(found.first_hit)), cmc_curve(found.first_hit)
    )


def test_cmc_counts_first_hits_at_or_before_each_rank_among_the_scored_queries():
    first_hit = np.array([1.0, 3.0, np.nan, 3.0, 9.0])
    assert cmc_curve(first_hit, 4).tolist() == [1 / 4, 1 / 4, 3 / 4, 3 / 4]


def test_a_gallery_smaller_than_the_curve_leaves_the_curve_at_its_last_value():
    scores = score_queries(np.array([[0.2, 0.1]]), np.array([[True, False]]))
    assert cmc_curve(scores.first_hit, 20).tolist() == [0] + [1] * 19


def test_without_any_scored_query_the_curve_is_not_a_number():
    assert np.isnan(cmc_curve(np.array([np.nan]), 3)).tolist() == [True] * 3


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"distance \[1, 2\], match \[1, 3\] and ignore \[1, 3\]"):
        score_queries(np.zeros((1, 2)), np.zeros((1, 3), dtype=bool))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_distance_that_is_not_finite_is_named(value):
    distance = np.array([[0.0, 1.0], [2.0, value]])
    with pytest.raises(ValueError, match=f"query 1 to gallery tracklet 1 is {value}; there is no"):
        score_queries(distance, np.ones((2, 2), dtype=bool))
