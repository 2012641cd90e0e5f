"""The facts about the data in the record of a test."""

from typing import Any

from ..config import ConfigError
from ..data.layout import Partition
from .run import Run

_SOURCE = ("digest", "tool", "version", "counts", "discard_lists", "auxiliary", "fake_ir")


def described(run: Run, partition: Partition) -> dict[str, Any]:
    """Return the facts that identify the data, and the size of each split."""
    splits: dict[str, dict[str, int]] = {}
    for name in sorted({tracklet.split for tracklet in partition.tracklets}):
        members = [tracklet for tracklet in partition.tracklets if tracklet.split == name]
        splits[name] = {
            "tracklets": len(members),
            "identities": len({tracklet.pid for tracklet in members}),
        }
    return {
        "dataset": partition.dataset,
        "partition": run.settings.data.dataset_partition,
        "source": source_of(partition),
        "splits": splits,
    }


def source_of(partition: Partition) -> dict[str, Any]:
    """Return the partition's facts about the origin of its data."""
    return {key: value for key, value in partition.source.items() if key in _SOURCE}


def discarded(run: Run, partition: Partition) -> str:
    """Return as text what discard lists removed from the published training and test halves.

    Raises:
        ConfigError: If the partition's entry about discard lists has another form.
    """
    lists = partition.source.get("discard_lists")
    if not lists:
        return "none"
    try:
        return ", ".join(
            f"{half}: {found['file']} removed {found['removed_frames']} frames and "
            f"{found['removed_tracklets']} tracklets"
            if found
            else f"{half}: none"
            for half, found in lists.items()
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{run.settings.data.dataset_partition}: source.discard_lists is {lists!r}, expected "
            "what datasets/prep/hitsz_vcm.py writes; prepare the data again"
        ) from error
