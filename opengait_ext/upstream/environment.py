"""The environment that OpenGait's ``main.py`` expects: launcher, directory, import path."""

import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..engine.meeting import announce, own_place
from .cpu import see_devices

# The top-level package names of a checkout; other modules with these names must be removed.
TOP = ("modeling", "data", "utils", "evaluation")


@contextmanager
def launcher() -> Iterator[int]:
    """Set the environment variables of torchrun if it is absent; yield the number of processes."""
    before = dict(os.environ)
    place = own_place()
    if place.size > 1:
        announce(place)
    else:
        alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        os.environ.update(alone, MASTER_PORT=_free_port())
    see_devices(place.size)
    try:
        yield place.size
    finally:
        os.environ.clear()
        os.environ.update(before)


def next_port() -> None:
    """Choose a new rendezvous port for another run of ``main.py``."""
    if os.environ["WORLD_SIZE"] == "1":
        os.environ["MASTER_PORT"] = _free_port()
        return
    # torchrun's own store remembers the first run.
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + 1)


@contextmanager
def inside(checkout: Path) -> Iterator[None]:
    """Make the checkout the working directory and the first entry of the import path.

    Meanwhile, Python and its child processes write no compiled files. Afterwards the former state
    is restored, and OpenGait's modules are no longer imported.
    """
    folder, lists = Path.cwd(), (list(sys.path), list(sys.argv), list(sys.meta_path))
    writes, variable = sys.dont_write_bytecode, os.environ.get("PYTHONDONTWRITEBYTECODE")
    hidden = taken(TOP)
    sys.path.insert(0, str(checkout / "opengait"))
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.chdir(checkout)
    try:
        yield
    finally:
        os.chdir(folder)
        sys.path[:], sys.argv[:], sys.meta_path[:] = lists
        sys.dont_write_bytecode = writes
        if variable is None:
            del os.environ["PYTHONDONTWRITEBYTECODE"]
        taken(TOP)
        sys.modules.update(hidden)
        logging.getLogger("opengait").handlers.clear()  # OpenGait adds one at every start


def taken(roots: Sequence[str]) -> dict[str, ModuleType]:
    """Remove modules with these top-level names from ``sys.modules`` and return them."""
    names = [name for name in sys.modules if name.partition(".")[0] in roots]
    return {name: sys.modules.pop(name) for name in names}


def _free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])
