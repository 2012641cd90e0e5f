"""Transforms of a tracklet's frames before normalization: uint8 in, uint8 out.

Every transform is called as ``transform(frames, modality, rng)`` with uint8 ``[s, 3, h, w]``,
``"visible"`` or ``"infrared"``, and the generator of all its random numbers. None changes its
input in place. Unless ``per_frame`` is set, one draw holds for the whole tracklet, so that its
frames stay consistent; published code draws for each frame.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..vision import torchvision
from .channels import channel_copied, gray

Transform = Callable[[Tensor, str, np.random.Generator], Tensor]
Modality = Literal["both", "visible", "infrared"]

_functional = torchvision.transforms.v2.functional


class Resize:
    """Resize frames, bilinear with antialiasing.

    Put it first: the dataset then applies it to each frame of a tracklet whose frames differ in
    size, and decodes JPEG files of at least twice this size at a reduced scale.

    Args:
        height: In pixels.
        width: In pixels.

    Raises:
        UserError: If a size is below 1.
    """

    def __init__(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise UserError(f"Resize: expected at least 1 x 1 pixels, found {height} x {width}")
        self.height = height
        self.width = width

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return ``[s, 3, height, width]``."""
        return _functional.resize(frames, [self.height, self.width], antialias=True)


class Chain:
    """A sequence of transforms, called as one.

    Args:
        transforms: The transforms, in order.

    Attributes:
        resize: The ``Resize`` in first place, if any: images may then be decoded at a reduced
            scale, and it is applied frame by frame. None: a tracklet's frames must have one size.
    """

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self._transforms = list(transforms)
        first = self._transforms[0] if self._transforms else None
        self.resize = first if isinstance(first, Resize) else None

    def __iter__(self) -> Iterator[Transform]:
        return iter(self._transforms)

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return the frames after all transforms."""
        for change in self._transforms:
            frames = change(frames, modality, rng)
        return frames


class PadCrop:
    """Pad frames on all sides and crop a window of the old size at a random place.

    Args:
        padding: Padding on each side, in pixels.
        value: Brightness of the padding, 0 (black) to 255.
        per_frame: Draw the place for each frame.

    Raises:
        UserError: If the padding or the value is out of range.
    """

    def __init__(self, padding: int, value: int = 0, per_frame: bool = False) -> None:
        if padding < 0:
            raise UserError(f"PadCrop: padding: expected 0 pixels or more, found {padding}")
        if not 0 <= value <= 255:
            raise UserError(f"PadCrop: value: expected 0 to 255, found {value}")
        self.padding = padding
        self.value = value
        self.per_frame = per_frame

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return frames of the same size."""
        height, width = frames.shape[-2:]
        padded = _functional.pad(frames, [self.padding] * 4, fill=self.value)
        places = rng.integers(2 * self.padding + 1, size=(len(frames), 2)).tolist()
        if not self.per_frame:
            return _functional.crop(padded, *places[0], height, width)
        crops = [
            _functional.crop(frame, *place, height, width)
            for frame, place in zip(padded, places, strict=True)
        ]
        return torch.stack(crops)


