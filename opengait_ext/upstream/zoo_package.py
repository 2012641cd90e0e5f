"""Import of the model files of an OpenGait checkout under our own package name.

The files import their neighbors relatively, and some import the top-level names ``utils`` and
``data``. Neighbors come from the checkout, except for the base class of the models, which is ours.
The top-level names point to the checkout only during an import, so modules of the same names that
were imported elsewhere stay unchanged. Nothing is written into the checkout, not even compiled
files.
"""

import ast
import importlib
import importlib.machinery
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import UserError
from ..vision import torchvision
from .environment import TOP, taken
from .stubs import STUBBED, install_stubs

MODELS = Path("modeling/models")
_BACKBONES = Path("modeling/backbones")

assert torchvision  # imported by our module before foreign files import it


class ZooError(UserError):
    """A checkout, or a model file in it, cannot be used."""


class Package:
    """The model files of one checkout, as modules.

    Args:
        checkout: Folder of the clone, which contains ``opengait/modeling``.
        base_model: Replacement of the class that model files derive from.

    Attributes:
        root: The checkout's folder ``opengait``.

    Raises:
        ZooError: If the folder is no checkout.
    """

    def __init__(self, checkout: Path, base_model: type) -> None:
        self.root = checkout.resolve() / "opengait"
        if not (self.root / MODELS).is_dir():
            raise ZooError(
                f"{checkout}: expected a clone of OpenGait, found no opengait/{MODELS} there. "
                "Give the folder that git clone made"
            )
        self.name = f"opengait_ext_zoo_{sha256(str(self.root).encode()).hexdigest()[:8]}"
        self._lent: dict[str, ModuleType] = {}
        base = type("BaseModel", (base_model,), {"backbone_class": staticmethod(self.backbone)})
        self._declare(base)

    def module(self, name: str) -> ModuleType:
        """Import a module of the checkout.

        Args:
            name: Name relative to ``opengait``, such as ``modeling.models.gaitset``.

        Raises:
            ZooError: If the import fails for any reason.
        """
        file = self.root / (name.replace(".", "/") + ".py")
        try:
            with self._lending():
                return importlib.import_module(f"{self.name}.{name}")
        except ModuleNotFoundError as fault:
            raise ZooError(
                f"{file} cannot be imported: {fault}. What OpenGait's models need beside our own "
                "requirements: pip install 'opengait_ext[opengait]'"
            ) from fault
        except Exception as fault:  # a foreign file can raise anything; lose only its model
            reason = f"{type(fault).__name__}: {fault}"
            raise ZooError(f"{file} cannot be imported ({reason})") from fault

    def backbone(self, name: str) -> type:
        """Return the class named by ``backbone_cfg.type``.

        Raises:
            ZooError: If no backbone file of the checkout defines it.
        """
        defined = classes_in(self.root / _BACKBONES)
        if name not in defined:
            raise ZooError(
                f"backbone_cfg.type: no backbone is called {name!r} in {self.root / _BACKBONES} "
                f"(known: {', '.join(sorted(defined))})"
            )
        found: type = getattr(self.module(f"modeling.backbones.{defined[name].stem}"), name)
        return found

    def _declare(self, base: type) -> None:
        """Register our packages under the names that relative imports resolve to."""
        for name in list(sys.modules):
            if name.partition(".")[0] == self.name:
                del sys.modules[name]
        for part in ("", "modeling", "modeling.models", "modeling.backbones"):
            module = ModuleType(f"{self.name}.{part}".rstrip("."))
            module.__path__ = [str(self.root / part.replace(".", "/"))]
            sys.modules[module.__name__] = module
            parent, _, last = module.__name__.rpartition(".")
            if parent:
                setattr(sys.modules[parent], last, module)
        # Their packages import every file in the folder, so one broken file would break all.
        sys.modules[f"{self.name}.modeling.backbones"].__dict__["__getattr__"] = self._attribute
        stand_in = ModuleType(f"{self.name}.modeling.base_model")
        stand_in.__dict__["BaseModel"] = base
        sys.modules[stand_in.__name__] = stand_in

    def _attribute(self, name: str) -> type:
        try:
            return self.backbone(name)
        except ZooError as fault:
            raise AttributeError(str(fault)) from fault

    @contextmanager
    def _lending(self) -> Iterator[None]:
        """Point the top-level names to the checkout within the context."""
        before = taken(TOP)
        sys.modules.update(self._lent)
        finders, writes = list(sys.meta_path), sys.dont_write_bytecode
        install_stubs()
        sys.meta_path.insert(0, _Lender(self.root))
        sys.dont_write_bytecode = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the user cannot fix warnings of these files
                yield
        finally:
            sys.dont_write_bytecode = writes
            sys.meta_path[:] = finders
            # A remaining stub would suggest that its package is installed.
            self._lent = {**taken(TOP), **taken(_stubbed())}
            sys.modules.update(before)


def classes_in(folder: Path) -> Mapping[str, Path]:
    """Return the file of every class defined in a folder; the later one for equal names.

    Files that are not valid Python are skipped.
    """
    found = {}
    for file in sorted(folder.glob("*.py")):
        try:
            tree = parsed(file)
        except ZooError:
            continue
        found.update({node.name: file for node in tree.body if isinstance(node, ast.ClassDef)})
    return found


def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        ZooError: If it is not valid Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, ValueError, OSError) as fault:
        raise ZooError(f"{file} cannot be read as Python: {fault}") from fault


def _stubbed() -> tuple[str, ...]:
    """Return the packages of which a stub was imported."""
    loaded = [name for name in STUBBED if name in sys.modules]
    return tuple(name for name in loaded if not hasattr(sys.modules[name], "__file__"))


class _Lender:
    """Finder of the top-level packages of a checkout."""

    def __init__(self, root: Path) -> None:
        self._path = [str(root)]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in TOP:
            return None
        return importlib.machinery.PathFinder.find_spec(name, self._path)
