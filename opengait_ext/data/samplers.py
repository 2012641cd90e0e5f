"""Which tracklets make a batch, and the seed from which each gets its frames and changes.

A sampler gives lists of ``(position, seed)``. Batch i follows from the sampler's seed and i
alone, so a run that goes on from a checkpoint sees what the unbroken run would have seen, and
several processes share one batch without speaking to each other.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .dataset import Request, TrackletDataset
from .layout import INFRARED, VISIBLE

# Last words of the generators' seeds, so that an epoch and a batch of one number differ.
_EPOCHS, _BATCHES = 1, 2


@dataclass(frozen=True)
class Draws:
    """Which batches a sampler draws, and which share of each this process gets.

    Attributes:
        seed: Together with the number of a batch, decides all of it.
        start: Number of the first batch.
        total: Number after the last batch; 0: without end.
        rank: Number of this process.
        world_size: Number of processes.
    """

    seed: int = 0
    start: int = 0
    total: int = 0
    rank: int = 0
    world_size: int = 1


ONE_PROCESS = Draws()


class IdentitySampler:
    """Draws P identities, and of each so many visible and so many infrared tracklets.

    The identities follow random orders of all of them, one order after another; where a batch
    goes over the end of one order, the next begins with others, so no batch has an identity
    twice. Tracklets are drawn without replacement; an identity with too few gives all of them
    and some again, with other seeds and so with other frames.

    Args:
        dataset: Gives ``tracklets``, ``labels`` and ``pids``.
        identities: Identities of a batch (P), over all processes.
        visible: Visible tracklets of each identity; 0 for none.
        infrared: Infrared tracklets of each identity; 0 for none.
        draws: Which batches, and this process's share of each.

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
        """Gives this process's share of one batch.

        Args:
            number: Of the batch, from 0.

        Returns:
            Requests, identity by identity, of each the visible tracklets before the infrared.
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
        """Gives the identities of the batches from one end shared with an epoch to the next."""
        count, size = len(self._pools), self._identities
        epochs = math.lcm(count, size) // count
        order = np.empty(0, dtype=np.int64)
        for epoch in range(block * epochs, (block + 1) * epochs):
            rng = np.random.default_rng([self.draws.seed, epoch, _EPOCHS])
            permutation = rng.permutation(count)
            begun = len(order) % size
            if begun:  # the unfinished batch goes on with identities that it has not yet
                others = permutation[~np.isin(permutation, order[-begun:])][: size - begun]
                rest = permutation[~np.isin(permutation, others)]
                permutation = np.concatenate([others, rest])
            order = np.concatenate([order, permutation])
        return order


class OrderedSampler:
    """Goes through all tracklets once, in their order.

    Args:
        dataset: Its length is all that is asked.
        batch_size: Tracklets of a batch, at most.
        rank: Number of this process. Each gets tracklets that follow each other; the numbers
            of tracklets differ by one at most, and none is given twice.
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
    """Gives for each label its tracklets' positions and their wanted number, per modality."""
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
