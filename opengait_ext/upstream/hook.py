"""Lets OpenGait's own command line use this package.

    torchrun --nproc-per-node 2 opengait/main.py --cfgs ours.yaml --phase train

runs one of our configs, or one of OpenGait's own that names our models and losses, if
:func:`activate` was called when Python started. :func:`install` sees to that for the Python it is
called in: after it, ``OPENGAIT_EXT=1`` in the environment switches the hook on.

Nothing heavy is imported here: this runs at the start of every Python with that variable.
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
    """Waits for OpenGait to import its models, then adds ours.

    Args:
        **asked: Arguments of ``launch.take_over``.
    """
    sys.dont_write_bytecode = True  # nothing is left behind in the checkout
    sys.meta_path.insert(0, _Waiting(asked))


def install() -> Path:
    """Makes every start of this Python look for ``OPENGAIT_EXT=1``.

    Returns:
        The file that does it; removing it undoes this.
    """
    from ..data.layout import atomic_write  # half a line would be an error at every start

    path = Path(sysconfig.get_paths()["purelib"], _FILE)
    atomic_write(path, _LINE.encode())
    return path


class _Waiting:
    """Finds nothing itself, but sees ``modeling.models`` of a checkout come."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Lets the module be found as usual, and adds what has to happen after it."""
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
    """Readies what OpenGait imports: torchvision, and packages that it hardly uses."""
    importlib.import_module("opengait_ext.vision")
    importlib.import_module("opengait_ext.upstream.stubs").install_stubs()
