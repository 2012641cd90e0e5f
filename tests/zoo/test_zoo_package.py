"""What importing a checkout's files does, and what it leaves alone."""

import sys
from types import ModuleType

import pytest
from zoo_parts import FILES

from opengait_ext.upstream.environment import TOP
from opengait_ext.upstream.zoo import zoo_catalog
from opengait_ext.upstream.zoo_model import HostBase
from opengait_ext.upstream.zoo_package import Package, ZooError


def test_a_folder_that_is_no_checkout_is_refused_by_its_name(tmp_path):
    with pytest.raises(ZooError, match=r"expected a clone of OpenGait, found no opengait/mod"):
        zoo_catalog(tmp_path)


def test_nothing_of_a_checkout_is_imported_before_a_model_is_asked_for(checkout):
    before = set(sys.modules)
    catalog = zoo_catalog(checkout)
    assert "MiniGait" in catalog.models
    new = {name for name in set(sys.modules) - before if name.endswith(".mini")}
    assert new == set()


def test_top_level_names_of_the_checkout_are_gone_after_the_import(models):
    before = {name for name in sys.modules if name.partition(".")[0] in TOP}
    assert models["MiniGait"]
    assert {name for name in sys.modules if name.partition(".")[0] in TOP} == before


def test_a_module_called_utils_of_somebody_else_stays_what_it_was(models, monkeypatch):
    mine = ModuleType("utils")
    monkeypatch.setitem(sys.modules, "utils", mine)
    assert models["MiniGait"]
    assert sys.modules["utils"] is mine


def test_a_stub_of_a_missing_package_is_not_taken_for_the_package_later(models, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    finders = list(sys.meta_path)
    assert models["MiniGait"]
    left = [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]
    assert all(hasattr(sys.modules[name], "__file__") for name in left)
    assert sys.meta_path == finders


def test_a_file_of_an_odd_name_finds_its_neighbor(models):
    assert models["OddGait"].__mro__[2].__name__ == "OddGait"
    assert models["OddGait"].__mro__[3].__name__ == "MiniGait"


def test_a_file_that_cannot_be_imported_costs_its_own_models_only(models):
    with pytest.raises(KeyError, match=r"torn\.py cannot be imported: No module named 'a_package"):
        models["TornGait"]
    with pytest.raises(KeyError, match=r"raising\.py cannot be imported \(OSError: no disk today"):
        models["RaisingGait"]
    assert models["MiniGait"]


def test_a_file_that_is_no_python_is_told_and_the_rest_is_there(checkout, caplog):
    catalog = zoo_catalog(checkout)
    assert "garbled.py cannot be read as Python" in caplog.text
    assert "MiniGait" in catalog.models


def test_a_backbone_is_imported_without_the_others(checkout):
    package = Package(checkout, HostBase)
    assert package.backbone("Tiny").__name__ == "Tiny"
    with pytest.raises(ZooError, match=r"no backbone is called 'Tinny' in .* \(known: Tiny, Torn"):
        package.backbone("Tinny")


def test_two_checkouts_do_not_share_modules(checkout, tmp_path):
    folder = tmp_path / "other" / "opengait"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((checkout / "opengait" / name).read_bytes())
        assert text
    (folder / "data" / "__init__.py").write_text("offset = 2\n")
    one, other = (Package(place, HostBase) for place in (checkout, tmp_path / "other"))
    assert one.module("modeling.modules").doubled(1) == 2
    assert other.module("modeling.modules").doubled(1) == 4
    assert one.module("modeling.models.mini").doubled(1) == 2
