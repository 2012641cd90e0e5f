import pytest
from upstream_parts import changes_in, make_checkout, prepare


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory):
    """A prepared dataset that tests read and do not change."""
    root = tmp_path_factory.mktemp("toy")
    prepare(root)
    return root


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    return make_checkout(tmp_path_factory.mktemp("clone") / "OpenGait")


@pytest.fixture
def checkout(stand_in):
    """A checkout that is looked at afterwards: no run may leave a trace in it."""
    yield stand_in
    assert changes_in(stand_in) == ""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder, where a run puts its output."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
