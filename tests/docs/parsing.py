"""Parse a documented command line by the real parsers; nothing of it is run."""

import argparse
import ast
import configparser
import contextlib
import importlib
import inspect
import re
import shlex
import sys
from pathlib import Path

from documented import ROOT

from opengait_ext.config import load_config
from opengait_ext.shipped import config_file

PLACEHOLDER = re.compile(r"<[a-z][^<>]*>|(?<=--cfgs )\.\.\.")


class Parsed(BaseException):
    """The parser took the command line."""

    def __init__(self, arguments):
        self.arguments = arguments


def parse(text):
    """Raise SystemExit, an AssertionError or a UserError if a command line cannot be right."""
    bare = re.sub(r"(?<=--cfgs )\.\.\.", "dinogrl_synth", text)
    words = shlex.split(PLACEHOLDER.sub("PLACE", bare))
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    {
        "python": _python, "torchrun": _torchrun, "opengait-ext": _program, "make": _make,
        "pip": _pip, "pytest": _pytest, "git": _free, "cd": _free,
    }[words[0]](words[1:])  # fmt: skip


def _free(words):
    """Take a command of other people's programs as it is."""


def _python(words):
    if words[0] == "-c":
        for node in ast.walk(ast.parse(words[1])):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)
    elif words[0] == "-m":
        {"opengait.main": _launcher, "pytest": _pytest}[words[1]](words[2:])
    elif words[0].startswith("benchmarks/"):
        _benchmark(words)
    elif "PLACE" not in words[0]:
        script = ROOT / words[0]
        assert script.is_file(), f"{words[0]}: there is no such script"
        (module,) = re.findall(r"from (\S+) import main", script.read_text())
        taken_by(importlib.import_module(module).main, words)


def _torchrun(words):
    from torch.distributed.run import get_args_parser

    given = get_args_parser().parse_args(words)
    if given.module:
        assert given.training_script == "opengait.main"
    _launcher(given.training_script_args)


def _launcher(words):
    from opengait.main import arguments_of

    if words:
        given = arguments_of(words)
        if "PLACE" not in given.cfgs:
            load_config(config_file(given.cfgs), given.changes)


def _program(words):
    from opengait_ext import cli

    if len(words) == 1 and words[0] in cli.COMMANDS:
        return  # the command is named, not shown
    if words[-1] in ("--help", "NAME"):
        assert len(words) == 1 or words[0] in cli.COMMANDS
        return
    taken_by(cli.run, ["opengait-ext", *words], words)


def _make(words):
    makefile = (ROOT / "Makefile").read_text()
    targets = [word for word in words if "=" not in word]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for word in words:
        name, is_given, value = word.partition("=")
        if is_given:
            script = re.search(rf"python (\S+) \$\({name}\)", makefile)
            assert script, f"the Makefile does not use {name}"
            _benchmark([script[1], *shlex.split(value)])


def _pip(words):
    assert words[0] in ("install", "wheel")
    known = configparser.ConfigParser()
    known.read(ROOT / "setup.cfg")
    constraints = (ROOT / "constraints.txt").read_text()
    rest = iter(words[1:])
    for word in rest:
        extra = re.fullmatch(r"\.\[(\w+)\]", word)
        if word == "-c":
            assert (ROOT / next(rest)).is_file()
        elif extra:
            assert extra[1] in known["options.extras_require"]
        elif word not in ("-e", ".", "--no-deps"):
            name = re.match(r"[\w-]+", word)[0]
            assert re.search(rf"^{name}==", constraints, re.MULTILINE), f"pip install {word}"


def _pytest(words):
    for word in words:
        assert (ROOT / word).exists(), f"pytest {word}"


def _benchmark(words):
    path = Path(words[0])
    assert (ROOT / path).is_file(), f"{path}: there is no such script"
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        taken_by(importlib.import_module(path.stem).main, words)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def taken_by(main, words, *given):
    """Run a program's `main` up to its parser, with its checks of what belongs together."""
    module = sys.modules[main.__module__]
    reader = getattr(module, "arguments_of", None)
    if not given and reader and "command" in list(inspect.signature(reader).parameters)[:1]:
        reader(words[1:])
        return
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, args=None, namespace=None):
        raise Parsed(original(self, args, namespace))

    before, sys.argv = sys.argv, list(words)
    argparse.ArgumentParser.parse_args = parse_args
    try:
        with contextlib.suppress(Parsed):
            main(*given)
            raise AssertionError(f"{words[0]}: its command line was not parsed")
    finally:
        argparse.ArgumentParser.parse_args = original
        sys.argv = before
