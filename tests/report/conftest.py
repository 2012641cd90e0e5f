import shutil

import pytest
import toy_run

from opengait_ext.report.page import make_page
from opengait_ext.report.sources import read_sources


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A finished run and its data, which tests read and do not change."""
    folder = tmp_path_factory.mktemp("toy")
    partition = toy_run.partition_of()
    toy_run.write_data(folder / "data", partition)
    toy_run.write_run(folder / "run", partition, toy_run.embeddings_of(partition))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sources(toy):
    return read_sources(toy / "run", toy / "data")


@pytest.fixture(scope="session")
def page(sources):
    return make_page(sources, 5)
