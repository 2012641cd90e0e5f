"""Survey of a checkout's model files without running them: the models, and which can run here.

A model is any class that derives from upstream's ``BaseModel``, directly or indirectly. It is
refused with a reason if it needs what the embedded engine lacks: hooks of upstream's training loop,
a specific kind of device, a second input stream, or inputs other than frames.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .zoo_package import MODELS, ZooError, parsed

HOOKS = (
    "get_loader", "get_optimizer", "get_scheduler", "inputs_pretreament", "train_step",
    "inference", "resume_ckpt", "run_train", "run_test",
)  # fmt: skip
# Hooks that only merge two streams into one, which our engine reads directly.
PERMITTED = {"SkeletonGaitPP": ("inputs_pretreament",)}
SECOND_STREAM = ("BigGait__Dinov2_Gaitbase",)  # the adapter can derive it for these
OTHER_INPUTS = {
    "GaitGraph1": "coordinates of joints",
    "GaitGraph2": "coordinates of joints",
    "GaitTR": "coordinates of joints",
    "MultiScaleGaitGraph": "coordinates of joints",
    "LidarGaitPlusPlus": "point clouds",
    "ParsingGait": "maps of body parts, whose numbers are no brightness",
    "ScoNet": "the class of each tracklet in its type",
}
_DEVICE_CALLS = {".cuda": "moves tensors to CUDA", ".get_rank": "asks for the rank of a process"}
_SHARED = ("base_model.py", "modules.py", "multidataset_model.py")  # used by all models
_ROOTS = ("BaseModel", "MultiDatasets")


@dataclass(frozen=True)
class Found:
    """A model class of a checkout.

    Attributes:
        name: Name of the class.
        file: The file that defines it.
        refusal: Why our engine cannot run it; empty if no reason is known.
        keys: Every string that its file and the neighbors it imports use as a key; these include
            the keys of ``model_cfg``.
    """

    name: str
    file: Path
    refusal: str = ""
    keys: frozenset[str] = field(default_factory=frozenset)


def survey(root: Path) -> tuple[dict[str, Found], dict[Path, str]]:
    """Find the models of a checkout.

    Args:
        root: The checkout's folder ``opengait``.

    Returns:
        The models by name, and the reason for each unreadable file.
    """
    trees: dict[Path, ast.Module] = {}
    unread: dict[Path, str] = {}
    for file in sorted((root / MODELS).glob("*.py")):
        try:
            trees[file] = parsed(file)
        except ZooError as fault:
            unread[file] = str(fault)
    classes = {
        node.name: (file, node)
        for file, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    found = {}
    for name, (file, _) in classes.items():
        line = _line_of(name, classes)
        if line:
            near = [trees[file], *_neighbors(file, trees[file])]
            refusal = next(_refusals(name, line, classes, near), "")
            found[name] = Found(name, file, refusal, _keys(near))
    return found, unread


Classes = Mapping[str, tuple[Path, ast.ClassDef]]


def _line_of(name: str, classes: Classes) -> list[str]:
    """Return the line from a class to upstream's base class; empty if there is none."""
    line = [name]
    while line[-1] in classes:
        bases = [ast.unparse(base) for base in classes[line[-1]][1].bases]
        following = next((base for base in bases if base in classes or base in _ROOTS), None)
        if following is None or following in line:
            return []
        line.append(following)
    return line


def _refusals(
    name: str, line: list[str], classes: Classes, near: list[ast.Module]
) -> Iterator[str]:
    if line[-1] == "MultiDatasets":
        yield "it trains on several data sets at once"
    if name in OTHER_INPUTS:
        yield f"it reads {OTHER_INPUTS[name]}, and the embedded engine gives frames"
    for ancestor in line[:-1]:
        own = {node.name for node in classes[ancestor][1].body if isinstance(node, ast.FunctionDef)}
        for hook in HOOKS:
            if hook in own and hook not in PERMITTED.get(name, ()):
                yield f"it has its own {hook}(), which only upstream's training loop calls"
    for tree in near:
        yield from _device_calls(tree)
    if name not in SECOND_STREAM and _reads_second_stream(classes[name][1]):
        yield "it reads two streams of a tracklet, and the embedded engine gives one"


def _device_calls(tree: ast.Module) -> Iterator[str]:
    """Yield calls that need one kind of device, except those in an ``if ... is_cuda``."""
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "is_cuda" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and id(node) not in guarded:
            called = ast.unparse(node.func)
            for ending, what in _DEVICE_CALLS.items():
                if called.endswith(ending):
                    yield f"line {node.lineno} of its file, or of one that it imports, {what}"


def _reads_second_stream(model: ast.ClassDef) -> bool:
    return any(
        isinstance(node, ast.Subscript) and ast.unparse(node) == "ipts[1]"
        for node in ast.walk(model)
    )


def _neighbors(file: Path, tree: ast.Module) -> list[ast.Module]:
    """Return the syntax trees of the neighbors and backbones that a model file imports."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            inner = file.parents[node.level - 1] / f"{node.module.replace('.', '/')}.py"
            if inner.is_file() and inner.name not in _SHARED:
                found.append(inner)
    trees = []
    for inner in found:
        try:
            trees.append(parsed(inner))
        except ZooError:  # its import will report this
            continue
    return trees


def _keys(trees: list[ast.Module]) -> frozenset[str]:
    texts = set()
    for tree in trees:
        for node in ast.walk(tree):
            values: list[ast.expr] = []
            if isinstance(node, ast.Subscript):
                values = [node.slice]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".get"):
                values = node.args[:1]
            elif isinstance(node, ast.Compare):
                values = [node.left]
            texts |= {
                value.value
                for value in values
                if isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    return frozenset(texts)
