"""The rules of the layout, checked: who may import whom, and how long a function may be."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "opengait_ext"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ALL_SOURCES = [*SOURCES, *sorted((ROOT / "opengait").glob("*.py"))]
ALL_SOURCES += sorted((ROOT / "datasets").rglob("*.py"))

EVERYWHERE = {
    "bars",
    "docstrings",
    "edge",
    "errors",
    "escaping",
    "lock",
    "ordering",
    "quiet",
    "registry",
    "version",
}
MAY_IMPORT = {
    "schema": set(),
    "yaml_text": set(),
    "config": {"schema", "yaml_text"},
    "vision": set(),
    "products": set(),
    "unpickle": set(),
    "weight_files": {"unpickle"},
    "weights": {"shipped", "unpickle", "weight_files"},
    "released": set(),
    "dinov2_names": set(),
    "layers": {"weights", "vision", "products", "dinov2_names"},
    "models": {"layers", "weights", "vision", "config"},
    "losses": {"layers"},
    "data": {"unpickle", "vision"},
    "evaluation": {"data", "products"},
    "prepare": {"data", "evaluation"},
    "pretrained": {
        "dinov2_names",
        "engine",
        "layers",
        "models",
        "released",
        "unpickle",
        "vision",
        "weight_files",
        "weights",
    },
    "pretraining": {"data", "engine", "layers", "models", "prepare", "vision", "weights"},
    "engine": {
        "config",
        "schema",
        "vision",
        "weights",
        "layers",
        "models",
        "losses",
        "data",
        "evaluation",
        "programs",
        "shipped",
    },  # fmt: skip
    "gallery": {"data", "engine", "evaluation", "prepare"},
    "report": {"data", "engine", "evaluation"},
    "api": {"clips", "config", "data", "engine", "models", "shipped"},
    "clips": {"data", "prepare"},
    "__init__": {"api"},
    "commands": {
        "api",
        "config",
        "data",
        "engine",
        "evaluation",
        "gallery",
        "programs",
        "report",
        "schema",
        "shipped",
        "upstream",
        "yaml_text",
    },  # fmt: skip
    "programs": set(),
    "shipped": set(),
    "__main__": {"cli"},
    "cli": {"commands", "programs"},
    "upstream": {"config", "schema", "vision", "models", "losses", "data", "evaluation", "engine"},
}


# One file for each component that a registry or a command line lists.
COMPONENTS = "named in a list, one file each"
OWN_IDEA = "one idea, tested alone"
OWN_FORM = "a format or a foreign interface behind one door"
LATE = "the work of one command or option, loaded when it is asked for"
NO_TORCH = "read without what its importer needs: torch, or the whole package"
# Modules with a single importer, and why they are not a part of it.
ONE_IMPORTER = {
    "cli": NO_TORCH,
    "clips": OWN_IDEA,
    "commands.embed": COMPONENTS,
    "data": COMPONENTS,
    "data.channels": OWN_IDEA,
    "data.components": NO_TORCH,
    "data.pair_sampler": COMPONENTS,
    "data.random_sampler": COMPONENTS,
    "data.silhouettes": COMPONENTS,
    "docstrings": OWN_IDEA,
    "evaluation": COMPONENTS,
    "evaluation.components": NO_TORCH,
    "evaluation.directions": OWN_IDEA,
    "evaluation.evaluators": COMPONENTS,
    "evaluation.gait": COMPONENTS,
    "evaluation.gait_result": OWN_IDEA,
    "evaluation.rerank_encoding": OWN_IDEA,
    "evaluation.ties": OWN_IDEA,
    "evaluation.verification": OWN_IDEA,
    "gallery.answers": LATE,
    "gallery.candidates": OWN_FORM,
    "gallery.pictures": LATE,
    "gallery.searching": NO_TORCH,
    "gallery.state": OWN_FORM,
    "layers.black_out": OWN_IDEA,
    "layers.gaitbase": OWN_IDEA,
    "layers.line_sums": OWN_IDEA,
    "layers.row_norm": OWN_IDEA,
    "layers.set_norms": OWN_IDEA,
    "losses": COMPONENTS,
    "losses.cross_entropy": COMPONENTS,
    "losses.silhouette": COMPONENTS,
    "losses.triplet": COMPONENTS,
    "models.agw": COMPONENTS,
    "models.biggait": COMPONENTS,
    "models.dinogrl": COMPONENTS,
    "models.dinogrl_released": COMPONENTS,
    "pretrained.importing": COMPONENTS,
    "pretrained.survey": COMPONENTS,
    "quiet": NO_TORCH,
    "report.analysis": OWN_IDEA,
    "report.formats": OWN_FORM,
    "report.gait_maps": LATE,
    "report.page": LATE,
    "report.projection": OWN_IDEA,
    "report.published": OWN_FORM,
    "report.svg": OWN_FORM,
    "unpickle.budget": OWN_IDEA,
    "unpickle.tensors": OWN_FORM,
    "upstream.authorship": OWN_IDEA,
    "upstream.evaluators": OWN_FORM,
    "upstream.guest": OWN_FORM,
    "upstream.hook": NO_TORCH,
    "upstream.injection": OWN_FORM,
    "upstream.stubs": OWN_FORM,
    "upstream.zoo": OWN_IDEA,
    "upstream.zoo_fit": OWN_IDEA,
    "upstream.zoo_model": OWN_FORM,
    "upstream.zoo_recorded": OWN_IDEA,
    "upstream.zoo_survey": OWN_IDEA,
    "weight_files": OWN_FORM,
}
# Parts whose modules with one importer are not listed here.
OTHERS_REASONS = ("prepare", "engine", "pretraining")


def named(path):
    return str(path.relative_to(ROOT))


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def modules_imported_by(path):
    """Dotted names that a file imports, relative imports resolved."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*stem, node.module or "")).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def parts_imported_by(path):
    """Parts of the package that a file imports: ``data``, ``config`` ..."""
    for module in modules_imported_by(path):
        names = module.split(".")
        if names[0] == "opengait_ext" and len(names) > 1:
            yield names[1]


