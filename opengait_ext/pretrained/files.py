"""Weight files: read without running code, recognized by tensor names, written atomically."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from opengait_ext.dinov2_names import is_dinov3
from opengait_ext.engine.files import write_whole
from opengait_ext.errors import UserError
from opengait_ext.released import APPEARANCE, ATTENTION, BIGGAIT, GAIT, MASK_BRANCH
from opengait_ext.weights import entry_of, read_file

_CHUNK = 1 << 20  # bytes
_SHOWN = 20  # most lines of one list


class Kind(NamedTuple):
    """A kind of weights, recognized by its tensor names."""

    described: str
    beginnings: tuple[str, ...]  # prefixes of the tensor names


BEST_MODEL = Kind("best_model.pth of DinoGRL's authors (appearance)", tuple(APPEARANCE))
BEST_MODEL2 = Kind("best_model2.pth of DinoGRL's authors (attention, PBMGE)", tuple(ATTENTION))
BEST_SHAPE = Kind("best_shape.pth of DinoGRL's authors (gait and DINOv2)", tuple(GAIT))
BIGGAIT_MODEL = Kind("BigGait, OpenGait's names", tuple(BIGGAIT))
OURS = Kind(
    "weights of this project's DinoGRL or BigGait",
    tuple(name for names in (APPEARANCE, ATTENTION, GAIT, BIGGAIT) for name in names.values()),
)
DINOV2 = Kind(
    "DINOv2, Meta's names",
    (
        "cls_token",
        "pos_embed",
        "mask_token",
        "register_tokens",
        "reg_token",
        "patch_embed.",
        "blocks.",
        "norm.",
    ),
)
DINOV2_HF = Kind(
    "DINOv2, Hugging Face's names",
    tuple(
        prefix + name
        for prefix in ("", "dinov2.")
        for name in ("embeddings.", "encoder.layer.", "layernorm.")
    ),
)
DINOV3 = Kind("DINOv3, which this project does not use", ())
BIGGAIT_MASK = Kind("mask branch of BigGait, its authors' names", tuple(MASK_BRANCH))
MASK = Kind("mask branch, this project's names", tuple(MASK_BRANCH.values()))
RESNET = Kind(
    "ResNet, torchvision's names",
    ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "fc."),
)
# The order matters: all names of BEST_SHAPE begin like some of OURS.
KINDS = (
    DINOV2_HF,
    BEST_MODEL,
    BEST_MODEL2,
    BEST_SHAPE,
    BIGGAIT_MODEL,
    OURS,
    DINOV2,
    BIGGAIT_MASK,
    MASK,
    RESNET,
)


def kind_of(names: Iterable[str]) -> Kind | None:
    """Return the kind of weights by their tensor names; None if most names fit no kind."""
    names = list(names)
    if is_dinov3(names):
        return DINOV3
    for kind in KINDS:
        if 2 * sum(name.startswith(kind.beginnings) for name in names) > len(names):
            return kind
    return None


@dataclass(frozen=True)
class Source:
    """A weight file from the command line.

    Attributes:
        option: The option that named it, such as ``--model``, for messages.
        path: The file.
        size: Size in bytes.
        sha256: Hash of the file.
        content: The loaded content.
    """

    option: str
    path: Path
    size: int
    sha256: str
    content: Any

    def state(self, entry: str | None = None) -> dict[str, Tensor]:
        """Return the tensors by name, of the whole file or of one entry.

        Raises:
            UserError: If the content is not a mapping of tensors.
        """
        return entry_of(self.content, entry, f"{self.option}: {self.path}")

    def described(self) -> dict[str, Any]:
        """Return name, size and sha256 as plain types."""
        return {"name": self.path.name, "bytes": self.size, "sha256": self.sha256}


def read_source(path: Path, option: str) -> Source:
    """Read a weight file without running any code in it.

    Raises:
        UserError: If the file is missing, damaged, or contains code.
        OSError: If it cannot be read.
    """
    if not path.is_file():
        raise UserError(f"{option}: no file at {path} ({path.absolute()})")
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    size = path.stat().st_size
    return Source(option, path, size, digest.hexdigest(), read_file(path, option))


def is_finite(value: Tensor) -> bool:
    """Return whether a tensor holds real numbers, none of them NaN or infinite.

    Dimensions that repeat their values (stride 0) are checked once.
    """
    if value.layout != torch.strided or not value.numel():
        return value.layout == torch.strided
    try:
        once = value.detach()[tuple(slice(None) if step else 0 for step in value.stride())]
        # NaN propagates. isfinite() would allocate an array of the tensor's size.
        return all(bool(end.isfinite()) for end in torch.aminmax(once))
    except RuntimeError:  # quantized, complex, or without data
        return False


def some_lines(lines: Sequence[str], most: int = _SHOWN) -> list[str]:
    """Return the first lines, and one line with the number of the others."""
    more = [f"... and {len(lines) - most:,} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def check_target(target: Path, sources: Iterable[Source]) -> None:
    """Refuse to overwrite a source file.

    Raises:
        UserError: If the target is one of the sources.
    """
    for source in sources:
        if target.exists() and target.samefile(source.path):
            raise UserError(f"--target: {target} is the file of {source.option}; give another")


def write_target(content: Mapping[str, Any], target: Path) -> None:
    """Save content with torch atomically.

    Raises:
        UserError: If it cannot be written; an existing file of that name is kept.
    """
    try:
        write_whole(target, lambda temporary: torch.save(dict(content), temporary))
    except (OSError, RuntimeError) as fault:  # torch reports a full disk as RuntimeError
        left = "the older file is as it was" if target.exists() else "there is no such file now"
        raise UserError(
            f"--target: {target} could not be written ({type(fault).__name__}: "
            f"{str(fault).strip().splitlines()[0][:200]}); {left}. Free some space there, or give "
            "another file"
        ) from fault
