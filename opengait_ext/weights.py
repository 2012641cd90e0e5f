"""Loading of pretrained weights into a module, with one error that lists all differences."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .errors import UserError
from .shipped import weight_file
from .unpickle import BrokenPickleError, ForeignObjectError
from .weight_files import read_weight_file

logger = logging.getLogger(__name__)

_SHOWN = 20  # maximum differing names in one message
Tensors = dict[str, Tensor]


def load_weights(
    module: nn.Module,
    path: str,
    *,
    where: str,
    prefix: str = "",
    entry: str | None = None,
    names: Mapping[str, str] | None = None,
    hint: str = "",
    translate: Callable[[Tensors], Tensors] | None = None,
) -> dict[str, Any]:
    """Load all weights of a module from a file, and nothing else from it.

    The file is one of ``torch.save`` or of safetensors: a dictionary from names to tensors. No
    code in it is run. Tensors of another precision (float16 on disk) are cast to the module's.

    Args:
        module: Changed in place; its state dict and the file must agree in names and shapes.
        path: The file; the demo's files are also found in the package.
        where: Key of the config with the path, for messages.
        prefix: Only names with this prefix are used, without the prefix (``"dinov2."``).
        entry: Key of the dictionary of tensors, if the file holds several (``"model"``).
        names: Other names of the module's parts in the file: prefix in the file -> prefix here
            (after ``prefix`` is removed); an empty one skips these tensors.
        hint: How to get the file; a sentence that is shown if the file is missing.
        translate: Function that translates the names of other libraries to those of the module; it
            raises a ValueError for weights of another kind.

    Returns:
        For the log: ``file``, ``tensors`` (their number) and ``sha256`` (start of the file's hash).

    Raises:
        UserError: If the file is missing, damaged, holds anything but tensors, or differs from
            the module; the message lists the differing names (the first 20).
    """
    file = weight_file(path)
    if not file.is_file():
        raise UserError(f"{where}: no file at {path} ({file.absolute()}). {hint}".rstrip())
    path = str(file)
    state = entry_of(read_file(file, where), entry, f"{where}: {path}")
    state = _renamed(state, prefix, names or {})
    state = _translated(state, translate, f"{where}: {path}")
    expected = module.state_dict()
    differences = _differences(expected, state)
    if differences:
        raise UserError(
            f"{where}: {path} does not fit {type(module).__name__} "
            f"({len(state)} tensors in the file, {len(expected)} expected):\n  "
            + "\n  ".join(differences)
        )
    module.load_state_dict(state)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    logger.info("%s: %d tensors from %s (sha256 %s)", where, len(state), path, digest)
    return {"file": str(path), "tensors": len(state), "sha256": digest}


def load_or_say_random(
    module: nn.Module,
    path: str | None,
    *,
    where: str,
    hint: str,
    translate: Callable[[Tensors], Tensors] | None = None,
) -> None:
    """Load a module's weights, or warn that it keeps its random ones if the path is null.

    Raises:
        UserError: As in :func:`load_weights`.
    """
    if path is None:
        logger.warning("%s is null: %s is random", where, type(module).__name__)
        return
    load_weights(module, path, where=where, hint=hint, translate=translate)


def read_file(file: Path, where: str = "") -> Any:
    """Return the content of a file of ``torch.save`` or of safetensors without running its code.

    Args:
        file: An existing file.
        where: Key or option with the path, for messages.

    Raises:
        UserError: If the file is damaged, or needs classes or functions.
    """
    place = f"{where}: {file}" if where else str(file)
    try:
        return read_weight_file(file)
    except ForeignObjectError as fault:
        raise UserError(
            f"{place}: refused, and nothing was run: {fault}, but weights are tensors, numbers and "
            "texts. Where it was made, save the weights alone: "
            "torch.save(model.state_dict(), FILE)"
        ) from fault
    except (BrokenPickleError, OSError, MemoryError) as fault:
        reason = str(fault) or type(fault).__name__
        raise UserError(
            f"{place} ({file.stat().st_size:,} bytes) cannot be read as a file of torch.save or "
            f"safetensors ({reason}): it is incomplete or something else. Get it again"
        ) from fault


def bare_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict without the prefixes of wrappers: ``module.``, ``_orig_mod.``."""
    bare = {}
    for name, value in state.items():
        name = str(name).replace("_orig_mod.", "")
        while name.startswith("module."):
            name = name.removeprefix("module.")
        bare[name] = value
    return bare if len(bare) == len(state) else dict(state)


def entry_of(content: Any, entry: str | None, place: str) -> dict[str, Tensor]:
    """Return the dictionary of tensors that a file holds, or holds under a key.

    Args:
        content: The result of :func:`read_file`.
        entry: The key; None: the content itself.
        place: The part of a message before the colon.

    Raises:
        UserError: If there is no such dictionary; the message says what the file holds instead.
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
            f"{some_names(wrong)}"
        )
    return bare_names(content)


def _kind(content: Any) -> str:
    if isinstance(content, Mapping):
        return f"the file holds: {some_names(content) or 'nothing'}"
    return f"the file holds a {type(content).__name__}"


def some_names(names: Iterable[Any]) -> str:
    """Return the first twenty names for a message, and the number of the others."""
    every = list(names)
    more = [f"and {len(every) - _SHOWN} more"] if len(every) > _SHOWN else []
    return ", ".join([*(str(name)[:80] for name in every[:_SHOWN]), *more])


def shares(lengths: Sequence[int], room: int = _SHOWN) -> list[int]:
    """Return how many lines of each list a message shows, so that they are twenty in total.

    Short lists are shown in full before long ones share the rest.
    """
    found, left = [0] * len(lengths), room
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for place, index in enumerate(order):
        found[index] = min(lengths[index], left // (len(order) - place))
        left -= found[index]
    return found


def _renamed(
    state: Mapping[str, Tensor], prefix: str, names: Mapping[str, str]
) -> dict[str, Tensor]:
    """Remove the prefix from the names, and replace their prefixes by those of the module."""
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


def _translated(
    state: Tensors, translate: Callable[[Tensors], Tensors] | None, place: str
) -> Tensors:
    try:
        return state if translate is None else translate(state)
    except ValueError as fault:
        raise UserError(f"{place}: {fault}") from fault


def _differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return a line for each name or shape that differs between the two sides."""
    lines = [f"missing in the file: {name}" for name in expected if name not in found]
    lines += [f"not in the module: {name}" for name in found if name not in expected]
    lines += [
        f"{name}: the file has {list(found[name].shape)}, the module {list(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [line[:200] for line in lines[:_SHOWN]] + more
