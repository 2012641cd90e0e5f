"""Samples to batches."""

import pytest
import torch

from opengait_ext.data.collate import collate
from opengait_ext.data.dataset import Sample


def sample(position, frames=2, height=4):
    """A sample as the dataset gives it: interleaved colors, seen as ``[s, 3, h, w]``."""
    pixels = torch.randint(256, (frames, height, 3, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    return Sample(pixels, position + 5, "ir" if position % 2 else "rgb", f"D{position}", position)


def test_equal_numbers_of_frames_are_stacked():
    samples = [sample(position) for position in range(3)]
    batch = collate(samples)
    assert batch.frames.shape == (3, 2, 3, 4, 3)
    assert batch.frames.is_contiguous()
    for one, stacked in zip(samples, batch.frames, strict=True):
        assert torch.equal(one.frames, stacked)
    assert batch.lengths is None


def test_unequal_numbers_of_frames_are_put_behind_each_other():
    samples = [sample(0, 2), sample(1, 1), sample(2, 3)]
    batch = collate(samples)
    assert batch.frames.shape == (1, 6, 3, 4, 3)
    assert batch.frames.is_contiguous()
    assert batch.lengths.dtype == torch.int32
    assert batch.lengths.tolist() == [[2, 1, 3]]
    for one, part in zip(samples, batch.frames[0].split([2, 1, 3]), strict=True):
        assert torch.equal(one.frames, part)


def test_labels_types_views_and_positions_keep_their_order():
    batch = collate([sample(4), sample(1)])
    assert (batch.labels.tolist(), batch.positions.tolist()) == ([9, 6], [4, 1])
    assert batch.labels.dtype == batch.positions.dtype == torch.int64
    assert (batch.types, batch.views) == (["rgb", "ir"], ["D4", "D1"])


def test_a_batch_of_one_is_a_batch():
    assert collate([sample(0)]).frames.shape == (1, 2, 3, 4, 3)


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"different sizes \(4 x 3, 6 x 3\): put Resize first"):
        collate([sample(0), sample(1, height=6)])


def test_silhouettes_and_frames_are_no_batch():
    silhouettes = sample(0)._replace(frames=sample(0).frames[:, :1])
    assert collate([silhouettes, silhouettes]).frames.shape == (2, 2, 1, 4, 3)
    with pytest.raises(ValueError, match="frames of 1 and of 3 channels: data_cfg.stream must"):
        collate([silhouettes, sample(1)])
