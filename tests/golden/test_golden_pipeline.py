"""From the lists of tracklets to frames and learning rates, against the published pipeline.

The published code draws with Python's and numpy's old global generators; small classes here
give our code the numbers that these give.
"""

import random
from types import SimpleNamespace

import numpy as np
import torch
from golden_values import reads
from torch import nn

from opengait_ext.data.channels import IMAGENET_MEAN, IMAGENET_STD
from opengait_ext.data.frames import pick_frames
from opengait_ext.data.random_sampler import RandomIdentitySampler
from opengait_ext.data.transforms import ChannelAdaptiveGray, ChannelErasing, ChannelExchange
from opengait_ext.engine.schedule import WarmupSteps

FRAMES = 6
PIXEL = np.array([1, 2, 4])


class SamePlace:
    """Gives one place of every run."""

    def __init__(self, place):
        self.place = place

    def integers(self, high, size):
        self.places = high
        return np.full(size, self.place)


class OldChoice:
    """Draws each number by itself, from numpy's old generator."""

    def __init__(self, seed):
        self.old = np.random.RandomState(seed)

    def integers(self, high, size):
        return np.array([self.old.choice(high) for _ in range(size)])


class PythonRandom:
    """Draws from Python's generator."""

    def __init__(self, seed):
        self.old = random.Random(seed)

    def random(self):
        return self.old.uniform(0, 1)

    def uniform(self, low, high):
        return self.old.uniform(low, high)

    def integers(self, high):
        return self.old.randint(0, high - 1)


class Certain(PythonRandom):
    """The same for a transform that the published code always applies, without a draw."""

    def random(self):
        return 0.0


@reads("pipeline/lengths", "pipeline/test_frames_*")
def test_the_frames_of_the_test_are_the_published_ones(golden):
    lengths = golden.array("pipeline/lengths").tolist()
    for name, rule in (("vcm", "first_in_run"), ("bupt", "uniform")):
        ours = [pick_frames(length, FRAMES, rule, None) for length in lengths]
        golden.check(f"pipeline/test_frames_{name}", np.stack(ours))


@reads("pipeline/train_pools_*")
def test_a_frame_of_the_training_comes_from_the_published_pool(golden):
    for name in golden.names("pipeline/train_pools_*"):
        length, run = int(name.rsplit("_", 1)[1]), golden.array(name).shape[1]
        generators = [SamePlace(place) for place in range(run)]
        ours = [pick_frames(length, FRAMES, "random_in_run", each) for each in generators]
        golden.check(name, np.stack(ours, axis=1))
        assert {each.places for each in generators} == {run}


@reads("pipeline/train_pick*")
def test_the_frames_of_the_training_are_drawn_run_by_run(golden):
    rng = OldChoice(int(golden.array("pipeline/train_pick_after_np_seed")))
    lengths = golden.array("pipeline/train_pick_lengths").tolist()
    ours = [pick_frames(length, FRAMES, "random_in_run", rng) for length in lengths]
    golden.check("pipeline/train_pick", np.stack(ours))


@reads("pipeline/sampler_*")
def test_the_batches_of_an_epoch_are_the_published_ones(golden):
    visible, infrared = (
        golden.array(f"pipeline/sampler_{kind}_labels").tolist() for kind in ("rgb", "ir")
    )
    tracklets = [SimpleNamespace(modality="visible") for _ in visible]
    tracklets += [SimpleNamespace(modality="infrared") for _ in infrared]
    labels = visible + infrared
    data = SimpleNamespace(tracklets=tracklets, labels=labels, pids=sorted(set(labels)))
    each, identities = golden.array("pipeline/sampler_numpos_batchids").tolist()
    sampler = RandomIdentitySampler(data, identities, each, each)
    larger = max(len(visible), len(infrared))
    golden.check("pipeline/sampler_len", larger)
    rng = np.random.RandomState(int(golden.array("pipeline/sampler_np_seed")))
    batches = range(larger // (identities * each) + 1)
    drawn = np.concatenate([sampler.draw(rng) for _ in batches])  # [identities, tracklets]
    golden.check("pipeline/sampler_index_rgb", drawn[:, :each].ravel())
    golden.check("pipeline/sampler_index_ir", drawn[:, each:].ravel() - len(visible))


@reads("pipeline/erasing_*")
def test_the_erased_rectangles_are_the_published_ones(golden):
    erasing, found = ChannelErasing(0.5, fill=(1, 1, 1)), []
    for seed in golden.array("pipeline/erasing_seed_top_left_h_w")[:, 0].tolist():
        frame = torch.zeros(1, 3, 256, 128, dtype=torch.uint8)
        erased = erasing(frame, "visible", PythonRandom(seed))[0, 0]
        if not erased.any():
            found.append((seed, -1, -1, 0, 0))
            continue
        rows, columns = (erased.any(dim).nonzero()[:, 0] for dim in (1, 0))
        top, left, height, width = rows[0], columns[0], len(rows), len(columns)
        assert erased.sum() == height * width
        found.append((seed, int(top), int(left), height, width))
    golden.check("pipeline/erasing_seed_top_left_h_w", np.array(found))


def changed(transform, generator, pixel, seeds):
    """What a transform makes of a pixel with each seed, ``[seeds, 3]``."""
    frame = torch.tensor(pixel, dtype=torch.uint8).view(1, 3, 1, 1)
    results = [transform(frame, "infrared", generator(seed)) for seed in seeds]
    return np.stack([result.flatten().numpy() for result in results]).astype(np.float64)


@reads("pipeline/channel_seeds", "pipeline/adapgray_of_1_2_4", "pipeline/exchange_of_1_2_4")
def test_channels_are_replaced_as_published_but_for_the_rounding_to_whole_numbers(golden):
    """The published code changes normalized pixels, ours those that will become the same.

    Both operations commute with a factor: with as large a one as whole numbers up to 255
    leave room for, one of them is a small part of the published pixel (1, 2, 4).
    """
    seeds = golden.array("pipeline/channel_seeds").tolist()
    cases = {
        "pipeline/adapgray_of_1_2_4": (ChannelAdaptiveGray, 0.5, PythonRandom),
        "pipeline/exchange_of_1_2_4": (ChannelExchange, 1.0, Certain),
    }
    for name, (kind, probability, generator) in cases.items():
        plain = changed(kind(probability, normalized=False), generator, 60 * PIXEL, seeds) / 60
        golden.check(name, plain, scale=1 / 60, tolerance=1)
        factor, mean, std = 0.56, np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
        pixel = ((factor * PIXEL * std + mean) * 255).round()
        ours = changed(kind(probability, normalized=True), generator, pixel, seeds)
        ours = (ours / 255 - mean) / std / factor
        golden.check(name, ours, scale=1 / 255 / std.min() / factor, tolerance=1)


@reads("pipeline/lr_by_epoch")
def test_the_learning_rate_of_each_epoch_is_the_published_one(golden):
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=3.5e-4)
    schedule = WarmupSteps(optimizer, "epoch", 10, 0.01, [40, 70], 0.1, iterations_per_epoch=3)
    for last in (0, 2):  # of an epoch's iterations
        factors = [schedule.factor(3 * epoch + last) for epoch in range(100)]
        golden.check("pipeline/lr_by_epoch", 3.5e-4 * np.array(factors))
