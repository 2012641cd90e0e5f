"""The only door to torchvision: ``from .vision import torchvision``.

The package index pairs its torchvision with a torch for CUDA. Beside a torch for CPUs the
compiled half of that torchvision cannot be loaded, and its Python half then stops at operators
that the compiled half should have brought. What this package needs (ResNets, their weights, the
transforms) is Python alone, so the missing names are declared and the import is repeated.
Never the other way around: on an installation that works, a name declared beforehand ends the
process when the compiled half registers the same name.
"""

import importlib
import sys
from types import ModuleType

import torch

# The operators that torchvision's Python half refers to without looking whether they are there.
_UNGUARDED = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def load_torchvision() -> ModuleType:
    """Imports torchvision, also where its compiled operators cannot be loaded.

    Returns:
        The module, with ``torchvision.transforms.v2.functional`` imported. Where the operators
        are missing, calling one of them (``torchvision.ops.nms``) still fails, and says so.

    Raises:
        RuntimeError: Whatever else is wrong with the installation, unchanged.
        ModuleNotFoundError: If there is no torchvision.
    """
    try:
        return _import()
    except RuntimeError as fault:
        if "operator torchvision::" not in str(fault):
            raise
    _forget_the_failed_import()
    for name in _UNGUARDED:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SIGNATURE)
    return _import()


def _import() -> ModuleType:
    module = importlib.import_module("torchvision")
    importlib.import_module("torchvision.transforms.v2.functional")
    return module


def _forget_the_failed_import() -> None:
    """Removes the submodules that were imported before the failure: they would be reused."""
    for name in list(sys.modules):
        if name == "torchvision" or name.startswith("torchvision."):
            del sys.modules[name]


torchvision = load_torchvision()
