"""Arrays that the published network of DinoGRL gave, and the rule that made its weights.

The rule is ours: every weight follows from its name in the authors' state dicts, so that no
weights have to be kept. README.md says where the arrays come from.
"""

import functools
import os
import zlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from opengait_ext.released import Names, translate

HERE = Path(__file__).parent
GIVEN = os.environ.get("DINOGRL_GOLDEN")
FOLDER = Path(GIVEN) if GIVEN else HERE / "whole"
SALT = os.environ.get("DINOGRL_GOLDEN_SALT", "public")
MISSING = (
    f"the whole set of golden arrays is not in {FOLDER}: give its folder in DINOGRL_GOLDEN, and "
    "in DINOGRL_GOLDEN_SALT the salt of its weights if that is not 'public'"
)

# Parts of the scale of an array by which ours may differ from it.
WIDE, NARROW = 1e-10, 1.2e-7  # of float64, and of float32: one unit in its last place
KEPT = 3  # of outputs of more than 1600 numbers, parts.npz holds every third number

# Inputs that parts.npz leaves out: seed, shape and factor of numpy's normal numbers.
SEEDED: dict[str, tuple[int, tuple[int, ...], float]] = {
    "lge256/q": (1001, (5, 256), 2),
    "lge256/k": (1002, (5, 256), 2),
    "lge256/r": (1003, (5, 256), 1),
    "pbmge/shape31": (1004, (3, 256, 31), 1),
    "pbmge/app31": (1005, (3, 256, 31), 1),
    "fusion/f0_denoising": (1006, (2, 64, 2, 6, 4), 1),
    "fusion/f1_appearance": (1007, (2, 64, 2, 6, 4), 1),
    "distill/x384": (1008, (12, 384), 1),
    "distill/x1536": (1009, (12, 1536), 1),
    "hpp/seq_ncthw": (1010, (2, 6, 4, 16, 8), 1),
    "fcs/x": (1011, (3, 32, 31), 1),
    "bnnecks/x": (1012, (6, 16, 35), 1),
}


def golden_tensor(key: str, shape: tuple[int, ...], salt: str) -> np.ndarray:
    """Gives the weight of a name, float64 (int64 for a counter): the rule.

    Args:
        key: Name in the authors' state dict, after the prefix of its file or module.
        shape: Of the weight.
        salt: Another one gives other weights.
    """
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    seed = zlib.crc32((salt + key).encode()) & 0x7FFFFFFF
    normal = np.random.RandomState(seed).standard_normal(shape)
    if last == "running_var":
        return 1 + 0.1 * np.abs(normal)
    if last == "gamma" or (last == "weight" and len(shape) == 1):
        return 1 + 0.1 * normal
    if last == "weight":
        inputs = int(np.prod(shape[1:]))
        return normal / np.sqrt(inputs) if inputs > 1 else 0.05 * normal
    if last == "fc_bin":  # [parts, in, out]
        return normal / np.sqrt(shape[1])
    factors = {"running_mean": 0.1, "pos_embed": 0.2, "cls_token": 0.2}
    return factors.get(last, 0.02) * normal


def golden_input(
    seed: int, lead: tuple[int, ...] = (4, 6), amplitude: float = 1.5, noise: float = 0.3
) -> np.ndarray:
    """Gives frames ``[*lead, 3, 256, 128]`` float32: a rectangle before a background, and noise."""
    random = np.random.RandomState(seed)
    frames = np.empty((int(np.prod(lead)), 3, 256, 128))
    for frame in frames:
        top, bottom = 8 * random.randint(2, 8), 8 * random.randint(22, 31)
        left, right = 8 * random.randint(1, 6), 8 * random.randint(9, 15)
        level = amplitude if random.randint(0, 2) else -amplitude
        frame[:] = -level
        frame[:, top:bottom, left:right] = level
    frames += noise * random.standard_normal(frames.shape)
    return frames.reshape(*lead, 3, 256, 128).astype(np.float32)


def load(name: str, folder: Path = HERE) -> dict[str, np.ndarray]:
    """Gives the arrays of a file; skips the test if the whole set is looked for in vain.

    Args:
        name: Of the file.
        folder: Where it lies: here, or ``FOLDER`` for the whole set.
    """
    if folder == FOLDER and not GIVEN and not (folder / name).is_file():
        pytest.skip(MISSING)
    with np.load(folder / name, allow_pickle=False) as file:
        return dict(file)


