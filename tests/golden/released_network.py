"""DinoGRLReleased with the golden weights, and what is measured of it.

All names of arrays, and how each is cut out of a larger one, are those of the golden files.
"""

import functools
import random
from pathlib import Path

import numpy as np
import torch
from golden_values import Part, golden_input, golden_tensor, their_name
from torch import nn

from opengait_ext import released
from opengait_ext.config import build, load_config
from opengait_ext.evaluation.distance import part_distance
from opengait_ext.layers.foreground import black_out, body_masks
from opengait_ext.layers.upsampling import upsampled
from opengait_ext.losses import LOSSES
from opengait_ext.models.dinogrl_released import DinoGRLReleased, compared_of

ROOT = Path(__file__).parents[2]
CONFIG = "configs/dinogrl_released_vcm.yaml"
FILES = {"shape": released.GAIT, "model": released.APPEARANCE, "attn": released.ATTENTION}
TYPES = ["rgb", "rgb", "ir", "ir"]
LABELS = torch.tensor([0, 1, 0, 1])
SASG = ("mask", "mask_smoothness", "gait_smoothness", "diversity")
IDENTITY = ("gait_id", "gait_triplet", "appearance_id", "appearance_triplet")


def published(name):
    """Gives the file in which the authors have one of our weights, and its name there."""
    for file, names in FILES.items():
        if any(name.startswith(beginning) for beginning in names.values()):
            return file, their_name(name, Part(names, "", ""))
    raise KeyError(name)


def golden_weights(salt, override):
    """Gives the weights of the rule by our names, rounded to float32.

    The authors' modules were filled as float32, and for the training step widened to float64
    afterwards: that run, too, has rounded weights.
    """
    weights = {}
    for name, value in _network({}).state_dict().items():
        theirs = published(name)[1]
        given = override.get(theirs)
        array = golden_tensor(theirs, tuple(value.shape), salt) if given is None else given
        weights[name] = torch.tensor(array).to(value.dtype)
    return weights


def golden_network(weights, **changes):
    """Build the network of the shipped config with the golden weights, which become its own."""
    model = _network(changes)
    model.load_state_dict(weights, assign=True)
    assert all(name in weights for name, _ in model.named_buffers())  # nothing is left unfilled
    return model


def _network(changes):
    section = load_config(ROOT / CONFIG)["model_cfg"] | {"backbone_weights": None} | changes
    with torch.device("meta"):
        model = DinoGRLReleased()
        model.build_network(section)
    return model


def golden_batch(seed, dtype=torch.float32):
    """Gives the golden frames as a model gets them."""
    frames = torch.from_numpy(golden_input(seed)).to(dtype)
    return [frames], LABELS, TYPES, ["D1-T1"] * len(TYPES), None


def ten_losses(features):
    """Gives the losses of the shipped config as the golden files list them, and their sum.

    The four of silhouettes and maps without their weights, their weighted sum, the four of the
    identities (left out if there are none), the sum of all.
    """
    plain, weighted = {}, {}
    for section in load_config(ROOT / CONFIG)["loss_cfg"]:
        prefix = section["log_prefix"]
        if prefix in features:
            settings = {key: value for key, value in section.items() if key != "log_prefix"}
            loss = build(LOSSES, settings, where="loss_cfg")
            plain[prefix] = loss(**features[prefix])[0]
            weighted[prefix] = plain[prefix] * loss.loss_term_weight
    sasg = sum(weighted[name] for name in SASG)
    identity = [weighted[name] for name in IDENTITY if name in weighted]
    total = sasg + sum(identity)
    listed = [*(plain[name] for name in SASG), sasg, *identity, *([total] if identity else [])]
    return np.array([float(value.detach()) for value in listed]), total


def evaluated(model, seed):
    """Gives everything of full_eval.npz, by name."""
    seen = {}
    hooks = [
        module.register_forward_hook(functools.partial(_remember, seen, name))
        for name, module in _stages(model).items()
    ]
    with torch.no_grad():
        batch = golden_batch(seed)
        found = model.eval()(batch)["inference_feat"]["embeddings"]  # [4, 256, 70]
        sasg = model.sasg
        made = sasg(*seen["tokens"])
        target = upsampled(seen["tokens"][0], sasg.token_grid, sasg.map_size)
        decoded = sasg.mask.decode(sasg.mask(target))  # made in training only
        made = made._replace(target=target, reconstruction=decoded)
    for hook in hooks:
        hook.remove()
    halves = {"shape": found[:, :, :35], "app": found[:, :, 35:]}
    arrays = {f"{stream}35": half for stream, half in halves.items()}
    arrays["gait_dist_vis_to_ir"] = part_distance(found[:2], found[2:])
    arrays |= _of_silhouettes(model, made) | _of_maps(made) | _of_stages(seen)
    losses = ten_losses(compared_of(made))[0]
    arrays["sasg_losses_mse_connshape_connpart_div_total"] = losses
    with torch.no_grad():
        for stream, neck in (("shape", "gait"), ("app", "appearance")):
            arrays[f"logits_{stream}_s25"] = model.necks[neck](halves[stream])[1][:, ::25]
    return {name: np.asarray(array) for name, array in arrays.items()}


