"""Replacement of OpenGait's ``BaseModel`` for its model files, and their adapter to our engine.

Upstream's base class is a model, a trainer and a tester in one. Ours keeps only what the methods of
models use, in the same order: constructor, ``build_network``, ``init_parameters``.
"""

import copy
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..config import ConfigError
from ..errors import UserError
from ..models.base import DEVIATION, MEAN, PICTURES, Inputs, Outputs
from .checkout import log_terms
from .zoo_fit import check_features, check_frames, misfits, speaking, without_effect, words_of
from .zoo_recorded import MissingKeyError, Recorded

logger = logging.getLogger(__name__)

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
WIDE = ("OUMVLP", "GREW")  # data sets for which GaitGL uses four widths


class Messages:
    """Message manager that forwards the messages of models to our log."""

    def log_info(self, *words: Any) -> None:
        """Log a message."""
        logger.info("%s", " ".join(map(str, words)))

    def log_warning(self, *words: Any) -> None:
        """Log a warning."""
        logger.warning("%s", " ".join(map(str, words)))

    def log_debug(self, *words: Any) -> None:
        """Log a debug message."""
        logger.debug("%s", " ".join(map(str, words)))


class HostBase(nn.Module):
    """Replacement of upstream's ``BaseModel`` with the methods that its models call.

    Args:
        cfgs: All sections; only ``model_cfg`` has content here.
        training: As in upstream.
    """

    backbone_class: Any  # returns a class by name; set by the package of the checkout
    msg_mgr = Messages()

    def __init__(self, cfgs: Mapping[str, Any], training: bool) -> None:
        super().__init__()
        self.cfgs = cfgs
        self.engine_cfg = cfgs["trainer_cfg" if training else "evaluator_cfg"]
        self.iteration = 0
        self.save_path = ""
        self.build_network(cfgs["model_cfg"])
        self.init_parameters()

    def get_backbone(self, backbone_cfg: Any) -> nn.Module:
        """Build a backbone, or a list of them.

        Raises:
            ConfigError: If it does not accept a key, which upstream would drop.
        """
        if isinstance(backbone_cfg, list):
            return nn.ModuleList([self.get_backbone(each) for each in backbone_cfg])
        backbone = self.backbone_class(backbone_cfg["type"])
        known = list(inspect.signature(backbone).parameters)
        arguments = {key: value for key, value in backbone_cfg.items() if key != "type"}
        unknown = [key for key in arguments if key not in known]
        if unknown:
            raise ConfigError(
                f"model_cfg.backbone_cfg: unknown keys {', '.join(unknown)} - "
                f"{backbone_cfg['type']} accepts: {', '.join(known)}"
            )
        built: nn.Module = backbone(**arguments)
        return built

    def build_network(self, model_cfg: Mapping[str, Any]) -> None:
        """Build the default network: a backbone."""
        self.Backbone = self.get_backbone(model_cfg["backbone_cfg"])

    def init_parameters(self) -> None:
        """Initialize the weights as OpenGait does.

        Convolutions and linear layers: Glorot uniform, biases 0. Scales of batch normalization:
        normal with mean 1 and standard deviation 0.02. Everything else keeps its values.
        """
        for module in self.modules():
            if isinstance(module, _LAYERS):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, _NORMS) and module.affine:
                nn.init.normal_(module.weight, 1.0, 0.02)
                nn.init.zeros_(module.bias)


