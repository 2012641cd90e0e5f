"""Tracklets as samples, and what is said when the data are not as they must be."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from opengait_ext.data.collate import collate
from opengait_ext.data.dataset import TrackletDataset
from opengait_ext.data.frames import within
from opengait_ext.data.layout import (
    PACKED,
    Partition,
    Tracklet,
    write_tracklet,
    write_tracklet_array,
)
from opengait_ext.data.samplers import Draws, IdentitySampler
from opengait_ext.data.transforms import (
    ChannelAdaptiveGray,
    ChannelErasing,
    ChannelExchange,
    HorizontalFlip,
    PadCrop,
    Resize,
)

COUNTS = {"0010": (2, 1), "0002": (1, 2), "0100": (1, 1)}
RANDOM = [Resize(16, 8), PadCrop(2), HorizontalFlip(0.5), ChannelErasing(0.5)]


def dataset(root, partition, transform=(), frames=4, rule="first_in_run", splits=("train",), **kw):
    return TrackletDataset(str(root), partition, list(splits), transform, frames, rule, **kw)


def brightness(sample):
    return (sample.frames.float().mean((1, 2, 3)) / 10).round().int().tolist()


def test_identities_are_sorted_as_text_and_labels_are_their_places(tmp_path, prepared):
    data = dataset(tmp_path, prepared(COUNTS))
    assert data.pids == ["0002", "0010", "0100"]
    assert [data.pids[label] for label in data.labels] == [t.pid for t in data.tracklets]
    assert len(data) == 8


def test_a_sample_carries_pixels_label_type_view_and_position(tmp_path, prepared):
    data = dataset(tmp_path, prepared(COUNTS))
    sample = data[4, 0]
    assert sample.frames.shape == (4, 3, 24, 12)
    assert sample.frames.dtype == torch.uint8
    assert brightness(sample) == [0, 2, 4, 4]
    assert sample[1:] == (0, "ir", "D1-T0", 4)
    assert data[0, 0][1:] == (1, "rgb", "D1-T0", 0)


def test_the_seed_decides_frames_and_transforms(tmp_path, prepared):
    data = dataset(tmp_path, prepared(COUNTS, frames=9), RANDOM, rule="random_in_run")
    assert torch.equal(data[0, 3].frames, data[0, 3].frames)
    assert any(not torch.equal(data[0, 3].frames, data[0, seed].frames) for seed in range(4, 9))


def test_a_tracklet_shorter_than_s_repeats_its_last_frame(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)}, frames=2)
    for rule in ("first_in_run", "random_in_run"):
        assert brightness(dataset(tmp_path, partition, rule=rule)[0, 1]) == [0, 1, 1, 1]


def test_zero_frames_gives_the_whole_tracklet(tmp_path, prepared):
    data = dataset(tmp_path, prepared({"0001": (1, 0)}), frames=0)
    assert brightness(data[0, 0]) == [0, 1, 2, 3, 4]


def test_pickled_arrays_give_what_the_images_give(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)})
    before = dataset(tmp_path, partition, [Resize(16, 8)])[0, 0]
    frames = dataset(tmp_path, partition, frames=0)[0, 0].frames.numpy()
    folder = tmp_path / partition.tracklets[0].path
    (folder / PACKED).unlink()
    write_tracklet_array(folder, frames)
    assert torch.equal(dataset(tmp_path, partition, [Resize(16, 8)])[0, 0].frames, before.frames)


def silhouettes_of(count=5, height=24, width=12):
    shades = np.arange(count, dtype=np.uint8) * 10
    return np.broadcast_to(shades[:, None, None], (count, height, width))


def test_a_stream_of_one_channel_is_read_and_transformed_as_one_channel(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)})
    folder = tmp_path / partition.tracklets[0].path
    write_tracklet_array(folder, silhouettes_of(), stream="D1-T0-sils")
    transform = [Resize(16, 8), PadCrop(2), HorizontalFlip(0.5)]
    data = dataset(tmp_path, partition, transform, stream="{view}-sils")
    assert data[0, 1].frames.shape == (4, 1, 16, 8)
    plain = dataset(tmp_path, partition, [Resize(16, 8)], stream="*-sils")[0, 0]
    assert brightness(plain) == [0, 2, 4, 4]
    assert collate([plain, plain]).frames.shape == (2, 4, 1, 16, 8)


def test_transforms_of_color_refuse_silhouettes(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)})
    write_tracklet_array(tmp_path / partition.tracklets[0].path, silhouettes_of(), stream="sils")
    for change in (ChannelErasing(1.0), ChannelExchange(1.0), ChannelAdaptiveGray(1.0)):
        data = dataset(tmp_path, partition, [change], stream="sils")
        with pytest.raises(ValueError, match=f"{type(change).__name__}: .* RGB, .* 1 channel"):
            data[0, 0]


def test_frames_as_opengait_publishes_them_give_what_ours_give(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)})
    folder = tmp_path / partition.tracklets[0].path
    frames = dataset(tmp_path, partition, frames=0)[0, 0].frames.numpy()
    write_tracklet_array(folder, frames.transpose(0, 2, 3, 1), stream="05-x-RGB_raw")
    for transform in ([], RANDOM):
        expected, found = (
            dataset(tmp_path, partition, transform, frames=0, stream=stream)[0, 3].frames
            for stream in ("0-frames", "05-*")
        )
        if transform == []:
            assert torch.equal(found, expected)
        assert found.shape == expected.shape


def test_a_stream_that_is_not_there_is_named(tmp_path, prepared):
    data = dataset(tmp_path, prepared({"0001": (1, 0)}), stream="2-depth")
    with pytest.raises(ValueError, match=r"D1-T0: neither 2-depth\.zip nor 2-depth\.pkl is there"):
        data[0, 0]


def test_a_sample_of_a_gait_data_set_carries_its_own_type(tmp_path):
    tracklet = Tracklet("075/nm-01/018", "075", 1, "visible", 5, "test")
    write_tracklet_array(tmp_path / tracklet.path, silhouettes_of(), stream="018")
    data = dataset(tmp_path, Partition("G", [tracklet], {}), splits=("test",), stream="{view}")
    assert data[0, 0][1:] == (0, "nm-01", "018", 0)


def test_frames_of_different_sizes_are_resized_one_by_one(tmp_path, prepared, jpeg):
    images = [jpeg(40), jpeg(80, 30, 20), jpeg(120, 100, 50)]
    partition = prepared({"0001": (1, 0)}, frames=3, images=images)
    sample = dataset(tmp_path, partition, [Resize(16, 8)], frames=3)[0, 0]
    assert sample.frames.shape == (3, 3, 16, 8)
    assert brightness(sample) == [4, 8, 12]


@pytest.mark.parametrize("transform", [[], [PadCrop(1), Resize(16, 8)]])
def test_frames_of_different_sizes_need_a_resize_in_the_first_place(
    tmp_path, prepared, jpeg, transform
):
    partition = prepared({"0001": (1, 0)}, frames=2, images=[jpeg(40), jpeg(80, 30, 20)])
    with pytest.raises(ValueError, match=r"D1-T0: .*sizes \(24 x 12, 30 x 20\): put Resize first"):
        dataset(tmp_path, partition, transform, frames=2)[0, 0]


def test_splits_and_positions_choose_tracklets(tmp_path, prepared):
    partition = prepared(COUNTS)
    splits = {"0010": "train", "0002": "val", "0100": "test"}
    tracklets = [replace(t, split=splits[t.pid]) for t in partition.tracklets]
    partition = Partition("Tiny", tracklets, {}, {}, {})
    both = dataset(tmp_path, partition, splits=("train", "val"))
    assert [t.pid for t in both.tracklets] == ["0010"] * 3 + ["0002"] * 3
    some = dataset(tmp_path, partition, splits=("train", "val"), positions=[5, 7, 0])
    assert some.tracklets == [tracklets[5], tracklets[0]]
    with pytest.raises(ValueError, match=r"Tiny has no tracklets in the split 'tset' .*train 3, v"):
        dataset(tmp_path, partition, splits=("tset",))


def test_missing_tracklets_are_named_at_once(tmp_path, prepared):
    partition = prepared(COUNTS)
    for path in (partition.tracklets[0].path, partition.tracklets[7].path):
        (tmp_path / path / PACKED).unlink()
        (tmp_path / path).rmdir()
    with pytest.raises(ValueError, match="2 of 8 tracklets of the partition are missing") as fault:
        dataset(tmp_path, partition)
    assert str(tmp_path / "0010/rgb/D1-T0") in str(fault.value)
    assert str(tmp_path / "0100/ir/D1-T0") in str(fault.value)
    with pytest.raises(ValueError, match=r"8 of 8 tracklets .* correct dataset_root(.|\n)*\.\.\.$"):
        dataset(tmp_path / "elsewhere", partition)


def test_a_damaged_picture_is_named_with_its_tracklet_and_frame(tmp_path, prepared, jpeg):
    partition = prepared({"0001": (1, 0)})
    write_tracklet(tmp_path / "0001/rgb/D1-T0", [jpeg(0), jpeg(1), jpeg(2)[:200], *[jpeg(3)] * 2])
    with pytest.raises(ValueError, match=r"0001/rgb/D1-T0: frame 2 cannot be decoded: .*again"):
        dataset(tmp_path, partition)[0, 0]


def test_a_corrupt_prepared_file_is_named(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)})
    path = tmp_path / "0001/rgb/D1-T0" / PACKED
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="0001/rgb/D1-T0/0-frames.zip: damaged"):
        dataset(tmp_path, partition)[0, 0]


def test_impossible_frames_and_rules_are_refused_before_any_reading(tmp_path, prepared):
    partition = prepared({"0001": (1, 0)})
    with pytest.raises(ValueError, match="frames: expected a number above 0.*found -2"):
        dataset(tmp_path, partition, frames=-2)
    with pytest.raises(ValueError, match="frame_rule: expected one of .*found 'first'"):
        dataset(tmp_path, partition, rule="first")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loader_workers_give_the_batches_of_the_main_process(tmp_path, prepared, method):
    data = dataset(tmp_path, prepared(COUNTS, frames=9), RANDOM, rule="random_in_run")
    sampler = IdentitySampler(data, 2, 2, 2, Draws(seed=3, total=3))
    loader = DataLoader(
        data,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=1,
        multiprocessing_context=method,
    )
    batches = list(loader)
    assert len(batches) == 3
    for batch, requests in zip(batches, sampler, strict=True):
        assert batch.frames.shape == (8, 4, 3, 16, 8)
        assert torch.equal(batch.frames, collate([data[request] for request in requests]).frames)
        assert batch.types == ["rgb", "rgb", "ir", "ir"] * 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_worker_passes_the_path_of_a_corrupt_file_on(tmp_path, prepared):
    partition = prepared({"0001": (1, 1)})
    (tmp_path / "0001/ir/D1-T0" / PACKED).write_bytes(b"")
    data = dataset(tmp_path, partition)
    loader = DataLoader(data, batch_sampler=[[(0, 0), (1, 0)]], collate_fn=collate, num_workers=1)
    with pytest.raises(ValueError, match="0001/ir/D1-T0/0-frames.zip: damaged"):
        list(loader)


@pytest.mark.slow
def test_the_registries_are_there_and_layout_alone_does_not_load_torch():
    from opengait_ext import data

    assert "IdentitySampler" in data.SAMPLERS
    assert "PadCrop" in data.TRANSFORMS
    assert data.TrackletDataset is TrackletDataset
    with pytest.raises(AttributeError, match="'opengait_ext.data' has no attribute 'TRANSFORM'"):
        data.TRANSFORM  # noqa: B018
    code = "import sys, opengait_ext.data.layout; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_frame_that_is_repeated_is_not_shared_between_samples(tmp_path, prepared):
    data = dataset(tmp_path, prepared({"0001": (1, 0)}, frames=1))
    sample = data[0, 0]
    sample.frames[0] = 255
    assert np.all(sample.frames[1].numpy() == 0)


def test_a_half_of_a_tracklet_is_read_as_if_the_other_were_not_there(tmp_path, prepared):
    data = dataset(tmp_path, prepared(COUNTS))  # of five frames
    assert brightness(data.of_half("first")[4, 0]) == [0, 1, 1, 1]
    assert brightness(data.of_half("second")[4, 0]) == [2, 3, 4, 4]
    assert brightness(data[4, 0]) == [0, 2, 4, 4]


def test_a_single_frame_is_both_halves():
    assert within(1, "first") == within(1, "second") == (0, 1)
