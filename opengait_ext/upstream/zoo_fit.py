"""Consistency checks of a zoo model's config with itself, its frames and its losses.

OpenGait's models fail inside a layer, with a torch error that names neither key nor remedy, or not
at all. The tables hold the known facts about each model. Any other error in a foreign file is
reported with its own words.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.cuda import OutOfMemoryError

from ..config import ConfigError
from ..errors import UserError
from .zoo_keys import KEYS

logger = logging.getLogger(__name__)

SILHOUETTES = ("GaitSet", "GaitPart", "GaitGL", "GLN")  # these take frames without channels
MAPS = ("SkeletonGaitPP", "MultiGaitpp")  # three channels, regardless of their config
# The config key with the number of channels of the frames, by model.
CHANNELS = {
    "GaitSet": "in_channels.0",
    "GLN": "in_channels.0",
    "DeepGaitV2": "Backbone.in_channels",
    **dict.fromkeys(MAPS, "Backbone.in_channels"),
}
_OF_BACKBONES = {"ResNet9": "in_channel", "Plain": "in_channels"}
# The length of lists; OpenGait ignores further numbers.
LENGTHS: dict[str, dict[str, tuple[int, ...]]] = {
    "GaitSet": {"in_channels": (4,)},
    "GLN": {"in_channels": (4,)},
    "GaitGL": {"channels": (3, 4)},
    "DeepGaitV2": {"Backbone.layers": (4,), "Backbone.channels": (4,)},
    **dict.fromkeys(MAPS, {"Backbone.blocks": (4,)}),
}
_OF_RESNET9 = ("backbone_cfg.channels", "backbone_cfg.layers", "backbone_cfg.strides")
WIDTHS = {"DeepGaitV2": (44, 88), "SkeletonGaitPP": (44, 48, 88, 96)}
GLN_BINS = [16, 8, 4, 2, 1]
_POOLED = {"GaitSet": 2, "GLN": 3}  # number of maps cut into parts; other models have one
# Read, but without effect before GLN's second phase.
_LATER = ("hidden_dim", "dropout", "class_num")


def misfits(name: str, section: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each inconsistent value of ``model_cfg``, with the expected value.

    Args:
        name: Name of the model.
        section: Its config; keys and types have been checked already.
    """
    if name not in KEYS:
        return  # 0 or less may be right in an unknown model
    yield from _numbers(section)
    yield from _lengths(name, section)
    yield from _parts(name, section)
    for key, value, expected, why in _widths(name, section):
        if value is not None and expected is not None and value != expected:
            yield f"{key} is {value}; expected {expected}, {why}"
    if name in MAPS and value_at(section, CHANNELS[name]) not in (None, 3):
        yield f"{CHANNELS[name]} is {value_at(section, CHANNELS[name])}; expected 3, it reads maps"
    if name in SILHOUETTES and channels_of(name, section) not in (None, 1):
        yield f"{_place_of_channels(name, section)}: expected 1, {name} reads silhouettes"
    if name == "GLN" and section.get("Lateral_pretraining") is False:
        yield (
            "Lateral_pretraining is false: GLN's second phase gives logits [n, 1, k], which no "
            "loss takes ([n, k, p]), so it cannot be trained; set it to true"
        )


def without_effect(name: str, section: Mapping[str, Any]) -> list[str]:
    """Return the keys that a model accepts but that have no effect in this config."""
    return [key for key in _LATER if section.get(key)] if name == "GLN" else []