def _stages(model):
    return {
        "tokens": model.dinov2,
        "fused": model.sasg.fusion,
        "gait_layer3": model.gait_encoder.layer3[-1],
        "gait_layer4": model.gait_encoder.layer4[-1],
        "app_layer3": model.appearance_encoder.stages.layer3[-1],
        "app_layer4": model.appearance_encoder.stages.layer4[-1],
        "gait_hpp": model.gait_parts.pyramid,
        "app_hpp": model.appearance_parts.pyramid,
    }


def _remember(seen: dict, name: str, module: nn.Module, inputs, output):
    seen.setdefault(name, output)


def _of_silhouettes(model, made):
    grid = made.probabilities.transpose(1, 2).unflatten(2, model.map_size)  # [24, 2, 64, 32]
    bits = (made.silhouettes != 0).numpy().reshape(24, -1)
    body = body_masks(grid)
    edge = grid[:, 0].round()[:, [*range(5), *range(59, 64)]].sum((1, 2))
    return {
        "foreground_bits": np.packbits(bits, axis=1),
        "foreground_frame0": made.silhouettes[0, 0],
        "foreground_mean": made.silhouettes.mean((1, 2, 3)),
        "fore_prob_frame0": made.probabilities[0].view(64, 32, 2),
        "fore_prob_mean": made.probabilities.mean(1),
        "edge_count": edge.long(),
        "flipped": (body[:, 0] == grid[:, 1]).all(2).all(1),
        "body_frame0": body[0, 0],
    }


def _of_maps(made):
    arrays = {}
    for name, maps in (("denosing", made.gait), ("appearance", made.appearance)):
        arrays[f"{name}_frame0_s2"] = maps[0, :, ::2, ::2].permute(1, 2, 0)
        arrays[f"{name}_mean"] = maps.mean((1, 2, 3))
        arrays[f"{name}_std"] = maps.std((1, 2, 3), correction=0)
        arrays[f"{name}_chanmean"] = maps.mean((0, 2, 3))
    return arrays


def _of_stages(seen):
    last, joined = seen["tokens"]
    fused = seen["fused"]
    arrays = {
        "tok_last1_frame0_s16": last[0, ::16],
        "tok_mid4_frame0_s32": joined[0, ::32],
        "fused_seq0_frame0": fused[0, ::8, ::4, ::4],
        "fused_std": fused.std((1, 2, 3), correction=0).view(4, 6),
    }
    for name, tokens in (("tok_last1", last), ("tok_mid4", joined)):
        arrays[f"{name}_mean"] = tokens.mean((1, 2))
        arrays[f"{name}_std"] = tokens.std((1, 2), correction=0)
    for stream in ("gait", "app"):
        arrays[f"{stream}_hpp_s32"] = seen[f"{stream}_hpp"][:, ::32]
        for layer, step in (("layer3", 32), ("layer4", 64)):
            maps = seen[f"{stream}_{layer}"]
            arrays[f"{stream}_enc_{layer}_frame0"] = maps[0, ::step, ::2, ::2]
            arrays[f"{stream}_enc_{layer}_std"] = maps.std((1, 2, 3), correction=0)
    return arrays


def tame(model):
    """Makes PBMGE's steps small, as the golden training step does."""
    with torch.no_grad():
        for enhance in (*model.pbmge.gait, *model.pbmge.appearance):
            enhance.positive_norm.weight.mul_(0.1)
            enhance.negative_norm.weight.mul_(0.1)


def gradient_summary(gradient):
    """Gives the norms of a gradient and 30 of its numbers, as the golden file has them."""
    flat = gradient.double().flatten()
    entries = flat[:: max(flat.numel() // 30, 1)][:30]
    norms = [float(flat.norm()), float(flat.abs().sum())]
    return np.array([*norms, *entries.tolist()])


def buffer_summary(buffer):
    """Gives up to 64 numbers of a buffer, as the golden file has them."""
    flat = buffer.double().flatten()
    return flat[:: max(flat.numel() // 64, 1)][:64].numpy()


def blacked_out(seed, lengths):
    """Tells which tracklets lose which map, for a seed of Python's generator."""
    random.seed(int(seed))
    ones = torch.ones(sum(lengths), 1, 1, 1)
    maps = black_out(ones, ones, lengths, 0.2)
    frames = torch.stack(maps).flatten(1)  # [2, f]
    lost = (frames.view(2, len(lengths), -1) == 0).all(2).nonzero()
    return lost[:, 1].tolist(), lost[:, 0].tolist()
