"""Injection of our components into the namespaces of OpenGait.

OpenGait looks components up as attributes of five modules. Its models, losses and transforms may
have the same names as ours but other arguments, so ours never replace them. Ours are named
``opengait_ext.<Name>``, and also have their plain name where it is free.
"""

import functools
import logging
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import Any

from torch import Tensor

from ..engine.catalog import Catalog
from ..engine.provenance import Watch
from .config import named
from .evaluators import by_names
from .guest import Guest
from .guest_run import begin_training, record_test

logger = logging.getLogger(__name__)

# The module in which OpenGait looks up each kind of component.
NAMESPACES = {
    "models": "modeling.models",
    "losses": "modeling.losses",
    "samplers": "data.sampler",
    "transforms": "data.transform",
    "evaluators": "evaluation.evaluator",
}
_BASE_MODEL = "modeling.base_model"
_BASE_LOSS = "modeling.losses.base"


def inject(catalog: Catalog) -> None:
    """Set our components on the modules of OpenGait, which must be importable.

    Args:
        catalog: The components.
    """
    base = import_module(_BASE_MODEL).BaseModel
    gathering = import_module(_BASE_LOSS).gather_and_scale_wrapper
    adapt: dict[str, Callable[[Any], Any]] = {
        "models": lambda cls: married(cls, base, catalog),
        "losses": lambda cls: gathered(cls, gathering),
        "samplers": lambda cls: cls,
        "transforms": lambda cls: cls,
        "evaluators": lambda function: reporting(by_names(function)),
    }
    for kind, place in NAMESPACES.items():
        module, registry = import_module(place), getattr(catalog, kind)
        for name in registry:
            _put(module, name, adapt[kind](registry[name]))


def use_model(name: str) -> None:
    """Register our model under its plain name, which is part of OpenGait's output path."""
    module = import_module(NAMESPACES["models"])
    own = getattr(module, named(name))
    if getattr(module, name) is not own:
        logger.warning("OpenGait has a model called %s as well; this run takes ours", name)
        setattr(module, name, own)


def _put(module: ModuleType, name: str, component: Any) -> None:
    setattr(module, named(name), component)
    if not hasattr(module, name):
        setattr(module, name, component)


def married(model: type, base: type, catalog: Catalog) -> type:
    """Return a class that is both one of our models and a model of OpenGait.

    Args:
        model: Our class.
        base: OpenGait's ``BaseModel``.
        catalog: Source of the components in its config.
    """

    def run_train(wrapped: Any) -> None:
        guest = getattr(wrapped, "module", wrapped)
        if guest.run is None:
            base.run_train(wrapped)  # type: ignore[attr-defined]
        elif begin_training(guest):
            base.run_train(wrapped)  # type: ignore[attr-defined]
            if guest.iteration % guest.engine_cfg["save_iter"]:
                guest.save_ckpt(guest.iteration)

    def run_test(wrapped: Any) -> Any:
        guest, watch = getattr(wrapped, "module", wrapped), Watch()
        scalars = base.run_test(wrapped)  # type: ignore[attr-defined]
        if isinstance(scalars, Scalars):
            record_test(guest, scalars.result, watch)
        return scalars

    members = {
        "__module__": model.__module__,
        "__doc__": model.__doc__,
        "catalog": catalog,
        "run_train": staticmethod(run_train),
        "run_test": staticmethod(run_test),
    }
    return type(base)(model.__name__, (Guest, model, base), members)


def gathered(loss: type, gathering: Callable[..., Any]) -> type:
    """Return a loss over the tracklets of all processes if it is pairwise, else the loss itself.

    Args:
        loss: The class.
        gathering: OpenGait's wrapper, which gathers keyword arguments and compensates for the
            averaging of gradients.
    """
    if not getattr(loss, "pairwise", False):
        return loss

    def forward(self: Any, *args: Any, **kwargs: Any) -> tuple[Tensor, dict[str, Tensor]]:
        result, info = loss.forward(self, *args, **kwargs)  # type: ignore[attr-defined]
        return result.clone(), info  # OpenGait scales it in place; info may share it

    members = {"__module__": loss.__module__, "__doc__": loss.__doc__}
    return type(loss.__name__, (loss,), {**members, "forward": gathering(forward)})


class Scalars(dict[str, float]):
    """The numbers that OpenGait writes to its curves, and the result they come from."""

    result: Any = None


def reporting(evaluator: Callable[..., Any]) -> Callable[..., Any]:
    """Return an evaluator that logs its result and returns scalars, as OpenGait expects.

    OpenGait inspects the argument names of the function, so it has the signature of ours.

    Args:
        evaluator: One of ours, in OpenGait's form.
    """

    def report(*args: Any, **kwargs: Any) -> Scalars:
        result = evaluator(*args, **kwargs)
        logger.info("result\n%s", result)
        scalars = Scalars(result.scalars())
        scalars.result = result
        return scalars

    functools.update_wrapper(report, evaluator)
    report.__signature__ = signature(evaluator)  # type: ignore[attr-defined]
    return report
