"""The conditional door to torchvision."""

import sys

import pytest
import torch

from opengait_ext import vision


def installed(tmp_path, monkeypatch, text):
    """Puts a torchvision of our own in the place of the installed one, for one test."""
    functional = tmp_path / "torchvision" / "transforms" / "v2" / "functional.py"
    functional.parent.mkdir(parents=True)
    for folder in (functional.parent, functional.parent.parent):
        (folder / "__init__.py").touch()
    functional.touch()
    (tmp_path / "torchvision" / "__init__.py").write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)


def forget_torchvision():
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


@pytest.fixture
def defined(monkeypatch):
    """The operators that were declared, which then exist as they do in torch."""
    names = []
    operators = type("Operators", (), {})()
    monkeypatch.setattr(torch.ops, "torchvision", operators, raising=False)

    def define(name, signature):
        names.append(name)
        setattr(operators, name.split("::")[1], signature)

    monkeypatch.setattr(torch.library, "define", define)
    yield names
    forget_torchvision()


@pytest.mark.slow
def test_torchvision_has_the_models_and_transforms_that_this_package_uses():
    assert vision.torchvision.models.resnet18(num_classes=2).fc.out_features == 2
    frames = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    resized = vision.torchvision.transforms.v2.functional.resize(frames, [2, 3], antialias=True)
    assert resized.shape == (2, 3, 2, 3)


def test_loading_again_gives_the_same_module():
    assert vision.load_torchvision() is vision.torchvision


def test_an_installation_that_works_is_left_alone(tmp_path, monkeypatch, defined):
    installed(tmp_path, monkeypatch, "works = True\n")
    assert vision.load_torchvision().works
    assert defined == []


def test_missing_operators_are_declared_once_and_the_import_is_repeated(
    tmp_path, monkeypatch, defined
):
    text = (
        "import torch\n"
        "for name in ('nms', 'qnms'):\n"
        "    if not hasattr(torch.ops.torchvision, name):\n"
        "        raise RuntimeError(f'operator torchvision::{name} does not exist')\n"
    )
    installed(tmp_path, monkeypatch, text)
    module = vision.load_torchvision()
    assert module.__file__ == str(tmp_path / "torchvision" / "__init__.py")
    assert defined == ["torchvision::nms", "torchvision::qnms"]


def test_modules_left_over_from_the_failed_import_are_not_used_again(
    tmp_path, monkeypatch, defined
):
    text = (
        "import torch\n"
        "from . import part\n"
        "part.imports.append(1)\n"
        "if not hasattr(torch.ops.torchvision, 'nms'):\n"
        "    raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    installed(tmp_path, monkeypatch, text)
    (tmp_path / "torchvision" / "part.py").write_text("imports = []\n")
    assert vision.load_torchvision().part.imports == [1]


def test_any_other_failure_is_passed_on_unchanged(tmp_path, monkeypatch, defined):
    installed(tmp_path, monkeypatch, "raise RuntimeError('the driver is too old')\n")
    with pytest.raises(RuntimeError, match="^the driver is too old$"):
        vision.load_torchvision()
    assert defined == []
