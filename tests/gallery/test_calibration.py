import numpy as np
import pytest

from opengait_ext.gallery.calibration import (
    calibrated,
    operating_point,
    pairs_of,
    read_calibration,
    write_calibration,
)
from opengait_ext.gallery.records import GalleryError


def split(seed, people=6, levels=None):
    rng = np.random.default_rng(seed)
    infrared, visible = rng.integers(people, size=20), rng.integers(people, size=15)
    distance = rng.random((20, 15)) + 0.4 * (infrared[:, None] != visible)
    if levels:
        distance = np.round(distance * levels) / levels
    ignore = rng.random((20, 15)) < 0.2
    return distance, infrared, visible, ignore


def slow_point(distance, infrared, visible, ignore, far, times=None):
    """From the definition: tries every distance as threshold, the largest that keeps the rate."""
    same, others = [], []
    for i, a in enumerate(infrared):
        for j, b in enumerate(visible):
            if ignore[i, j]:
                continue
            count = 1
            if times is not None:
                count = times[a] if a == b else times[a] * times[b]
            (same if a == b else others).extend([distance[i, j]] * int(count))
    best = None
    for threshold in sorted(set(others)):
        rate = sum(value < threshold for value in others) / len(others)
        if rate <= far:
            best = threshold
    tar = sum(value < best for value in same) / len(same)
    return best, sum(value < best for value in others) / len(others), tar


@pytest.mark.parametrize("levels", [None, 8])
@pytest.mark.parametrize("far", [0.01, 0.1, 0.5])
def test_a_threshold_is_the_one_that_a_loop_over_thresholds_finds(far, levels):
    for seed in range(5):
        data = split(seed, levels=levels)
        assert operating_point(pairs_of(*data), far) == pytest.approx(slow_point(*data, far))


def test_a_rate_is_never_above_the_wanted_one():
    for seed in range(20):
        assert operating_point(pairs_of(*split(seed, levels=5)), 0.07).far <= 0.07


def test_a_rate_that_is_a_whole_number_of_pairs_is_reached():
    distance = np.arange(100.0).reshape(10, 10)
    infrared, visible = np.zeros(10, int), np.ones(10, int)
    visible[9] = 0
    ignore = np.zeros((10, 10), bool)
    assert operating_point(pairs_of(distance, infrared, visible, ignore), 0.3).far == 0.3


def test_a_weight_counts_a_pair_as_often_as_its_identities_were_drawn():
    distance, infrared, visible, ignore = split(3)
    pairs = pairs_of(distance, infrared, visible, ignore)
    times = np.array([2, 0, 1, 3, 0, 1])
    weights = np.where(pairs.same, times[pairs.first], times[pairs.first] * times[pairs.second])
    expected = slow_point(distance, infrared, visible, ignore, 0.1, times)
    assert operating_point(pairs, 0.1, weights) == pytest.approx(expected)


def test_intervals_hold_the_threshold_and_are_wider_with_fewer_people():
    widths = []
    for people in (5, 40):
        rng = np.random.default_rng(0)
        pids = np.repeat(np.arange(people), 4)
        centers = rng.standard_normal((people, 6))
        sides = [centers[pids] + 0.7 * rng.standard_normal((len(pids), 6)) for _ in range(2)]
        distance = np.linalg.norm(sides[0][:, None] - sides[1][None], axis=2)
        found = calibrated(pairs_of(distance, pids, pids, np.zeros_like(distance, bool)), 0.05, 200)
        low, high = found["threshold_interval"]
        assert low < found["threshold"] < high
        assert found["tar_interval"][0] < found["tar"] < found["tar_interval"][1]
        assert found["far"] <= 0.05
        assert (found["identities"], found["pairs_of_one"]) == (people, 16 * people)
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1]


def test_the_same_seed_gives_the_same_interval():
    pairs = pairs_of(*split(1))
    assert calibrated(pairs, 0.1, 50) == calibrated(pairs, 0.1, 50)
    assert calibrated(pairs, 0.1, 50) != calibrated(pairs, 0.1, 50, seed=1)


def test_what_cannot_be_calibrated_is_refused():
    distance, infrared, visible, ignore = split(0)
    pairs = pairs_of(distance, infrared, visible, ignore)
    with pytest.raises(GalleryError, match="the false accept rate is 1; expected above 0 and"):
        operating_point(pairs, 1)
    with pytest.raises(GalleryError, match="1e-05 cannot be told from 2.. pairs of two persons"):
        calibrated(pairs, 1e-5)
    alone = pairs_of(distance, infrared * 0, visible * 0, ignore)
    with pytest.raises(GalleryError, match="pairs of one person and 0 of two"):
        operating_point(alone, 0.1)


def test_samples_without_pairs_of_both_kinds_are_refused_and_write_no_nan():
    distance, pids = np.array([[0.1, 0.9], [0.8, 0.2]]), np.array(["1", "2"])
    pairs = pairs_of(distance, pids, pids, np.zeros((2, 2), bool))
    seed = next(s for s in range(99) if len(set(np.random.default_rng(s).integers(2, size=2))) < 2)
    with pytest.raises(GalleryError, match="none of 1 samples of the 2 identities has pairs of"):
        calibrated(pairs, 0.5, 1, seed)


def test_a_calibration_holds_for_its_checkpoint_alone(tmp_path):
    checkpoint = tmp_path / "model.pt"
    assert read_calibration(checkpoint, "a") is None
    content = {"sha256": "a", "threshold": 0.5, "wanted_far": 0.01}
    write_calibration(tmp_path / "calibration.json", content)
    assert read_calibration(checkpoint, "a")["threshold"] == 0.5
    assert read_calibration(checkpoint, "b") is None
    (tmp_path / "calibration.json").write_text("{}")
    with pytest.raises(GalleryError, match="calibration.json: not a calibration"):
        read_calibration(checkpoint, "a")
