"""Freezing of modules, also against later calls of ``train()``."""

from functools import partial
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def freeze(module: Module) -> Module:
    """Freeze a module and return it: no gradient for its parameters, eval mode permanently.

    A model calls ``train()`` on all its children; on a frozen one that call changes nothing, so
    dropout stays off and running statistics stay as they were loaded. The names of its weights
    do not change. Its weights can still be loaded, and the module can be copied and moved.

    Args:
        module: Any module; changed in place.
    """
    module.eval().requires_grad_(False)
    module.train = partial(_stay, module)  # type: ignore[method-assign]
    return module


def is_frozen(module: nn.Module) -> bool:
    """Return whether a module was frozen by :func:`freeze`."""
    train = vars(module).get("train")
    return isinstance(train, partial) and train.func is _stay


def _stay(module: Module, mode: bool = True) -> Module:
    """Do nothing, in place of ``train`` of a frozen module."""
    return module
