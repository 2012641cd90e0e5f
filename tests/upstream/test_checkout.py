import logging
import sys

import pytest
from upstream_parts import ROOT, git

from opengait_ext.upstream import checkout as module
from opengait_ext.upstream.checkout import (
    CheckoutError,
    commit_of,
    find_checkout,
    log_version,
)
from opengait_ext.upstream.stubs import STUBBED, install_stubs


def test_a_checkout_is_named_by_option_variable_or_place_in_this_order(
    stand_in, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert find_checkout(None, {}) is None
    assert find_checkout(None, {"OPENGAIT_ROOT": ""}) is None
    assert find_checkout(None, {}, stand_in) == stand_in
    assert find_checkout(None, {"OPENGAIT_ROOT": str(stand_in)}) == stand_in
    assert find_checkout(str(stand_in), {"OPENGAIT_ROOT": "nowhere"}) == stand_in
    monkeypatch.chdir(stand_in.parent)
    assert find_checkout("OpenGait", {}) == stand_in


def test_our_own_folder_is_no_checkout():
    assert find_checkout(None, {}, ROOT) is None


def test_what_is_no_checkout_is_refused_with_what_is_missing(stand_in, tmp_path):
    with pytest.raises(CheckoutError, match="--opengait: there is no folder .*git clone"):
        find_checkout(str(tmp_path / "none"), {})
    with pytest.raises(CheckoutError, match="OPENGAIT_ROOT: .* missing there: opengait/modeling"):
        find_checkout(None, {"OPENGAIT_ROOT": str(tmp_path)})
    with pytest.raises(CheckoutError, match="Take the folder above it"):
        find_checkout(str(stand_in / "opengait"), {})


def test_another_commit_than_the_checked_ones_is_a_warning(stand_in, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    commit = git(stand_in, "rev-parse", "HEAD").strip()
    assert commit_of(stand_in) == commit
    log_version(stand_in)
    assert caplog.records[-1].levelname == "WARNING"
    assert f"stands at {commit[:7]}; checked versions: 0efafd4" in caplog.messages[-1]
    monkeypatch.setitem(module.CHECKED, commit, "2026-01-01")
    log_version(stand_in)
    assert caplog.records[-1].levelname == "INFO"


def test_a_folder_without_git_is_a_warning(tmp_path, caplog):
    assert commit_of(tmp_path) is None
    log_version(tmp_path)
    assert "is not under git's control" in caplog.messages[-1]


def test_missing_packages_are_stood_in_for_and_say_so_when_used(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    install_stubs()
    install_stubs()
    finder = sys.meta_path[-1]
    assert sum(type(each) is type(finder) for each in sys.meta_path) == 1
    for name in STUBBED:
        assert finder.find_spec(f"{name}.inner", None).origin == "opengait_ext stub"
    assert finder.find_spec("opengait_ext_no_such_package", None) is None
    module = finder.create_module(finder.find_spec("lightly.loss", None))

    class Derived(module.NTXentLoss):
        pass

    with pytest.raises(ModuleNotFoundError, match="package lightly is not installed: pip"):
        Derived()
