"""Values of components that have no effect given the other values of a config."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..data.layout import INFRARED, VISIBLE
from ..evaluation.rerank import checked
from .catalog import Config
from .options import is_weight_file
from .settings import Settings

_GRAY = "ChannelAdaptiveGray"  # three quarters of its changes ignore its probability


def idle_in_training(settings: Settings) -> Iterator[str]:
    """Yield values of model, losses, batches and augmentation without effect in training."""
    config, model = settings.config, settings.model.component
    trainer, section = config["trainer_cfg"], config["model_cfg"]
    if hasattr(model, "idle"):
        for key, reason in model.idle(section, trainer["total_iter"]).items():
            if key in section:
                yield f"model_cfg.{key}: without effect, {reason}"
    yield from _of_transforms(trainer["transform"], "trainer_cfg.transform")
    absent = [name for name in (VISIBLE, INFRARED) if trainer["sampler"].get(name) == 0]
    for place, entry in enumerate(trainer["transform"]):
        if entry.get("modality") in absent:
            yield (
                f"trainer_cfg.transform[{place}]: {entry['type']} without effect, it changes "
                f"{entry['modality']} tracklets alone and the sampler draws none"
            )
    losses = {entry["log_prefix"]: entry for entry in config["loss_cfg"]}
    of_model = model.idle_losses(section, losses) if hasattr(model, "idle_losses") else {}
    for place, (prefix, entry) in enumerate(losses.items()):
        if entry.get("loss_term_weight", 1.0) == 0:
            yield f"loss_cfg[{place}]: {prefix} has the weight 0 and is not computed"
            continue
        reason = of_model.get(prefix) or _why_constant(entry, section, trainer["sampler"])
        if reason:
            yield f"loss_cfg[{place}]: {prefix} without effect, {reason}"


def _of_transforms(entries: list[Mapping[str, Any]], where: str) -> Iterator[str]:
    for place, entry in enumerate(entries):
        kind, probability = entry["type"], entry.get("probability")
        if probability == 0 and kind != _GRAY:
            yield f"{where}[{place}]: {kind} of probability 0 does nothing"
        elif kind in ("PadCrop", "CutSides") and not entry.get("padding", entry.get("columns")):
            key = "padding" if kind == "PadCrop" else "columns"
            yield f"{where}[{place}]: {kind} of {key} 0 does nothing"
        elif kind == "HorizontalFlip" and probability == 1 and entry.get("per_frame"):
            yield f"{where}[{place}].per_frame: without effect, every frame is mirrored"


def _why_constant(
    loss: Mapping[str, Any], model: Mapping[str, Any], sampler: Mapping[str, Any]
) -> str:
    """Return why a loss has no gradient for any batch of the sampler; empty if it can have one."""
    if loss["type"] == "CrossEntropyLoss" and model.get("num_identities") == 1:
        return "there is one identity to choose from"
    if loss["type"] != "TripletLoss":
        return ""
    if sampler.get("identities") == 1:
        return "a batch has one identity and so no negative pair"
    counts = [sampler[name] for name in (VISIBLE, INFRARED) if name in sampler]
    if counts and sum(counts) == 1 and not loss.get("anchor_is_positive"):
        return "a batch has one tracklet of each identity and so no positive pair"
    return ""


def idle_in_test(config: Config) -> Iterator[str]:
    """Yield values without effect in a test."""
    section = config["evaluator_cfg"]
    yield from _of_transforms(section["transform"], "evaluator_cfg.transform")
    settings = section.get("rerank")
    if not settings:
        return
    full, key = checked(settings), "evaluator_cfg.rerank"
    if full["type"] == "temporal" and not full["all"] and not full["halves"]:
        yield f"{key}: without effect, all and halves are 0: the distance alone counts"
    elif full["lambda"] == 1:
        yield f"{key}: k1 and k2 are without effect, lambda is 1: the distance alone counts"
    elif full["type"] == "temporal" and not full["halves"]:
        yield f"{key}.halves: 0: the halves of the tracklets are embedded and do not count"
    if section.get("metric") == "cosine" and "squared" in settings:
        yield f"{key}.squared: without effect, the metric is cosine"


def idle_here(config: Config, processes: int) -> Iterator[str]:
    """Yield values without effect in this run that are reasonable for other runs or machines."""
    trainer, data = config["trainer_cfg"], config["data_cfg"]
    for key in ("sync_batch_norm", "find_unused_parameters"):
        if processes == 1 and trainer.get(key):
            yield f"trainer_cfg.{key}: without effect in a single process"
    if data["num_workers"] == 0 and "loader_timeout" in data:
        yield "data_cfg.loader_timeout: without effect, num_workers is 0"
    for name in ("trainer_cfg", "evaluator_cfg"):
        if config[name]["sampler"].get("frames") == 0:
            yield f"{name}.sampler.frame_rule: without effect, frames is 0: all are taken"
    model = config["model_cfg"]
    if trainer["sampler"].get("frames") == 1 and "set_pooling" in model:
        yield "model_cfg.set_pooling: without effect in training, a tracklet has one frame"
    if is_weight_file(trainer["restore_hint"]) and trainer["restore_strict"]:
        later = ("mask_weights",) if "mask_iterations" in model else ()
        for key in ("dinov2_weights", "mask_weights", "backbone_weights"):
            if model.get(key) and key not in later:
                yield (
                    f"model_cfg.{key}: without effect, all weights come from "
                    f"trainer_cfg.restore_hint ({trainer['restore_hint']})"
                )


def unfit_for_a_test(settings: Settings) -> Iterator[str]:
    """Yield evaluator arguments that it would reject only after everything is embedded."""
    section = settings.evaluate.arguments
    if section.get("rerank") is not None:
        try:
            checked(section["rerank"])
        except ValueError as fault:
            yield f"evaluator_cfg.{fault}"
    if section.get("ranks") == []:
        yield "evaluator_cfg.ranks: expected numbers from 1, as in [1, 5, 10], found []"
    for far in section.get("tar_at_far") or []:
        if not 0 <= far <= 1:
            yield f"evaluator_cfg.tar_at_far: expected rates from 0 to 1, found {far}"
