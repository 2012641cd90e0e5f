import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "report"))

import chromium
import pytest
import toy_run

from opengait_ext.report.page import make_page
from opengait_ext.report.sources import read_sources

EVIL = "<!--<script><img src=x onerror=document.title='broken'>"


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The page of a run with an identity whose name is markup, of 63 queries a direction."""
    folder = tmp_path_factory.mktemp("page")
    partition = toy_run.partition_of(pids=(*(f"{pid:04}" for pid in range(1, 21)), EVIL))
    toy_run.write_data(folder / "data", partition)
    toy_run.write_run(folder / "run", partition, toy_run.embeddings_of(partition))
    path = folder / "report.html"
    path.write_text(make_page(read_sources(folder / "run", folder / "data"), 5))
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium here: make test-browser installs it")
    browser = chromium.Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, report):
    """The page, freshly opened at the size of a desk."""
    browser.resize(1280, 900)
    browser.open(report)
    return browser
