"""Stands in for packages that a checkout imports and that nothing here calls."""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# OpenGait imports every model file at once; these packages draw pictures in a few of them, or
# belong to one model's pre-training.
STUBBED = ("imageio", "lightly", "matplotlib", "sklearn")


def install_stubs() -> None:
    """Lets the packages of ``STUBBED`` be imported where they are not installed.

    The finder stands last, so an installed package always wins.
    """
    if not any(isinstance(finder, _Stubs) for finder in sys.meta_path):
        sys.meta_path.append(_Stubs())


class _Stub(ModuleType):
    """A module that has every name; using one says which package is missing."""

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
        """Answers for the packages of the list and what is below them."""
        if name.partition(".")[0] not in STUBBED:
            return None
        return ModuleSpec(name, self, origin="opengait_ext stub", is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Gives the empty module."""
        return _Stub(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Has nothing to run."""
