"""The interface between a model and its host."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..layers.synchronized import SharesBatch

Inputs = tuple[list[Tensor], Tensor, list[str], list[str], Tensor | None]
Outputs = dict[str, dict[str, Any]]

PICTURES = 8  # frames that visual_summary shows
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, for RGB in 0..1
INFRARED_TYPE = "ir"  # the folder's name, which OpenGait passes on as the type of a sequence


class BaseModel(SharesBatch, nn.Module):
    """Base class of all models, independent of the host that trains them.

    A subclass implements ``build`` (its signature is the schema of ``model_cfg``) and
    ``forward``, and loads pretrained weights in ``init_parameters``, which the host
    calls after ``build_network``.

    Shape of ``forward(inputs)``, with ``inputs = (ipts, labels, types, views, lengths)``:
        - ``ipts[0]``: ``[n, s, 3, h, w]`` normalized frames and ``lengths`` None, or
          ``[1, f, 3, h, w]``, all frames in a row, and ``lengths`` ``[1, n]``.
        - ``labels``: ``[n]`` int64; ``types``: n of ``"rgb"`` or ``"ir"``; ``views``: n names.
        - returns ``training_feat`` (keyword arguments of the losses, by ``log_prefix``; empty
          when the model is in eval mode), ``visual_summary`` and ``inference_feat`` with
          ``embeddings`` ``[n, d, p]``.
    """

    iteration: int = 0
    # Prefixes of state-dict keys that only training uses: a checkpoint may lack them.
    training_only: tuple[str, ...] = ()
    # Submodules that are never trained and whose forward pass has no side effects: the host may
    # replace them by a faster form. Each takes tensors of frames, without gradient.
    frozen_parts: tuple[str, ...] = ()

    # Keys of ``model_cfg`` that only a test uses: a trained model may be tested with other values.
    test_only: tuple[str, ...] = ()

    def build_network(self, model_cfg: Mapping[str, Any]) -> None:
        """Build the network from a config section (OpenGait calls the method by this name)."""
        self.build(**{key: value for key, value in model_cfg.items() if key != "model"})

    def build(self, *args: Any, **kwargs: Any) -> None:
        """Build the layers; each model has its own signature."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is built")

    def init_parameters(self) -> None:
        """Load pretrained weights; the host calls it once after ``build_network``."""

    @classmethod
    def idle(cls, model_cfg: Mapping[str, Any], total_iter: int) -> Mapping[str, str]:
        """Return the keys of ``model_cfg`` that have no effect given the others, and why.

        Args:
            model_cfg: The config's section.
            total_iter: Number of training iterations.
        """
        return {}

    @classmethod
    def idle_losses(
        cls, model_cfg: Mapping[str, Any], losses: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, str]:
        """Return the losses that have no effect in this model, by ``log_prefix``, and why.

        Args:
            model_cfg: The config's section.
            losses: The entries of ``loss_cfg`` by ``log_prefix``.
        """
        return {}


def frames_of(inputs: Inputs) -> tuple[Tensor, list[int]]:
    """Return all frames of a batch in a row, and the number of frames of each tracklet.

    Returns:
        Frames ``[f, 3, h, w]`` and n lengths, whose sum is ``f``.
    """
    frames, lengths = inputs[0][0], inputs[4]
    if lengths is None:
        n, s = frames.shape[:2]
        return frames.flatten(0, 1), [s] * n  # [f, 3, h, w]
    return frames.squeeze(0), [int(length) for length in lengths.flatten().tolist()]


def infrared_frames(inputs: Inputs, lengths: Sequence[int]) -> Tensor:
    """Return which frames of a batch are infrared.

    Args:
        inputs: The argument of ``forward``.
        lengths: Number of frames of each tracklet, from :func:`frames_of`.

    Returns:
        ``[f]`` bool, on the device of the frames.
    """
    infrared = [
        kind == INFRARED_TYPE
        for kind, length in zip(inputs[2], lengths, strict=True)
        for _ in range(length)
    ]
    return torch.tensor(infrared, device=inputs[0][0].device)


def check_size(name: str, size: Sequence[int], unit: int = 1) -> None:
    """Refuse a size in pixels that is not a height and a width.

    Args:
        name: Its key in ``model_cfg``.
        size: The value of the key.
        unit: Both numbers must be multiples of it.

    Raises:
        ValueError: If it is not; the message has the key and the expected form.
    """
    if len(size) != 2 or any(side < unit or side % unit for side in size):
        multiples = f", multiples of {unit}" if unit > 1 else ""
        raise ValueError(f"{name} {list(size)}: expected height and width in pixels{multiples}")


def check_bins(bins: Sequence[int], cells: int, made: str, name: str) -> None:
    """Refuse stripes that do not divide the feature map evenly.

    Args:
        bins: Stripes per level.
        cells: Number of the map's rows, or of its pixels, that the bins must divide.
        made: Origin of the map, for the message.
        name: The key that determines the map's size.

    Raises:
        ValueError: If a number of bins does not divide ``cells``; the message names it.
    """
    uneven = [count for count in bins if count < 1 or cells % count]
    if uneven or not bins:
        raise ValueError(
            f"bins {list(bins)}: {made}, which has no {uneven} equal strips; leave these out, or "
            f"change {name}"
        )


def check_frame_size(frames: Tensor, image_size: Sequence[int]) -> None:
    """Refuse frames ``[f, 3, h, w]`` whose size is not the model's.

    Raises:
        ValueError: If the sizes differ; the message has both, and the keys that change them.
    """
    size = list(frames.shape[-2:])
    if size != list(image_size):
        raise ValueError(
            f"frames of {size[0]} x {size[1]} pixels, but model_cfg.image_size is "
            f"{list(image_size)}: make the Resize of the transforms agree with it"
        )


def pictures_of(frames: Tensor) -> Tensor:
    """Return the first of the normalized frames as pictures ``[m, 3, h, w]`` from 0 to 1."""
    few = frames[:PICTURES].detach().float()
    mean, deviation = (few.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return (few * deviation + mean).clamp(0, 1)


def gait_pictures(frames: Tensor, silhouettes: Tensor, gait: Tensor) -> dict[str, Tensor]:
    """Return pictures, from 0 to 1, of the first frames with their silhouettes and gait maps.

    Args:
        frames: ``[f, 3, h, w]``, normalized.
        silhouettes: ``[f, 1, ...]``.
        gait: ``[f, c, ...]``, adding up to one; its channels are shown in three groups.
    """
    groups = gait[:PICTURES].detach().chunk(3, dim=1)
    return {
        "image/input": pictures_of(frames),
        "image/silhouette": silhouettes[:PICTURES].detach(),
        "image/gait_map": torch.cat([group.sum(1, keepdim=True) for group in groups], dim=1),
    }
