"""Models of an OpenGait checkout as components of our engine.

    from opengait_ext.engine import run
    from opengait_ext.upstream.zoo import zoo_catalog

    run(load_config("configs/gaitset_synth.yaml"), catalog=zoo_catalog(Path("OpenGait")))

Nothing of the checkout is imported until a config names one of its models, and then only what that
model needs. Losses are ours. ``TripletLoss`` equals upstream's with ``anchor_is_positive: true``;
``CrossEntropyLoss`` equals it with ``label_smoothing`` 0.1, or 0 where upstream has
``label_smooth: false``.
"""

import inspect
import logging
import typing
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..engine.catalog import Catalog, own_catalog
from ..registry import Registry
from .checkout import commit_of
from .zoo_keys import KEYS
from .zoo_model import HostBase, Hosted
from .zoo_package import Package, ZooError
from .zoo_survey import Found, survey

logger = logging.getLogger(__name__)

STREAMS = {"BigGait__Dinov2_Gaitbase": "ratio", "SkeletonGaitPP": "maps", "MultiGaitpp": "maps"}
ALONE = ("GaitGL",)  # accepts only one tracklet at a time in a test
# Models that black out frames in place after computing losses on them. Half precision makes copies,
# so it works there, but not in float32.
OVERWRITES = ("BigGait__Dinov2_Gaitbase",)


def zoo_catalog(checkout: Path | None) -> Catalog:
    """Return our own catalog with the models of a checkout.

    Args:
        checkout: Folder of the clone. If None, models known by name can be checked in a config, but
            not built.

    Raises:
        ZooError: If the folder is no checkout.
    """
    own = own_catalog()
    if checkout is None:
        return replace(own, models=_Described(own.models))
    package = Package(Path(checkout), HostBase)
    found, unread = survey(package.root)
    for reason in unread.values():
        logger.warning("%s; its models are not there", reason)
    return replace(own, models=ZooModels(own.models, package, found))


class _Extended(Registry):
    """Registry of our own models, extended by the names of others."""

    def __init__(self, own: Registry, names: Iterator[str]) -> None:
        super().__init__("model", [own[name] for name in own])
        self._others = {name for name in names if name not in self._members}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._members, *self._others}))

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._others


class ZooModels(_Extended):
    """Registry of our own models and those of a checkout, which are imported on demand.

    Args:
        own: Our own models, which take precedence over equal names.
        package: Imports the others.
        found: The models of the checkout.

    Raises:
        KeyError: In ``[...]``, if a name is unknown or refused, or its import fails; the message
            gives the reason.
    """

    def __init__(self, own: Registry, package: Package, found: Mapping[str, Found]) -> None:
        super().__init__(own, (name for name, each in found.items() if not each.refusal))
        self._package = package
        self._found = found
        self._own = set(own)

    def __getitem__(self, name: str) -> Any:
        found = self._found.get(name)
        if found is not None and name in self._own:
            logger.warning("model_cfg.model: %s is ours, not that of %s", name, found.file)
            self._own.discard(name)  # warn once
        if name in self._members or found is None:
            return super().__getitem__(name)
        if found.refusal:
            raise KeyError(f"{name} of {found.file} cannot run in this engine: {found.refusal}")
        try:
            upstream = self._package.module(f"modeling.models.{found.file.stem}")
        except ZooError as fault:
            raise KeyError(str(fault)) from fault
        commit = commit_of(self._package.root.parent)
        version = f"OpenGait at {commit[:7]}" if commit else "OpenGait of unknown version"
        self._members[name] = _hosted(getattr(upstream, name), found, version)
        return self._members[name]


class _Described(_Extended):
    """Registry of our own models, and of the keys of zoo models without the models."""

    def __init__(self, own: Registry) -> None:
        super().__init__(own, iter(KEYS))

    def __getitem__(self, name: str) -> Any:
        if name not in self._others:
            return super().__getitem__(name)
        return type(name, (_Absent,), {"build": staticmethod(_schema_of(name, frozenset()))})


class _Absent:
    """A model that needs a checkout."""

    def __init__(self) -> None:
        raise ZooError(
            f"{type(self).__name__} comes with a clone of OpenGait: give its folder, "
            "--opengait DIR --host embedded"
        )


def _hosted(model: type, found: Found, version: str) -> type:
    name = model.__name__
    members = {
        "__doc__": f"{name} of {found.file}.",
        "__module__": model.__module__,
        "origin": f"{name} of {found.file} ({version}), in our engine",
        "stream": STREAMS.get(name, ""),
        "alone": name in ALONE,
        "overwrites": name in OVERWRITES,
        "build": staticmethod(_schema_of(name, found.keys)),
    }
    return type(name, (Hosted, model), members)


def _schema_of(name: str, mentioned: frozenset[str]) -> Any:
    """Return a function whose signature is the schema of ``model_cfg``.

    Without a schema of ours, every key mentioned in the model's file is allowed; keys that the
    model does not read are found when it is built.
    """

    def build(**_: Any) -> None: ...

    schema = KEYS.get(name)
    if schema is not None:
        signature = inspect.signature(schema)
        build.__annotations__ = typing.get_type_hints(schema)
    else:
        signature = inspect.Signature(
            [
                inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None)
                for key in sorted(mentioned)
                if key.isidentifier()
            ]
        )
        build.__annotations__ = {}
    build.__signature__ = signature  # type: ignore[attr-defined]
    return build