@functools.cache
def small_set() -> dict[str, np.ndarray]:
    """Gives the arrays of parts.npz and the inputs that it leaves out."""
    return {**load("parts.npz"), **{name: _seeded(*rule) for name, rule in SEEDED.items()}}


@functools.cache
def whole_set() -> dict[str, np.ndarray]:
    """Gives the arrays of the whole set but those of the full network."""
    return load("modules.npz", FOLDER)


def _seeded(seed: int, shape: tuple[int, ...], factor: float) -> np.ndarray:
    return (factor * np.random.RandomState(seed).standard_normal(shape)).astype(np.float32)


class Golden:
    """Gives golden arrays by name, compares with them, and remembers which were asked for.

    Args:
        arrays: By name.
        salt: Of the weights they belong to.
        cut: Whether of longer outputs only every ``KEPT``-th number is there.

    Attributes:
        read: Names of the arrays that were asked for.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], salt: str, cut: bool) -> None:
        self._arrays = arrays
        self.salt = salt
        self.cut = cut
        self.read: set[str] = set()

    def names(self, pattern: str) -> list[str]:
        """Gives the names that match, ``*`` for any part of them."""
        return [name for name in self._arrays if fnmatchcase(name, pattern)]

    def array(self, name: str) -> np.ndarray:
        """Gives an array as it is stored."""
        self.read.add(name)
        return self._arrays[name]

    def tensor(self, name: str) -> Tensor:
        """Gives an array as a tensor, numbers in float64."""
        array = self.array(name)
        return torch.tensor(array, dtype=torch.float64 if array.dtype.kind == "f" else None)

    def check(
        self,
        name: str,
        ours: Tensor | np.ndarray | float,
        scale: float | None = None,
        tolerance: float | None = None,
    ) -> None:
        """Compares ours with an array.

        Args:
            name: Of the array.
            ours: What has to equal it.
            scale: To which differences are compared; the largest number of the array.
            tolerance: Part of the scale that may differ; by the type of the array.
        """
        expected = self.array(name)
        ours = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours)
        if self.cut and ours.shape != expected.shape:
            ours = ours.ravel()[::KEPT]
        assert ours.shape == expected.shape, f"{name}: {ours.shape} for {expected.shape}"
        if scale is None:
            scale = float(np.abs(expected).max())
        if tolerance is None:
            tolerance = {"float64": WIDE, "float32": NARROW}.get(expected.dtype.name, 0)
        difference = float(np.abs(ours.astype(np.float64) - expected).max())
        assert difference <= tolerance * scale, (
            f"{name}: ours differ by {difference:.3g} at a scale of {scale:.3g}, allowed are "
            f"{tolerance:.3g} of it"
        )


def reads(*patterns: str) -> Callable[[Callable[[Golden], None]], Callable[[Golden], None]]:
    """Says which arrays a test compares, and sees to it that it asks for all of them."""

    def decorate(test: Callable[[Golden], None]) -> Callable[[Golden], None]:
        @functools.wraps(test)
        def checked(golden: Golden) -> None:
            test(golden)
            wanted = {name for pattern in patterns for name in golden.names(pattern)}
            assert golden.read == wanted

        checked.patterns = patterns
        return checked

    return decorate


class Part(NamedTuple):
    """Where a module stands in the published network, and here."""

    names: Names
    theirs: str
    ours: str


def their_name(name: str, part: Part) -> str:
    """Gives the authors' name of one of a module's weights, within that module."""
    name = part.ours + name
    theirs, ours = next(pair for pair in part.names.items() if name.startswith(pair[1]))
    return (theirs + name[len(ours) :])[len(part.theirs) :]


def fill(module: nn.Module, part: Part, prefix: str, salt: str) -> nn.Module:
    """Gives a module, now in float64 and with the weights that the rule gives.

    Args:
        module: To be filled.
        part: What it is in the published network.
        prefix: What stands before its own names in the rule.
        salt: Of the rule.
    """
    state = {}
    for name, value in module.state_dict().items():
        theirs = their_name(name, part)
        weight = golden_tensor(prefix + theirs, tuple(value.shape), salt)
        state[part.theirs + theirs] = torch.tensor(weight)
    weights = translate(state, part.names).weights
    module.double()
    module.load_state_dict({name[len(part.ours) :]: value for name, value in weights.items()})
    return module
