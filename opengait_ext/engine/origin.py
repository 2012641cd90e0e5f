"""Base folders of the relative paths in a stored config: where its run was started."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .options import is_weight_file
from .run import OUTPUT
from .shaping import names_weights

_DEPTH = 4  # <output>/<dataset>/<model>/<save_name>/<checkpoints or test>/<file>


def beginnings(started_in: Any, stored: Path) -> list[Path]:
    """Return candidate base folders of relative paths, the likeliest first.

    Args:
        started_in: The start folder noted in the file; missing in older files.
        stored: The file with the config: a checkpoint or a record below ``output``. If the whole
            start folder was moved, the place of ``output`` shows where it is now.
    """
    found = [Path(started_in)] if isinstance(started_in, str) and started_in else []
    parents = stored.absolute().parents
    if len(parents) > _DEPTH + 1 and parents[_DEPTH].name == OUTPUT.name:
        found.append(parents[_DEPTH + 1])
    return list(dict.fromkeys([*found, Path.cwd()]))


def located(path: str, begin: Sequence[Path]) -> Path:
    """Return the first candidate at which a path exists; if none does, the likeliest."""
    places = [folder / path for folder in begin]
    return next((place for place in places if place.exists()), places[0])


def resolved(config: Mapping[str, Any], begin: Sequence[Path]) -> dict[str, Any]:
    """Return a config whose paths are valid in any working directory.

    Args:
        config: The stored config.
        begin: Candidate base folders of its relative paths.
    """
    result: dict[str, Any] = copy.deepcopy(dict(config))
    for key in ("dataset_root", "dataset_partition"):
        data = result.get("data_cfg")
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = str(located(data[key], begin))
    for name in ("trainer_cfg", "evaluator_cfg"):
        section = result.get(name)
        if isinstance(section, dict) and is_weight_file(section.get("restore_hint")):
            section["restore_hint"] = str(located(section["restore_hint"], begin))
    if isinstance(result.get("model_cfg"), dict):
        result["model_cfg"] = _files_resolved(result["model_cfg"], begin)
    return result


def _files_resolved(value: Any, begin: Sequence[Path], key: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _files_resolved(inner, begin, str(key)) for key, inner in value.items()}
    if not names_weights(key, value):
        return value
    place = located(value, begin)
    # A text without a suffix may be a name that the model knows instead of a path.
    return str(place) if is_weight_file(value) or place.exists() else value
