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

EVERYWHERE = {"bars", "edge", "errors", "escaping", "lock", "ordering", "quiet", "registry", "version"}
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
    "evaluation": {"products"},
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
    "gallery": {"data", "engine", "evaluation"},
    "report": {"data", "engine", "evaluation"},
    "api": {"clips", "config", "data", "engine", "models", "shipped"},
    "clips": {"data"},
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
    },  # fmt: skip
    "programs": set(),
    "shipped": set(),
    "cli": {"commands", "programs"},
    "upstream": {"config", "schema", "vision", "models", "losses", "data", "evaluation", "engine"},
}


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
