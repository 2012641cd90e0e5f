"""The only import of torchvision: ``from .vision import torchvision``.

The torchvision on the package index is built for a torch with CUDA. With a torch for CPUs, the
compiled half of that torchvision cannot be loaded, and its Python half then fails at operators
that the compiled half should have registered. This package needs only the Python half (ResNets,
their weights, the transforms), so the missing names are declared and the import is repeated.
The names are never declared before the first import: on a working installation, that would end
the process when the compiled half registers the same names.
"""

import importlib
import sys
from types import ModuleType

import torch

# The operators that torchvision's Python half uses without checking that they exist.
_UNGUARDED = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def load_torchvision() -> ModuleType:
    """Import torchvision, even if its compiled operators cannot be loaded.

    Returns:
        The module, with ``torchvision.transforms.v2.functional`` imported. If the operators are
        missing, calling one of them (``torchvision.ops.nms``) still raises an error.

    Raises:
        RuntimeError: If something else is wrong with the installation; not changed.
        ModuleNotFoundError: If torchvision is not installed.
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
    """Remove the submodules that were imported before the failure: they would be reused."""
    for name in list(sys.modules):
        if name == "torchvision" or name.startswith("torchvision."):
            del sys.modules[name]


torchvision = load_torchvision()
