"""A checked config: every section bound once, and ready to be used."""

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
    """How ``trainer_cfg`` or ``evaluator_cfg`` reads tracklets.

    Attributes:
        sampler: Deals the tracklets out; is offered ``dataset``, ``draws``, ``rank`` and
            ``world_size``. One without end takes ``draws``, and has ``batch(number)``.
        frames: Frames of each tracklet; 0: all.
        frame_rule: How these are taken.
        transform: What happens to the frames, in order.
    """

    sampler: Bound
    frames: int
    frame_rule: FrameRule
    transform: Chain

    def dataset(
        self, data: DataOptions, partition: Partition, splits: Sequence[str]
    ) -> TrackletDataset:
        """Return the tracklets of some splits, read so."""
        return TrackletDataset(
            data.dataset_root, partition, list(splits), self.transform, self.frames,
            self.frame_rule, stream=data.stream,
        )  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """A checked config.

    Attributes:
        config: The sections as they were read: for records, and to compare with others.
        data: ``data_cfg``.
        model: The model's class, with the arguments of its ``build``.
        losses: ``loss_cfg``, by ``log_prefix``; built, as nothing else shows that values are right.
        optimizer: The entries of ``optimizer_cfg``.
        schedule: ``scheduler_cfg``; is offered ``optimizer`` and ``iterations_per_epoch``.
        trainer: ``trainer_cfg``.
        training: How the training reads tracklets.
        evaluator: ``evaluator_cfg`` without the arguments of the evaluator.
        testing: How a test reads tracklets.
        evaluate: The evaluator with these arguments; is offered ``embedded``, ``dataset`` and
            ``split``.
        catalog: Where the components come from.
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
