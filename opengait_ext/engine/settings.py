"""A checked config: every section bound once and ready to use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from ..config import Bound
from ..data.dataset import TrackletDataset
from ..data.frames import FrameRule
from ..data.layout import Partition
from ..data.transforms import Chain
from .catalog import Catalog, Config
from .optimizer import Entry
from .options import DataOptions, EvaluatorOptions, TrainerOptions


@dataclass(frozen=True)
class Reading:
    """Reading of tracklets in ``trainer_cfg`` or ``evaluator_cfg``.

    Attributes:
        sampler: The bound sampler; it is offered ``dataset``, ``draws``, ``rank`` and
            ``world_size``. An endless one takes ``draws`` and has ``batch(number)``.
        frames: Frames of each tracklet; 0: all.
        frame_rule: How frames are chosen.
        transform: Transforms of the frames, in order.
    """

    sampler: Bound
    frames: int
    frame_rule: FrameRule
    transform: Chain

    def dataset(
        self, data: DataOptions, partition: Partition, splits: Sequence[str]
    ) -> TrackletDataset:
        """Return the dataset of some splits, read with these settings."""
        return TrackletDataset(
            data.dataset_root, partition, list(splits), self.transform, self.frames,
            self.frame_rule, stream=data.stream,
        )  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """A checked config.

    Attributes:
        config: The sections as they were read, for records and comparisons.
        data: Options of ``data_cfg``.
        model: The model's class, with the arguments of its ``build``.
        losses: Losses of ``loss_cfg`` by ``log_prefix``; built, because only that checks values.
        optimizer: Entries of ``optimizer_cfg``.
        schedule: Schedule of ``scheduler_cfg``; it is offered ``optimizer`` and
            ``iterations_per_epoch``.
        trainer: Options of ``trainer_cfg``.
        training: Reading of tracklets in training.
        evaluator: Options of ``evaluator_cfg`` without the evaluator's arguments.
        testing: Reading of tracklets in a test.
        evaluate: The evaluator with its arguments; it is offered ``embedded``, ``dataset`` and
            ``split``.
        catalog: The components that the config can name.
    """

    config: Config
    data: DataOptions
    model: Bound
    losses: Mapping[str, nn.Module]
    optimizer: Sequence[Entry]
    schedule: Bound
    trainer: TrainerOptions
    training: Reading
    evaluator: EvaluatorOptions
    testing: Reading
    evaluate: Bound
    catalog: Catalog

    @property
    def model_name(self) -> str:
        """Return the name of the model's class."""
        return self.model.name
