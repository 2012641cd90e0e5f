"""Prepared tracklets as samples: one class for all data sets."""

import copy
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import UserError
from .frames import FRAME_RULES, FrameRule, Half, decode, pick_frames, within
from .layout import FRAMES, Partition, Tracklet, read_frames
from .transforms import Chain, Transform

Request = tuple[int, int]
_NAMED_PATHS = 5


class Sample(NamedTuple):
    """One tracklet, ready for the network.

    Attributes:
        frames: uint8 ``[s, 3, h, w]``, RGB, or ``[s, 1, h, w]``.
        label: Index of the identity in ``TrackletDataset.pids``.
        type: ``"rgb"`` or ``"ir"``, or a gait data set's type such as ``"nm-01"``.
        view: The tracklet's name below identity and type.
        position: Index in ``TrackletDataset.tracklets``.
    """

    frames: Tensor
    label: int
    type: str
    view: str
    position: int


class TrackletDataset(Dataset[Sample]):
    """Tracklets of a prepared data set, decoded and transformed.

    The index is ``(position, seed)``, and the sample depends on these two alone: the seed decides
    which frames are drawn and what the transforms do.

    Args:
        root: Folder of the prepared data set.
        partition: Its tracklets and their splits.
        splits: Names of the splits to take.
        transform: Called in this order with the frames, the modality and a generator. Frames
            of unequal size need a ``Resize`` first.
        frames: Frames of each tracklet; 0 for all.
        frame_rule: How frames are chosen, see ``pick_frames``.
        positions: Indices in ``partition.tracklets``: take only these of the splits' tracklets,
            in this order. None: all.
        stream: Which of a tracklet's files to read, see ``pack.named_stream``.

    Attributes:
        tracklets: The tracklets, by position.
        pids: The identities, sorted as text.
        places: Index of each tracklet in ``partition.tracklets``.
        labels: Index of each tracklet's identity in ``pids``.
        pairs: The partition's pairs as positions ``(visible, infrared)`` in this dataset.

    Raises:
        UserError: If a split has no tracklets, a tracklet's folder is missing, a frame cannot
            be decoded, the rule is unknown, or frames differ in size and nothing resizes them.
        LayoutError: In ``[...]``, if a tracklet's file is missing, damaged or too short.
    """

    def __init__(
        self,
        root: str,
        partition: Partition,
        splits: Sequence[str],
        transform: Iterable[Transform],
        frames: int,
        frame_rule: FrameRule,
        positions: Sequence[int] | None = None,
        stream: str = FRAMES,
    ) -> None:
        if frames < 0:
            raise UserError(f"frames: expected a number above 0, or 0 for all, found {frames}")
        if frame_rule not in FRAME_RULES:
            raise UserError(
                f"frame_rule: expected one of {', '.join(FRAME_RULES)}, found {frame_rule!r}"
            )
        self.root = Path(root)
        self.transform = Chain(transform)
        self.frames = frames
        self.stream = stream
        self.half: Half | None = None
        self.frame_rule: FrameRule = frame_rule
        self.places = _chosen_places(partition, splits, positions, self.root)
        self.tracklets = [partition.tracklets[place] for place in self.places]
        self.pids = sorted({tracklet.pid for tracklet in self.tracklets})
        place = {pid: label for label, pid in enumerate(self.pids)}
        self.labels = [place[tracklet.pid] for tracklet in self.tracklets]
        self.pairs = _pairs_among(self.places, partition)
        _check_folders(self.root, self.tracklets)

    def __len__(self) -> int:
        return len(self.tracklets)

    def of_half(self, half: Half) -> "TrackletDataset":
        """Return a dataset of the same tracklets, each with one half of its frames."""
        other = copy.copy(self)
        other.half = half
        return other

    def __getitem__(self, request: Request) -> Sample:
        position, seed = request
        tracklet = self.tracklets[position]
        rng = np.random.default_rng(seed)
        first, end = within(tracklet.frames, self.half)
        wanted = first + pick_frames(end - first, self.frames, self.frame_rule, rng)
        frames = self._read(tracklet, wanted)  # [s, 3, h, w]
        frames = self.transform(frames, tracklet.modality, rng)
        return Sample(frames, self.labels[position], tracklet.type, tracklet.view, position)

    def _read(self, tracklet: Tracklet, wanted: np.ndarray) -> Tensor:
        """Return uint8 ``[s, c, h, w]``; a frame requested twice is decoded once."""
        indices, place = np.unique(wanted, return_inverse=True)
        folder = self.root / tracklet.path
        images = read_frames(folder, indices.tolist(), self.stream)
        decoded = [
            self._decoded(image, folder, index)
            for image, index in zip(images, indices.tolist(), strict=True)
        ]
        sizes = {image.shape[:2] for image in decoded}
        if len(sizes) > 1:
            return torch.cat([self._resized(image, folder, sizes) for image in decoded])[place]
        # The memory stays interleaved, only the view is [s, c, h, w]: resizing is twice as fast.
        return torch.from_numpy(np.stack([decoded[p] for p in place])).permute(0, 3, 1, 2)

    def _decoded(self, image: bytes | np.ndarray, folder: Path, index: int) -> np.ndarray:
        target = self.transform.resize
        height, width = (target.height, target.width) if target else (0, 0)
        try:
            return decode(image, height, width)
        except ValueError as fault:
            raise UserError(
                f"{folder}: frame {index} cannot be decoded: {fault}. Prepare this tracklet again"
            ) from fault

    def _resized(self, image: np.ndarray, folder: Path, sizes: set[tuple[int, ...]]) -> Tensor:
        resize = self.transform.resize
        if resize is None:
            found = ", ".join(f"{height} x {width}" for height, width in sorted(sizes))
            raise UserError(
                f"{folder}: its frames have different sizes ({found}): put Resize first in "
                "transform"
            )
        frame = torch.from_numpy(image).permute(2, 0, 1)[None]
        return resize(frame, "", np.random.default_rng(0))


