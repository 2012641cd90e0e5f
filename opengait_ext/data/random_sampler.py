"""The batches of the published codes: each drawn anew, its tracklets with replacement."""

from typing import Protocol

import numpy as np

from .dataset import Request
from .samplers import IdentitySampler


class Choosing(Protocol):
    """A generator of numpy's, new or old."""

    def choice(self, a: int | np.ndarray, size: int, replace: bool) -> np.ndarray:
        """Draws ``size`` of the entries of ``a``, or of the numbers below it."""


class RandomIdentitySampler(IdentitySampler):
    """Draws the identities of each batch anew, and their tracklets with replacement.

    No identity is twice in a batch, but one may miss many batches, where ``IdentitySampler``
    has each once a round; and a tracklet may be twice in a batch although its identity has
    enough of them, with other seeds and so with other frames. The data are seen less evenly:
    this is for repeating what was published.

    Source: the reader of HITSZ-VCM (Lin et al., "Learning Modal-Invariant and Temporal-Memory
    for Video-Based Visible-Infrared Person Re-Identification", CVPR 2022), which Yang et al.
    (DinoGRL), ACM MM 2025, https://doi.org/10.1145/3746027.3755413, use as well. Their epoch
    has ``int(larger number of tracklets of a modality / visible tracklets of a batch) + 1``
    batches.

    Args:
        dataset: As all that follow, see ``IdentitySampler``.
        identities: Identities of a batch (P), over all processes.
        visible: Visible tracklets of each identity; 0 for none.
        infrared: Infrared tracklets of each identity; 0 for none.
        draws: Which batches, and this process's share of each.

    Raises:
        UserError: As ``IdentitySampler``.
    """

    def batch(self, number: int) -> list[Request]:
        """Gives this process's share of one batch.

        Args:
            number: Of the batch, from 0.

        Returns:
            Requests, identity by identity, of each the visible tracklets before the infrared.
        """
        rng = self._generator(number)
        shares = self.draw(rng)  # [identities, tracklets of one]
        seeds = rng.integers(2**63, size=shares.shape)
        mine = zip(shares[self._mine].flat, seeds[self._mine].flat, strict=True)
        return [(int(position), int(seed)) for position, seed in mine]

    def draw(self, rng: Choosing) -> np.ndarray:
        """Draws the tracklets of a batch: first all identities, then identity by identity.

        Args:
            rng: All that is random; an old ``RandomState`` gives what the published code draws
                with it.

        Returns:
            Positions ``[identities, visible + infrared]``, the visible first.
        """
        labels = rng.choice(len(self._pools), size=self._identities, replace=False)
        return np.stack([self._tracklets(label, rng) for label in labels])

    def _tracklets(self, label: int, rng: Choosing) -> np.ndarray:
        drawn = [rng.choice(pool, size=n, replace=True) for pool, n in self._pools[label]]
        return np.concatenate(drawn)
