"""ResNets with a separate stem per modality. Shape letters: see README, "Shapes"."""

import logging
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..vision import torchvision
from ..weights import load_weights
from .attention import NonLocal
from .synchronized import is_synchronized

Modality = Literal["visible", "infrared"]

NAMES = ("resnet18", "resnet34", "resnet50")
MODALITIES: tuple[Modality, ...] = ("visible", "infrared")
HINT = "Give 'imagenet' for torchvision's weights, or null for a random start."

_log = logging.getLogger(__name__)


def resnet_stem(relu: bool = True) -> nn.Sequential:
    """Return the first layers of a ResNet, which are the same for all depths.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016,
    https://arxiv.org/abs/1512.03385.

    Args:
        relu: False applies the max pooling to the normalized map itself, which DinoGRL's released
            weights need.

    Shape:
        - Input: ``[f, 3, h, w]``.
        - Output: ``[f, 64, h / 4, w / 4]``.
    """
    convolution = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    stem = nn.Sequential()
    stem.add_module("conv1", convolution)
    stem.add_module("bn1", nn.BatchNorm2d(64))
    if relu:
        stem.add_module("relu", nn.ReLU(inplace=True))
    stem.add_module("maxpool", nn.MaxPool2d(3, stride=2, padding=1))
    return stem


