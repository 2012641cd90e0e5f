"""Batches drawn anew, with replacement."""

from collections import Counter

import numpy as np
import pytest
from test_samplers import SEVEN, data, labels_of

from opengait_ext.data import SAMPLERS
from opengait_ext.data.random_sampler import RandomIdentitySampler
from opengait_ext.data.samplers import Draws


def sampler(dataset, identities=2, visible=2, infrared=1, **others):
    return RandomIdentitySampler(dataset, identities, visible, infrared, Draws(**others))


def test_a_config_finds_it():
    assert SAMPLERS["RandomIdentitySampler"] is RandomIdentitySampler


def test_a_batch_holds_identity_by_identity_the_visible_before_the_infrared():
    for batch in sampler(SEVEN, identities=3, total=20):
        labels = labels_of(SEVEN, batch)
        assert labels == [label for label in labels[::3] for _ in range(3)]
        assert len(set(labels)) == 3
        modalities = [SEVEN.tracklets[position].modality for position, _ in batch]
        assert modalities == ["visible", "visible", "infrared"] * 3


@pytest.mark.slow
def test_every_identity_and_every_tracklet_comes_equally_often():
    batches = list(sampler(SEVEN, identities=3, visible=2, infrared=2, total=3000))
    labels = Counter(label for batch in batches for label in labels_of(SEVEN, batch)[::4])
    assert all(abs(labels[label] / 3000 - 3 / 7) < 0.03 for label in range(7))
    drawn = Counter(position for batch in batches for position, _ in batch)
    for position, tracklet in enumerate(SEVEN.tracklets):
        expected = 2 / (3 if tracklet.modality == "visible" else 2)  # a draw of its identity
        label = SEVEN.labels[position]
        assert drawn[position] / labels[label] == pytest.approx(expected, abs=0.08)


@pytest.mark.slow
def test_tracklets_are_drawn_with_replacement_each_by_itself():
    dataset = data({"0001": (3, 2)})
    batches = list(sampler(dataset, identities=1, visible=2, infrared=2, total=3000))
    visible = Counter(tuple(position for position, _ in batch[:2]) for batch in batches)
    assert len(visible) == 9
    assert all(abs(number / 3000 - 1 / 9) < 0.025 for number in visible.values())
    infrared = Counter(tuple(position for position, _ in batch[2:]) for batch in batches)
    assert len(infrared) == 4
    assert all(abs(number / 3000 - 1 / 4) < 0.03 for number in infrared.values())


@pytest.mark.slow
def test_the_identities_of_a_batch_do_not_depend_on_those_before():
    batches = list(sampler(SEVEN, identities=6, total=3000))
    missing = [set(range(7)).difference(labels_of(SEVEN, batch)).pop() for batch in batches]
    again = sum(one == other for one, other in zip(missing, missing[1:], strict=False))
    assert again / 3000 == pytest.approx(1 / 7, abs=0.02)


def test_an_identity_with_one_tracklet_gives_it_again_with_other_seeds():
    dataset = data({"0001": (1, 1), "0002": (1, 4)})
    for batch in sampler(dataset, visible=4, infrared=2, total=20):
        numbers = Counter(position for position, _ in batch)
        visible = [n for p, n in numbers.items() if dataset.tracklets[p].modality == "visible"]
        assert visible == [4, 4]
        assert len({seed for _, seed in batch}) == len(batch)


def test_a_modality_may_be_left_out():
    dataset = data({"0001": (3, 0), "0002": (2, 0)})
    batches = list(sampler(dataset, visible=2, infrared=0, total=3))
    assert [len(batch) for batch in batches] == [4, 4, 4]


def test_a_batch_follows_from_the_seed_and_its_number_alone():
    whole = list(sampler(SEVEN, identities=3, seed=5, total=40))
    assert list(sampler(SEVEN, identities=3, seed=5, start=23, total=40)) == whole[23:]
    fresh = [sampler(SEVEN, identities=3, seed=5).batch(number) for number in (39, 0, 17)]
    assert fresh == [whole[39], whole[0], whole[17]]
    other = list(sampler(SEVEN, identities=3, seed=6, total=40))
    assert all(one != another for one, another in zip(whole, other, strict=True))


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_the_shares_of_all_processes_are_the_batch_of_one_process(world_size):
    whole = list(sampler(SEVEN, identities=6, total=12))
    shares = [
        list(sampler(SEVEN, identities=6, total=12, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [request for part in parts for request in part] == batch
        assert len({len(part) for part in parts}) == 1


def test_an_old_generator_of_numpy_draws_the_identities_first_then_their_tracklets():
    def of(label, modality):
        chosen = enumerate(zip(SEVEN.labels, SEVEN.tracklets, strict=True))
        return [p for p, (own, it) in chosen if (own, it.modality) == (label, modality)]

    old = np.random.RandomState(3)
    expected = [
        [*old.choice(of(label, "visible"), size=2), *old.choice(of(label, "infrared"), size=1)]
        for label in old.choice(7, size=2, replace=False)
    ]
    assert sampler(SEVEN).draw(np.random.RandomState(3)).tolist() == expected


def test_the_length_is_the_number_of_batches_that_are_left():
    assert len(sampler(SEVEN, start=4, total=10)) == 6
    with pytest.raises(TypeError, match="this RandomIdentitySampler has no end"):
        len(sampler(SEVEN))


@pytest.mark.parametrize(
    ("dataset", "others", "message"),
    [
        (SEVEN, {"identities": 8}, "a batch needs 8 identities, the data have 7"),
        (SEVEN, {"identities": 4, "world_size": 3}, "4 identities cannot be shared by 3 processes"),
        (SEVEN, {"visible": -1}, "expected at least 1 identity and 1 tracklet of it"),
        (data({"0001": (1, 1), "0002": (5, 0)}), {}, "identity 0002 has no infrared tracklet"),
    ],
)
def test_an_error_names_the_sampler_that_the_config_names(dataset, others, message):
    with pytest.raises(ValueError, match="^RandomIdentitySampler: " + message):
        sampler(dataset, **others)
