"""Every class of every file beside this one."""

import importlib
from pathlib import Path

for found in Path(__file__).parent.glob("[!_]*.py"):
    contents = vars(importlib.import_module(f"{__name__}.{found.stem}"))
    globals().update({key: each for key, each in contents.items() if isinstance(each, type)})
