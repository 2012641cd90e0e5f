import numpy as np
import pytest

from opengait_ext.evaluation.intervals import bootstrap_intervals


def interval_by_loops(scores, identities, resamples, seed, level, trials):
    """Draws the identities, gathers their queries one by one, and sorts the means."""
    names = sorted(set(identities))
    rng, means = np.random.default_rng(seed), []
    for _ in range(resamples):
        times = rng.multinomial(len(names), [1 / len(names)] * len(names))
        by_trial = []
        for trial in sorted(set(trials)):
            drawn = []
            for name, count in zip(names, times, strict=True):
                for score, person, number in zip(scores, identities, trials, strict=True):
                    if person == name and number == trial and not np.isnan(score):
                        drawn += [score] * count
            by_trial.append(np.mean(drawn))
        means.append(np.mean(by_trial))
    return np.percentile(means, [50 * (1 - level), 50 * (1 + level)])


def random_scores(seed, queries=40, people=9):
    rng = np.random.default_rng(seed)
    scores = rng.random(queries)
    scores[rng.random(queries) < 0.1] = np.nan
    return scores, rng.integers(0, people, queries), rng.integers(0, 2, queries)


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_interval_is_that_of_a_loop_over_resampled_identities(level):
    scores, people, trials = random_scores(0)
    found = bootstrap_intervals(scores[None], people, 60, 7, level, trials)
    expected = interval_by_loops(scores, people, 60, 7, level, trials)
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)


def test_all_scores_are_drawn_with_the_same_identities():
    scores, people, _ = random_scores(1)
    found = bootstrap_intervals(np.stack([scores, 2 * scores]), people, 300)
    np.testing.assert_allclose(found[1], 2 * found[0])


def test_one_seed_gives_one_interval_and_another_another():
    scores, people, _ = random_scores(2)
    first, again, other = (
        bootstrap_intervals(scores[None], people, 99, seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_equal_scores_leave_no_doubt_and_neither_does_one_identity():
    ends = bootstrap_intervals(np.full((1, 6), 0.25), [0, 0, 1, 1, 2, 2], 50)
    assert ends.tolist() == [[0.25, 0.25]]
    ends = bootstrap_intervals(np.array([[0.0, 0.5, 1.0]]), ["a", "a", "a"], 50)
    assert ends.tolist() == [[0.5, 0.5]]


def test_queries_of_one_identity_are_drawn_together():
    rng = np.random.default_rng(3)
    person = rng.random(20)
    scores, people = np.repeat(person, 50), np.repeat(np.arange(20), 50)
    together = np.diff(bootstrap_intervals(scores[None], people, 500))
    apart = np.diff(bootstrap_intervals(scores[None], np.arange(1000), 500))
    assert together > 4 * apart


def test_without_a_query_that_counts_there_is_no_interval():
    assert np.isnan(bootstrap_intervals(np.full((2, 3), np.nan), [1, 2, 3], 10)).all()
    assert np.isnan(bootstrap_intervals(np.empty((1, 0)), [], 10)).all()


@pytest.mark.parametrize(("resamples", "level"), [(0, 0.9), (5, 0), (5, 1)])
def test_no_resample_and_a_level_out_of_range_are_refused(resamples, level):
    with pytest.raises(ValueError, match="expected at least 1 resample and a level between"):
        bootstrap_intervals(np.zeros((1, 2)), [1, 2], resamples, level=level)
