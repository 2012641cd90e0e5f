"""Config files, and what a component takes from its section of one."""

import logging
from inspect import getfullargspec
from pathlib import Path

import yaml


def config_loader(path):
    """Reads the defaults of the working directory and lays an experiment's file over them."""
    below, above = (
        yaml.safe_load(Path(file).read_text()) for file in ("configs/default.yaml", path)
    )
    return laid_over(below, above)


def laid_over(below, above):
    """Mappings are united key by key; anything else is replaced."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: laid_over(below.get(key), value) for key, value in above.items()}


def made(place, section, *first):
    """Calls what a module has under the name in ``type`` or the like with what it can take."""
    chosen = getattr(place, section["type"])
    return chosen(*first, **takes(chosen, section))


def takes(component, section):
    """Keeps what has a positional parameter; the rest is dropped, and only the root's log told."""
    names = set(getfullargspec(component).args)
    dropped = set(section) - names
    if dropped:
        logging.info("dropped: %s", dropped)  # with this the root logger gets a console
    return {name: section[name] for name in names.intersection(section)}