def _chosen_places(
    partition: Partition, splits: Sequence[str], positions: Sequence[int] | None, root: Path
) -> list[int]:
    sizes: dict[str, int] = {}
    for tracklet in partition.tracklets:
        sizes[tracklet.split] = sizes.get(tracklet.split, 0) + 1
    for split in splits:
        if split not in sizes:
            known = ", ".join(f"{name} {size}" for name, size in sizes.items()) or "none at all"
            raise UserError(
                f"{root}: the partition of {partition.dataset} has no tracklets in the split "
                f"{split!r} (tracklets: {known})"
            )
    if positions is None:
        positions = range(len(partition.tracklets))
    return [place for place in positions if partition.tracklets[place].split in splits]


def _pairs_among(places: Sequence[int], partition: Partition) -> list[tuple[int, int]]:
    """Return the pairs whose tracklets are both in this dataset, as positions in it."""
    here = {place: position for position, place in enumerate(places)}
    return [(here[rgb], here[ir]) for rgb, ir in partition.pairs if rgb in here and ir in here]


def _check_folders(root: Path, tracklets: Sequence[Tracklet]) -> None:
    """Raise an error for a missing folder.

    Each parent folder is listed once: on shared disks far faster than one look-up per tracklet.
    """
    names_by_parent: dict[str, set[str]] = {}
    for tracklet in tracklets:
        parent, _, name = tracklet.path.rpartition("/")
        names_by_parent.setdefault(parent, set()).add(name)
    missing: list[str] = []
    for parent, names in names_by_parent.items():
        folder = root / parent
        there = set(os.listdir(folder)) if folder.is_dir() else set()
        missing += [str(folder / name) for name in sorted(names - there)]
    if missing:
        named = "\n  ".join(missing[:_NAMED_PATHS])
        raise UserError(
            f"{root}: {len(missing)} of {len(tracklets)} tracklets of the partition are missing; "
            f"prepare the data again, or correct dataset_root. Missing are:\n  {named}"
            + ("\n  ..." if len(missing) > _NAMED_PATHS else "")
        )