def _numbers(section: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Yield a line for each integer below 1 and each empty list; 0 may mean an unused key."""
    for key, value in section.items():
        here = f"{place}{key}"
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{here}.")
            continue
        listed = value if isinstance(value, list) else [value]
        low = [each for each in listed if type(each) is int and each < 1]
        unused = key in ("class_num", "p", "dropout") and value == 0
        if low and not unused:
            yield f"{here} is {value}; expected whole numbers from 1"
        if isinstance(value, list) and not value:
            yield f"{here} is empty; expected at least one entry"


def _lengths(name: str, section: Mapping[str, Any]) -> Iterator[str]:
    resnet = value_at(section, "backbone_cfg.type") == "ResNet9"
    lengths = {**LENGTHS.get(name, {}), **(dict.fromkeys(_OF_RESNET9, (4,)) if resnet else {})}
    for key, wanted in lengths.items():
        found = value_at(section, key)
        if found and len(found) not in wanted:
            known = " or ".join(map(str, wanted))
            yield f"{key} has {len(found)} entries ({found}); expected {known}"


def _parts(name: str, section: Mapping[str, Any]) -> Iterator[str]:
    bins, parts = section.get("bin_num"), value_at(section, "SeparateFCs.parts_num")
    if name == "GLN" and bins and bins != GLN_BINS:
        yield f"bin_num is {bins}; expected {GLN_BINS}: GLN pools so, whatever stands there"
    elif bins and parts is not None:
        maps = _POOLED.get(name, 1)
        if parts != maps * sum(bins):
            each = f", for each of the {maps} maps that are pooled" if maps > 1 else ""
            yield (
                f"SeparateFCs.parts_num is {parts}; expected {maps * sum(bins)}, the sum of "
                f"bin_num ({bins}){each}"
            )


def _widths(name: str, section: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield numbers that must be equal: key, value, expected value, reason."""
    before = {"GaitSet": "in_channels.3", "GLN": "lateral_dim"}.get(name)
    if value_at(section, "backbone_cfg.block") == "BasicBlock":  # the other block widens by four
        before = "backbone_cfg.channels.3"
    if before:
        layers = value_at(section, "SeparateFCs.in_channels")
        yield "SeparateFCs.in_channels", layers, value_at(section, before), before
    yield (
        "SeparateBNNecks.parts_num",
        value_at(section, "SeparateBNNecks.parts_num"),
        value_at(section, "SeparateFCs.parts_num"),
        "SeparateFCs.parts_num",
    )
    yield (
        "SeparateBNNecks.in_channels",
        value_at(section, "SeparateBNNecks.in_channels"),
        value_at(section, "SeparateFCs.out_channels"),
        "SeparateFCs.out_channels",
    )


def check_frames(name: str, section: Mapping[str, Any], frames: Tensor) -> None:
    """Refuse frames that do not fit the config of a model.

    Args:
        name: Name of the model.
        section: Its ``model_cfg``.
        frames: Frames ``[n, s, c, h, w]``.

    Raises:
        ConfigError: With the shape of the frames and the input the model expects.
    """
    channels, width = frames.shape[2], frames.shape[4]
    if name in SILHOUETTES and channels != 1:
        raise ConfigError(
            f"model_cfg ({name}): the model reads silhouettes, one channel; the frames have "
            f"{channels}. Name the silhouettes in data_cfg.stream"
        )
    wanted = channels_of(name, section)
    if wanted is not None and wanted != channels:
        raise ConfigError(
            f"model_cfg ({name}): {_place_of_channels(name, section)}, but the frames have "
            f"{channels} channel{'s' if channels > 1 else ''}. Name a stream of {wanted} in "
            f"data_cfg.stream{'' if name in MAPS else f', or set it to {channels}'}"
        )
    if name in WIDTHS and width not in WIDTHS[name]:
        known = ", ".join(map(str, WIDTHS[name][:-1]))
        raise ConfigError(
            f"model_cfg ({name}): the frames are {width} columns wide; expected {known} or "
            f"{WIDTHS[name][-1]}. Change the transforms (Resize, CutSides)"
        )


def check_features(name: str, features: Mapping[str, Any], labels: Tensor) -> None:
    """Refuse logits with too few classes for the labels.

    Raises:
        ConfigError: If a label is not below the number of classes.
    """
    for key, feature in features.items():
        logits = feature.get("logits") if isinstance(feature, Mapping) else None
        if not isinstance(logits, Tensor) or logits.dim() < 2 or not len(labels):
            continue
        highest = int(labels.max())
        if logits.shape[1] <= highest:
            raise ConfigError(
                f"model_cfg ({name}): the model tells {logits.shape[1]} classes apart in {key} "
                f"(logits {list(logits.shape)}), but the batch has the identity {highest} (counted "
                "from 0). Give it as many classes as the training data have identities "
                "(class_num)"
            )


@contextmanager
def speaking(name: str, frames: Tensor) -> Iterator[None]:
    """Turn errors that a foreign model raises for frames ``[n, s, c, h, w]`` into ConfigError.

    Out-of-memory errors pass through to the engine, which handles them.

    Raises:
        ConfigError: With the words of the original error.
    """
    try:
        yield
    except (UserError, OutOfMemoryError):
        raise
    except Exception as fault:  # a foreign file can raise anything
        logger.debug("%s", name, exc_info=True)
        raise ConfigError(
            f"model_cfg ({name}): the model does not take frames {list(frames.shape)} (tracklets, "
            f"frames, channels, height, width): {words_of(fault)}. Compare its keys with each "
            "other, and height and width with the strides and bin_num"
        ) from fault


def words_of(fault: BaseException) -> str:
    """Return the type of an error and its first line, if it has one."""
    line = next(iter(str(fault).strip().splitlines()), "")
    return f"{type(fault).__name__}: {line[:300]}" if line else type(fault).__name__


def channels_of(name: str, section: Mapping[str, Any]) -> int | None:
    """Return the configured number of channels of the frames; None if there is none."""
    place = _key_of_channels(name, section)
    found = value_at(section, place) if place else None
    return found if type(found) is int else None


def _place_of_channels(name: str, section: Mapping[str, Any]) -> str:
    return f"{_key_of_channels(name, section)} is {channels_of(name, section)}"


def _key_of_channels(name: str, section: Mapping[str, Any]) -> str | None:
    key = _OF_BACKBONES.get(str(value_at(section, "backbone_cfg.type")))
    if name in ("Baseline", "GaitPart") and key:
        return f"backbone_cfg.{key}"
    return CHANNELS.get(name)


def value_at(section: Any, place: str) -> Any:
    """Return the value at a path like ``Backbone.layers`` or ``in_channels.0``, or None."""
    for key in place.split("."):
        if isinstance(section, Mapping):
            section = section.get(key)
        elif isinstance(section, Sequence) and key.isdigit() and int(key) < len(section):
            section = section[int(key)]
        else:
            return None
    return section