class ResNetStages(nn.Module):
    """The four stages of a ResNet, with optional non-local blocks.

    The parameters have torchvision's names (``layer1.0.conv1.weight`` ...).

    Source: He et al., CVPR 2016, https://arxiv.org/abs/1512.03385; the placing of the
    non-local blocks: Ye et al., TPAMI 2022, https://arxiv.org/abs/2001.04193.

    Args:
        name: ``resnet18``, ``resnet34`` or ``resnet50``.
        last_stride: Stride of the last stage: 1 keeps a finer map, 2 is the original.
        non_local: Number of non-local blocks in each of the four stages; one follows each of the
            stage's last residual blocks.

    Shape:
        - Input: ``[f, 64, h, w]``, from :func:`resnet_stem`.
        - Output: ``[f, channels, h / 4, w / 4]`` for a last stride of 1, else ``h / 8, w / 8``.

    Raises:
        ValueError: If the name is unknown, or a stage has fewer blocks than ``non_local`` needs.
    """

    def __init__(
        self, name: str = "resnet50", last_stride: int = 1, non_local: Sequence[int] = (0, 0, 0, 0)
    ) -> None:
        super().__init__()
        if name not in NAMES:
            raise ValueError(f"backbone {name!r}: expected one of {', '.join(NAMES)}")
        self.name = name
        whole = getattr(torchvision.models, name)(weights=None)
        self.layer1, self.layer2 = whole.layer1, whole.layer2
        self.layer3, self.layer4 = whole.layer3, whole.layer4
        for module in self.layer4[0].modules():
            if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
                module.stride = (last_stride, last_stride)
        self.channels: int = whole.fc.in_features
        self.non_local_counts = tuple(non_local)
        self._check_counts()
        self.non_local = nn.ModuleList(
            NonLocal(_width(stage))
            for stage, count in zip(self._stages(), self.non_local_counts, strict=True)
            for _ in range(count)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the last stage's map for ``[f, 64, h, w]``."""
        extras = iter(self.non_local)
        for stage, count in zip(self._stages(), self.non_local_counts, strict=True):
            for number, block in enumerate(stage):
                features = block(features)
                if number >= len(stage) - count:
                    features = next(extras)(features)
        return features

    def load_pretrained(self, source: str | None, where: str) -> None:
        """Load a pretrained ResNet into the stages, see :meth:`TwoStreamResNet.load_pretrained`.

        Raises:
            UserError: If the weights are not available, or do not fit.
        """
        if source is not None:
            self.fill_from(_pretrained(self.name, source, where))

    def fill_from(self, whole: nn.Module) -> None:
        """Copy the stages of a torchvision ResNet of the same name."""
        for number, stage in enumerate(self._stages(), start=1):
            stage.load_state_dict(whole.get_submodule(f"layer{number}").state_dict())

    def _stages(self) -> list[nn.Sequential]:
        return [self.layer1, self.layer2, self.layer3, self.layer4]

    def _check_counts(self) -> None:
        blocks = [len(stage) for stage in self._stages()]
        counts = list(self.non_local_counts)
        if len(counts) != 4 or any(
            not 0 <= count <= most for count, most in zip(counts, blocks, strict=True)
        ):
            raise ValueError(
                f"non_local {counts}: expected four numbers, from 0 to the blocks of each stage "
                f"{blocks}"
            )


class TwoStreamResNet(nn.Module):
    """ResNet with a stem for each modality, then shared stages.

    With one modality there is one stem, and the network is a plain ResNet.

    All frames of a batch pass the shared stages at once, so in training their batch
    normalizations see both modalities together. Each stem normalizes its own modality.

    Source: Ye et al., "Deep Learning for Person Re-Identification: A Survey and Outlook",
    TPAMI 2022, https://arxiv.org/abs/2001.04193 (the two-stream network of AGW).

    Args:
        name: ``resnet18``, ``resnet34`` or ``resnet50``.
        last_stride: Stride of the last stage.
        non_local: Number of non-local blocks in each stage, see :class:`ResNetStages`.
        stem_relu: Whether the stems have their ReLU, see :func:`resnet_stem`.
        modalities: Modalities with a stem: ``visible``, ``infrared``, or both.

    Shape:
        - frames: ``[f, 3, h, w]``; infrared: ``[f]`` bool, in any order.
        - Output: ``[f, channels, h / 16, w / 16]`` in the order of the frames (last stride 1).

    Raises:
        ValueError: If no modality is named, or in ``forward`` for frames of another one.
    """

    visible_stem: nn.Sequential
    infrared_stem: nn.Sequential

    def __init__(
        self,
        name: str = "resnet50",
        last_stride: int = 1,
        non_local: Sequence[int] = (0, 0, 0, 0),
        stem_relu: bool = True,
        modalities: Sequence[Modality] = MODALITIES,
    ) -> None:
        super().__init__()
        if not modalities or not set(modalities) <= set(MODALITIES):
            raise ValueError(f"modalities {list(modalities)}: expected some of {list(MODALITIES)}")
        self.name = name
        self.modalities = tuple(each for each in MODALITIES if each in modalities)
        for modality in self.modalities:
            self.add_module(f"{modality}_stem", resnet_stem(stem_relu))
        self.stages = ResNetStages(name, last_stride, non_local)
        self.channels = self.stages.channels

    def forward(self, frames: Tensor, infrared: Tensor) -> Tensor:
        """Return the maps ``[f, channels, h / 16, w / 16]`` of the frames."""
        return self.stages(self._stem(frames, infrared))

    def _stem(self, frames: Tensor, infrared: Tensor) -> Tensor:
        """Pass each frame through the stem of its modality: ``[f, 64, h / 4, w / 4]``."""
        visible_at = (~infrared).nonzero().squeeze(1).to(frames.device)
        infrared_at = infrared.nonzero().squeeze(1).to(frames.device)
        self._check_modalities(len(visible_at), len(infrared_at))
        if self._is_alone("infrared", infrared_at):
            return self.visible_stem(frames)
        if self._is_alone("visible", visible_at):
            return self.infrared_stem(frames)
        maps = (self.visible_stem(frames[visible_at]), self.infrared_stem(frames[infrared_at]))
        # The argsort of the frames' order of input is the position of each frame's map.
        return torch.cat(maps)[torch.cat([visible_at, infrared_at]).argsort()]

    def _is_alone(self, other: Modality, frames: Tensor) -> bool:
        """Return whether the stem of the other modality, which has these frames, is skipped.

        A stem with synchronized moments is called even without frames, because another process may
        have some.
        """
        if len(frames) or other not in self.modalities:
            return not len(frames)
        norm = self.get_submodule(f"{other}_stem.bn1")
        return not (norm.training and is_synchronized(norm))

    def load_pretrained(self, source: str | None, where: str) -> None:
        """Load one pretrained ResNet into both stems and the stages.

        The non-local blocks keep their initial weights.

        Args:
            source: ``imagenet`` for torchvision's first ImageNet weights, the path of a
                state dict with torchvision's names (its classifier is ignored), or None to
                keep random weights.
            where: Key of the config that names the source, for messages.

        Raises:
            UserError: If the weights are not available, or do not fit.
        """
        if source is None:
            return
        whole = _pretrained(self.name, source, where)
        for modality in self.modalities:
            stem = self.get_submodule(f"{modality}_stem")
            for part in ("conv1", "bn1"):
                stem.get_submodule(part).load_state_dict(whole.get_submodule(part).state_dict())
        self.stages.fill_from(whole)

    def _check_modalities(self, *counts: int) -> None:
        """Refuse frames of a modality without a stem, given the count of each modality."""
        for modality, count in zip(MODALITIES, counts, strict=True):
            if count and modality not in self.modalities:
                raise ValueError(
                    f"{count} {modality} frames, but the network has a stem for "
                    f"{list(self.modalities)} alone: add {modality} to model_cfg.modalities, or "
                    "leave these tracklets out of the batches"
                )


def _pretrained(name: str, source: str, where: str) -> nn.Module:
    """Return a torchvision ResNet without its classifier, with the weights of ``source``."""
    whole = getattr(torchvision.models, name)(weights=None)
    whole.fc = nn.Identity()
    if source != "imagenet":
        load_weights(whole, source, where=where, names={"fc.": ""}, hint=HINT)
        return whole
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as fault:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"{where}: the ImageNet weights of {name} could not be loaded ({fault}). Put "
            f"{weights.url} into {folder}, or give its path instead of 'imagenet'; null starts "
            "at random"
        ) from fault
    whole.load_state_dict({key: value for key, value in state.items() if key[:3] != "fc."})
    _log.info("%s: ImageNet weights of %s, %s", where, name, weights.url)
    return whole


def _width(stage: nn.Sequential) -> int:
    """Return the channels of a stage's output."""
    convolutions = [module for module in stage[-1].modules() if isinstance(module, nn.Conv2d)]
    return convolutions[-1].out_channels
