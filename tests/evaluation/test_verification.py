import numpy as np
import pytest
import torch
from reference_loops import accepted_at

from opengait_ext.evaluation.verification import PairDistances, verification_scores


def random_case(seed, levels=0, queries=20, gallery=30, people=5):
    rng = np.random.default_rng(seed)
    distance = rng.random((queries, gallery))
    if levels:
        distance = rng.integers(0, levels, distance.shape).astype(float)
    match = rng.integers(0, people, queries)[:, None] == rng.integers(0, people, gallery)
    distance = distance + np.where(match, 0, 1 if levels else 0.2)
    return distance, match, rng.random(distance.shape) < 0.2


@pytest.mark.parametrize("levels", [0, 1, 3, 20])
def test_rates_equal_a_loop_over_all_thresholds(levels):
    distance, match, ignore = random_case(levels, levels)
    genuine, impostor = distance[match & ~ignore].tolist(), distance[~match & ~ignore].tolist()
    found = verification_scores(distance, match, ignore, (0, 0.001, 0.01, 0.1, 0.5, 1))
    assert (found.genuine, found.impostor) == (len(genuine), len(impostor))
    for far, accepted in found.at.items():
        assert accepted[:2] == pytest.approx(accepted_at(genuine, impostor, far), abs=1e-12)
        assert accepted.false_accept_rate <= far


def test_rates_worked_out_by_hand():
    # Impostors at 1, 2, 3, 4; genuine at 0.5, 1.5, 3.5. One of four may be accepted.
    distance = np.array([[0.5, 1.5, 3.5, 1, 2, 3, 4]])
    match = np.array([[True] * 3 + [False] * 4])
    accepted = verification_scores(distance, match, fars=(0.25,)).at[0.25]
    assert accepted == (2 / 3, 1 / 4, 2)


def test_d_prime_is_the_distance_of_the_means_in_units_of_the_spread():
    distance, match, ignore = random_case(1)
    genuine, impostor = distance[match & ~ignore], distance[~match & ~ignore]
    expected = (impostor.mean() - genuine.mean()) / ((impostor.var() + genuine.var()) / 2) ** 0.5
    assert verification_scores(distance, match, ignore).d_prime == pytest.approx(expected)


@pytest.mark.parametrize("block", [1, 3, 7, 20])
@pytest.mark.parametrize("levels", [0, 3])
def test_blocks_of_any_size_give_the_scores_of_one_block(block, levels):
    distance, match, ignore = random_case(2, levels)
    pairs = PairDistances(distance.size, (0.01, 0.3))
    for start in range(0, len(distance), block):
        rows = slice(start, start + block)
        pairs.add(distance[rows], match[rows], torch.from_numpy(ignore[rows]))
    whole, found = verification_scores(distance, match, ignore, (0.01, 0.3)), pairs.scores()
    assert found.at == whole.at
    assert found.d_prime == pytest.approx(whole.d_prime, rel=1e-12)


def test_pairs_that_are_left_out_change_nothing():
    distance, match, ignore = random_case(3)
    moved = np.where(ignore, -5, distance)
    assert verification_scores(moved, match, ignore) == verification_scores(distance, match, ignore)


def test_a_rate_counts_by_its_decimal_form():
    # 0.29 * 100 is 28.999... in binary, but 29 of 100 impostors are 29 %.
    distance, match = np.arange(101.0)[None], np.zeros((1, 101), dtype=bool)
    match[0, 0] = True
    assert verification_scores(distance, match, fars=(0.29,)).at[0.29].false_accept_rate == 0.29


def test_without_genuine_or_impostor_pairs_there_is_no_rate():
    same = np.ones((2, 3), dtype=bool)
    found = verification_scores(np.zeros((2, 3)), same, fars=(0.1,))
    assert np.isnan([found.d_prime, found.at[0.1].false_accept_rate]).all()
    found = verification_scores(np.zeros((2, 3)), ~same, fars=(0.1,))
    assert np.isnan([found.d_prime, found.at[0.1].true_accept_rate]).all()


def test_only_as_many_impostors_are_kept_as_the_largest_rate_needs():
    pairs = PairDistances(100 * 1000, (0.001,))
    rng = np.random.default_rng(0)
    for _ in range(100):
        pairs.add(rng.random((1, 1000)), np.zeros((1, 1000), dtype=bool))
        assert sum(map(len, pairs._nearest)) <= 3 * 101


def test_a_rate_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\], found \[1.5\]"):
        verification_scores(np.zeros((1, 1)), np.ones((1, 1)), fars=(0.1, 1.5))
