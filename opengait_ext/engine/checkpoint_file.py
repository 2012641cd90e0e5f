"""Safe reading of one checkpoint of any engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import UserError
from ..weights import bare_names, read_file, some_names

# Entries that this engine writes alongside the weights, with their types.
_FACTS = {
    "config": Mapping,
    "data": Mapping,
    "weights": Mapping,
    "precision": str,
    "started_in": str,
}


class CheckpointError(UserError):
    """A checkpoint is missing, unreadable, of another model, or not writable."""


def stored_in(path: Path) -> Any:
    """Return the raw content of a checkpoint without running code from it.

    Raises:
        CheckpointError: If it cannot be read.
    """
    try:
        return read_file(path)
    except UserError as fault:
        raise CheckpointError(str(fault)) from fault


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint without running code from it.

    Args:
        path: A file of this engine, of OpenGait, or with a bare state dict.

    Returns:
        A dict with at least ``model``, a state dict without prefixes of wrappers.

    Raises:
        CheckpointError: If the file is not a checkpoint.
    """
    content = stored_in(path)
    if isinstance(content, Mapping) and not isinstance(content.get("model"), Mapping):
        content = {"model": content}
    weights = content["model"] if isinstance(content, Mapping) else None
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        found = some_names(weights) if isinstance(weights, Mapping) else type(content).__name__
        raise CheckpointError(
            f"{path}: expected the weights of a model, alone or under 'model', found "
            f"{found or 'nothing'}"
        )
    iteration = content.get("iteration", 0)
    if type(iteration) is not int or iteration < 0:
        raise CheckpointError(
            f"{path}: its iteration is no whole number from 0 on ({str(iteration)[:40]!r}): it is "
            "damaged or something else. Take another checkpoint"
        )
    _check_facts(content, path)
    return {**content, "model": bare_names(weights)}


def _check_facts(content: Mapping[str, Any], path: Path) -> None:
    """Raise an error for a checkpoint whose training facts have unexpected types."""
    odd = [
        name
        for name, kind in _FACTS.items()
        if content.get(name) is not None and not isinstance(content[name], kind)
    ]
    config = content.get("config")
    if isinstance(config, Mapping):
        odd += [
            f"config.{str(name)[:40]}"
            for name, section in config.items()
            if not isinstance(
                section, Mapping if name not in ("loss_cfg", "optimizer_cfg") else (Mapping, list)
            )
        ]
    if odd:
        raise CheckpointError(
            f"{path}: what it says about its training has another form than expected "
            f"({some_names(odd)}): it is damaged or something else. Take another checkpoint"
        )
