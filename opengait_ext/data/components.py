"""The parts of the data package that need torch, and the registries of samplers and transforms."""

from ..registry import Registry
from .collate import Batch, collate
from .dataset import Sample, TrackletDataset
from .pair_sampler import PairSampler
from .random_sampler import RandomIdentitySampler
from .samplers import IdentitySampler, OrderedSampler
from .silhouettes import CutSides
from .transforms import (
    ChannelAdaptiveGray,
    ChannelErasing,
    ChannelExchange,
    HorizontalFlip,
    PadCrop,
    Resize,
    Transform,
)

__all__ = ["SAMPLERS", "TRANSFORMS", "Batch", "Sample", "TrackletDataset", "Transform", "collate"]

SAMPLERS = Registry(
    "sampler", [IdentitySampler, OrderedSampler, PairSampler, RandomIdentitySampler]
)
TRANSFORMS = Registry(
    "transform",
    [
        ChannelAdaptiveGray,
        ChannelErasing,
        ChannelExchange,
        CutSides,
        HorizontalFlip,
        PadCrop,
        Resize,
    ],
)
