"""Use of this package from OpenGait's own command line.

    torchrun --nproc-per-node 2 opengait/main.py --cfgs ours.yaml --phase train

runs one of our configs, or one of OpenGait's that names our models and losses, if :func:`activate`
was called when Python started. :func:`install` sets this up for the current Python installation:
then ``OPENGAIT_EXT=1`` in the environment enables the hook.

Nothing heavy is imported here, because this runs at every start of Python with that variable.
"""

import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "OPENGAIT_EXT"
_AWAITED = "modeling.models"
_FILE = "opengait_ext_hook.pth"
_LINE = (
    f'import os; os.environ.get("{VARIABLE}") == "1" and '
    '__import__("opengait_ext.upstream.hook", fromlist=["activate"]).activate()\n'
)


def activate(**asked: Any) -> None:
    """Add our models as soon as OpenGait imports its own.

    Args:
        **asked: Arguments of ``launch.take_over``.
    """
    sys.dont_write_bytecode = True  # leave no files in the checkout
    sys.meta_path.insert(0, _Waiting(asked))


def install() -> Path:
    """Make this Python installation check ``OPENGAIT_EXT=1`` at every start.

    Returns:
        The installed file; remove it to uninstall the hook.
    """
    from ..data.layout import atomic_write  # a partial line would fail at every start

    path = Path(sysconfig.get_paths()["purelib"], _FILE)
    atomic_write(path, _LINE.encode())
    return path


class _Waiting:
    """Finder that only watches for ``modeling.models`` of a checkout."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module as usual, and take over after it is loaded."""
        if name != _AWAITED:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None or not _is_opengait(spec.origin):
            return None
        sys.meta_path.remove(self)
        _prepare()
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            importlib.import_module("opengait_ext.upstream.launch").take_over(**self._asked)

        loader.exec_module = exec_module
        return spec


def _is_opengait(origin: str | None) -> bool:
    return bool(origin) and Path(str(origin)).parent.with_name("base_model.py").is_file()


def _prepare() -> None:
    """Import torchvision, and install stubs for packages that OpenGait hardly uses."""
    importlib.import_module("opengait_ext.vision")
    importlib.import_module("opengait_ext.upstream.stubs").install_stubs()
