"""Batches of pairs: both tracklets, the same frames, the same changes."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from test_samplers import labels_of

from opengait_ext.config import build
from opengait_ext.data import SAMPLERS
from opengait_ext.data.dataset import TrackletDataset
from opengait_ext.data.layout import Partition, Tracklet, write_tracklet
from opengait_ext.data.pair_sampler import PairSampler
from opengait_ext.data.samplers import Draws
from opengait_ext.data.transforms import (
    ChannelAdaptiveGray,
    ChannelErasing,
    ChannelExchange,
    HorizontalFlip,
    PadCrop,
    Resize,
)


def data(counts):
    """What the sampler looks at, of ``{pid: {camera: pairs}}``; infrared tracklets first."""
    pids = sorted(counts)
    rows = [
        (label, camid, number)
        for label, pid in enumerate(pids)
        for camid, pairs in counts[pid].items()
        for number in range(pairs)
    ]
    tracklets = [
        SimpleNamespace(modality=modality, camid=camid)
        for modality in ("infrared", "visible")
        for _, camid, _ in rows
    ]
    pairs = [(len(rows) + number, number) for number in range(len(rows))]
    return SimpleNamespace(
        tracklets=tracklets, labels=[row[0] for row in rows] * 2, pids=pids, pairs=pairs
    )


def sampler(dataset, identities=2, cameras=2, pairs=1, **others):
    return PairSampler(dataset, identities, cameras, pairs, Draws(**others))


SEVEN = data({f"{pid}": {0: 2, 3: 1, 5: 3} for pid in range(7)})


def pairs_of(dataset, batch, identities):
    """The drawn pairs with their seeds, identity by identity."""
    share = len(batch) // identities
    for first in range(0, len(batch), share):
        visible = batch[first : first + share // 2]
        infrared = batch[first + share // 2 : first + share]
        yield [
            ((v, i), (one, other)) for (v, one), (i, other) in zip(visible, infrared, strict=True)
        ]


def test_a_config_finds_it():
    section = {"type": "PairSampler", "identities": 2, "cameras": 2, "pairs": 1}
    assert isinstance(build(SAMPLERS, section, where="sampler", dataset=SEVEN), PairSampler)


@pytest.mark.parametrize(("cameras", "pairs"), [(1, 1), (2, 1), (3, 1), (2, 3), (5, 2)])
def test_a_batch_holds_identity_by_identity_visible_tracklets_then_their_partners(cameras, pairs):
    for batch in sampler(SEVEN, 3, cameras, pairs, total=20):
        labels = labels_of(SEVEN, batch)
        size = 2 * cameras * pairs
        assert labels == [label for label in labels[::size] for _ in range(size)]
        assert len(set(labels)) == 3
        modalities = [SEVEN.tracklets[position].modality for position, _ in batch]
        half = cameras * pairs
        assert modalities == (["visible"] * half + ["infrared"] * half) * 3
        for drawn in pairs_of(SEVEN, batch, 3):
            for pair, (seed, other) in drawn:
                assert pair in SEVEN.pairs
                assert seed == other


def test_the_pairs_of_an_identity_are_of_different_cameras_and_none_comes_twice():
    for batch in sampler(SEVEN, 3, 2, 2, total=30):
        for drawn in pairs_of(SEVEN, batch, 3):
            cameras = Counter(SEVEN.tracklets[visible].camid for (visible, _), _ in drawn)
            assert sorted(cameras.values()) == [2, 2]
            times = Counter(pair for pair, _ in drawn)
            assert all(
                number == (2 if SEVEN.tracklets[visible].camid == 3 else 1)
                for (visible, _), number in times.items()
            )  # camera 3 has one pair only
            assert len({seeds for _, seeds in drawn}) == 4


@pytest.mark.slow
def test_every_camera_and_every_pair_of_it_comes_equally_often():
    dataset = data({"1": {0: 1, 2: 2, 4: 1}})
    seen = Counter(
        pair
        for batch in sampler(dataset, 1, 2, 1, total=3000)
        for drawn in pairs_of(dataset, batch, 1)
        for pair, _ in drawn
    )
    for (visible, infrared), number in seen.items():
        share = 1 / 2 if dataset.tracklets[visible].camid == 2 else 1
        assert number / 3000 == pytest.approx(2 / 3 * share, abs=0.03), infrared


def test_an_identity_of_fewer_cameras_gives_all_and_then_others_of_the_same():
    dataset = data({"1": {4: 3}, "2": {0: 2, 1: 2}})
    for batch in sampler(dataset, 2, 3, 1, total=30):
        labels = labels_of(dataset, batch)[::6]
        for label, drawn in zip(labels, pairs_of(dataset, batch, 2), strict=True):
            cameras = Counter(dataset.tracklets[visible].camid for (visible, _), _ in drawn)
            assert sorted(cameras.values()) == ([3], [1, 2])[label]
            assert len({pair for pair, _ in drawn}) == 3
            assert len({seeds for _, seeds in drawn}) == 3


def test_a_camera_of_too_few_pairs_gives_them_again_with_other_seeds():
    dataset = data({"1": {4: 2}})
    for batch in sampler(dataset, 1, 1, 5, total=10):
        (drawn,) = pairs_of(dataset, batch, 1)
        assert sorted(Counter(pair for pair, _ in drawn).values()) == [2, 3]
        assert len({seeds for _, seeds in drawn}) == 5


def test_every_identity_comes_once_a_round():
    batches = list(sampler(SEVEN, 2, 1, 1, total=7))
    labels = [label for batch in batches for label in labels_of(SEVEN, batch)[::2]]
    assert sorted(labels[:7]) == sorted(labels[7:]) == list(range(7))


def test_a_batch_follows_from_the_seed_and_its_number_alone():
    whole = list(sampler(SEVEN, 3, seed=5, total=40))
    assert list(sampler(SEVEN, 3, seed=5, start=23, total=40)) == whole[23:]
    fresh = [sampler(SEVEN, 3, seed=5).batch(number) for number in (39, 0, 17)]
    assert fresh == [whole[39], whole[0], whole[17]]
    other = list(sampler(SEVEN, 3, seed=6, total=40))
    assert all(one != another for one, another in zip(whole, other, strict=True))


@pytest.mark.parametrize("world_size", [2, 3, 6])
def test_the_shares_of_all_processes_are_the_batch_of_one_process(world_size):
    whole = list(sampler(SEVEN, 6, total=12))
    shares = [
        list(sampler(SEVEN, 6, total=12, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert [request for part in parts for request in part] == batch
        assert len({len(part) for part in parts}) == 1


def test_the_length_is_the_number_of_batches_that_are_left():
    assert len(sampler(SEVEN, start=4, total=10)) == 6
    with pytest.raises(TypeError, match="this PairSampler has no end"):
        len(sampler(SEVEN))


def lonely():
    dataset = data({"1": {0: 1}, "2": {0: 1}})
    dataset.pairs = dataset.pairs[:1]
    return dataset


@pytest.mark.parametrize(
    ("dataset", "others", "message"),
    [
        (SEVEN, {"cameras": 0}, "at least 1 camera and 1 pair in it, found cameras 0, pairs 1"),
        (SEVEN, {"pairs": 0}, "at least 1 camera and 1 pair in it, found cameras 2, pairs 0"),
        (SEVEN, {"identities": 8}, "a batch needs 8 identities, the data have 7"),
        (SEVEN, {"identities": 4, "world_size": 3}, "4 identities cannot be shared by 3"),
        (lonely(), {}, "identity 2 has no pair in the data: leave it out when preparing"),
        (
            SimpleNamespace(pairs=[]),
            {},
            "the data have no pairs of a visible and an infrared tracklet .*bupt_campus.py",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(dataset, others, message):
    with pytest.raises(ValueError, match="^PairSampler: .*" + message):
        sampler(dataset, **others)


LENGTHS = (9, 4, 1)  # of the pairs in the cameras 0, 1, 2; frames are taken four at a time


@pytest.fixture
def paired(tmp_path, jpeg):
    """A prepared dataset of two identities; frame i has the brightness 20 * i in both."""
    tracklets, pairs = [], []
    for pid in ("1", "2"):
        for camid, length in enumerate(LENGTHS):
            for modality, folder in (("infrared", "ir"), ("visible", "rgb")):
                path = f"{pid}/{folder}/D{camid}-T1"
                images = [jpeg(20 * index, 24, 16) for index in range(length)]
                write_tracklet(tmp_path / path, images)
                tracklets.append(Tracklet(path, pid, camid, modality, length, "train"))
            pairs.append((len(tracklets) - 1, len(tracklets) - 2))
    return tmp_path, Partition("Tiny", tracklets, {}, {}, {}, pairs)


def dataset_of(paired, transform, rule, frames=4, **others):
    root, partition = paired
    return TrackletDataset(str(root), partition, ["train"], transform, frames, rule, **others)


@pytest.mark.parametrize("rule", ["random_sorted", "random_in_run"])
def test_both_tracklets_of_a_pair_give_the_same_frames(paired, rule):
    dataset = dataset_of(paired, [], rule)
    batches = PairSampler(dataset, 2, 3, 1, Draws(total=12))
    seen = set()
    for batch in batches:
        for drawn in pairs_of(dataset, batch, 2):
            for (visible, infrared), seeds in drawn:
                one, other = dataset[visible, seeds[0]], dataset[infrared, seeds[1]]
                assert (one.type, other.type) == ("rgb", "ir")
                assert (one.label, one.view) == (other.label, other.view)
                assert torch.equal(one.frames, other.frames)
                taken = (one.frames.float().mean((1, 2, 3)) / 20).round().int().tolist()
                assert taken == sorted(taken)
                if dataset.tracklets[visible].frames == 9:
                    assert len(set(taken)) >= 3
                    seen.add(tuple(taken))
    assert len(seen) > 5  # and other frames each time


def test_crop_flip_and_erasing_are_the_same_in_both_until_a_transform_tells_them_apart(
    paired,
):
    root, partition = paired
    picture = np.random.default_rng(1).integers(0, 255, (9, 24, 16, 3)).astype(np.uint8)
    for position in partition.pairs[0]:
        images = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in picture]
        write_tracklet(root / partition.tracklets[position].path, images)
    shared = [
        Resize(24, 16),
        PadCrop(6, per_frame=True),
        HorizontalFlip(0.5, per_frame=True),
        ChannelErasing(0.5, per_frame=True),
    ]
    own = [ChannelAdaptiveGray(1.0, "infrared"), ChannelExchange(1.0, "visible")]
    visible, infrared = partition.pairs[0]
    aligned = dataset_of(paired, shared, "random_sorted")
    changed = dataset_of(paired, shared + own, "random_sorted")
    pictures = set()
    differ = 0
    for seed in range(12):
        assert torch.equal(aligned[visible, seed].frames, aligned[infrared, seed].frames)
        pictures.add(aligned[visible, seed].frames.numpy().tobytes())
        differ += not torch.equal(changed[visible, seed].frames, changed[infrared, seed].frames)
    assert len(pictures) == 12
    assert differ > 6


def test_the_dataset_knows_the_pairs_by_its_own_positions(paired):
    root, partition = paired
    dataset = dataset_of(paired, [], "random_sorted", positions=[11, 10, 3, 1, 0])
    assert dataset.pairs == [(3, 4), (0, 1)]
    for visible, infrared in dataset.pairs:
        one, other = dataset.tracklets[visible], dataset.tracklets[infrared]
        assert (one.modality, other.modality) == ("visible", "infrared")
        assert (one.pid, one.view) == (other.pid, other.view)
    halves = [replace(t, split="val" if t.pid == "1" else "train") for t in partition.tracklets]
    parted = replace(partition, tracklets=halves)
    assert dataset_of((root, parted), [], "random_sorted").pairs == [(1, 0), (3, 2), (5, 4)]
