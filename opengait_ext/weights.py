"""Loading of pretrained weights into a module, or one error that says what differs."""

import hashlib
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import UserError

logger = logging.getLogger(__name__)

_SHOWN = 20  # differing names in one message
# What torch says when a file wants to call or build something that is not a tensor.
_REFUSALS = ("Unsupported global", "Unsupported class", "Unsupported operand", "Trying to ")


def load_weights(
    module: nn.Module,
    path: str,
    *,
    where: str,
    prefix: str = "",
    entry: str | None = None,
    names: Mapping[str, str] | None = None,
    hint: str = "",
) -> dict[str, Any]:
    """Loads all weights of a module from a file, and nothing else from it.

    The file is one of ``torch.save``: a dictionary from names to tensors. Nothing that it
    holds is run. Tensors of another precision (float16 on disk) are cast to the module's.

    Args:
        module: Filled in place; its state dict and the file must agree in names and shapes.
        path: The file.
        where: Key of the config that gave the path, for the messages.
        prefix: Only names that begin so are taken, and without it (``"dinov2."``).
        entry: Key of the dictionary of tensors, if the file holds several (``"model"``).
        names: Other names of the module's parts in the file: beginning there -> beginning here
            (after ``prefix`` is gone); an empty one leaves these tensors out.
        hint: How to get the file; a sentence, shown when it is missing.

    Returns:
        For the log: ``file``, ``tensors`` (how many) and ``sha256`` (of the file, its start).

    Raises:
        UserError: If the file is missing, damaged, holds anything but tensors, or differs from
            the module; then with all differing names (the first 20).
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{where}: no file at {path} ({file.absolute()}). {hint}".rstrip())
    state = entry_of(read_file(file, where), entry, f"{where}: {path}")
    state = _renamed(state, prefix, names or {})
    expected = module.state_dict()
    differences = _differences(expected, state)
    if differences:
        shown = differences[:_SHOWN]
        if len(differences) > _SHOWN:
            shown.append(f"and {len(differences) - _SHOWN} more")
        raise UserError(
            f"{where}: {path} does not fit {type(module).__name__} "
            f"({len(state)} tensors in the file, {len(expected)} expected):\n  "
            + "\n  ".join(shown)
        )
    module.load_state_dict(state)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    logger.info("%s: %d tensors from %s (sha256 %s)", where, len(state), path, digest)
    return {"file": str(path), "tensors": len(state), "sha256": digest}


def load_or_say_random(module: nn.Module, path: str | None, *, where: str, hint: str) -> None:
    """Loads a module's weights, or says that it keeps its random ones if the path is null.

    Raises:
        UserError: As :func:`load_weights`.
    """
    if path is None:
        logger.warning("%s is null: %s is random", where, type(module).__name__)
        return
    load_weights(module, path, where=where, hint=hint)


def read_file(file: Path, where: str) -> Any:
    """Gives what a file of ``torch.save`` holds, without running any of it.

    Args:
        file: The file, which is there.
        where: Key or option that gave the path, for the messages.

    Raises:
        UserError: If the file is damaged, or would run code.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as fault:  # what a damaged file raises depends on where it is cut
        if isinstance(fault, pickle.UnpicklingError) and _is_refusal(file, str(fault)):
            raise UserError(
                f"{where}: {file} holds more than tensors, which would run code when read; it was "
                "refused and nothing was run. Save only the state dict, or get the file from "
                "where it was published"
            ) from fault
        raise UserError(
            f"{where}: {file} ({file.stat().st_size} bytes) cannot be read as a file of "
            "torch.save; it is incomplete or something else. Get it again"
        ) from fault


def _is_refusal(file: Path, said: str) -> bool:
    """Tells a whole file with forbidden content from a file that is not torch's at all."""
    with file.open("rb") as stream:
        begins_as_torch_writes = stream.read(1) in (b"P", b"\x80")  # a zip file, a pickle
    return begins_as_torch_writes and any(text in said for text in _REFUSALS)


def entry_of(content: Any, entry: str | None, place: str) -> dict[str, Tensor]:
    """Gives the dictionary of tensors that a file holds, or holds under a key.

    Args:
        content: As :func:`read_file` gives it.
        entry: The key, or None.
        place: What is before the colon of a message.

    Raises:
        UserError: If there is none; it says what the file holds instead.
    """
    if entry is not None:
        if not isinstance(content, Mapping) or entry not in content:
            raise UserError(f"{place}: no entry {entry!r}; {_kind(content)}")
        content = content[entry]
        place += f", entry {entry!r}"
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{place}: expected a dictionary of tensors; {_kind(content)}")
    wrong = [
        str(name)
        for name, value in content.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if wrong:
        raise UserError(
            f"{place}: expected a dictionary of tensors by name, but these are none: "
            f"{', '.join(wrong[:_SHOWN])}"
        )
    return dict(content)


def _kind(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"the file holds: {', '.join(sorted(map(str, content))[:_SHOWN]) or 'nothing'}"
    return f"the file holds a {type(content).__name__}"


def _renamed(
    state: Mapping[str, Tensor], prefix: str, names: Mapping[str, str]
) -> dict[str, Tensor]:
    """Cuts the prefix off the names, and gives them the beginnings they have in the module."""
    renamed = {}
    for name, value in state.items():
        if not name.startswith(prefix):
            continue
        name = name[len(prefix) :]
        for there, here in names.items():
            if name.startswith(there):
                name = here + name[len(there) :] if here else ""
                break
        if name:
            renamed[name] = value
    return renamed


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Gives a line for each name or shape that is not the same on both sides."""
    lines = [f"missing in the file: {name}" for name in expected if name not in found]
    lines += [f"not in the module: {name}" for name in found if name not in expected]
    lines += [
        f"{name}: the file has {list(found[name].shape)}, the module {list(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    return lines
