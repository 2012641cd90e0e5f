"""Scores from identities: against loops, and what must not change them."""

import numpy as np
import pytest
import torch
from reference_loops import scores_of

from opengait_ext.evaluation.metrics import score_identities, score_queries

CASES = {
    "random": {"queries": 30, "gallery": 60, "people": 9, "levels": 0},
    "tied": {"queries": 30, "gallery": 60, "people": 9, "levels": 4},
    "all equal": {"queries": 6, "gallery": 30, "people": 5, "levels": 1},
    "tiny": {"queries": 5, "gallery": 4, "people": 3, "levels": 0},
    "one": {"queries": 1, "gallery": 1, "people": 1, "levels": 0},
    "one person": {"queries": 7, "gallery": 25, "people": 1, "levels": 3},
    "longer than the bytes count": {"queries": 4, "gallery": 2300, "people": 2, "levels": 700},
}


def random_case(seed, queries, gallery, people, levels, ignored=0.2):
    rng = np.random.default_rng(seed)
    distance = rng.random((queries, gallery))
    if levels:
        distance = rng.integers(0, levels, (queries, gallery)).astype(float)
    wanted, offered = rng.integers(0, people, queries), rng.integers(0, people, gallery)
    return distance, wanted, offered, rng.random((queries, gallery)) < ignored


def by_loops(distance, wanted, offered, ignore, **options):
    rows = zip(distance, wanted, ignore, strict=True)
    return np.array([scores_of(row, pid, offered, left, **options) for row, pid, left in rows]).T


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("ap", ["hits", "trapezoid"])
@pytest.mark.parametrize("cmc", ["first_hit", "distinct_identities"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_equal_loops_over_the_sorted_gallery(case, ap, cmc, dtype):
    distance, wanted, offered, ignore = random_case(3, **CASES[case])
    distance = distance.astype(dtype)
    found = score_identities(distance, wanted, offered, ignore, ap, cmc)
    expected = by_loops(distance, wanted, offered, ignore, ap=ap, cmc=cmc)
    np.testing.assert_allclose(np.stack(found), expected, rtol=1e-12)


@pytest.mark.parametrize("ap", ["hits", "trapezoid"])
def test_scores_from_masks_are_those_from_identities(ap):
    distance, wanted, offered, ignore = random_case(4, **CASES["tied"])
    masks = score_queries(distance, wanted[:, None] == offered, ignore, ap)
    np.testing.assert_array_equal(masks, score_identities(distance, wanted, offered, ignore, ap))


def test_the_trapezoid_averages_the_precision_before_and_at_each_match():
    distance, offered = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([7, 8, 7, 7])
    # Matches at 1, 3, 4. Before: 1, 1/2, 2/3. At: 1, 2/3, 3/4.
    found = score_identities(distance, np.array([7]), offered, ap="trapezoid").average_precision
    assert found[0] == pytest.approx((1 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3)


def test_distinct_identities_count_each_person_before_the_match_once():
    distance, offered = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([5, 5, 6, 7])
    scores = score_identities(distance, np.array([7]), offered, cmc="distinct_identities")
    assert scores.first_hit.tolist() == [3]  # after 5 and 6
    assert scores.average_precision.tolist() == [1 / 4]  # on the whole list


def test_a_query_that_nobody_in_the_gallery_shows_has_no_score():
    for cmc in ("first_hit", "distinct_identities"):
        found = score_identities(np.zeros((1, 3)), np.array([9]), np.array([1, 2, 3]), cmc=cmc)
        assert np.isnan(found).all()


def test_a_query_whose_every_match_is_left_out_has_no_score():
    ignore = np.array([[True, False, True]])
    for cmc in ("first_hit", "distinct_identities"):
        found = score_identities(
            np.zeros((1, 3)), np.array([1]), np.array([1, 2, 1]), ignore, cmc=cmc
        )
        assert np.isnan(found).all()


@pytest.mark.parametrize("cmc", ["first_hit", "distinct_identities"])
@pytest.mark.parametrize("seed", range(5))
def test_permuting_a_gallery_of_distinct_distances_changes_nothing(cmc, seed):
    distance, wanted, offered, ignore = random_case(seed, **CASES["random"])
    order = np.random.default_rng(seed + 50).permutation(len(offered))
    found = score_identities(distance[:, order], wanted, offered[order], ignore[:, order], cmc=cmc)
    expected = score_identities(distance, wanted, offered, ignore, cmc=cmc)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("cmc", ["first_hit", "distinct_identities"])
@pytest.mark.parametrize("case", ["random", "tied", "tiny"])
def test_adding_gallery_tracklets_that_are_left_out_changes_nothing(case, cmc):
    distance, wanted, offered, ignore = random_case(5, **CASES[case])
    rng = np.random.default_rng(6)
    places = rng.integers(0, len(offered) + 1, 7)
    nearest = np.insert(distance, places, 0, axis=1)
    people = np.insert(offered, places, rng.integers(0, 9, 7))
    everything = np.insert(ignore, places, True, axis=1)
    found = score_identities(nearest, wanted, people, everything, cmc=cmc)
    expected = score_identities(distance, wanted, offered, ignore, cmc=cmc)
    np.testing.assert_array_equal(found, expected)


def test_a_query_alone_scores_as_it_does_in_a_block():
    distance, wanted, offered, ignore = random_case(8, **CASES["tied"])
    block = np.stack(score_identities(distance, wanted, offered, ignore))
    for row in range(len(wanted)):
        one = slice(row, row + 1)
        alone = score_identities(distance[one], wanted[one], offered, ignore[one])
        np.testing.assert_array_equal(np.stack(alone), block[:, one])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_of_any_precision_give_the_scores_of_arrays(dtype):
    distance, wanted, offered, ignore = random_case(9, 20, 30, 5, levels=50)
    tensors = [torch.from_numpy(values) for values in (wanted, offered, ignore)]
    found = score_identities(torch.from_numpy(distance).to(dtype), *tensors)
    np.testing.assert_array_equal(found, score_identities(distance, wanted, offered, ignore))


def test_what_came_in_is_left_as_it_was():
    distance, wanted, offered, ignore = random_case(10, **CASES["random"])
    before = distance.copy()
    score_identities(distance, wanted, offered, ignore)
    np.testing.assert_array_equal(distance, before)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3\] and ignore none do not fit 2 queries and 4"):
        score_identities(np.zeros((2, 3)), np.zeros(2), np.zeros(4))
    with pytest.raises(ValueError, match=r"ignore \[1, 3\] do not fit"):
        score_identities(np.zeros((2, 3)), np.zeros(2), np.zeros(3), np.zeros((1, 3), bool))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_distance_that_is_not_finite_is_named(value):
    distance = np.array([[0.0, 1.0], [2.0, value]])
    with pytest.raises(ValueError, match=f"query 1 to gallery tracklet 1 is {value}"):
        score_identities(distance, np.zeros(2), np.zeros(2))


@pytest.mark.parametrize("gallery", [2039, 2040, 2041, 2400, 5000])
def test_a_match_behind_thousands_has_its_rank(gallery):
    offered = np.r_[np.zeros(gallery - 1, dtype=int), 1]
    found = score_identities(np.zeros((1, gallery)), np.array([1]), offered)
    assert found.first_hit.tolist() == [gallery]
