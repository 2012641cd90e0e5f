"""Samplers: the tracklets of each batch, and the seed of each tracklet's frames and transforms.

A sampler yields lists of ``(position, seed)``. Batch i depends on the sampler's seed and i alone,
so a resumed run sees the batches of the uninterrupted run, and several processes share one batch
without communication.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .dataset import Request, TrackletDataset
from .layout import INFRARED, VISIBLE

# Last entries of the generators' seeds, so that an epoch and a batch of equal number differ.
_EPOCHS, _BATCHES = 1, 2


@dataclass(frozen=True)
class Draws:
    """The range of batches that a sampler draws, and this process's share of each.

    Attributes:
        seed: Determines each batch, together with its index.
        start: Index of the first batch.
        total: Index after the last batch; 0: endless.
        rank: Index of this process.
        world_size: Number of processes.
    """

    seed: int = 0
    start: int = 0
    total: int = 0
    rank: int = 0
    world_size: int = 1


ONE_PROCESS = Draws()


class IdentitySampler:
    """Draw P identities, and fixed numbers of visible and infrared tracklets of each.

    Identities are taken from one random permutation of all of them after another. Where a batch
    spans two permutations, the second starts with identities that the batch does not have yet, so
    no batch has an identity twice. Tracklets are drawn without replacement; an identity with too
    few uses all of them and repeats some, with other seeds and therefore other frames.

    Args:
        dataset: The training data; ``tracklets``, ``labels`` and ``pids`` are used.
        identities: Identities of a batch (P), over all processes.
        visible: Visible tracklets of each identity; 0 for none.
        infrared: Infrared tracklets of each identity; 0 for none.
        draws: Which batches to draw, and this process's share of each.

    Raises:
        UserError: If there are fewer identities than a batch needs, an identity lacks a
            modality, the processes cannot share the identities evenly, or a number is out of
            range.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        identities: int,
        visible: int,
        infrared: int,
        draws: Draws = ONE_PROCESS,
    ) -> None:
        name = type(self).__name__
        if identities < 1 or min(visible, infrared) < 0 or visible + infrared < 1:
            raise UserError(
                f"{name}: expected at least 1 identity and 1 tracklet of it, found "
                f"identities {identities}, visible {visible}, infrared {infrared}"
            )
        size = draws.world_size
        if identities % size:
            raise UserError(
                f"{name}: {identities} identities cannot be shared by {size} "
                f"processes: make identities a multiple of {size}"
            )
        if len(dataset.pids) < identities:
            raise UserError(
                f"{name}: a batch needs {identities} identities, the data have "
                f"{len(dataset.pids)}: lower identities"
            )
        self.draws = draws
        self._identities = identities
        share = identities // size
        self._mine = slice(draws.rank * share, (draws.rank + 1) * share)
        self._pools = _positions_by_label(dataset, {VISIBLE: visible, INFRARED: infrared}, name)
        self._block = -1
        self._order = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        if not self.draws.total:
            name = type(self).__name__
            raise TypeError(f"this {name} has no end, therefore no length: give total")
        return max(0, self.draws.total - self.draws.start)

    def __iter__(self) -> Iterator[list[Request]]:
        number = self.draws.start
        while not self.draws.total or number < self.draws.total:
            yield self.batch(number)
            number += 1

    def batch(self, number: int) -> list[Request]:
        """Return this process's share of one batch.

        Args:
            number: Index of the batch, from 0.

        Returns:
            Requests, grouped by identity, in each group the visible tracklets first.
        """
        rng = self._generator(number)
        shares = [self._requests(label, rng) for label in self._labels_of_batch(number)]
        return [request for share in shares[self._mine] for request in share]

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.draws.seed, number, _BATCHES])

    def _requests(self, label: int, rng: np.random.Generator) -> list[Request]:
        requests: list[Request] = []
        for positions, count in self._pools[label]:
            rounds = math.ceil(count / len(positions))
            drawn = np.concatenate([rng.permutation(positions) for _ in range(rounds)])[:count]
            seeds = rng.integers(2**63, size=count)
            requests += zip(drawn.tolist(), seeds.tolist(), strict=True)
        return requests

    def _labels_of_batch(self, number: int) -> list[int]:
        batches = math.lcm(len(self._pools), self._identities) // self._identities
        block, place = divmod(number, batches)
        if block != self._block:
            self._block, self._order = block, self._order_of_block(block)
        first = place * self._identities
        return self._order[first : first + self._identities].tolist()

    def _order_of_block(self, block: int) -> np.ndarray:
        """Return the identities of a block: the fewest whole epochs that make whole batches."""
        count, size = len(self._pools), self._identities
        epochs = math.lcm(count, size) // count
        order = np.empty(0, dtype=np.int64)
        for epoch in range(block * epochs, (block + 1) * epochs):
            rng = np.random.default_rng([self.draws.seed, epoch, _EPOCHS])
            permutation = rng.permutation(count)
            begun = len(order) % size
            if begun:  # fill the unfinished batch with identities that it does not have yet
                others = permutation[~np.isin(permutation, order[-begun:])][: size - begun]
                rest = permutation[~np.isin(permutation, others)]
                permutation = np.concatenate([others, rest])
            order = np.concatenate([order, permutation])
        return order


class OrderedSampler:
    """Yield all tracklets once, in their order.

    Args:
        dataset: The data; only the length is used.
        batch_size: Largest number of tracklets of a batch.
        rank: Index of this process. Each process gets a contiguous range; the lengths differ by
            one at most, and no tracklet is repeated.
        world_size: Number of processes.

    Raises:
        UserError: If the batch size is below 1.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"OrderedSampler: batch_size: expected 1 or more, found {batch_size}")
        self.batch_size = batch_size
        self._first = len(dataset) * rank // world_size
        self._end = len(dataset) * (rank + 1) // world_size

    def __len__(self) -> int:
        return math.ceil((self._end - self._first) / self.batch_size)

    def __iter__(self) -> Iterator[list[Request]]:
        for first in range(self._first, self._end, self.batch_size):
            end = min(first + self.batch_size, self._end)
            yield [(position, 0) for position in range(first, end)]


def _positions_by_label(
    dataset: TrackletDataset, counts: dict[str, int], sampler: str
) -> list[list[tuple[np.ndarray, int]]]:
    """Return for each label and modality the tracklets' positions and the number to draw."""
    found: list[dict[str, list[int]]] = [{name: [] for name in counts} for _ in dataset.pids]
    for position, label in enumerate(dataset.labels):
        found[label][dataset.tracklets[position].modality].append(position)
    for pid, positions in zip(dataset.pids, found, strict=True):
        for modality, count in counts.items():
            if count and not positions[modality]:
                raise UserError(
                    f"{sampler}: identity {pid} has no {modality} tracklet in the data: "
                    f"leave it out when preparing the data, or set {modality} to 0"
                )
    return [
        [(np.array(positions[name]), count) for name, count in counts.items() if count]
        for positions in found
    ]
