"""Batches as in published code: identities drawn anew each time, tracklets with replacement."""

from typing import Protocol

import numpy as np

from .dataset import Request
from .samplers import IdentitySampler


class Choosing(Protocol):
    """A NumPy generator, new (``Generator``) or old (``RandomState``)."""

    def choice(self, a: int | np.ndarray, size: int, replace: bool) -> np.ndarray:
        """Draw ``size`` of the entries of ``a``, or of the numbers below it."""


class RandomIdentitySampler(IdentitySampler):
    """Draw the identities of each batch anew and their tracklets with replacement.

    No identity is twice in a batch, but one may miss many batches, whereas ``IdentitySampler``
    uses each once per round. A tracklet may be twice in a batch although its identity has enough,
    with another seed and therefore other frames. The data are seen less evenly: use this to
    reproduce published training.

    Source: the reader of HITSZ-VCM (Lin et al., "Learning Modal-Invariant and Temporal-Memory
    for Video-Based Visible-Infrared Person Re-Identification", CVPR 2022), which Yang et al.
    (DinoGRL), ACM MM 2025, https://doi.org/10.1145/3746027.3755413, use as well. Their epoch
    has ``int(larger number of tracklets of a modality / visible tracklets of a batch) + 1``
    batches.

    Args:
        dataset: The training data; ``tracklets``, ``labels`` and ``pids`` are used.
        identities: Identities of a batch (P), over all processes.
        visible: Visible tracklets of each identity; 0 for none.
        infrared: Infrared tracklets of each identity; 0 for none.
        draws: Which batches to draw, and this process's share of each.

    Raises:
        UserError: As ``IdentitySampler``.
    """

    def batch(self, number: int) -> list[Request]:
        """Return this process's share of one batch.

        Args:
            number: Index of the batch, from 0.

        Returns:
            Requests, grouped by identity, in each group the visible tracklets first.
        """
        rng = self._generator(number)
        shares = self.draw(rng)  # [identities, tracklets of one]
        seeds = rng.integers(2**63, size=shares.shape)
        mine = zip(shares[self._mine].flat, seeds[self._mine].flat, strict=True)
        return [(int(position), int(seed)) for position, seed in mine]

    def draw(self, rng: Choosing) -> np.ndarray:
        """Draw the tracklets of a batch: first all identities, then identity by identity.

        Args:
            rng: Source of all randomness; an old ``RandomState`` reproduces the draws of the
                published code.

        Returns:
            Positions ``[identities, visible + infrared]``, the visible first.
        """
        labels = rng.choice(len(self._pools), size=self._identities, replace=False)
        return np.stack([self._tracklets(label, rng) for label in labels])

    def _tracklets(self, label: int, rng: Choosing) -> np.ndarray:
        drawn = [rng.choice(pool, size=n, replace=True) for pool, n in self._pools[label]]
        return np.concatenate(drawn)
