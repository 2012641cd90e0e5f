"""The components that a config file can name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..registry import Registry

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Catalog:
    """The components that a config file can name, by kind."""

    models: Registry
    losses: Registry
    samplers: Registry
    transforms: Registry
    evaluators: Registry


def own_catalog() -> Catalog:
    """Return the components of this package."""
    from ..data import SAMPLERS, TRANSFORMS
    from ..evaluation import EVALUATORS
    from ..losses import LOSSES
    from ..models import MODELS

    return Catalog(MODELS, LOSSES, SAMPLERS, TRANSFORMS, EVALUATORS)
