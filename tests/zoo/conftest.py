import os
import sys
from pathlib import Path

import pytest
from zoo_parts import changes_in, make_checkout

from opengait_ext.upstream.zoo import zoo_catalog

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("clone") / "OpenGait")


@pytest.fixture
def checkout(clone):
    """The stand-in, which is looked at afterwards: no run may leave a trace in it."""
    yield clone
    assert changes_in(clone) == ""


@pytest.fixture
def models(checkout):
    return zoo_catalog(checkout).models


@pytest.fixture(scope="session")
def opengait():
    """A real checkout."""
    place = os.environ.get("OPENGAIT_ROOT")
    if not place:
        pytest.skip("OPENGAIT_ROOT names no checkout of OpenGait")
    before = changes_in(place)
    yield Path(place)
    assert changes_in(place) == before


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder, where a run puts its output."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
