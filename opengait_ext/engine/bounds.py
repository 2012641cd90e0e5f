"""Bounds of the numbers in a config: beyond them no run can start, end, or learn."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

_SIDE, _COUNT, _STEPS = 10_000, 100_000, 10**9
# By key, at any place; for a list, bounds of each number. Other keys have no bounds.
_BOUNDS: Mapping[str, tuple[int, int]] = {
    "seed": (0, 2**32 - 1),  # NumPy's range
    "num_workers": (0, 1_000),
    "loader_timeout": (1, _STEPS),
    "total_iter": (1, _STEPS),
    "log_iter": (1, _STEPS),
    "save_iter": (1, _STEPS),
    "eval_iter": (0, _STEPS),
    "total_steps": (1, _STEPS),
    "warmup": (0, _STEPS),
    "milestones": (1, _STEPS),
    "step_size": (1, _STEPS),
    "T_max": (1, _STEPS),
    "ranks": (1, _STEPS),
    "block_size": (1, _STEPS),
    "confidence": (0, _COUNT),  # resamples of a bootstrap
    "accumulate": (1, _COUNT),
    "keep_checkpoints": (0, _STEPS),
    "num_identities": (1, 10_000_000),
    "identities": (1, _COUNT),
    "visible": (0, _COUNT),
    "infrared": (0, _COUNT),
    "batch_size": (1, _COUNT),
    "frames": (0, _COUNT),  # 0: all
    "height": (1, _SIDE),
    "width": (1, _SIDE),
    "padding": (-_SIDE, _SIDE),  # the transform rejects values below 0
    "image_size": (1, _SIDE),
    "input_size": (1, _SIDE),
    "bins": (1, _SIDE),
    "part_channels": (1, _COUNT),
    "embed_dim": (1, _COUNT),
    "num_heads": (1, _COUNT),
    "depth": (1, 1_000),
    "patch_size": (1, 1_000),
    "pretrain_grid": (1, 1_000),
}


def faults_of_numbers(value: Any, where: str = "", key: str = "") -> Iterator[str]:
    """Yield a message for each number that is out of bounds, NaN or infinite.

    Args:
        value: A config, or a part of it.
        where: Place of the part, for the messages.
        key: Key of the part.
    """
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from faults_of_numbers(
                inner, f"{where}.{name}" if where else str(name), str(name)
            )
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            yield from faults_of_numbers(inner, f"{where}[{place}]", key)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: expected a finite number, found {value}"
    elif type(value) is int and key in _BOUNDS:
        least, most = _BOUNDS[key]
        if value < least:
            yield f"{where}: expected {least} or more, found {value}"
        elif value > most:
            yield f"{where}: expected {most:,} or less, found {value}"