def test_sources_were_found():
    assert len(SOURCES) > 30
    assert len(ALL_SOURCES) > len(SOURCES) + 4


@pytest.mark.slow
def test_imports_point_downwards():
    wrong = {}
    for path in SOURCES:
        part = path.relative_to(PACKAGE).with_suffix("").parts[0]
        allowed = MAY_IMPORT.get(part, set()) | EVERYWHERE | {part, "__version__"}
        wrong[named(path)] = sorted(set(parts_imported_by(path)) - allowed)
    assert not {name: parts for name, parts in wrong.items() if parts}


@cache
def imports():
    """Modules of the package by name, each with those that it imports, wherever it does so.

    Also inside functions and for the types alone. A package is its ``__init__.py``; that Python
    runs it before its modules is no import here.
    """
    paths = {}
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = {}
    for name, path in paths.items():
        places = (
            module if module in paths else module.rpartition(".")[0]
            for module in modules_imported_by(path)
        )
        found[name] = {place for place in places if place in paths and place != name}
    return found


def test_no_module_imports_itself_over_others():
    def needed_by(name):
        found, waiting = set(), list(imports()[name])
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += imports()[place]
        return found

    assert [name for name in imports() if name in needed_by(name)] == []


@pytest.mark.slow
def test_a_module_with_one_importer_has_a_reason_of_its_own():
    users = {}
    for name, needed in imports().items():
        for place in needed:
            users.setdefault(place.removeprefix("opengait_ext."), set()).add(name)
    alone = {
        name
        for name, found in users.items()
        if len(found) == 1 and not name.startswith(OTHERS_REASONS)
    }
    assert alone <= set(ONE_IMPORTER)


def test_a_model_imports_no_other_model():
    for path in sorted((PACKAGE / "models").glob("*.py")):
        others = {
            module.split(".")[2]
            for module in modules_imported_by(path)
            if module.startswith("opengait_ext.models.")
        }
        assert path.stem == "__init__" or others <= {"base"}, named(path)


def test_no_function_is_longer_than_60_lines():
    long = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in ALL_SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60
    ]
    assert not long


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "door"),
    [
        ("yaml", "opengait_ext/yaml_text.py"),
        ("torchvision", "opengait_ext/vision.py"),
        ("torch.distributed", "opengait_ext/engine/distributed.py"),
        ("argparse", "opengait_ext/cli.py"),
        ("tqdm", "opengait_ext/bars.py"),
    ],
)
def test_the_package_has_one_door_to(module, door):
    users = {
        named(path)
        for path in SOURCES
        if not {"commands", "prepare", "pretrained", "pretraining"} & set(path.parts)
        and any((name + ".").startswith(module + ".") for name in modules_imported_by(path))
    }
    assert users <= ({door} if door else set())


@pytest.mark.slow
def test_only_the_engine_names_a_device():
    wrong = []
    for path in SOURCES:
        if path.parent.name == "engine" or path.name == "cpu.py":
            continue  # upstream/cpu.py changes what OpenGait asks of CUDA
        for node in ast.walk(tree_of(path)):
            name = isinstance(node, ast.Attribute) and node.attr in ("cuda", "mps", "is_cuda")
            text = isinstance(node, ast.Constant) and node.value in ("cuda", "mps", "cuda:0")
            wrong += [f"{named(path)}:{node.lineno}"] if name or text else []
    assert not wrong


@pytest.mark.slow
def test_no_source_holds_an_absolute_path():
    wrong = []
    for path in ALL_SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                first = node.value.split("/")[1:2]
                if node.value.startswith("/") and first and first[0] in ("home", "data"):
                    wrong.append(f"{named(path)}:{node.lineno}: {node.value}")
    assert not wrong


@pytest.mark.slow
def test_the_command_line_and_the_prepared_form_need_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import opengait.main, opengait_ext.config, opengait_ext.data.layout\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
