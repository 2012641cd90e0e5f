import shutil

import engine_parts
import pytest


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory):
    """A prepared dataset that tests read and do not change."""
    root = tmp_path_factory.mktemp("toy")
    engine_parts.prepare(root)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder, where a run puts its output."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
