"""Which tracklets make a batch."""

from collections import Counter
from types import SimpleNamespace

import pytest

from opengait_ext.data.samplers import Draws, IdentitySampler, OrderedSampler


def data(counts):
    """What a sampler looks at, of ``{pid: (visible, infrared)}`` tracklets."""
    pids = sorted(counts)
    rows = [
        (label, modality)
        for label, pid in enumerate(pids)
        for modality, number in zip(("infrared", "visible"), counts[pid][::-1], strict=True)
        for _ in range(number)
    ]
    tracklets = [SimpleNamespace(modality=modality) for _, modality in rows]
    return SimpleNamespace(tracklets=tracklets, labels=[row[0] for row in rows], pids=pids)


def sampler(dataset, identities=2, visible=2, infrared=1, **others):
    return IdentitySampler(dataset, identities, visible, infrared, Draws(**others))


def labels_of(dataset, batch):
    return [dataset.labels[position] for position, _ in batch]


SEVEN = data({f"{pid:04d}": (3, 2) for pid in range(7)})


def test_a_batch_holds_identity_by_identity_the_visible_before_the_infrared():
    for batch in sampler(SEVEN, identities=3, total=10):
        labels = labels_of(SEVEN, batch)
        assert labels == [label for label in labels[::3] for _ in range(3)]
        assert len(set(labels)) == 3
        modalities = [SEVEN.tracklets[position].modality for position, _ in batch]
        assert modalities == ["visible", "visible", "infrared"] * 3


@pytest.mark.parametrize("identities", range(1, 8))
def test_no_batch_has_an_identity_twice_and_every_round_has_each_once(identities):
    batches = list(sampler(SEVEN, identities=identities, total=35))
    order = [labels_of(SEVEN, batch)[::3] for batch in batches]
    assert all(len(set(labels)) == identities for labels in order)
    flat = [label for labels in order for label in labels]
    rounds = [flat[first : first + 7] for first in range(0, len(flat) - 6, 7)]
    assert len(rounds) == 5 * identities
    assert all(sorted(labels) == list(range(7)) for labels in rounds)


def test_the_identities_of_two_rounds_are_in_another_order():
    flat = [labels_of(SEVEN, batch)[0] for batch in sampler(SEVEN, identities=1, total=14)]
    assert flat[:7] != flat[7:]


def test_enough_tracklets_are_not_repeated():
    for batch in sampler(SEVEN, identities=7, visible=3, infrared=2, total=5):
        assert sorted(position for position, _ in batch) == list(range(35))


def test_too_few_tracklets_are_all_taken_and_repeated_with_other_seeds():
    dataset = data({"0001": (3, 1), "0002": (1, 4)})
    for batch in sampler(dataset, visible=7, infrared=2, total=20):
        numbers = Counter(position for position, _ in batch)
        visible = [n for p, n in numbers.items() if dataset.tracklets[p].modality == "visible"]
        assert sorted(visible) == [2, 2, 3, 7]
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


def test_iterating_twice_gives_the_same_batches():
    one = sampler(SEVEN, total=6)
    assert list(one) == list(one)


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


def test_the_length_is_the_number_of_batches_that_are_left():
    assert len(sampler(SEVEN, total=10)) == 10
    assert len(sampler(SEVEN, start=4, total=10)) == 6
    assert len(sampler(SEVEN, start=12, total=10)) == len(list(sampler(SEVEN, start=12, total=10)))


def test_without_a_total_the_batches_never_end_and_have_no_length():
    endless = sampler(SEVEN)
    batches = iter(endless)
    assert [next(batches) for _ in range(50)] == list(sampler(SEVEN, total=50))
    with pytest.raises(TypeError, match="has no end, therefore no length: give total"):
        len(endless)


def test_an_identity_of_one_modality_is_named():
    with pytest.raises(ValueError, match="identity 0002 has no infrared tracklet in the data"):
        sampler(data({"0001": (1, 1), "0002": (5, 0)}))
    with pytest.raises(ValueError, match="identity 0001 has no visible tracklet.*set visible to 0"):
        sampler(data({"0001": (0, 1), "0002": (5, 1)}))


def test_fewer_identities_than_a_batch_needs_are_refused():
    with pytest.raises(ValueError, match="a batch needs 8 identities, the data have 7"):
        sampler(SEVEN, identities=8)


def test_identities_that_the_processes_cannot_share_are_refused():
    with pytest.raises(ValueError, match="4 identities cannot be shared by 3 processes"):
        sampler(SEVEN, identities=4, world_size=3)


@pytest.mark.parametrize("wrong", [{"identities": 0}, {"visible": -1}, {"visible": 0}])
def test_a_batch_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="expected at least 1 identity and 1 tracklet of it"):
        sampler(SEVEN, **{"infrared": 0, **wrong})


def test_the_ordered_sampler_goes_through_all_positions_once():
    ordered = OrderedSampler(range(5), 2)
    assert list(ordered) == [[(0, 0), (1, 0)], [(2, 0), (3, 0)], [(4, 0)]]
    assert len(ordered) == 3


@pytest.mark.parametrize(("size", "world_size"), [(10, 3), (2, 4), (8, 2)])
def test_ordered_shares_follow_each_other_without_gap_or_repeat(size, world_size):
    shares = []
    for rank in range(world_size):
        ordered = OrderedSampler(range(size), 2, rank, world_size)
        batches = list(ordered)
        assert len(batches) == len(ordered)
        shares.append([position for batch in batches for position, _ in batch])
    assert [position for share in shares for position in share] == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ValueError, match="batch_size: expected 1 or more, found 0"):
        OrderedSampler(range(3), 0)
