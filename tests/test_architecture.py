"""The rules of the layout, checked: who may import whom, and how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "opengait_ext"
SOURCES = sorted(PACKAGE.rglob("*.py"))
ALL_SOURCES = [*SOURCES, *sorted((ROOT / "opengait").glob("*.py"))]
ALL_SOURCES += sorted((ROOT / "datasets").rglob("*.py"))

EVERYWHERE = {"edge", "errors", "escaping", "lock", "ordering", "quiet", "registry"}
MAY_IMPORT = {
    "schema": set(),
    "yaml_text": set(),
    "config": {"schema", "yaml_text"},
    "vision": set(),
    "products": set(),
    "unpickle": set(),
    "weight_files": {"unpickle"},
    "weights": {"unpickle", "weight_files"},
    "released": set(),
    "dinov2_names": set(),
    "layers": {"weights", "vision", "products", "dinov2_names"},
    "models": {"layers", "weights", "vision", "config"},
    "losses": {"layers"},
    "data": {"unpickle", "vision"},
    "evaluation": {"products"},
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
    },  # fmt: skip
    "gallery": {"data", "engine", "evaluation"},
    "report": {"data", "engine", "evaluation"},
    "api": {"clips", "config", "data", "engine", "models"},
    "clips": {"data"},
    "__init__": {"api"},
    "commands": {"api", "config", "data", "engine", "evaluation", "gallery", "report"},
    "cli": {"commands"},
    "upstream": {"config", "schema", "vision", "models", "losses", "data", "evaluation", "engine"},
}


def named(path):
    return str(path.relative_to(ROOT))


def modules_imported_by(path):
    """Dotted names that a file imports, relative imports resolved."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
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


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_imports_point_downwards(path):
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    allowed = MAY_IMPORT.get(part, set()) | EVERYWHERE | {part, "__version__"}
    wrong = set(parts_imported_by(path)) - allowed
    assert not wrong, f"{part} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=named)
def test_a_model_imports_no_other_model(path):
    if path.stem == "__init__":
        return
    others = {
        module.split(".")[2]
        for module in modules_imported_by(path)
        if module.startswith("opengait_ext.models.")
    }
    assert others <= {"base"}


@pytest.mark.parametrize("path", ALL_SOURCES, ids=named)
def test_no_source_file_is_longer_than_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", ALL_SOURCES, ids=named)
def test_no_function_is_longer_than_60_lines(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "door"),
    [
        ("yaml", "opengait_ext/yaml_text.py"),
        ("torchvision", "opengait_ext/vision.py"),
        ("torch.distributed", "opengait_ext/engine/distributed.py"),
        ("argparse", "opengait_ext/cli.py"),
    ],
)
def test_the_package_has_one_door_to(module, door):
    users = {
        named(path)
        for path in SOURCES
        if path.parent.name != "commands"  # they are parts of the command line
        and any((name + ".").startswith(module + ".") for name in modules_imported_by(path))
    }
    assert users <= ({door} if door else set())


@pytest.mark.parametrize(
    "path",
    # upstream/cpu.py changes what OpenGait asks of CUDA.
    [path for path in SOURCES if path.parent.name != "engine" and path.name != "cpu.py"],
    ids=named,
)
def test_only_the_engine_names_a_device(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("cuda", "mps", "is_cuda"), f"line {node.lineno}"
        if isinstance(node, ast.Constant):
            assert node.value not in ("cuda", "mps", "cuda:0"), f"line {node.lineno}"


@pytest.mark.parametrize("path", ALL_SOURCES, ids=named)
def test_no_source_holds_an_absolute_path(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            first = node.value.split("/")[1:2]
            assert not (node.value.startswith("/") and first and first[0] in ("home", "data")), (
                f"line {node.lineno}: {node.value}"
            )


def test_the_command_line_and_the_prepared_form_need_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import opengait.main, opengait_ext.config, opengait_ext.data.layout\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