class Hosted:
    """Mixin before a model class of the zoo that makes it a model of our engine.

    Tests give upstream's results: tracklets of different lengths are computed one by one, because
    convolutions over time would otherwise mix the end of one tracklet with the start of the next.
    """

    channels_last = False  # pooling into parts needs the default memory format
    training_only: tuple[str, ...] = ()
    stream = ""  # conversion of frames to the model's input, see ``streams_of``
    origin = ""  # source file and version, for the log
    alone = False  # whether a test always takes one tracklet at a time
    told = False  # whether the terms of use have been logged
    overwrites = False  # whether the model changes tensors that its gradient needs
    section: Mapping[str, Any] = {}
    _begun = False
    _drawn = False
    _looked = False
    training: bool

    def __init__(self) -> None:
        nn.Module.__init__(self)  # type: ignore[arg-type]

    def build_network(self, model_cfg: Mapping[str, Any]) -> None:
        """Build the model and initialize or load its weights, like upstream's constructor.

        Raises:
            ConfigError: If a key is missing, or the model never reads one.
        """
        if self._begun:
            super().build_network(model_cfg)  # type: ignore[misc]
            return
        name = type(self).__name__
        logger.info("%s", self.origin)
        if not type(self).told:
            type(self).told = True
            log_terms()
        self.section = copy.deepcopy(dict(model_cfg))
        faults = list(misfits(name, self.section))
        if faults:
            raise ConfigError("\n  ".join([f"model_cfg ({name}):", *faults]))
        idle = without_effect(name, self.section)
        if idle:
            logger.info("%s: without effect as the config stands: %s", name, ", ".join(idle))
        section = Recorded(copy.deepcopy(self.section))
        given = list(section)
        self._begun = True
        try:
            super().__init__(_sections(section), True)  # type: ignore[call-arg]
        except MissingKeyError as fault:
            raise ConfigError(f"model_cfg ({name}): missing key {fault.args[0]!r}") from fault
        except OSError as fault:
            raise ConfigError(f"model_cfg ({name}): a file cannot be read: {fault}") from fault
        except UserError:
            raise
        except Exception as fault:  # a foreign file can raise anything
            raise ConfigError(
                f"model_cfg ({name}): the model refuses it: {words_of(fault)}"
            ) from fault
        section.read |= {"model", *(key for key in section if key not in given)}
        unread = list(section.unread())
        if unread:
            raise ConfigError(
                f"model_cfg ({name}): unknown keys: {', '.join(unread)} - the model was built "
                f"without reading them (it reads: {', '.join(sorted(section.read - {'model'}))})"
            )

    def init_parameters(self) -> None:
        """Initialize or load the weights once, during the build, as upstream does."""
        if not self._drawn:
            self._drawn = True
            super().init_parameters()  # type: ignore[misc]

    def forward(self, inputs: Inputs) -> Outputs:
        """Return the outputs defined by ``models.base.BaseModel``."""
        name, frames = type(self).__name__, inputs[0][0]
        check_frames(name, self.section, frames)
        with speaking(name, frames):
            return self._trained(inputs) if self.training else self._tested(inputs)

    def _trained(self, inputs: Inputs) -> Outputs:
        with saved_tensors_hooks(_copied, _same) if self.overwrites else nullcontext():
            output = super().forward(self._given(inputs))  # type: ignore[misc]
        if not self._looked or inputs[1].device.type == "cpu":  # on others, looking waits
            self._looked = True
            check_features(type(self).__name__, output["training_feat"] or {}, inputs[1])
        return _presentable(output, True)

    def _tested(self, inputs: Inputs) -> Outputs:
        parts = list(_one_by_one(inputs)) if self.alone or inputs[4] is not None else [inputs]
        outputs = [super(Hosted, self).forward(self._given(part)) for part in parts]  # type: ignore[misc]
        embeddings = torch.cat([output["inference_feat"]["embeddings"] for output in outputs])
        first = {**outputs[0], "inference_feat": {"embeddings": embeddings}}
        return _presentable(first, False)

    def _given(self, inputs: Inputs) -> Inputs:
        return (streams_of(inputs[0][0], self.stream), *inputs[1:])


def streams_of(frames: Tensor, kind: str) -> list[Tensor]:
    """Return the input streams of OpenGait's tuple.

    Args:
        frames: Frames ``[n, s, c, h, w]`` of our engine: one channel in [0, 1], or three
            normalized with ImageNet's mean and standard deviation.
        kind: ``ratio``: RGB unchanged, and the ratio of width to height of each frame; ``maps``:
            three channels in [0, 1]; anything else: frames unchanged.

    Returns:
        Silhouettes ``[n, s, h, w]`` or frames ``[n, s, 3, h, w]``; for ``ratio`` also ratios
        ``[n, s]``.
    """
    if frames.shape[2] == 1:
        return [frames.squeeze(2).contiguous()]
    if kind == "maps":
        mean, deviation = (frames.new_tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        steps = ((frames * deviation + mean) * 255).round()  # the original byte values
        return [(steps / 255).contiguous()]
    if kind == "ratio":
        height, width = frames.shape[-2:]
        return [frames.contiguous(), frames.new_full(frames.shape[:2], width / height)]
    return [frames.contiguous()]


def _copied(tensor: Tensor) -> Tensor:
    return tensor if isinstance(tensor, nn.Parameter) else tensor.detach().clone()


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _one_by_one(inputs: Inputs) -> Iterator[Inputs]:
    frames, labels, types, views, lengths = inputs[0][0], *inputs[1:]
    if lengths is None:
        clips = list(frames.split(1))
    else:
        clips = [clip.unsqueeze(0) for clip in frames[0].split(lengths.flatten().tolist())]
    for place, clip in enumerate(clips):
        pick = slice(place, place + 1)
        yield [clip], labels[pick], types[pick], views[pick], None


def _presentable(output: Mapping[str, Any], training: bool) -> Outputs:
    """Keep the images of the visual summary, and the losses only in training."""
    summary = {
        key: value[:PICTURES].detach().nan_to_num() if key.startswith("image/") else value
        for key, value in (output.get("visual_summary") or {}).items()
    }
    return {
        "training_feat": dict(output["training_feat"] or {}) if training else {},
        "visual_summary": summary,
        "inference_feat": dict(output["inference_feat"]),
    }


def _sections(model_cfg: Recorded) -> dict[str, Any]:
    """Return the sections that model files read; GaitGL selects its width by data set name."""
    wide = len(dict.get(model_cfg, "channels") or ()) == 4
    return {
        "data_cfg": {"dataset_name": WIDE[0] if wide else ""},
        "model_cfg": model_cfg,
        "trainer_cfg": {},
        "evaluator_cfg": {},
    }
