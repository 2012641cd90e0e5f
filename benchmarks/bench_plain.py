"""The published pipeline in plain form: every product in its formulas is computed.

Written from known facts, not from its code: affinities of all pairs of entries, tokens resized to
the finer grid first, attention with its weights in memory, layers applied part by part. All use the
weights of our modules, so results can be compared.
"""

import copy
import types

import torch
from torch import Tensor, nn
from torch.nn import functional

from opengait_ext.layers.enhancement import PBMGE, LocalGlobalEnhancement
from opengait_ext.layers.foreground import ForegroundBranches, ForegroundMaps
from opengait_ext.layers.parts import PartLinear
from opengait_ext.layers.vit import _Attention
from opengait_ext.products import Linear


def enhance(module: LocalGlobalEnhancement, vector: Tensor, strips: Tensor) -> Tensor:
    """Update ``[n, c]`` by stripes ``[n, c, p]`` with all affinities, ``[n, c, c]`` a stripe."""
    for strip in strips.unbind(2):
        query, key = module.query(vector[:, None]), module.key(strip[:, None])  # [n, d, c]
        value = module.value(strip[:, None])
        affinity = query.transpose(1, 2) @ key / vector.shape[1]  # [n, c, c]
        confirmed = value @ affinity.relu().transpose(1, 2)  # [n, d, c]
        contradicted = value @ (-affinity).relu().transpose(1, 2)
        positive = module.positive_norm(module.positive(confirmed))
        negative = module.negative_norm(module.negative(contradicted))
        vector = vector + (positive - negative).squeeze(1)
    return vector


def enhance_in_turn(module: PBMGE, gait: Tensor, appearance: Tensor) -> tuple[Tensor, Tensor]:
    """Enhance one stream and granularity at a time; parts ``[n, c, p]`` of both."""
    streams = []
    for sets, own, other in (
        (module.gait, gait, appearance),
        (module.appearance, appearance, gait),
    ):
        vectors = [own[:, :, 0]]
        for level, strips in enumerate(other.split(module.bins, dim=2)[1:]):
            vectors.append(sets[min(level, len(sets) - 1)](vectors[0], strips))
        streams.append(torch.stack(vectors, dim=2))
    return streams[0], streams[1]


def pixels(branches: ForegroundBranches, tokens: Tensor) -> Tensor:
    """Resize ``[f, t, c]`` to the finer grid, all channels of all frames at once."""
    grid = tokens.transpose(1, 2).reshape(len(tokens), -1, *branches.token_grid)
    fine = functional.interpolate(grid, branches.map_size, mode="bilinear")
    return fine.flatten(2).transpose(1, 2).contiguous()


def make_maps(branches: ForegroundBranches, last: Tensor, joined: Tensor) -> ForegroundMaps:
    """Compute both maps after resizing all channels of all tokens to the finer grid."""
    target, fine = pixels(branches, last), pixels(branches, joined)
    scores = branches.mask(branches.dropout(target))
    probabilities = scores.softmax(-1)
    silhouettes = branches.silhouettes(probabilities)
    foreground = silhouettes.flatten(1) != 0
    chosen = fine[foreground][None]
    maps = []
    for values in (
        branches.gait_prior(chosen)[0].softmax(-1), branches.appearance_prior(chosen)[0].sigmoid()
    ):  # fmt: skip
        filled = values.new_zeros(*foreground.shape, branches.prior_channels)
        filled[foreground] = values
        maps.append(filled.transpose(1, 2).unflatten(2, branches.map_size))
    decoded = branches.mask.decode(scores)
    return ForegroundMaps(maps[0], maps[1], silhouettes, probabilities, decoded, target)


def attend(attention: _Attention, tokens: Tensor) -> Tensor:
    """Attend with the weights of all pairs of tokens in memory."""
    heads = attention.num_heads
    qkv = attention.qkv(tokens).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)  # [f, heads, t, d / heads]
    weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    return attention.proj((weights.softmax(-1) @ value).transpose(1, 2).flatten(2))


def linear(layer: Linear, x: Tensor, gelu: bool = False) -> Tensor:
    """Apply a linear layer to ``[..., c]`` with torch's product."""
    result = functional.linear(x, layer.weight, layer.bias)
    return functional.gelu(result) if gelu else result


def linear_by_part(layer: PartLinear, features: Tensor) -> Tensor:
    """Apply linear layers to ``[n, c, p]`` part by part."""
    parts = [features[:, :, p] @ weight for p, weight in enumerate(layer.weight)]
    return torch.stack(parts, dim=2)


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a model with the same weights and its modules in plain form."""
    model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    for module in model.modules():
        for kind, forward in (
            (Linear, linear),
            (_Attention, attend),
            (LocalGlobalEnhancement, enhance),
            (PBMGE, enhance_in_turn),
            (PartLinear, linear_by_part),
            (ForegroundBranches, make_maps),
        ):
            if isinstance(module, kind):
                module.forward = types.MethodType(forward, module)  # type: ignore[method-assign]
    return model
