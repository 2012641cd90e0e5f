"""Translation of the names of DINOv2's tensors in other libraries to Meta's.

Source: the published files: Meta's ``dinov2_vits14_pretrain.pth`` and its larger siblings, timm's
``vit_small_patch14_dinov2``, and ``Dinov2Model`` of Hugging Face.
"""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

_HEADS = ("classifier.", "head.", "fc_norm.")  # of classifiers that other libraries add on top
_WHOLE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.register_tokens": "register_tokens",
    "reg_token": "register_tokens",  # timm's
}
_PARTS = {
    "attention.output.dense.": "attn.proj.",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "norm1.": "norm1.",
    "norm2.": "norm2.",
    "mlp.": "mlp.",
}
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")
_OUTER = r"^dinov2\.(?=(embeddings|encoder|layernorm)\.)"  # of a Dinov2Model in a larger model
_JOINED = re.compile(r"attention\.attention\.(query|key|value)\.(weight|bias)")
# DINOv3 rotates its tokens by their positions instead of adding a position table.
_DINOV3 = re.compile(r"(.*\.)?(storage_tokens$|rope_embed|rope\.|layer\.\d+\.attention\.q_proj\.)")
CHANNELS_OF_A_HEAD = 64
WIDTHS = (384, 768, 1024, 1536)  # of DINOv2's four sizes


def is_dinov3(names: Iterable[str]) -> bool:
    """Return whether these are names of a DINOv3, as Meta, timm or Hugging Face write them."""
    return any(_DINOV3.match(name) for name in names)


def metas_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a DINOv2 by Meta's names, whichever library named them.

    Args:
        state: The tensors of a file. Unknown names do not change.

    Raises:
        ValueError: If the tensors are those of DINOv3, or of a DINOv2 with registers.
    """
    if is_dinov3(state):
        raise ValueError(
            "this is a DINOv3, another network than DINOv2; DINOv2's file is needed: "
            "dinov2_vits14_pretrain.pth"
        )
    cut = {re.sub(_OUTER, "", name): value for name, value in state.items()}
    if any(name.startswith("embeddings.") for name in cut):
        cut = _from_hugging_face(cut)
    found = {_WHOLE.get(n, n): value for n, value in cut.items() if not n.startswith(_HEADS)}
    if "register_tokens" in found:
        raise ValueError(
            "this is a DINOv2 with register tokens, which the network does not have. The version "
            "without registers is needed: dinov2_vits14_pretrain.pth, not "
            "dinov2_vits14_reg4_pretrain.pth"
        )
    table = found.get("pos_embed")
    if "mask_token" not in found and "patch_embed.proj.weight" in found and table is not None:
        # timm omits it: it replaces masked patches, which only DINOv2's own training has.
        found["mask_token"] = torch.zeros(1, table.shape[-1])
    return found


def _from_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        match = _LAYER.fullmatch(name)
        part = _JOINED.fullmatch(match[2]) if match else None
        if match and part:
            joined.setdefault(f"blocks.{match[1]}.attn.qkv.{part[2]}", {})[part[1]] = value
        elif match:
            found[f"blocks.{match[1]}.{_renamed(match[2])}"] = value
        elif name.startswith("embeddings.patch_embeddings.projection."):
            found["patch_embed.proj." + name.rpartition(".")[2]] = value
        elif name.startswith("layernorm."):
            found["norm." + name.removeprefix("layernorm.")] = value
        else:
            found[_WHOLE.get(name, name)] = value
    for name, parts in joined.items():
        if set(parts) == {"query", "key", "value"}:
            found[name] = torch.cat([parts[each] for each in ("query", "key", "value")])
    return found


def _renamed(name: str) -> str:
    for there, here in _PARTS.items():
        if name.startswith(there):
            return here + name[len(there) :]
    return name


def heads_of(width: int) -> int:
    """Return the number of attention heads of the DINOv2 of this width; 1 if there is none."""
    return width // CHANNELS_OF_A_HEAD if width in WIDTHS else 1


def check_heads(width: int, heads: int) -> None:
    """Refuse a number of heads with which published weights would silently give other features.

    Raises:
        ValueError: If the number is wrong; the message has the right one.
    """
    if width in WIDTHS and heads != heads_of(width):
        raise ValueError(
            f"dinov2: num_heads {heads} with embed_dim {width}: DINOv2's heads have "
            f"{CHANNELS_OF_A_HEAD} channels each; write num_heads: {heads_of(width)}"
        )
