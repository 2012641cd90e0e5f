"""Batches of paired tracklets, whose frames two sensors filmed together."""

import math

import numpy as np

from ..errors import UserError
from .dataset import Request, TrackletDataset
from .samplers import ONE_PROCESS, Draws, IdentitySampler

Pairs = np.ndarray  # int64 [pairs, 2]: positions, visible and infrared


class PairSampler(IdentitySampler):
    """Draw P identities, C cameras of each, and K pairs of tracklets per camera.

    The two tracklets of a pair get the same seed. A sample depends on position and seed, its
    frames are drawn first, and the partition guarantees that both have the same number of frames:
    so both yield the same frame numbers under any rule. The transforms then draw the same numbers
    too, up to the first that changes only one modality: crop and flip keep the pair aligned, as
    the flip of a whole sequence does in the published code, and an erased rectangle is at the
    same place in both.

    Identities are drawn as in ``IdentitySampler``: each once per round, none twice in a batch. An
    identity with fewer than C cameras uses all of them and starts over, so that it has C x K pairs
    like the others. Pairs are drawn without replacement; a camera with too few uses all of them
    and repeats some, with other seeds and therefore other frames.

    Source: the training of Du et al., "Video-based Visible-Infrared Person Re-Identification with
    Auxiliary Samples", TIFS 2024, https://arxiv.org/abs/2311.15571, which draws one list of frame
    numbers for both modalities of a tracklet; Yang et al. (DinoGRL), ACM MM 2025,
    https://doi.org/10.1145/3746027.3755413, use it for BUPTCampus with P 8, C 2, K 1. Their code
    draws the transforms of each modality separately, except for a flip of both.

    Args:
        dataset: The training data; ``tracklets``, ``labels``, ``pids`` and ``pairs`` are used.
        identities: Identities of a batch (P), over all processes.
        cameras: Cameras of each identity (C).
        pairs: Pairs of each of these cameras (K); a pair is two tracklets.
        draws: Which batches to draw, and this process's share of each.

    Raises:
        UserError: If the data have no pairs or an identity has none, if there are fewer
            identities than a batch needs, the processes cannot share the identities evenly, or a
            number is out of range.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        identities: int,
        cameras: int,
        pairs: int,
        draws: Draws = ONE_PROCESS,
    ) -> None:
        if min(cameras, pairs) < 1:
            raise UserError(
                f"PairSampler: expected at least 1 camera and 1 pair in it, found cameras "
                f"{cameras}, pairs {pairs}"
            )
        self._cameras = cameras
        self._pairs = pairs
        self._by_camera = _pairs_by_camera(dataset)
        tracklets = cameras * pairs
        super().__init__(dataset, identities, tracklets, tracklets, draws)

    def batch(self, number: int) -> list[Request]:
        """Return this process's share of one batch.

        Args:
            number: Index of the batch, from 0.

        Returns:
            Requests, grouped by identity; in each group the visible tracklets before the
            infrared ones, both in the order of their pairs.
        """
        return super().batch(number)

    def _requests(self, label: int, rng: np.random.Generator) -> list[Request]:
        cameras = self._by_camera[label]
        order = rng.permutation(len(cameras))
        taken = order[np.arange(self._cameras) % len(cameras)]
        drawn = np.concatenate(
            [
                _drawn(cameras[camera], self._pairs * np.count_nonzero(taken == camera), rng)
                for camera in order[: self._cameras]
            ]
        )  # [C * K, 2]
        seeds = rng.integers(2**63, size=len(drawn)).tolist()
        visible, infrared = drawn.T.tolist()
        return [*zip(visible, seeds, strict=True), *zip(infrared, seeds, strict=True)]


def _drawn(pairs: Pairs, count: int, rng: np.random.Generator) -> Pairs:
    """Draw pairs without replacement; where there are too few, repeat all of them first."""
    rounds = math.ceil(count / len(pairs))
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(rounds)])
    return pairs[order[:count]]


def _pairs_by_camera(dataset: TrackletDataset) -> list[list[Pairs]]:
    """Return for each label the pairs of each of its cameras, in the order of camid."""
    if not dataset.pairs:
        raise UserError(
            "PairSampler: the data have no pairs of a visible and an infrared tracklet ('pairs' in "
            "partition.json): prepare data that have them (datasets/prep/bupt_campus.py; once "
            "more, if that was before there were pairs), or take the IdentitySampler"
        )
    found: list[dict[int, list[tuple[int, int]]]] = [{} for _ in dataset.pids]
    for pair in dataset.pairs:
        camera = dataset.tracklets[pair[0]].camid
        found[dataset.labels[pair[0]]].setdefault(camera, []).append(pair)
    for pid, cameras in zip(dataset.pids, found, strict=True):
        if not cameras:
            raise UserError(
                f"PairSampler: identity {pid} has no pair in the data: leave it out when "
                "preparing the data, or take the IdentitySampler"
            )
    return [[np.array(cameras[camid]) for camid in sorted(cameras)] for cameras in found]
