"""Stubs for packages that a checkout imports but that are never called here."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# OpenGait imports all model files at once. These packages draw images in a few of them, or belong
# to the pre-training of one model.
STUBBED = ("imageio", "lightly", "matplotlib", "sklearn")


def install_stubs() -> None:
    """Make the packages of ``STUBBED`` importable where they are not installed.

    The finder stands last, so an installed package always wins.
    """
    if not any(isinstance(finder, _Stubs) for finder in sys.meta_path):
        sys.meta_path.append(_Stubs())


class _Stub(ModuleType):
    """A module with every attribute; using one raises an error that names the missing package."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package = self.__name__.partition(".")[0]

        def missing(*_: Any, **__: Any) -> Any:
            raise ModuleNotFoundError(
                f"{self.__name__}.{name} is used, and the package {package} is not installed: "
                "pip install 'opengait_ext[opengait]'",
                name=package,
            )

        return type(name, (), {"__init__": missing, "__doc__": "Of a package that is missing."})


class _Stubs(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the listed packages and their submodules."""
        if name.partition(".")[0] not in STUBBED:
            return None
        return ModuleSpec(name, self, origin="opengait_ext stub", is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty stub module."""
        return _Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: a stub has no code."""