class HorizontalFlip:
    """Flip frames left to right.

    Args:
        probability: Probability of a flip.
        per_frame: Draw for each frame; a tracklet then mixes flipped and unflipped frames.

    Raises:
        UserError: If the probability is outside 0 to 1.
    """

    def __init__(self, probability: float, per_frame: bool = False) -> None:
        self.probability = _checked_probability("HorizontalFlip", probability)
        self.per_frame = per_frame

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return the frames, flipped or not."""
        if not self.per_frame:
            mirror = rng.random() < self.probability
            return _functional.horizontal_flip(frames) if mirror else frames
        chosen = torch.from_numpy(rng.random(len(frames)) < self.probability)
        mirrored = _functional.horizontal_flip(frames)
        return torch.where(chosen[:, None, None, None], mirrored, frames)


class ChannelErasing:
    """Fill a random rectangle with one color ("channel random erasing").

    Source: Ye et al., "Channel Augmented Joint Learning for Visible-Infrared Recognition",
    ICCV 2021, https://github.com/mangye16/Cross-Modal-Re-ID-baseline; the rectangle is that of
    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.

    Args:
        probability: Probability of erasing.
        area: Smallest and largest erased fraction of the image.
        aspect: Smallest ratio of height to width; the largest is its reciprocal.
        fill: Color, 0 to 255 per channel. The default is ImageNet's mean, 0 after normalization;
            the authors' code erases after normalization with the equivalent of (152, 144, 129).
        modality: Which tracklets may be changed.
        per_frame: Draw for each frame.

    Raises:
        UserError: If an argument is out of range.
    """

    tries = 100

    def __init__(
        self,
        probability: float,
        area: tuple[float, float] = (0.02, 0.4),
        aspect: float = 0.3,
        fill: tuple[int, int, int] = (124, 116, 104),
        modality: Modality = "both",
        per_frame: bool = False,
    ) -> None:
        self.probability = _checked_probability("ChannelErasing", probability)
        if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            raise UserError(
                f"ChannelErasing: area: expected two parts of the picture in ascending order, "
                f"above 0 and up to 1, found {list(area)}"
            )
        if not 0 < aspect <= 1:
            raise UserError(f"ChannelErasing: aspect: expected above 0, up to 1, found {aspect}")
        if len(fill) != 3 or not all(0 <= value <= 255 for value in fill):
            raise UserError(
                f"ChannelErasing: fill: expected three values from 0 to 255, found {list(fill)}"
            )
        self.area = area
        self.aspect = aspect
        self.fill = torch.tensor(fill, dtype=torch.uint8)[:, None, None]
        self.modality = _checked_modality("ChannelErasing", modality)
        self.per_frame = per_frame

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return the frames, erased or not."""
        if self.modality not in ("both", modality):
            return frames
        _check_rgb("ChannelErasing", frames)
        if not self.per_frame:
            return self._erased(frames, rng)
        return torch.stack([self._erased(frame, rng) for frame in frames])

    def _erased(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        if rng.random() >= self.probability:
            return frames
        height, width = frames.shape[-2:]
        for _ in range(self.tries):
            area = rng.uniform(*self.area) * height * width
            aspect = rng.uniform(self.aspect, 1 / self.aspect)
            h, w = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if h < height and w < width:
                top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
                return _functional.erase(frames, top, left, h, w, self.fill)
        return frames


class ChannelAdaptiveGray:
    """Copy one channel to all three, or make the frames gray, or leave them unchanged.

    One of four cases is drawn: a copy of each of the three channels, or gray with the given
    probability. So three quarters of the tracklets are changed whatever the probability is.

    Source: as for ``ChannelErasing``, whose authors apply it to infrared frames.

    Args:
        probability: Probability of gray in the fourth case.
        modality: Which tracklets may be changed.
        normalized: Copy and mix the values after ImageNet normalization, as the authors' code
            does; a copy then changes infrared frames too, although their channels are equal.
            Otherwise the values before normalization are copied and mixed.
        per_frame: Draw for each frame.

    Raises:
        UserError: If the probability or the modality is invalid.
    """

    def __init__(
        self,
        probability: float,
        modality: Modality = "both",
        normalized: bool = True,
        per_frame: bool = False,
    ) -> None:
        self.probability = _checked_probability("ChannelAdaptiveGray", probability)
        self.modality = _checked_modality("ChannelAdaptiveGray", modality)
        self.normalized = normalized
        self.per_frame = per_frame

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return the frames, with channels replaced or unchanged."""
        if self.modality not in ("both", modality):
            return frames
        _check_rgb("ChannelAdaptiveGray", frames)
        if not self.per_frame:
            return self._changed(frames, rng)
        return torch.cat([self._changed(frame, rng) for frame in frames.split(1)])

    def _changed(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        case = int(rng.integers(4))
        if case < 3:
            return channel_copied(frames, case, self.normalized)
        return gray(frames, self.normalized) if rng.random() < self.probability else frames


class ChannelExchange:
    """Copy one randomly drawn channel to all three.

    Source: as for ``ChannelErasing``, whose authors apply it to visible frames.

    Args:
        probability: Probability of a copy; always drawn once per tracklet.
        modality: Which tracklets may be changed.
        normalized: As in ``ChannelAdaptiveGray``.
        per_frame: Draw the channel for each frame.

    Raises:
        UserError: If the probability or the modality is invalid.
    """

    def __init__(
        self,
        probability: float,
        modality: Modality = "both",
        normalized: bool = True,
        per_frame: bool = False,
    ) -> None:
        self.probability = _checked_probability("ChannelExchange", probability)
        self.modality = _checked_modality("ChannelExchange", modality)
        self.normalized = normalized
        self.per_frame = per_frame

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return the frames, with one channel in place of all three or unchanged."""
        _check_rgb("ChannelExchange", frames)
        if self.modality not in ("both", modality) or rng.random() >= self.probability:
            return frames
        if not self.per_frame:
            return channel_copied(frames, int(rng.integers(3)), self.normalized)
        channels = rng.integers(3, size=len(frames)).tolist()
        copies = [
            channel_copied(frame, channel, self.normalized)
            for frame, channel in zip(frames.split(1), channels, strict=True)
        ]
        return torch.cat(copies)


def _check_rgb(name: str, frames: Tensor) -> None:
    if frames.shape[1] != 3:
        raise UserError(
            f"{name}: expected frames in RGB, found such of {frames.shape[1]} channel; take it out "
            "of transform"
        )


def _checked_probability(name: str, probability: float) -> float:
    if not 0 <= probability <= 1:
        raise UserError(f"{name}: probability: expected 0 to 1, found {probability}")
    return probability


def _checked_modality(name: str, modality: Modality) -> Modality:
    if modality not in ("both", "visible", "infrared"):
        raise UserError(f"{name}: modality: expected both, visible or infrared, found {modality!r}")
    return modality
